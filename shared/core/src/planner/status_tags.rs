//! The tag `peerd:status` of every VPC that was read.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::index::IndexedVpc;
use crate::action::Action;
use crate::admission::Denial;
use crate::finding::Finding;
use crate::ids::VpcId;
use crate::observed::Vpc;
use crate::status::{self, StatusEntry, StatusReason, StatusState};
use crate::tags::{self, MeshTag};

/// Updates the status of every VPC that was read: rewrites this mesh's entries and keeps those of the others. Returns the
/// updates apart from the other actions: they are applied last.
pub fn update(mut decisions: Decisions, context: &PlanContext<'_>) -> (BTreeSet<Action>, Decisions) {
    let mut updates = BTreeSet::new();
    for indexed in context.index.vpcs() {
        let vpc = indexed.vpc;
        if !is_to_judge(indexed, context) && !decisions.reasons.is_held(&vpc.vpc_ref, &context.desired.mesh) {
            continue;
        }
        let current = vpc.tags.get(tags::STATUS);
        let line = status::line(&entries(indexed, context, &mut decisions));
        if line.as_ref() != current {
            updates.insert(Action::SetStatus { vpc: vpc.vpc_ref.clone(), line });
        }
    }
    (updates, decisions)
}

/// Whether this run may change the status of a VPC: it requests this mesh, or a word in one of its tags names no other declared one.
fn is_to_judge(IndexedVpc { vpc, requested, status }: &IndexedVpc<'_>, context: &PlanContext<'_>) -> bool {
    let MeshTag { meshes, malformed, excess } = requested;
    let declared = &context.desired.declared;
    meshes.contains(&context.desired.mesh)
        || !malformed.is_empty()
        || *excess > 0
        || meshes.iter().any(|mesh| !declared.contains_key(mesh))
        || status.iter().any(|entry| !is_of_another_run(entry, context))
        || vpc.tags.get(tags::STATUS).is_some_and(|line| status::line(status).as_ref() != Some(line))
}

fn entries(
    IndexedVpc { vpc, requested, status }: &IndexedVpc<'_>,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) -> BTreeSet<StatusEntry> {
    let mesh = &context.desired.mesh;
    let mut entries = status.clone();
    entries.retain(|entry| is_of_another_run(entry, context));
    for name in &requested.malformed {
        entries.insert(StatusEntry::of_mesh(name, &StatusReason::InvalidMeshName));
    }
    if requested.excess > 0 {
        entries.insert(StatusEntry::of_mesh(format!("+{}", requested.excess), &StatusReason::TooManyMeshes));
    }
    for name in requested.meshes.iter().filter(|name| !context.desired.declared.contains_key(*name)) {
        entries.insert(StatusEntry::of_mesh(name, &StatusReason::Denied(Denial::NotDeclared)));
    }
    if requested.meshes.contains(mesh) {
        let shares = requested.meshes.len() + requested.malformed.len();
        entries.extend(status::fit(entries_of_mesh(vpc, context, decisions), shares));
    } else if decisions.reasons.is_held(&vpc.vpc_ref, mesh) {
        entries.insert(StatusEntry::of_mesh(mesh, &StatusReason::RemovalNeedsConfirmation));
    }
    entries
}

/// Whether an entry is for the runs of another mesh to rewrite: it names another declared mesh.
fn is_of_another_run(entry: &StatusEntry, context: &PlanContext<'_>) -> bool {
    entry.mesh != context.desired.mesh.as_str()
        && context.desired.declared.keys().any(|mesh| mesh.as_str() == entry.mesh)
}

fn entries_of_mesh(vpc: &Vpc, context: &PlanContext<'_>, decisions: &mut Decisions) -> BTreeSet<StatusEntry> {
    let mesh = &context.desired.mesh;
    if let Some(denial) = context.denial(&vpc.vpc_ref, mesh) {
        if !context.is_draining(mesh) {
            let (vpc, mesh, denial) = (vpc.vpc_ref.clone(), mesh.clone(), denial.clone());
            decisions.report(Finding::NotAdmitted { vpc, mesh, denial });
        }
        return BTreeSet::from([StatusEntry::of_mesh(mesh, &StatusReason::Denied(denial))]);
    }
    if vpc.cidrs_changing {
        decisions.wait(&vpc.vpc_ref, "its CIDR blocks are changing");
    }
    let mut by_reason: BTreeMap<(StatusState, &StatusReason), Vec<&VpcId>> = BTreeMap::new();
    for ((state, peer), reason) in decisions.reasons.of_peers.get(&vpc.vpc_ref).into_iter().flatten() {
        if context.meshes_of(peer).contains(mesh) {
            by_reason.entry((*state, reason)).or_default().push(&peer.id);
        }
    }
    let entry = |((_, reason), peers): (_, Vec<&VpcId>)| StatusEntry::of_peers(mesh, &peers, reason);
    let mut entries: BTreeSet<StatusEntry> = by_reason.into_iter().map(entry).collect();
    for finding in context.rejected_advertisements(&vpc.vpc_ref, mesh) {
        entries.insert(StatusEntry::of_mesh(mesh, &StatusReason::RejectedAdvertisement(Box::new(finding.clone()))));
        decisions.report(finding);
    }
    if !entries.iter().any(|entry| entry.state == StatusState::Waiting) {
        entries.insert(StatusEntry::joined(mesh));
    }
    entries
}
