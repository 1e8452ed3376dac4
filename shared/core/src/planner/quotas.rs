//! AWS quotas: the earliest members keep their slots, and what exceeds a quota is reported by name.

use std::collections::BTreeMap;

use super::context::PlanContext;
use super::decisions::Decisions;
use super::index::ObservedIndex;
use super::wanted_pairs::WantedPair;
use crate::finding::{Finding, Limit};
use crate::ids::{Scope, VpcRef};
use crate::quotas::Quota;
use crate::report::InputRequest;

/// How many names of what exceeds a quota a finding lists.
const NAMED: usize = 3;

/// Something that a quota limits: a VPC, a route table, a security group.
pub struct QuotaUsage<'a> {
    /// Which quota.
    pub quota: Quota,
    /// The scope that the quota applies to.
    pub scope: &'a Scope,
    /// What the quota limits.
    pub subject: String,
    /// How much is used.
    pub used: usize,
    /// AWS's message, if it has refused more in this run.
    pub refused: Option<&'a str>,
}

impl QuotaUsage<'_> {
    /// How many of `wanted` are within the quota. Reports the others by their names.
    pub fn allocate(
        &self,
        wanted: usize,
        name: impl Fn(usize) -> String,
        context: &PlanContext<'_>,
        decisions: &mut Decisions,
    ) -> usize {
        let capacity = if wanted == 0 || self.refused.is_some() {
            0
        } else {
            quota_value(self.quota, self.scope, context, decisions).saturating_sub(self.used)
        };
        let allocated = capacity.min(wanted);
        self.report(allocated, (allocated..wanted).map(name), context, decisions);
        allocated
    }

    /// Reports what exceeds the quota, or that usage is near the limit with so many more.
    fn report(
        &self,
        allocated: usize,
        left_out: impl ExactSizeIterator<Item = String>,
        context: &PlanContext<'_>,
        decisions: &mut Decisions,
    ) {
        let Self { quota, scope, subject, used, refused } = self;
        let used = used + allocated;
        if left_out.len() == 0 && !quota.is_near_limit(used, quota.default_value()) {
            return; // far from any limit: the quota value need not be read
        }
        let value = quota_value(*quota, scope, context, decisions);
        let limit = match (refused, context.observed.inputs.quotas.get(scope)) {
            (Some(message), _) => Limit::Refused((*message).to_owned()),
            (None, Some(Err(_))) => Limit::Default(value),
            (None, _) => Limit::Applied(value),
        };
        let (subject, scope, quota) = (subject.clone(), (*scope).clone(), *quota);
        let left_out: Vec<String> = left_out.collect();
        if !left_out.is_empty() {
            let more = left_out.len().saturating_sub(NAMED);
            let left_out = left_out.into_iter().take(NAMED).collect();
            decisions.report(Finding::QuotaExceeded { subject, scope, quota, limit, left_out, more });
        } else if quota.is_near_limit(used, value) {
            decisions.report(Finding::QuotaNearLimit { subject, scope, quota, limit });
        }
    }
}

/// The value of a quota in a scope. Requests it where it was not read; if it cannot be read, it is AWS's default.
fn quota_value(quota: Quota, scope: &Scope, context: &PlanContext<'_>, decisions: &mut Decisions) -> usize {
    match context.observed.inputs.quotas.get(scope) {
        Some(Ok(quotas)) => quotas.value(quota),
        Some(Err(_)) => quota.default_value(),
        None => {
            decisions.ask(InputRequest::Quotas(scope.clone()));
            quota.default_value()
        }
    }
}

/// When a mesh could first have connected a pair, in milliseconds since the Unix epoch: earlier pairs go first.
pub fn connectable_since(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> u64 {
    let both = |mesh| wanted.pair.ends().map(|vpc| context.desired.joined_at(vpc, mesh)).into_iter().max();
    wanted.meshes.iter().filter_map(both).min().unwrap_or(u64::MAX)
}

/// The capacity for peerings, and how much of it is used.
pub struct PeeringCapacity<'a> {
    index: &'a ObservedIndex<'a>,
    /// The peerings that each VPC is about to have.
    requested: BTreeMap<&'a VpcRef, usize>,
    /// The requests of each scope that are pending or about to be.
    pending: BTreeMap<&'a Scope, usize>,
    /// The peers that exceed a VPC's quota.
    left_out: BTreeMap<&'a VpcRef, Vec<&'a VpcRef>>,
}

/// Why a peering cannot be requested now.
pub enum CapacityError<'a> {
    /// One of the VPCs has as many peerings as its quota allows.
    Peerings(&'a VpcRef),
    /// As many requests are pending as the quota allows.
    Requests,
}

impl<'a> PeeringCapacity<'a> {
    /// What live peerings use, whichever principal created them.
    pub fn new(context: &PlanContext<'a>) -> Self {
        let mut pending: BTreeMap<&Scope, usize> = BTreeMap::new();
        for peering in context.index.pending() {
            *pending.entry(&peering.requester.scope).or_default() += 1;
        }
        Self { index: context.index, requested: BTreeMap::new(), pending, left_out: BTreeMap::new() }
    }

    /// The peerings that a VPC has or is about to have.
    fn used(&self, vpc: &VpcRef) -> usize {
        self.index.live_peerings_of(vpc).len() + self.requested.get(vpc).copied().unwrap_or_default()
    }

    /// Reserves capacity for a peering. One that only waits for other requests keeps its slots at its VPCs.
    ///
    /// # Errors
    /// The quota that is used up.
    pub fn reserve(
        &mut self,
        wanted: &'a WantedPair<'_>,
        context: &PlanContext<'_>,
        decisions: &mut Decisions,
    ) -> Result<(), CapacityError<'a>> {
        let mut full = None;
        for (vpc, peer) in wanted.pair.directions() {
            let used = self.used(vpc);
            if used >= quota_value(Quota::Peerings, &vpc.scope, context, decisions) {
                self.left_out.entry(vpc).or_default().push(peer);
                full = full.or(Some(vpc));
            }
        }
        if let Some(vpc) = full {
            return Err(CapacityError::Peerings(vpc));
        }
        for vpc in wanted.pair.ends() {
            *self.requested.entry(vpc).or_default() += 1;
        }
        let scope = &wanted.pair.requester().scope;
        let pending = self.pending.entry(scope).or_default();
        if *pending >= quota_value(Quota::Requests, scope, context, decisions) {
            return Err(CapacityError::Requests);
        }
        *pending += 1;
        Ok(())
    }

    /// Reports the members that have no capacity for their peers, and those near their limit.
    pub fn report(self, context: &PlanContext<'_>, decisions: &mut Decisions) {
        let members = context.requesters_of(&context.desired.mesh).filter(|vpc| context.is_present(vpc));
        let mut vpcs: Vec<&VpcRef> = members.chain(self.left_out.keys().copied()).collect();
        vpcs.sort_unstable();
        vpcs.dedup();
        for vpc in vpcs {
            let used = self.used(vpc);
            let (quota, scope, subject) = (Quota::Peerings, &vpc.scope, vpc.to_string());
            let left_out = self.left_out.get(vpc).map(Vec::as_slice).unwrap_or_default();
            let left_out = left_out.iter().map(|peer| peer.id.to_string());
            QuotaUsage { quota, scope, subject, used, refused: None }.report(0, left_out, context, decisions);
        }
    }
}
