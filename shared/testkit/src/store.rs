//! The engine's store in memory; every call goes through the transport.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{
    AccountId, FindingKind, Member, MeshName, Organization, PeeringId, Policy, Region, RunChanges, Scope, VpcRef,
};
use peerd_engine::memory_store::Tables;
use peerd_engine::{
    AccountRegistry, Claim, ClaimStore, FindingStore, InfraError, Lease, LeaseStore, MembershipIndex, MeshFindings,
    MeshRecord, Message, OperatorStore, PastRun, Registration, Run, RunLog, Timestamp,
};

use crate::faults::LeaseFault;
use crate::transport::Transport;

/// A store in memory.
pub struct MemoryStore {
    transport: Arc<Transport>,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport, tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes all data, as if the table had been recreated.
    pub fn lose_everything(&self) {
        *self.tables() = Tables::default();
    }

    /// Deletes the organization listing, as the restore of an older backup does.
    pub fn lose_organization(&self) {
        self.tables().organization = Organization::default();
    }

    /// Marks an account as removed for good, or undoes that, as an operator does.
    pub fn set_removed(&self, account: &AccountId, removed: bool) {
        self.tables().accounts.insert(account.clone(), Registration { removed, ..Registration::default() });
    }

    /// Blocks an account, or ends the block.
    pub fn set_blocked(&self, account: &AccountId, blocked: bool) {
        self.tables().set_blocked(account, blocked);
    }

    /// Registers an account in a Region, as an operator does.
    pub fn add_account(&self, Scope { account, region }: &Scope) {
        self.tables().add_account(account, &[region.clone()].into());
    }

    /// Returns the accounts that an operator removed for good.
    pub fn removed(&self) -> BTreeSet<AccountId> {
        let tables = self.tables();
        tables
            .accounts
            .iter()
            .filter(|(_, registration)| registration.removed)
            .map(|(account, _)| account.clone())
            .collect()
    }

    /// Declares a mesh, as an operator does.
    pub fn declare(&self, mesh: &MeshName, policy: Policy) {
        self.tables().meshes.insert(mesh.clone(), MeshRecord::Declared(policy));
    }

    /// Records that meshes have the default policy, as the first run of each does.
    pub fn record_defaults<'a>(&self, meshes: impl IntoIterator<Item = &'a MeshName>) {
        let mut tables = self.tables();
        meshes.into_iter().for_each(|mesh| tables.record_default(mesh));
    }

    /// Returns the index entry of every VPC.
    pub fn everybody(&self) -> Vec<Member> {
        self.tables().by_vpc.values().cloned().collect()
    }

    /// Returns every mesh with its indexed members.
    pub fn members_by_mesh(&self) -> BTreeMap<MeshName, BTreeSet<VpcRef>> {
        let tables = self.tables();
        let mesh = |(mesh, members): (&MeshName, &BTreeMap<VpcRef, Member>)| {
            (!members.is_empty()).then(|| (mesh.clone(), members.keys().cloned().collect()))
        };
        tables.by_mesh.iter().filter_map(mesh).collect()
    }

    /// Returns the mesh, kind and subject of every stored finding.
    pub fn open_findings(&self) -> BTreeSet<(MeshName, FindingKind, String)> {
        let tables = self.tables();
        let of_mesh = |(mesh, findings_record): (&MeshName, &MeshFindings)| {
            findings_record.findings.iter().map(|f| (mesh.clone(), f.kind(), f.subject())).collect::<Vec<_>>()
        };
        tables.findings_record.iter().flat_map(of_mesh).collect()
    }

    /// Returns the organization as it was last listed.
    pub fn known_organization(&self) -> Organization {
        self.tables().organization.clone()
    }

    /// Returns the findings record of a mesh.
    pub fn kept(&self, mesh: &MeshName) -> MeshFindings {
        self.tables().findings_record.get(mesh).cloned().unwrap_or_default()
    }

    /// Returns the runs that were recorded since the previous call.
    pub fn take_runs(&self) -> Vec<Run> {
        std::mem::take(&mut self.tables().runs).into_iter().map(|(_, run)| run).collect()
    }

    async fn call<T>(&self, name: &'static str, effect: impl FnOnce(&mut Tables) -> T) -> Result<T, InfraError> {
        self.transport.call(name, None, || Ok(effect(&mut self.tables()))).await
    }
}

#[async_trait]
impl MembershipIndex for MemoryStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, MeshRecord>, InfraError> {
        self.call("Query", |tables| tables.meshes.clone()).await
    }

    async fn record_default(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.record_default(mesh)).await
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError> {
        self.call("Query", |tables| tables.members(mesh)).await
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError> {
        self.call("GetItem", |tables| tables.by_vpc.get(vpc).cloned()).await
    }

    async fn update_member(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError> {
        self.call("TransactWriteItems", |tables| tables.update_member(before, now)).await
    }

    async fn remove_mesh(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.call("DeleteItem", |tables| tables.remove_mesh(mesh)).await
    }
}

#[async_trait]
impl AccountRegistry for MemoryStore {
    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError> {
        self.call("Query", |tables| tables.accounts.clone()).await
    }

    async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.register(scope)).await
    }

    async fn record_unknown(&self, account: &AccountId, asked: bool) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.accounts.entry(account.clone()).or_default().asked = asked).await
    }

    async fn organization(&self) -> Result<Organization, InfraError> {
        self.call("GetItem", |tables| tables.organization.clone()).await
    }

    async fn put_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError> {
        self.call("PutItem", |tables| tables.put_organization(before, now)).await
    }
}

#[async_trait]
impl ClaimStore for MemoryStore {
    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError> {
        self.call("UpdateItem", |tables| tables.claim(claim)).await
    }

    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.record_peering(claim, peering)).await?
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError> {
        self.call("DeleteItem", |tables| tables.release_claim(claim)).await
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    /// With the fault `lease`, the lease is granted although another worker holds it, or it is lost.
    async fn take_lease(&self, lease: &Lease) -> Result<Option<Vec<Message>>, InfraError> {
        let fault = self.transport.lease_fault();
        let take = |tables: &mut Tables| match fault {
            Some(LeaseFault::Doubled) => Some(tables.take_lease(lease).unwrap_or_default()),
            Some(LeaseFault::Lost) => {
                tables.lose_lease(&lease.mesh);
                tables.take_lease(lease)
            }
            None => tables.take_lease(lease),
        };
        self.call("UpdateItem", take).await
    }

    async fn leave_request(&self, lease: &Lease, request: &Message) -> Result<bool, InfraError> {
        self.call("UpdateItem", |tables| tables.leave_request(lease, request)).await
    }

    async fn end_lease(&self, lease: &Lease, handled: usize) -> Result<bool, InfraError> {
        self.call("DeleteItem", |tables| tables.end_lease(lease, handled)).await
    }
}

#[async_trait]
impl RunLog for MemoryStore {
    async fn record_sweep(&self, at: Timestamp) -> Result<(), InfraError> {
        self.call("PutItem", |tables| tables.swept = Some(at)).await
    }

    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError> {
        self.call("GetItem", |tables| tables.swept).await
    }

    async fn record_run(&self, run: &Run, now: Timestamp) -> Result<(), InfraError> {
        self.call("PutItem", |tables| tables.record_run(run, now)).await
    }

    async fn run_history(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError> {
        self.call("Query", |tables| tables.run_history(mesh, from)).await
    }
}

#[async_trait]
impl FindingStore for MemoryStore {
    async fn findings_record(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError> {
        self.call("GetItem", |tables| tables.findings_record.get(mesh).cloned()).await
    }

    async fn put_findings_record(
        &self,
        mesh: &MeshName,
        before: Option<u64>,
        now: &MeshFindings,
    ) -> Result<bool, InfraError> {
        self.call("PutItem", |tables| tables.put_findings_record(mesh, before, now)).await
    }
}

#[async_trait]
impl OperatorStore for MemoryStore {
    async fn declare(&self, mesh: &MeshName, policy: &Policy) -> Result<(), InfraError> {
        let record = MeshRecord::Declared(policy.clone());
        self.call("UpdateItem", |tables| drop(tables.meshes.insert(mesh.clone(), record))).await
    }

    async fn undeclare(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.undeclare(mesh)).await
    }

    async fn add_account(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<bool, InfraError> {
        self.call("UpdateItem", |tables| tables.add_account(account, regions)).await
    }

    async fn set_blocked(&self, account: &AccountId, blocked: bool) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.set_blocked(account, blocked)).await
    }

    async fn unregister(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.unregister(account, regions)).await
    }

    async fn mark_removed(&self, account: &AccountId) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.mark_removed(account)).await
    }

    async fn past_runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, InfraError> {
        self.call("Query", |tables| tables.past_runs(mesh, most)).await
    }
}
