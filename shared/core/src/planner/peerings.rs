//! The pairs that the mesh wants and the peering that each of them has or needs: request, accept, tag, release.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::decisions::Decisions;
use super::quotas::{self, CapacityError, PeeringCapacity};
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::Action;
use crate::finding::Finding;
use crate::ids::{Pair, PeeringId, VpcRef};
use crate::observed::PeeringStatus;
use crate::status::StatusReason;
use crate::tags;

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
            if let Some(deployment) =
                current.get(tags::MANAGED_BY).filter(|by| *by != context.desired.deployment.as_str())
            {
                let (pair, peering, scope) = (wanted.pair.clone(), peering.id.clone(), scope.clone());
                let deployment = tags::shortened(deployment);
                decisions.report(Finding::OtherOwnershipTag { pair, peering, scope, deployment });
                continue;
            }
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
