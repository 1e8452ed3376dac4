//! Pairs that the mesh wants and the peering that each has or needs: request, accept, tag.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::quotas::{self, CapacityError, PeeringCapacity};
use crate::action::Action;
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, PeeringId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus};
use crate::status::StatusState;
use crate::tags;

/// A wanted pair: which meshes want it, and how far its peering is.
pub struct WantedPair<'a> {
    /// The two VPCs.
    pub pair: Pair,
    /// The declared meshes that connect them.
    pub meshes: BTreeSet<MeshName>,
    /// What there is.
    pub state: PairState<'a>,
}

/// What stands between a wanted pair and traffic.
pub enum PairState<'a> {
    /// No peering that could be used, and nothing against one.
    Missing { dead: Vec<PeeringId> },
    /// Blocks of the two VPCs share addresses, so AWS does not peer them.
    Overlapping(IpNet, IpNet),
    /// A live peering that this deployment did not make: used for nothing.
    Foreign(&'a Peering),
    /// AWS refused an earlier request and still says so.
    Failed(&'a Peering),
    /// The managed peering to use; of several, the one furthest along, then with the least id.
    Live(&'a Peering),
}

impl PairState<'_> {
    /// AWS's word for the state of the peering to use, or why there is none.
    pub fn word(&self) -> String {
        match self {
            Self::Missing { .. } => "missing".to_owned(),
            Self::Overlapping(..) => "overlapping".to_owned(),
            Self::Foreign(_) => "foreign".to_owned(),
            Self::Failed(_) => "failed".to_owned(),
            Self::Live(peering) => peering.status.to_string(),
        }
    }
}

/// Counts the links by their states, for whoever asks how far the mesh is.
pub fn count(links: &[WantedPair<'_>], draft: &mut PlanBuilder) {
    for link in links {
        *draft.report.pairs.entry(link.state.word()).or_default() += 1;
    }
}

/// The links that this run looks after: those that its mesh wants, and those whose peering is still tagged for it.
pub fn find_wanted_pairs<'a>(context: &PlanContext<'a>) -> Vec<WantedPair<'a>> {
    let mut by_pair: BTreeMap<Pair, Vec<&Peering>> = BTreeMap::new();
    for peering in context.observed.peerings.values() {
        if let Some(pair) = peering.pair() {
            by_pair.entry(pair).or_default().push(peering);
        }
    }
    let mut pairs = BTreeSet::new();
    let members: Vec<_> = context.asking_for(&context.desired.mesh).collect();
    for (n, a) in members.iter().enumerate() {
        pairs.extend(members[n + 1..].iter().filter_map(|b| Pair::of(a, b)));
    }
    let tagged = |peerings: &Vec<&Peering>| {
        peerings.iter().any(|p| context.manages(p) && p.tagged_meshes().contains(&context.desired.mesh))
    };
    pairs.extend(by_pair.iter().filter(|(_, peerings)| tagged(peerings)).map(|(pair, _)| pair.clone()));

    let link = |pair: Pair| {
        let meshes = context.connecting_meshes(&pair);
        (!meshes.is_empty() || !Invariant::OnlyWantedAccepted.is_enforced()).then(|| {
            let peerings = by_pair.get(&pair).map_or(&[][..], Vec::as_slice);
            let state = state(&pair, peerings, context);
            WantedPair { pair, meshes, state }
        })
    };
    pairs.into_iter().filter_map(link).collect()
}

fn state<'a>(pair: &Pair, peerings: &[&'a Peering], context: &PlanContext<'_>) -> PairState<'a> {
    let (managed, foreign): (Vec<&Peering>, Vec<&Peering>) =
        peerings.iter().copied().partition(|peering| context.manages(peering));
    let furthest = managed.iter().copied().filter(|peering| peering.status.is_live()).min_by_key(|peering| {
        let active = peering.status == PeeringStatus::Active;
        let provisioning = peering.status == PeeringStatus::Provisioning;
        (!active, !provisioning, peering.id.clone())
    });
    let overlap = match pair.ends().map(|vpc| context.cidrs_of(vpc)) {
        [Some(ours), Some(theirs)] => ours.first_overlap(theirs),
        _ => None,
    };
    let active = |peering: &&Peering| peering.status == PeeringStatus::Active;
    let taken = foreign.iter().copied().find(active).filter(|_| !furthest.as_ref().is_some_and(active));
    if let Some(adopted) = taken.filter(|peering| context.is_adopted(pair, peering)) {
        return PairState::Live(adopted);
    }
    match (furthest, overlap) {
        (Some(_), None) if let Some(foreign) = taken => PairState::Foreign(foreign), // AWS accepts no second one
        (Some(peering), None) => PairState::Live(peering),
        (Some(peering), Some(_)) if peering.status == PeeringStatus::Active => PairState::Live(peering),
        (_, Some((ours, theirs))) => PairState::Overlapping(ours, theirs),
        (None, None) => {
            if let Some(peering) = foreign.into_iter().find(|peering| peering.status.is_live()) {
                PairState::Foreign(peering)
            } else if let Some(peering) = managed.iter().find(|peering| peering.status == PeeringStatus::Failed) {
                PairState::Failed(peering)
            } else {
                PairState::Missing { dead: managed.iter().map(|peering| peering.id.clone()).collect() }
            }
        }
    }
}

/// The end of a pair that cannot be read.
fn unread<'a>(link: &'a WantedPair<'_>, context: &PlanContext<'_>) -> Option<&'a VpcRef> {
    link.pair.ends().into_iter().find(|vpc| !context.is_proven(vpc))
}

/// Tells both VPCs if one cannot be read.
fn note_unread(link: &WantedPair<'_>, context: &PlanContext<'_>, draft: &mut PlanBuilder) -> bool {
    let unread = unread(link, context);
    if let Some(vpc) = unread {
        draft.notes.of_link(link, StatusState::Waiting, &format!("{} cannot be read", vpc.scope));
    }
    unread.is_some()
}

/// Requests what is missing, and says what stands against the rest.
pub fn request(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let mut missing: Vec<(&WantedPair<'_>, &[PeeringId])> = Vec::new();
    for link in links {
        if let Some(why) = context.observed.refused.get(&link.pair) {
            draft.report.add_finding(Finding::QuotaRefused { pair: link.pair.clone(), error: why.clone() });
            draft.notes.of_link(link, StatusState::Refused, "a quota of AWS is used up");
            continue;
        }
        match &link.state {
            PairState::Missing { dead } if !note_unread(link, context, draft) => missing.push((link, dead)),
            PairState::Missing { .. } | PairState::Live(_) => {}
            PairState::Overlapping(ours, theirs) => {
                let pair = link.pair.clone();
                draft.report.add_finding(Finding::CidrOverlap { pair, ours: *ours, theirs: *theirs });
                draft.notes.of_link(link, StatusState::Refused, &format!("{ours} overlaps {theirs}"));
            }
            PairState::Foreign(peering) if !peering.is_seen_by(&peering.requester.scope) => {
                // It may be ours: the create call tags the requester's side, and that is the one that was not seen.
                draft.report.wait(&link.pair, format!("{} is not seen by its requester yet", peering.id));
                if !note_unread(link, context, draft) {
                    draft.notes.of_link(link, StatusState::Waiting, "peering is pending");
                }
            }
            PairState::Foreign(peering) => {
                let (pair, mesh) = (link.pair.clone(), context.desired.mesh.clone());
                let deployment = context.desired.deployment.to_string();
                draft.report.add_finding(Finding::ForeignPeering {
                    pair,
                    peering: peering.id.clone(),
                    mesh,
                    deployment,
                });
                draft.notes.of_link(link, StatusState::Refused, &format!("foreign peering {}", peering.id));
            }
            PairState::Failed(peering) => {
                let (pair, error) = (link.pair.clone(), peering.message.clone());
                draft.report.add_finding(Finding::FailedPeering { pair, peering: peering.id.clone(), error });
                draft.notes.of_link(link, StatusState::Refused, &format!("AWS failed {}", peering.id));
            }
        }
    }
    missing.sort_by_cached_key(|(link, _)| (quotas::since(link, context), link.pair.clone()));
    let mut room = PeeringCapacity::new(context);
    for (link, dead) in missing {
        let full = match room.take(link, context, draft) {
            Ok(()) => {
                request_one(link, dead, context, draft);
                continue;
            }
            Err(full) => full,
        };
        draft.unfit.pairs.insert(link.pair.clone());
        match full {
            CapacityError::Peerings(vpc) => {
                draft.notes.of_link(link, StatusState::Refused, &format!("{} has no room for more peerings", vpc.id));
            }
            CapacityError::Requests => {
                draft.report.wait(&link.pair, "as many requests are pending as AWS allows");
                draft.notes.of_link(link, StatusState::Waiting, "too many requests are pending");
            }
        }
    }
    room.tell(context, draft);
}

fn request_one(link: &WantedPair<'_>, dead: &[PeeringId], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    draft.notes.of_link(link, StatusState::Waiting, "peering is requested");
    draft.work.insert(Action::CreatePeering {
        pair: link.pair.clone(),
        tags: context.peering_tags(&link.pair, &link.meshes),
        dead: dead.to_vec(),
    });
}

/// Takes the mark off what is to be released.
pub fn release(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for peering in context.observed.peerings.values().filter(|peering| context.is_released(peering)) {
        for scope in peering.tags.keys() {
            let ours = peering.is_marked_in(scope, &context.desired.deployment);
            if ours && peering.status.is_live() && context.observed.answered(scope) {
                let (peering, scope) = (peering.id.clone(), scope.clone());
                draft.work.insert(Action::ReleasePeering { peering, scope });
            }
        }
    }
}

/// Accepts what is pending. Only a link is accepted: both VPCs are members, by their own tags, and the peering is
/// managed. What the index remembers of a VPC that cannot be read opens nothing.
pub fn accept(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for link in links {
        let PairState::Live(peering) = link.state else { continue };
        if context.observed.refused.contains_key(&link.pair) {
            continue;
        }
        match &peering.status {
            PeeringStatus::Active => {}
            PeeringStatus::PendingAcceptance | PeeringStatus::InitiatingRequest => {
                draft.notes.of_link(link, StatusState::Waiting, "peering is pending");
                match unread(link, context) {
                    None => {
                        let scope = peering.accepter.scope.clone();
                        draft.work.insert(Action::AcceptPeering { peering: peering.id.clone(), scope });
                    }
                    Some(vpc) => {
                        let text = format!("{} is pending and {} cannot be read", peering.id, vpc.scope);
                        draft.report.wait(&link.pair, text);
                    }
                }
            }
            other => {
                draft.report.wait(&link.pair, format!("{} is {other}", peering.id));
                draft.notes.of_link(link, StatusState::Waiting, &format!("peering is {other}"));
            }
        }
    }
}

/// Keeps the tags of both sides as they should be; a mesh that joins or lets go changes them in place.
///
/// The accepter's side is tagged from its acceptance on: earlier the peering may not be visible there.
pub fn tag(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for link in links {
        let PairState::Live(peering) = link.state else { continue };
        if !context.is_pair_proven(&link.pair) {
            continue; // the meshes of an end that cannot be read are only remembered
        }
        let (worn, mut protecting_meshes) = (peering.tagged_meshes(), context.protecting_meshes(&link.pair, peering));
        protecting_meshes.retain(|mesh| link.meshes.contains(mesh) || worn.contains(mesh));
        let wanted = context.peering_tags(&link.pair, &protecting_meshes);
        let accepted = matches!(peering.status, PeeringStatus::Active | PeeringStatus::Provisioning);
        for (scope, worn) in &peering.tags {
            let missing = tags::missing(&wanted, worn);
            if context.observed.answered(scope)
                && !missing.is_empty()
                && (accepted || *scope == peering.requester.scope)
            {
                let (peering, scope) = (peering.id.clone(), scope.clone());
                draft.work.insert(Action::TagPeering { peering, scope, tags: missing });
            }
        }
    }
}
