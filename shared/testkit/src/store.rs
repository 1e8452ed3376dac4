//! The engine's store in memory, over the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{
    AccountId, FindingKind, Member, MeshName, Organization, PeeringId, Policy, RunChanges, Scope, VpcRef,
};
use peerd_engine::memory_store::Tables;
use peerd_engine::{Claim, InfraError, MeshFindings, Registration, Run, Store, Timestamp};

use crate::transport::Transport;

/// A store in memory.
pub struct MemoryStore {
    wire: Arc<Transport>,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(wire: Arc<Transport>) -> Self {
        Self { wire, tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses the whole index, as if the table had been made anew.
    pub fn lose_everything(&self) {
        *self.tables() = Tables::default();
    }

    /// Loses what was listed of the organisation, as an older backup would.
    pub fn lose_organization(&self) {
        self.tables().organization = Organization::default();
    }

    /// An operator says that an account is gone for good, or takes it back.
    pub fn set_gone(&self, account: &AccountId, gone: bool) {
        self.tables().accounts.insert(account.clone(), Registration { regions: BTreeSet::new(), gone });
    }

    /// Accounts that are said to be gone for good.
    pub fn gone(&self) -> BTreeSet<AccountId> {
        let tables = self.tables();
        tables.accounts.iter().filter(|(_, said)| said.gone).map(|(account, _)| account.clone()).collect()
    }

    /// An operator declares a mesh.
    pub fn declare(&self, mesh: &MeshName, policy: Policy) {
        self.tables().meshes.insert(mesh.clone(), Some(policy));
    }

    /// What is remembered of every VPC.
    pub fn everybody(&self) -> Vec<Member> {
        self.tables().by_vpc.values().cloned().collect()
    }

    /// Every mesh with its remembered members.
    pub fn members_by_mesh(&self) -> BTreeMap<MeshName, BTreeSet<VpcRef>> {
        let tables = self.tables();
        let mesh = |(mesh, members): (&MeshName, &BTreeMap<VpcRef, Member>)| {
            (!members.is_empty()).then(|| (mesh.clone(), members.keys().cloned().collect()))
        };
        tables.by_mesh.iter().filter_map(mesh).collect()
    }

    /// The kinds and subjects of the findings that are kept, by mesh.
    pub fn open_findings(&self) -> BTreeSet<(MeshName, FindingKind, String)> {
        let tables = self.tables();
        let of_mesh = |(mesh, tidings): (&MeshName, &MeshFindings)| {
            tidings.findings.iter().map(|f| (mesh.clone(), f.kind(), f.subject())).collect::<Vec<_>>()
        };
        tables.tidings.iter().flat_map(of_mesh).collect()
    }

    /// The organisation as it was last listed.
    pub fn known_organization(&self) -> Organization {
        self.tables().organization.clone()
    }

    /// What is kept of a mesh's findings.
    pub fn kept(&self, mesh: &MeshName) -> MeshFindings {
        self.tables().tidings.get(mesh).cloned().unwrap_or_default()
    }

    /// The recorded runs since the last time this was asked.
    pub fn take_runs(&self) -> Vec<Run> {
        std::mem::take(&mut self.tables().runs)
    }

    async fn call<T>(&self, name: &'static str, effect: impl FnOnce(&mut Tables) -> T) -> Result<T, InfraError> {
        self.wire.call(name, None, || Ok(effect(&mut self.tables()))).await
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, InfraError> {
        self.call("Query", |tables| tables.meshes.clone()).await
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError> {
        self.call("Query", |tables| tables.members(mesh)).await
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError> {
        self.call("GetItem", |tables| tables.by_vpc.get(vpc).cloned()).await
    }

    async fn remember(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError> {
        self.call("TransactWriteItems", |tables| tables.remember(before, now)).await
    }

    async fn forget_mesh(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.call("DeleteItem", |tables| tables.forget_mesh(mesh)).await
    }

    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError> {
        self.call("Query", |tables| tables.accounts.clone()).await
    }

    async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.register(scope)).await
    }

    async fn organization(&self) -> Result<Organization, InfraError> {
        self.call("GetItem", |tables| tables.organization.clone()).await
    }

    async fn keep_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError> {
        self.call("PutItem", |tables| tables.keep_organization(before, now)).await
    }

    async fn note_sweep(&self, at: Timestamp) -> Result<(), InfraError> {
        self.call("PutItem", |tables| tables.swept = Some(at)).await
    }

    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError> {
        self.call("GetItem", |tables| tables.swept).await
    }

    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError> {
        self.call("UpdateItem", |tables| tables.claim(claim)).await
    }

    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError> {
        self.call("UpdateItem", |tables| tables.record_peering(claim, peering)).await?
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError> {
        self.call("DeleteItem", |tables| tables.release_claim(claim)).await
    }

    async fn tidings(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError> {
        self.call("GetItem", |tables| tables.tidings.get(mesh).cloned()).await
    }

    async fn keep_tidings(&self, mesh: &MeshName, before: Option<u64>, now: &MeshFindings) -> Result<bool, InfraError> {
        self.call("PutItem", |tables| tables.keep_tidings(mesh, before, now)).await
    }

    async fn record_run(&self, run: &Run, now: Timestamp) -> Result<(), InfraError> {
        self.call("PutItem", |tables| tables.record_run(run, now)).await
    }

    async fn past(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError> {
        self.call("Query", |tables| tables.past(mesh, from)).await
    }
}
