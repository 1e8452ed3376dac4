//! The pairs of VPCs that declared meshes connect, and the peering that each has.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use crate::cidr::IpNet;
use crate::ids::{MeshName, Pair, PeeringId};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus};

/// A pair that declared meshes connect.
pub struct WantedPair<'a> {
    /// The two VPCs.
    pub pair: Pair,
    /// The declared meshes that connect them.
    pub meshes: BTreeSet<MeshName>,
    /// The peering that the pair has, or what it has instead.
    pub state: PairState<'a>,
}

/// The peering of a wanted pair.
pub enum PairState<'a> {
    /// No live peering; these managed ones are dead.
    Missing { dead: Vec<PeeringId> },
    /// CIDR blocks of the two VPCs overlap, so AWS does not peer them.
    Overlapping(IpNet, IpNet),
    /// A live peering that this deployment does not own: peerd uses it for nothing.
    Foreign(&'a Peering),
    /// AWS failed an earlier request and still lists it.
    Failed(&'a Peering),
    /// The managed peering to use; of several, the one furthest along, then the one with the least id.
    Usable(&'a Peering),
}

impl PairState<'_> {
    /// AWS's word for the state of the peering to use, or why there is none.
    pub fn word(&self) -> String {
        match self {
            Self::Missing { .. } => "missing".to_owned(),
            Self::Overlapping(..) => "overlapping".to_owned(),
            Self::Foreign(_) => "foreign".to_owned(),
            Self::Failed(_) => "failed".to_owned(),
            Self::Usable(peering) => peering.status.to_string(),
        }
    }
}

/// How many of the pairs are in which state, with those that leave.
pub fn count_by_state(pairs: &[WantedPair<'_>], leaving: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    if leaving > 0 {
        counts.insert("leaving".to_owned(), leaving);
    }
    for wanted in pairs {
        *counts.entry(wanted.state.word()).or_default() += 1;
    }
    counts
}

/// The wanted pairs of this run: those that its mesh connects, and those that other meshes connect with a peering that is
/// still tagged for this one.
pub fn find_wanted_pairs<'a>(context: &PlanContext<'a>) -> Vec<WantedPair<'a>> {
    let mesh = &context.desired.mesh;
    let mut pairs = BTreeSet::new();
    let members: Vec<_> = context.requesters_of(mesh).collect();
    for (n, a) in members.iter().enumerate() {
        pairs.extend(members[n + 1..].iter().filter_map(|b| Pair::of(a, b)));
    }
    let tagged = context.index.made_for(mesh).iter().filter(|peering| context.manages(peering));
    pairs.extend(tagged.filter_map(|peering| peering.pair()));

    let wanted = |pair: Pair| {
        let meshes = context.connecting_meshes(&pair);
        if meshes.is_empty() && Invariant::OnlyWantedAccepted.is_enforced() {
            return None;
        }
        let state = find_state(&pair, context.index.peerings_of(&pair), context);
        Some(WantedPair { pair, meshes, state })
    };
    pairs.into_iter().filter_map(wanted).collect()
}

fn find_state<'a>(pair: &Pair, peerings: &[&'a Peering], context: &PlanContext<'_>) -> PairState<'a> {
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
    let is_active = |peering: &&Peering| peering.status == PeeringStatus::Active;
    let in_the_way = foreign.iter().copied().find(is_active).filter(|_| !furthest.as_ref().is_some_and(is_active));
    if let Some(adopted) = in_the_way.filter(|peering| context.is_adopted(pair, peering)) {
        return PairState::Usable(adopted);
    }
    match (furthest, overlap) {
        (Some(_), None) if let Some(foreign) = in_the_way => PairState::Foreign(foreign), // AWS accepts no second one
        (Some(peering), None) => PairState::Usable(peering),
        (Some(peering), Some(_)) if peering.status == PeeringStatus::Active => PairState::Usable(peering),
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
