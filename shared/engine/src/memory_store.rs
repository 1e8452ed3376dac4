//! A store in memory, with the same items as the DynamoDB table: one per mesh and VPC, and one per VPC.
//!
//! It lasts as long as its process: enough for a run from a laptop, which reads all tags again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{
    AccountId, Invariant, Member, MeshName, Organization, Pair, PeeringId, Policy, Region, RunChanges, Scope,
    Timestamp, VpcRef,
};

use crate::error::InfraError;
use crate::message::Message;
use crate::notification::MeshFindings;
use crate::operator_ports::PastRun;
use crate::outcome::Run;
use crate::ports::{
    AccountRegistry, Claim, ClaimStore, FindingStore, Lease, LeaseStore, MAX_REQUESTS, MembershipIndex, MeshRecord,
    Registration, RunLog,
};

/// The items of the store.
#[derive(Debug, Default)]
pub struct Tables {
    /// Declared and requested meshes.
    pub meshes: BTreeMap<MeshName, MeshRecord>,
    /// Members by mesh.
    pub by_mesh: BTreeMap<MeshName, BTreeMap<VpcRef, Member>>,
    /// Members by VPC.
    pub by_vpc: BTreeMap<VpcRef, Member>,
    /// The registrations of accounts.
    pub accounts: BTreeMap<AccountId, Registration>,
    /// The last listing of the organization.
    pub organization: Organization,
    /// When the last sweep started.
    pub swept: Option<Timestamp>,
    /// The findings records.
    pub findings_record: BTreeMap<MeshName, MeshFindings>,
    /// The recorded runs, each with the time when it ended.
    pub runs: Vec<(Timestamp, Run)>,
    claims: BTreeMap<Pair, (Claim, Option<PeeringId>)>,
    leases: BTreeMap<MeshName, (Lease, Vec<Message>)>,
    past: BTreeMap<MeshName, Vec<RunChanges>>,
}

impl Tables {
    /// As [`MembershipIndex::update_member`].
    pub fn update_member(&mut self, before: Option<&Member>, now: &Member) -> bool {
        if self.by_vpc.get(&now.vpc).map(|known| known.version) != before.map(|before| before.version) {
            return false;
        }
        for mesh in &now.meshes {
            self.by_mesh.entry(mesh.clone()).or_default().insert(now.vpc.clone(), now.clone());
            if before.is_none_or(|before| !before.meshes.contains(mesh)) {
                self.meshes.entry(mesh.clone()).or_default();
            }
        }
        for mesh in before.into_iter().flat_map(|before| &before.meshes - &now.meshes) {
            self.by_mesh.entry(mesh).or_default().remove(&now.vpc);
        }
        match now.meshes.is_empty() {
            true => drop(self.by_vpc.remove(&now.vpc)),
            false => drop(self.by_vpc.insert(now.vpc.clone(), now.clone())),
        }
        true
    }

    /// As [`MembershipIndex::record_default`].
    pub fn record_default(&mut self, mesh: &MeshName) {
        let record = self.meshes.entry(mesh.clone()).or_default();
        if *record == MeshRecord::Requested {
            *record = MeshRecord::Default;
        }
    }

    /// As [`Store::remove_mesh`].
    pub fn remove_mesh(&mut self, mesh: &MeshName) {
        let findings_record = self.findings_record.get(mesh);
        if findings_record
            .is_none_or(|findings_record| findings_record.findings.is_empty() && findings_record.unsent.is_empty())
        {
            self.findings_record.remove(mesh);
            self.meshes.retain(|known, record| known != mesh || matches!(record, MeshRecord::Declared(_)));
        }
    }

    /// As [`Store::members`].
    pub fn members(&self, mesh: &MeshName) -> Vec<Member> {
        self.by_mesh.get(mesh).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// As [`Store::register`].
    pub fn register(&mut self, scope: &Scope) {
        let registration = self.accounts.entry(scope.account.clone()).or_default();
        if !registration.blocked {
            registration.regions.insert(scope.region.clone());
            registration.removed = false;
        }
    }

    /// As [`Store::put_organization`].
    pub fn put_organization(&mut self, before: u64, now: &Organization) -> bool {
        let unchanged = self.organization.version == before;
        if unchanged {
            self.organization = now.clone();
        }
        unchanged
    }

    /// As [`Store::claim`].
    pub fn claim(&mut self, claim: &Claim) -> bool {
        let free = self.claims.get(&claim.pair).is_none_or(|(held, peering)| {
            !Invariant::OneRequester.is_enforced()
                || held.until < claim.now
                || held.owner == claim.owner
                || peering.as_ref().is_some_and(|peering| claim.dead.contains(peering))
        });
        if free {
            self.claims.insert(claim.pair.clone(), (claim.clone(), None));
        }
        free
    }

    /// As [`Store::record_peering`].
    ///
    /// # Errors
    /// When another run holds the claim.
    pub fn record_peering(&mut self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError> {
        match self.claims.get_mut(&claim.pair) {
            Some((held, led_to)) if held.owner == claim.owner => {
                *led_to = Some(peering.clone());
                Ok(())
            }
            _ => Err(InfraError::new("ConditionalCheckFailedException")),
        }
    }

    /// As [`Store::release_claim`].
    pub fn release_claim(&mut self, claim: &Claim) {
        if self.claims.get(&claim.pair).is_some_and(|(held, _)| held.owner == claim.owner) {
            self.claims.remove(&claim.pair);
        }
    }

    /// As [`LeaseStore::take_lease`](crate::LeaseStore::take_lease).
    pub fn take_lease(&mut self, lease: &Lease) -> Option<Vec<Message>> {
        let (held, requests) = self.leases.entry(lease.mesh.clone()).or_insert_with(|| (lease.clone(), Vec::new()));
        if held.holder != lease.holder && held.until >= lease.now {
            return None;
        }
        held.clone_from(lease);
        Some(requests.clone())
    }

    /// As [`LeaseStore::leave_request`](crate::LeaseStore::leave_request).
    pub fn leave_request(&mut self, lease: &Lease, request: &Message) -> bool {
        match self.leases.get_mut(&lease.mesh) {
            Some((held, requests))
                if held.holder != lease.holder && held.until >= lease.now && requests.len() < MAX_REQUESTS =>
            {
                requests.push(request.clone());
                true
            }
            _ => false,
        }
    }

    /// As [`LeaseStore::end_lease`](crate::LeaseStore::end_lease).
    pub fn end_lease(&mut self, lease: &Lease, handled: usize) -> bool {
        let is_ended = self
            .leases
            .get(&lease.mesh)
            .is_some_and(|(held, requests)| held.holder == lease.holder && requests.len() <= handled);
        if is_ended {
            self.leases.remove(&lease.mesh);
        }
        is_ended
    }

    /// Removes a lease and the requests that were left with it.
    pub fn lose_lease(&mut self, mesh: &MeshName) {
        self.leases.remove(mesh);
    }

    /// As [`Store::put_findings_record`].
    pub fn put_findings_record(&mut self, mesh: &MeshName, before: Option<u64>, now: &MeshFindings) -> bool {
        let unchanged = self.findings_record.get(mesh).map(|kept| kept.version) == before;
        if unchanged {
            self.findings_record.insert(mesh.clone(), now.clone());
            self.meshes.entry(mesh.clone()).or_default();
        }
        unchanged
    }

    /// As [`Store::record_run`].
    pub fn record_run(&mut self, run: &Run, now: Timestamp) {
        self.past.entry(run.mesh.clone()).or_default().push(run.record_changes(now));
        self.runs.push((now, run.clone()));
    }

    /// As [`OperatorStore::past_runs`].
    pub fn past_runs(&self, mesh: &MeshName, most: usize) -> Vec<PastRun> {
        let runs = self.runs.iter().rev().filter(|(_, run)| run.mesh == *mesh).take(most);
        runs.map(|(at, run)| PastRun::new(*at, run)).collect()
    }

    /// As [`OperatorStore::undeclare`].
    pub fn undeclare(&mut self, mesh: &MeshName) {
        self.meshes.insert(mesh.clone(), MeshRecord::Default);
    }

    /// As [`OperatorStore::add_account`].
    pub fn add_account(&mut self, account: &AccountId, regions: &BTreeSet<Region>) -> bool {
        let registration = self.accounts.entry(account.clone()).or_default();
        if !registration.blocked {
            registration.regions.extend(regions.iter().cloned());
            (registration.added, registration.removed) = (true, false);
        }
        !registration.blocked
    }

    /// As [`OperatorStore::set_blocked`].
    pub fn set_blocked(&mut self, account: &AccountId, blocked: bool) {
        let registration = self.accounts.entry(account.clone()).or_default();
        registration.blocked = blocked;
        registration.asked &= !blocked;
    }

    /// As [`OperatorStore::unregister`].
    pub fn unregister(&mut self, account: &AccountId, regions: &BTreeSet<Region>) {
        let registration = self.accounts.entry(account.clone()).or_default();
        registration.regions.retain(|region| !regions.contains(region));
    }

    /// As [`OperatorStore::mark_removed`].
    pub fn mark_removed(&mut self, account: &AccountId) {
        let registration = self.accounts.entry(account.clone()).or_default();
        registration.regions.clear();
        (registration.added, registration.removed) = (false, true);
    }

    /// As [`Store::past`].
    pub fn run_history(&self, mesh: &MeshName, from: Timestamp) -> Vec<RunChanges> {
        self.past.get(mesh).into_iter().flatten().filter(|changes| changes.at >= from).cloned().collect()
    }
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Tables>);

impl MemoryStore {
    /// Creates a store in which these meshes are declared.
    pub fn of(declared: impl IntoIterator<Item = (MeshName, Policy)>) -> Self {
        let meshes = declared.into_iter().map(|(mesh, policy)| (mesh, MeshRecord::Declared(policy))).collect();
        Self(Mutex::new(Tables { meshes, ..Tables::default() }))
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MembershipIndex for MemoryStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, MeshRecord>, InfraError> {
        Ok(self.tables().meshes.clone())
    }

    async fn record_default(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.tables().record_default(mesh);
        Ok(())
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError> {
        Ok(self.tables().members(mesh))
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError> {
        Ok(self.tables().by_vpc.get(vpc).cloned())
    }

    async fn update_member(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError> {
        Ok(self.tables().update_member(before, now))
    }

    async fn remove_mesh(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.tables().remove_mesh(mesh);
        Ok(())
    }
}

#[async_trait]
impl AccountRegistry for MemoryStore {
    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError> {
        Ok(self.tables().accounts.clone())
    }

    async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        self.tables().register(scope);
        Ok(())
    }

    async fn record_unknown(&self, account: &AccountId, asked: bool) -> Result<(), InfraError> {
        self.tables().accounts.entry(account.clone()).or_default().asked = asked;
        Ok(())
    }

    async fn organization(&self) -> Result<Organization, InfraError> {
        Ok(self.tables().organization.clone())
    }

    async fn put_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError> {
        Ok(self.tables().put_organization(before, now))
    }
}

#[async_trait]
impl ClaimStore for MemoryStore {
    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError> {
        Ok(self.tables().claim(claim))
    }

    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError> {
        self.tables().record_peering(claim, peering)
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError> {
        self.tables().release_claim(claim);
        Ok(())
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn take_lease(&self, lease: &Lease) -> Result<Option<Vec<Message>>, InfraError> {
        Ok(self.tables().take_lease(lease))
    }

    async fn leave_request(&self, lease: &Lease, request: &Message) -> Result<bool, InfraError> {
        Ok(self.tables().leave_request(lease, request))
    }

    async fn end_lease(&self, lease: &Lease, handled: usize) -> Result<bool, InfraError> {
        Ok(self.tables().end_lease(lease, handled))
    }
}

#[async_trait]
impl RunLog for MemoryStore {
    async fn record_sweep(&self, at: Timestamp) -> Result<(), InfraError> {
        self.tables().swept = Some(at);
        Ok(())
    }

    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError> {
        Ok(self.tables().swept)
    }

    async fn record_run(&self, run: &Run, now: Timestamp) -> Result<(), InfraError> {
        self.tables().record_run(run, now);
        Ok(())
    }

    async fn run_history(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError> {
        Ok(self.tables().run_history(mesh, from))
    }
}

#[async_trait]
impl FindingStore for MemoryStore {
    async fn findings_record(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError> {
        Ok(self.tables().findings_record.get(mesh).cloned())
    }

    async fn put_findings_record(
        &self,
        mesh: &MeshName,
        before: Option<u64>,
        now: &MeshFindings,
    ) -> Result<bool, InfraError> {
        Ok(self.tables().put_findings_record(mesh, before, now))
    }
}
