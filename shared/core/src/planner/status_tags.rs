//! What each VPC is told in its tag `peerd:status`.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::WantedPair;
use crate::action::Action;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::observed::Vpc;
use crate::status::{self, StatusEntry, StatusState};
use crate::tags::{self, MeshTag};

/// What is to be told, gathered by the other steps.
#[derive(Default)]
pub struct StatusReasons {
    /// What stands between a VPC and a peer, by VPC, word and peer; the first reason given for a peer stays.
    of_peers: BTreeMap<VpcRef, BTreeMap<(StatusState, VpcRef), String>>,
    /// Meshes of which VPCs still have peerings that would be too many to delete at once.
    held: BTreeMap<VpcRef, BTreeSet<MeshName>>,
}

impl StatusReasons {
    /// Tells both VPCs of a link.
    pub fn of_link(&mut self, link: &WantedPair<'_>, word: StatusState, why: &str) {
        for (vpc, peer) in link.pair.directions() {
            let of_vpc = self.of_peers.entry(vpc.clone()).or_default();
            of_vpc.entry((word, peer.clone())).or_insert_with(|| why.to_owned());
        }
    }

    /// Tells both VPCs of a pair why something of it that was to be done is not.
    pub fn of_rest(&mut self, pair: &Pair, why: &str) {
        for (vpc, peer) in pair.directions() {
            let of_vpc = self.of_peers.entry(vpc.clone()).or_default();
            of_vpc.insert((StatusState::Waiting, peer.clone()), why.to_owned());
        }
    }

    /// Tells both VPCs of a pair whose peering is kept back from deletion.
    pub fn of_held(&mut self, pair: &Pair, mesh: &MeshName) {
        for vpc in pair.ends() {
            self.held.entry(vpc.clone()).or_default().insert(mesh.clone());
        }
    }
}

/// Writes the status of every VPC that was read: this mesh's sentences anew, the others' as they were.
pub fn set_status(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for vpc in context.observed.vpcs.values() {
        let asked = MeshTag::of(&vpc.tags);
        let worn = vpc.tags.get(tags::STATUS);
        let mut sentences = worn.map(|line| status::parse(line)).unwrap_or_default();
        let mesh = &context.desired.mesh;
        sentences.retain(|old| old.mesh != mesh.as_str() && is_anothers(old, &asked, context));
        for word in &asked.malformed {
            sentences.insert(StatusEntry::because(StatusState::Refused, word, None, "not a mesh name"));
        }
        let told = asked.meshes.len() + asked.malformed.len();
        if asked.meshes.contains(mesh) {
            sentences.extend(status::fit(of_mesh(vpc, context, draft), told));
        } else if draft.notes.held.get(&vpc.at).is_some_and(|held| held.contains(mesh)) {
            sentences.insert(StatusEntry::because(StatusState::Waiting, mesh, None, HELD));
        }
        let line = status::line(&sentences);
        if line.as_ref() != worn {
            draft.labels.insert(Action::SetStatus { vpc: vpc.at.clone(), line });
        }
    }
}

/// What a VPC is told that asks for a mesh no more and whose peerings stay until an operator confirms.
const HELD: &str = "leaving is held back until it is confirmed";

/// Whether a sentence is for the run of another mesh to judge: one that the VPC asks for, or that it cannot leave yet.
fn is_anothers(sentence: &StatusEntry, asked: &MeshTag, context: &PlanContext<'_>) -> bool {
    let is_it = |mesh: &MeshName| mesh.as_str() == sentence.mesh;
    asked.meshes.iter().any(is_it) || (sentence.rest.ends_with(HELD) && context.desired.declared.keys().any(is_it))
}

fn of_mesh(vpc: &Vpc, context: &PlanContext<'_>, draft: &mut PlanBuilder) -> BTreeSet<StatusEntry> {
    let mesh = &context.desired.mesh;
    if let Some(denial) = context.denial(&vpc.at, mesh) {
        let why = denial.to_string();
        if !context.is_draining(mesh) {
            draft.report.add_finding(Finding::NotAdmitted { vpc: vpc.at.clone(), mesh: mesh.clone(), denial });
        }
        return BTreeSet::from([StatusEntry::because(StatusState::Refused, mesh, None, &why)]);
    }
    if vpc.settling {
        draft.report.wait(&vpc.at, "its CIDR blocks are changing");
    }
    let mut by_reason: BTreeMap<(StatusState, &str), Vec<&VpcRef>> = BTreeMap::new();
    for ((word, peer), why) in draft.notes.of_peers.get(&vpc.at).into_iter().flatten() {
        if context.meshes_of(peer).contains(mesh) {
            by_reason.entry((*word, why)).or_default().push(peer);
        }
    }
    let sentence = |((word, why), peers): ((StatusState, &str), Vec<&VpcRef>)| {
        let with = match peers[..] {
            [] => None,
            [only] => Some(only.id.to_string()),
            [first, ref others @ ..] => Some(format!("{} and {} others", first.id, others.len())),
        };
        StatusEntry::because(word, mesh, with.as_deref(), why)
    };
    let mut sentences: BTreeSet<StatusEntry> = by_reason.into_iter().map(sentence).collect();
    for finding in context.rejected_advertisements(&vpc.at, mesh) {
        sentences.insert(StatusEntry::because(StatusState::Refused, mesh, None, &finding.message()));
        draft.report.add_finding(finding);
    }
    if !sentences.iter().any(|sentence| sentence.word == StatusState::Waiting) {
        sentences.insert(StatusEntry::joined(mesh));
    }
    sentences
}
