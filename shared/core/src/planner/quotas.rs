//! What fits into AWS's quotas: who joined first stays, and what does not fit is named.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::WantedPair;
use crate::cidr::IpNet;
use crate::finding::{Finding, Limit};
use crate::ids::{Pair, RouteTableId, Scope, VpcRef};
use crate::observed::PeeringStatus;
use crate::quotas::Quota;
use crate::report::InputRequest;

/// How many of what does not fit are named.
const NAMED: usize = 3;

/// What is wanted and does not fit.
#[derive(Default)]
pub struct OverQuota {
    /// Pairs whose peering cannot be requested now: a VPC has no room for it, or too many requests are pending. Requests
    /// that their accepters have no room for may stay pending for 7 days.
    pub pairs: BTreeSet<Pair>,
    /// Routes for which a table has no room, or has a prefix list in their place.
    pub routes: BTreeSet<(RouteTableId, IpNet)>,
}

/// Something that a quota limits: a VPC, a table, a group.
pub struct QuotaUsage<'a> {
    /// Which quota.
    pub quota: Quota,
    /// Where.
    pub scope: &'a Scope,
    /// What the quota limits.
    pub subject: String,
    /// How much is taken.
    pub used: usize,
    /// In what words AWS has refused more in this run.
    pub refused: Option<&'a str>,
}

impl QuotaUsage<'_> {
    /// How many of `wanted` fit; the others are told by their names.
    pub fn fit(
        &self,
        wanted: usize,
        name: impl Fn(usize) -> String,
        context: &PlanContext<'_>,
        draft: &mut PlanBuilder,
    ) -> usize {
        let room = if wanted == 0 || self.refused.is_some() {
            0
        } else {
            granted(self.quota, self.scope, context, draft).saturating_sub(self.used)
        };
        let fits = room.min(wanted);
        self.tell(fits, (fits..wanted).map(name), context, draft);
        fits
    }

    /// Tells what does not fit, or that little room is left when so many more are put there.
    fn tell(
        &self,
        fits: usize,
        left_out: impl ExactSizeIterator<Item = String>,
        context: &PlanContext<'_>,
        draft: &mut PlanBuilder,
    ) {
        let Self { quota, scope, subject, used, refused } = self;
        let used = used + fits;
        if left_out.len() == 0 && !quota.is_scarce(used, quota.at_first()) {
            return; // nobody need know how much is granted
        }
        let granted = granted(*quota, scope, context, draft);
        let limit = match (refused, context.observed.quotas.get(scope)) {
            (Some(words), _) => Limit::Refused((*words).to_owned()),
            (None, Some(Err(_))) => Limit::Default(granted),
            (None, _) => Limit::Applied(granted),
        };
        let (subject, scope, quota) = (subject.clone(), (*scope).clone(), *quota);
        let left_out: Vec<String> = left_out.collect();
        if !left_out.is_empty() {
            let more = left_out.len().saturating_sub(NAMED);
            let left_out = left_out.into_iter().take(NAMED).collect();
            draft.report.add_finding(Finding::QuotaExceeded { subject, scope, quota, limit, left_out, more });
        } else if quota.is_scarce(used, granted) {
            draft.report.add_finding(Finding::QuotaNearLimit { subject, scope, quota, limit });
        }
    }
}

/// How much is granted in a scope. That is asked for where nobody knows yet; if it cannot be read, it is what AWS grants at
/// first.
fn granted(quota: Quota, scope: &Scope, context: &PlanContext<'_>, draft: &mut PlanBuilder) -> usize {
    match context.observed.quotas.get(scope) {
        Some(Ok(quotas)) => quotas.granted(quota),
        Some(Err(_)) => quota.at_first(),
        None => {
            draft.report.questions.insert(InputRequest::Quotas(scope.clone()));
            quota.at_first()
        }
    }
}

/// Since when a mesh could have connected a pair, in milliseconds since the Unix epoch: who joined first goes first.
pub fn since(link: &WantedPair<'_>, context: &PlanContext<'_>) -> u64 {
    let both = |mesh| link.pair.ends().map(|vpc| context.desired.joined(vpc, mesh)).into_iter().max();
    link.meshes.iter().filter_map(both).min().unwrap_or(u64::MAX)
}

/// The room that there is for peerings, as it is taken.
pub struct PeeringCapacity<'a> {
    /// The peerings that each VPC has or is about to have.
    peerings: BTreeMap<&'a VpcRef, usize>,
    /// The requests of each scope that are pending or about to be.
    pending: BTreeMap<&'a Scope, usize>,
    /// The peers for which a VPC has no room.
    left_out: BTreeMap<&'a VpcRef, Vec<&'a VpcRef>>,
}

/// Why a peering is not requested now.
pub enum CapacityError<'a> {
    /// One of the VPCs has as many peerings as AWS grants.
    Peerings(&'a VpcRef),
    /// As many requests are pending as AWS grants.
    Requests,
}

impl<'a> PeeringCapacity<'a> {
    /// What live peerings leave, whoever made them.
    pub fn new(context: &PlanContext<'a>) -> Self {
        let mut room = Self { peerings: BTreeMap::new(), pending: BTreeMap::new(), left_out: BTreeMap::new() };
        for peering in context.observed.peerings.values().filter(|peering| peering.status.is_live()) {
            peering.ends().into_iter().for_each(|vpc| *room.peerings.entry(vpc).or_default() += 1);
            if matches!(peering.status, PeeringStatus::InitiatingRequest | PeeringStatus::PendingAcceptance) {
                *room.pending.entry(&peering.requester.scope).or_default() += 1;
            }
        }
        room
    }

    /// Takes room for a peering. One that only waits for other requests has its room with its VPCs already.
    ///
    /// # Errors
    /// What is full.
    pub fn take(
        &mut self,
        link: &'a WantedPair<'_>,
        context: &PlanContext<'_>,
        draft: &mut PlanBuilder,
    ) -> Result<(), CapacityError<'a>> {
        let mut full = None;
        for (vpc, peer) in link.pair.directions() {
            let used = self.peerings.get(vpc).copied().unwrap_or_default();
            if used >= granted(Quota::Peerings, &vpc.scope, context, draft) {
                self.left_out.entry(vpc).or_default().push(peer);
                full = full.or(Some(vpc));
            }
        }
        if let Some(vpc) = full {
            return Err(CapacityError::Peerings(vpc));
        }
        link.pair.ends().into_iter().for_each(|vpc| *self.peerings.entry(vpc).or_default() += 1);
        let scope = &link.pair.requester().scope;
        let pending = self.pending.entry(scope).or_default();
        if *pending >= granted(Quota::Requests, scope, context, draft) {
            return Err(CapacityError::Requests);
        }
        *pending += 1;
        Ok(())
    }

    /// Tells which members have no room for their peers, and which have little left.
    pub fn tell(self, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
        let members = context.asking_for(&context.desired.mesh).filter(|vpc| context.is_present(vpc));
        let vpcs: BTreeSet<&VpcRef> = members.chain(self.left_out.keys().copied()).collect();
        for vpc in vpcs {
            let used = self.peerings.get(vpc).copied().unwrap_or_default();
            let (quota, scope, subject) = (Quota::Peerings, &vpc.scope, vpc.to_string());
            let left_out = self.left_out.get(vpc).map(Vec::as_slice).unwrap_or_default();
            let left_out = left_out.iter().map(|peer| peer.id.to_string());
            QuotaUsage { quota, scope, subject, used, refused: None }.tell(0, left_out, context, draft);
        }
    }
}
