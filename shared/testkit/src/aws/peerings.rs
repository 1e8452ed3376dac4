//! Peerings: their life cycle, and their visibility from each side.
//!
//! Sources: <https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html> for states and their visibility,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html> for which side can
//! delete in which state.

use std::collections::BTreeMap;

use peerd_core::{PeeringId, PeeringStatus, PeeringView, Quota, Scope, Tags, VpcRef};
use peerd_engine::{Clock, CloudError, Timestamp};

use super::behavior::{DAY, HOUR};
use super::history::History;
use super::state::{Aws, Turn, refuse};
use crate::change_log::{Actor, Change};

const OVERLAP: &str = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range";

/// A peering with its history.
#[derive(Debug, Clone)]
pub struct Peering {
    /// Its id.
    pub id: PeeringId,
    /// The VPC that requested it.
    pub requester: VpcRef,
    /// The VPC that can accept it.
    pub accepter: VpcRef,
    status: History<PeeringStatus>,
    tags: BTreeMap<Scope, History<Tags>>,
    /// Whether the DNS option of an end is on.
    pub(super) dns: BTreeMap<VpcRef, History<bool>>,
    /// The time from which its options can be set.
    pub(super) open_from: Timestamp,
    seen_from: BTreeMap<Scope, Timestamp>,
    seen_until: BTreeMap<Scope, Timestamp>,
}

impl Peering {
    /// Returns its state.
    pub fn status(&self) -> &PeeringStatus {
        self.status.now()
    }

    /// Returns its tags on a side.
    pub fn tags(&self, scope: &Scope) -> Tags {
        self.tags.get(scope).map(|tags| tags.now().clone()).unwrap_or_default()
    }

    /// Returns both VPCs, the requester first.
    pub fn ends(&self) -> [&VpcRef; 2] {
        [&self.requester, &self.accepter]
    }

    fn is_outstanding(&self) -> bool {
        matches!(self.status(), PeeringStatus::InitiatingRequest | PeeringStatus::PendingAcceptance)
    }

    fn is_visible(&self, scope: &Scope, time: Timestamp) -> bool {
        self.seen_from.get(scope).is_some_and(|from| *from <= time)
            && self.seen_until.get(scope).is_none_or(|until| time < *until)
    }

    /// Returns the peering as a describe call returns it that reads the state at `time`; none if it is not visible.
    pub(super) fn view(&self, scope: &Scope, time: Timestamp, now: Timestamp) -> Option<PeeringView> {
        if !self.is_visible(scope, time) || !self.is_visible(scope, now) {
            return None;
        }
        let status = self.status.as_of(time)?.clone();
        let message = if status == PeeringStatus::Failed { OVERLAP.to_owned() } else { String::new() };
        let tags = self.tags.get(scope).and_then(|tags| tags.as_of(time)).cloned().unwrap_or_default();
        let dns = self.options(scope, &status, time);
        let (id, requester, accepter) = (self.id.clone(), self.requester.clone(), self.accepter.clone());
        Some(PeeringView { id, requester, accepter, status, message, tags, dns })
    }
}

impl Aws {
    /// Returns a peering that is visible from a scope.
    pub(super) fn known(&self, scope: &Scope, id: &PeeringId) -> Result<&Peering, CloudError> {
        let peering = self.peerings.get(id).filter(|peering| peering.is_visible(scope, self.executor.now()));
        peering.ok_or_else(|| refuse("InvalidVpcPeeringConnectionID.NotFound", format!("{id} does not exist")))
    }

    /// CreateVpcPeeringConnection. A repeated request returns the existing one; the reverse request creates a new one
    /// (<https://github.com/hashicorp/terraform-provider-aws/issues/27750>, issue 44315 there).
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`, `OutstandingVpcPeeringConnectionLimitExceeded`,
    /// `VpcPeeringConnectionsPerVpcLimitExceeded`.
    pub fn create_peering(
        &mut self,
        by: Actor,
        requester: &VpcRef,
        accepter: &VpcRef,
        tags: &Tags,
    ) -> Result<PeeringView, CloudError> {
        let now = self.executor.now();
        if self.vpc(requester).is_none() {
            return Err(refuse("InvalidVpcID.NotFound", format!("the vpc ID '{}' does not exist", requester.id)));
        }
        let standing = self.peerings.values().find(|p| p.ends() == [requester, accepter] && p.status().is_live());
        if let Some(standing) = standing.map(|peering| peering.id.clone()) {
            if self.behavior.repeated_create_tags {
                self.set_tags(by, &requester.scope, &standing, |current| current.extend(tags.clone()));
            }
            return Ok(self.answer(&requester.scope, &standing));
        }
        self.check_room_for_request(requester)?;
        self.made += 1;
        let id: PeeringId = format!("pcx-{:04}", self.made).parse().map_err(|_| refuse("InternalError", "no id"))?;
        let (initiating, crossing) =
            (self.rng.within(&self.behavior.initiating), self.rng.within(&self.behavior.crossing));
        let mut seen_from = BTreeMap::from([(accepter.scope.clone(), now + initiating + crossing)]);
        seen_from.insert(requester.scope.clone(), now);
        let peering = Peering {
            id: id.clone(),
            requester: requester.clone(),
            accepter: accepter.clone(),
            status: History::new(now, PeeringStatus::InitiatingRequest),
            tags: BTreeMap::from([(requester.scope.clone(), History::new(now, tags.clone()))]),
            dns: [requester, accepter].map(|vpc| (vpc.clone(), History::new(now, false))).into(),
            open_from: 0,
            seen_from,
            seen_until: BTreeMap::new(),
        };
        self.peerings.insert(id.clone(), peering);
        let (scope, tags) = (requester.scope.clone(), tags.clone());
        let (requester, accepter) = (requester.clone(), accepter.clone());
        self.enter(now, by, Change::Peering { id: id.clone(), requester, accepter });
        self.enter(now, by, Change::Tags { id: id.clone(), scope: scope.clone(), tags });
        let answer = self.answer(&scope, &id);
        match initiating {
            0 => self.arrive(now, &id),
            _ => self.later(now + initiating, Turn::Arrive(id)),
        }
        Ok(answer)
    }

    fn answer(&self, scope: &Scope, id: &PeeringId) -> PeeringView {
        let peering = &self.peerings[id];
        let ends = [&peering.requester, &peering.accepter];
        PeeringView::new(id.clone(), ends, peering.status().clone(), peering.tags(scope))
    }

    fn check_room_for_request(&self, requester: &VpcRef) -> Result<(), CloudError> {
        let outstanding =
            self.peerings.values().filter(|p| p.is_outstanding() && p.requester.scope == requester.scope).count();
        if outstanding >= self.behavior.quotas.value(Quota::Requests) {
            let code = "OutstandingVpcPeeringConnectionLimitExceeded";
            return Err(refuse(code, format!("{outstanding} requests are pending in {}", requester.scope)));
        }
        let theirs = self.peerings.values().filter(|p| p.status().is_live() && p.ends().contains(&requester)).count();
        if theirs >= self.behavior.quotas.value(Quota::Peerings) {
            let code = "VpcPeeringConnectionsPerVpcLimitExceeded";
            return Err(refuse(code, format!("{} has {theirs} peerings", requester.id)));
        }
        Ok(())
    }

    /// Makes a request pending, or fails it if it is not possible.
    pub(super) fn arrive(&mut self, at: Timestamp, id: &PeeringId) {
        if !self.is(id, &PeeringStatus::InitiatingRequest) {
            return;
        }
        if self.cannot_be(id) {
            self.fail(at, id);
        } else {
            self.set_status(at, Actor::Aws, id, PeeringStatus::PendingAcceptance);
            self.later(at + 7 * DAY, Turn::Expire(id.clone()));
        }
    }

    fn cannot_be(&self, id: &PeeringId) -> bool {
        match self.peerings[id].ends().map(|vpc| self.vpc(vpc)) {
            [Some(one), Some(other)] => one.cidrs.first_overlap(&other.cidrs).is_some(),
            _ => true,
        }
    }

    fn fail(&mut self, at: Timestamp, id: &PeeringId) {
        self.set_status(at, Actor::Aws, id, PeeringStatus::Failed);
        self.hide(id, |peering| [(peering.requester.scope.clone(), 2 * HOUR), (peering.accepter.scope.clone(), 0)], at);
    }

    /// AcceptVpcPeeringConnection.
    ///
    /// # Errors
    /// `InvalidVpcPeeringConnectionID.NotFound` for a request that is not visible yet, `OperationNotPermitted` on the
    /// wrong side, `InvalidStateTransition`, `VpcPeeringConnectionAlreadyExists` if the pair has an active peering, and
    /// `ActiveVpcPeeringConnectionPerVpcLimitExceeded`.
    pub fn accept_peering(&mut self, by: Actor, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
        let now = self.executor.now();
        let peering = self.known(scope, id)?.clone();
        if peering.accepter.scope != *scope {
            let account = &scope.account;
            return Err(refuse("OperationNotPermitted", format!("User {account} cannot accept peering {id}")));
        }
        if *peering.status() != PeeringStatus::PendingAcceptance {
            let from = peering.status();
            return Err(refuse("InvalidStateTransition", format!("{id}, from {from} to provisioning")));
        }
        let pair = peering.ends();
        let twin = self.peerings.values().find(|p| {
            p.id != *id && pair.iter().all(|end| p.ends().contains(end)) && *p.status() == PeeringStatus::Active
        });
        if let Some(twin) = twin {
            return Err(refuse("VpcPeeringConnectionAlreadyExists", format!("{} already exists", twin.id)));
        }
        for vpc in pair {
            let active = self
                .peerings
                .values()
                .filter(|p| p.ends().contains(&vpc))
                .filter(|p| matches!(p.status(), PeeringStatus::Active | PeeringStatus::Provisioning));
            let active = active.count();
            if active >= self.behavior.quotas.value(Quota::Peerings) {
                let code = "ActiveVpcPeeringConnectionPerVpcLimitExceeded";
                return Err(refuse(code, format!("{} has {active} active peerings", vpc.id)));
            }
        }
        if self.cannot_be(id) {
            self.fail(now, id);
            return Ok(PeeringStatus::Failed);
        }
        self.set_status(now, by, id, PeeringStatus::Provisioning);
        let accepters_tags = self.peerings[id].tags.contains_key(scope);
        if let (false, Some(peering)) = (accepters_tags, self.peerings.get_mut(id)) {
            peering.tags.insert(scope.clone(), History::new(now, Tags::new()));
        }
        match self.rng.within(&self.behavior.provisioning) {
            0 => self.activate(now, id),
            provisioning => self.later(now + provisioning, Turn::Activate(id.clone())),
        }
        Ok(self.peerings[id].status().clone())
    }

    pub(super) fn activate(&mut self, at: Timestamp, id: &PeeringId) {
        if self.is(id, &PeeringStatus::Provisioning) {
            self.set_status(at, Actor::Aws, id, PeeringStatus::Active);
            let opening = self.rng.within(&self.behavior.opening);
            self.peerings.get_mut(id).into_iter().for_each(|peering| peering.open_from = at + opening);
        }
    }

    pub(super) fn expire(&mut self, at: Timestamp, id: &PeeringId) {
        if self.is(id, &PeeringStatus::PendingAcceptance) {
            self.set_status(at, Actor::Aws, id, PeeringStatus::Expired);
            self.hide(id, |peering| peering.ends().map(|vpc| (vpc.scope.clone(), 2 * DAY)), at);
        }
    }

    /// RejectVpcPeeringConnection.
    ///
    /// # Errors
    /// `InvalidVpcPeeringConnectionID.NotFound`, `OperationNotPermitted`, `InvalidStateTransition`.
    pub fn reject_peering(&mut self, by: Actor, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
        let now = self.executor.now();
        let peering = self.known(scope, id)?;
        if peering.accepter.scope != *scope {
            return Err(refuse("OperationNotPermitted", format!("{} cannot reject {id}", scope.account)));
        }
        if *peering.status() != PeeringStatus::PendingAcceptance {
            return Err(refuse("InvalidStateTransition", format!("{id}, from {} to rejected", peering.status())));
        }
        self.set_status(now, by, id, PeeringStatus::Rejected);
        let seen = |peering: &Peering| {
            let one_account = peering.requester.scope.account == peering.accepter.scope.account;
            let requester = if one_account { 2 * HOUR } else { 2 * DAY };
            [(peering.requester.scope.clone(), requester), (peering.accepter.scope.clone(), 2 * HOUR)]
        };
        self.hide(id, seen, now);
        Ok(())
    }

    /// DeleteVpcPeeringConnection: either side can delete an active peering, the requester a pending one.
    ///
    /// # Errors
    /// `InvalidVpcPeeringConnectionID.NotFound`, `InvalidStateTransition`.
    pub fn delete_peering(&mut self, by: Actor, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
        let now = self.executor.now();
        let peering = self.known(scope, id)?;
        let may = match peering.status() {
            PeeringStatus::Active => true,
            PeeringStatus::PendingAcceptance => peering.requester.scope == *scope,
            _ => false,
        };
        if !may {
            return Err(refuse("InvalidStateTransition", format!("{id}, from {} to deleting", peering.status())));
        }
        self.tear_down(by, now, scope, id);
        Ok(())
    }

    pub(super) fn tear_down(&mut self, by: Actor, at: Timestamp, scope: &Scope, id: &PeeringId) {
        let Some(peering) = self.peerings.get(id) else { return };
        let crosses = peering.requester.scope.region != peering.accepter.scope.region;
        let deleting = if crosses { self.rng.within(&self.behavior.deleting) } else { 0 };
        let deleter = scope.account.clone();
        if deleting > 0 {
            self.set_status(at, by, id, PeeringStatus::Deleting);
            self.later(at + deleting, Turn::Vanish(id.clone()));
        } else {
            self.set_status(at, by, id, PeeringStatus::Deleted);
        }
        let seen = |peering: &Peering| {
            peering.ends().map(|vpc| {
                let hours = if vpc.scope.account == deleter { 2 * HOUR } else { 2 * DAY };
                (vpc.scope.clone(), deleting + hours)
            })
        };
        self.hide(id, seen, at);
    }

    pub(super) fn vanish(&mut self, at: Timestamp, id: &PeeringId) {
        if self.is(id, &PeeringStatus::Deleting) {
            self.set_status(at, Actor::Aws, id, PeeringStatus::Deleted);
        }
    }

    /// CreateTags or DeleteTags on one side of a peering.
    ///
    /// # Errors
    /// `InvalidVpcPeeringConnectionID.NotFound`.
    pub fn tag_peering(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &PeeringId,
        change: impl FnOnce(&mut Tags),
    ) -> Result<(), CloudError> {
        self.known(scope, id)?;
        self.set_tags(by, scope, id, change);
        Ok(())
    }

    fn set_tags(&mut self, by: Actor, scope: &Scope, id: &PeeringId, change: impl FnOnce(&mut Tags)) {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        let Some(peering) = self.peerings.get_mut(id) else { return };
        let current = peering.tags.entry(scope.clone()).or_insert_with(|| History::new(now, Tags::new()));
        let mut tags = current.now().clone();
        change(&mut tags);
        if tags != *current.now() {
            current.set(now, tags.clone(), memory);
            self.enter(now, by, Change::Tags { id: id.clone(), scope: scope.clone(), tags });
        }
    }

    fn is(&self, id: &PeeringId, status: &PeeringStatus) -> bool {
        self.peerings.get(id).is_some_and(|peering| peering.status() == status)
    }

    fn set_status(&mut self, at: Timestamp, by: Actor, id: &PeeringId, status: PeeringStatus) {
        let memory = self.behavior.memory;
        if let Some(peering) = self.peerings.get_mut(id) {
            peering.status.set(at, status.clone(), memory);
            self.enter(at, by, Change::Status { id: id.clone(), status });
        }
    }

    /// Sets how long each side can still see a dead peering; if both sides are in one scope, the longer time applies.
    fn hide(&mut self, id: &PeeringId, seen: impl FnOnce(&Peering) -> [(Scope, u64); 2], at: Timestamp) {
        if let Some(peering) = self.peerings.get_mut(id) {
            for (scope, time) in seen(peering) {
                let until = peering.seen_until.entry(scope).or_default();
                *until = (*until).max(at + time);
            }
        }
    }
}
