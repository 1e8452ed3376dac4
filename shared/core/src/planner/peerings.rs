//! The pairs that the mesh wants and the peering that each of them has or needs: request, accept, tag, release.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::decisions::Decisions;
use super::quotas::{self, CapacityError, PeeringCapacity};
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::Action;
use crate::finding::Finding;
use crate::ids::{Pair, PeeringId, Scope, VpcRef};
use crate::observed::{Peering, PeeringStatus};
use crate::status::StatusReason;
use crate::tags::{self, Tags};

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

/// Requests missing peerings, earliest members first, and reports what is in the way of the others. It requests none for a pair
/// that only other meshes connect: their runs do, and if the pair is unwanted a moment later, only their runs may delete the peering.
pub fn request(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Requests {
    let mut decisions = Decisions::default();
    let mut missing: Vec<(&WantedPair<'_>, &[PeeringId])> = Vec::new();
    for wanted in pairs {
        match (context.observed.run.quota_refusals.get(&wanted.pair), &wanted.state) {
            (Some(error), _) => {
                decisions.report(Finding::QuotaRefused { pair: wanted.pair.clone(), error: error.clone() });
                decisions.reasons.add(&wanted.pair, StatusReason::QuotaRefused);
            }
            (None, PairState::Missing { .. }) if !wanted.meshes.contains(&context.desired.mesh) => {}
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
            // It may be owned: the create call seals the requester's side, and that side has not shown it.
            decisions.wait(&pair, format!("{} is not seen by its requester yet", peering.id));
            match unread_end(wanted, context) {
                Some(vpc) => StatusReason::UnreadableScope(vpc.scope.clone()),
                None => StatusReason::PeeringPending,
            }
        }
        PairState::Foreign(peering) if peering.is_marked(&context.desired.deployment) => {
            decisions.report(unsealed(&pair, peering, context));
            StatusReason::ForeignPeering(peering.id.clone())
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

/// Reports peerings with the ownership tag of this deployment and the tag of this mesh, but without a seal. They are foreign: any
/// principal that may write tags may have written these.
pub fn report_unsealed(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for peering in context.index.made_for(&context.desired.mesh).iter().filter(|it| is_unsealed(it, context)) {
        let Some(pair) = peering.pair() else { continue };
        if peering.is_shown_by(&peering.requester.scope) && !context.is_adopted(&pair, peering) {
            decisions.report(unsealed(&pair, peering, context));
        }
    }
    decisions
}

fn is_unsealed(peering: &Peering, context: &PlanContext<'_>) -> bool {
    peering.is_marked(&context.desired.deployment) && !peering.is_owned() && peering.status.is_live()
}

/// So many peerings without a seal, and none with one, are a sign that the key is not the deployment's.
const MANY: usize = 2;

fn unsealed(pair: &Pair, peering: &Peering, context: &PlanContext<'_>) -> Finding {
    let (pair, id, mesh) = (pair.clone(), peering.id.clone(), context.desired.mesh.clone());
    if !context.observed.peerings.values().any(Peering::is_owned) {
        let peerings = context.index.not_owned().filter(|it| is_unsealed(it, context)).count();
        if peerings >= MANY {
            return Finding::NoValidSeal { mesh, peerings };
        }
    }
    let is_marked = |scope: &&Scope| peering.is_marked_in(scope, &context.desired.deployment);
    let scopes = peering.tags.keys().filter(is_marked).cloned().collect();
    Finding::UnsealedPeering { pair, peering: id, mesh, scopes }
}

/// Removes the ownership tags and seals from peerings that a policy releases.
pub fn release(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for peering in context.released().filter(|peering| peering.is_owned()) {
        for scope in peering.tags.keys() {
            if !peering.status.is_live() || !context.observed.was_read(scope) {
                continue;
            }
            if peering.is_marked_in(scope, &context.desired.deployment) {
                decisions.act(Action::ReleasePeering { peering: peering.id.clone(), scope: scope.clone() });
            } else if peering.sealed_in.contains(scope) {
                decisions.actions.extend(restore_mark(peering, scope, context));
            }
        }
    }
    decisions
}

/// Writes the ownership tag again on a side that lost it: IAM policies allow peerd to delete or release nothing without it. None
/// if the side has the tag of another deployment.
pub fn restore_mark(peering: &Peering, scope: &Scope, context: &PlanContext<'_>) -> Option<Action> {
    let deployment = &context.desired.deployment;
    if tags::other_owner(peering.tags.get(scope)?, deployment).is_some() {
        return None;
    }
    let tags = Tags::from([(tags::MANAGED_BY.to_owned(), deployment.to_string())]);
    Some(Action::TagPeering { peering: peering.id.clone(), scope: scope.clone(), tags })
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
            if let Some(deployment) = tags::other_owner(current, &context.desired.deployment) {
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
