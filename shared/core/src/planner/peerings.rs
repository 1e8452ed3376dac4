//! The pairs that the mesh wants and the peering that each of them has or needs: request, accept, tag, release.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::quotas::{self, CapacityError, PeeringCapacity};
use crate::action::Action;
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, PeeringId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus};
use crate::status::StatusReason;
use crate::tags;

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

/// How many of the pairs are in which state.
pub fn count_by_state(pairs: &[WantedPair<'_>]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for wanted in pairs {
        *counts.entry(wanted.state.word()).or_default() += 1;
    }
    counts
}

/// The wanted pairs of this run: those that its mesh connects, and those that other meshes connect with a peering that is
/// still tagged for this one.
pub fn find_wanted_pairs<'a>(context: &PlanContext<'a>) -> Vec<WantedPair<'a>> {
    let mesh = &context.desired.mesh;
    let mut by_pair: BTreeMap<Pair, Vec<&Peering>> = BTreeMap::new();
    for peering in context.observed.peerings.values() {
        if let Some(pair) = peering.pair() {
            by_pair.entry(pair).or_default().push(peering);
        }
    }
    let mut pairs = BTreeSet::new();
    let members: Vec<_> = context.requesters_of(mesh).collect();
    for (n, a) in members.iter().enumerate() {
        pairs.extend(members[n + 1..].iter().filter_map(|b| Pair::of(a, b)));
    }
    let is_tagged = |peering: &&Peering| context.manages(peering) && peering.tagged_meshes().contains(mesh);
    let tagged = by_pair.iter().filter(|(_, peerings)| peerings.iter().any(is_tagged));
    pairs.extend(tagged.map(|(pair, _)| pair.clone()));

    let wanted = |pair: Pair| {
        let meshes = context.connecting_meshes(&pair);
        if meshes.is_empty() && Invariant::OnlyWantedAccepted.is_enforced() {
            return None;
        }
        let state = find_state(&pair, by_pair.get(&pair).map_or(&[][..], Vec::as_slice), context);
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

/// The end of a pair that cannot be read.
fn unread_end<'a>(wanted: &'a WantedPair<'_>, context: &PlanContext<'_>) -> Option<&'a VpcRef> {
    wanted.pair.ends().into_iter().find(|vpc| !context.is_proven(vpc))
}

/// What this plan requests.
pub struct Requests {
    /// The create actions, and what is in the way of the others.
    pub decisions: Decisions,
    /// Pairs whose peering cannot be requested now: a VPC has reached its quota, or too many requests are pending. Requests
    /// whose accepters have reached their quota stay pending for up to 7 days.
    pub over_quota: BTreeSet<Pair>,
}

/// Requests missing peerings, earliest members first, and reports what is in the way of the others.
pub fn request(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Requests {
    let mut decisions = Decisions::default();
    let mut missing: Vec<(&WantedPair<'_>, &[PeeringId])> = Vec::new();
    for wanted in pairs {
        match (context.observed.run.quota_refusals.get(&wanted.pair), &wanted.state) {
            (Some(error), _) => {
                decisions.report(Finding::QuotaRefused { pair: wanted.pair.clone(), error: error.clone() });
                decisions.reasons.add(&wanted.pair, StatusReason::QuotaRefused);
            }
            (None, PairState::Missing { dead }) => match unread_end(wanted, context) {
                Some(vpc) => decisions.reasons.add(&wanted.pair, StatusReason::UnreadableScope(vpc.scope.clone())),
                None => missing.push((wanted, dead)),
            },
            (None, state) => report_obstacle(wanted, state, context, &mut decisions),
        }
    }
    missing.sort_by_cached_key(|(wanted, _)| (quotas::connectable_since(wanted, context), wanted.pair.clone()));
    let over_quota = request_within_quotas(&missing, context, &mut decisions);
    Requests { decisions, over_quota }
}

/// Requests what the quotas allow, in this order. Returns the other pairs.
fn request_within_quotas(
    missing: &[(&WantedPair<'_>, &[PeeringId])],
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) -> BTreeSet<Pair> {
    let mut over_quota = BTreeSet::new();
    let mut capacity = PeeringCapacity::new(context);
    for (wanted, dead) in missing {
        let pair = wanted.pair.clone();
        let reason = match capacity.reserve(wanted, context, decisions) {
            Ok(()) => {
                decisions.reasons.add(&pair, StatusReason::PeeringRequested);
                let (tags, dead) = (context.peering_tags(&pair, &wanted.meshes), dead.to_vec());
                decisions.act(Action::CreatePeering { pair, tags, dead });
                continue;
            }
            Err(CapacityError::Peerings(vpc)) => StatusReason::PeeringQuota(vpc.id.clone()),
            Err(CapacityError::Requests) => {
                decisions.wait(&pair, "as many requests are pending as AWS allows");
                StatusReason::TooManyRequests
            }
        };
        decisions.reasons.add(&pair, reason);
        over_quota.insert(pair);
    }
    capacity.report(context, decisions);
    over_quota
}

/// Reports what keeps a pair from a usable peering, if anything does.
fn report_obstacle(
    wanted: &WantedPair<'_>,
    state: &PairState<'_>,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) {
    let pair = wanted.pair.clone();
    let reason = match state {
        PairState::Missing { .. } | PairState::Usable(_) => return,
        PairState::Overlapping(ours, theirs) => {
            decisions.report(Finding::CidrOverlap { pair: pair.clone(), ours: *ours, theirs: *theirs });
            StatusReason::CidrOverlap(*ours, *theirs)
        }
        PairState::Foreign(peering) if !peering.is_shown_by(&peering.requester.scope) => {
            // It may be owned: the create call tags the requester's side, and that side has not shown it.
            decisions.wait(&pair, format!("{} is not seen by its requester yet", peering.id));
            match unread_end(wanted, context) {
                Some(vpc) => StatusReason::UnreadableScope(vpc.scope.clone()),
                None => StatusReason::PeeringPending,
            }
        }
        PairState::Foreign(peering) => {
            let (pair, peering, mesh) = (pair.clone(), peering.id.clone(), context.desired.mesh.clone());
            let deployment = context.desired.deployment.to_string();
            decisions.report(Finding::ForeignPeering { pair, peering: peering.clone(), mesh, deployment });
            StatusReason::ForeignPeering(peering)
        }
        PairState::Failed(peering) => {
            let (peering, error) = (peering.id.clone(), peering.message.clone());
            decisions.report(Finding::FailedPeering { pair: pair.clone(), peering: peering.clone(), error });
            StatusReason::FailedPeering(peering)
        }
    };
    decisions.reasons.add(&pair, reason);
}

/// Removes the ownership tag from peerings that a policy releases.
pub fn release(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for peering in context.observed.peerings.values().filter(|peering| context.is_released(peering)) {
        for scope in peering.tags.keys() {
            let is_owned = peering.is_owned_in(scope, &context.desired.deployment);
            if is_owned && peering.status.is_live() && context.observed.was_read(scope) {
                decisions.act(Action::ReleasePeering { peering: peering.id.clone(), scope: scope.clone() });
            }
        }
    }
    decisions
}

/// Accepts pending requests, only of wanted pairs: both VPCs are members by their own tags, and the peering is owned. The
/// index is no reason to accept a request to or from a VPC that cannot be read.
pub fn accept(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for wanted in pairs.iter().filter(|wanted| !context.observed.run.quota_refusals.contains_key(&wanted.pair)) {
        let PairState::Usable(peering) = wanted.state else { continue };
        match &peering.status {
            PeeringStatus::Active => {}
            PeeringStatus::PendingAcceptance | PeeringStatus::InitiatingRequest => {
                decisions.reasons.add(&wanted.pair, StatusReason::PeeringPending);
                match unread_end(wanted, context) {
                    None => {
                        let scope = peering.accepter.scope.clone();
                        decisions.act(Action::AcceptPeering { peering: peering.id.clone(), scope });
                    }
                    Some(vpc) => {
                        let text = format!("{} is pending and {} cannot be read", peering.id, vpc.scope);
                        decisions.wait(&wanted.pair, text);
                    }
                }
            }
            other => {
                decisions.wait(&wanted.pair, format!("{} is {other}", peering.id));
                decisions.reasons.add(&wanted.pair, StatusReason::of_state(other));
            }
        }
    }
    decisions
}

/// Keeps the tags of both sides up to date; a mesh that joins or leaves changes them in place.
///
/// The accepter's side gets its tags after the acceptance: the peering may not be visible there before.
pub fn tag(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    // For a pair with an unreadable end, the index is the only source of its meshes: no reason for a change.
    for wanted in pairs.iter().filter(|wanted| context.is_pair_proven(&wanted.pair)) {
        let PairState::Usable(peering) = wanted.state else { continue };
        let current_meshes = peering.tagged_meshes();
        let mut meshes = context.protecting_meshes(&wanted.pair, peering);
        meshes.retain(|mesh| wanted.meshes.contains(mesh) || current_meshes.contains(mesh));
        let tags = context.peering_tags(&wanted.pair, &meshes);
        let is_accepted = matches!(peering.status, PeeringStatus::Active | PeeringStatus::Provisioning);
        for (scope, current) in &peering.tags {
            let missing = tags::missing(&tags, current);
            if context.observed.was_read(scope)
                && !missing.is_empty()
                && (is_accepted || *scope == peering.requester.scope)
            {
                let (peering, scope) = (peering.id.clone(), scope.clone());
                decisions.act(Action::TagPeering { peering, scope, tags: missing });
            }
        }
    }
    decisions
}
