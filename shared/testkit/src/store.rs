//! The store in memory, over the wire, with the table's rows as the real one writes them: a row per mesh and VPC, and one
//! per VPC. What two workers write at once may disagree, as there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{
    AccountId, Deeds, FindingKind, Member, MeshName, Organization, Pair, PeeringId, Policy, Rule, Scope, VpcRef,
};
use peerd_engine::{Claim, PortError, Registration, Run, Store, Tidings, Timestamp};

use crate::wire::Wire;

#[derive(Default)]
struct Tables {
    meshes: BTreeMap<MeshName, Option<Policy>>,
    by_mesh: BTreeMap<MeshName, BTreeMap<VpcRef, Member>>,
    by_vpc: BTreeMap<VpcRef, Member>,
    accounts: BTreeMap<AccountId, Registration>,
    organization: Organization,
    claims: BTreeMap<Pair, (Claim, Option<PeeringId>)>,
    runs: Vec<Run>,
    past: BTreeMap<MeshName, Vec<Deeds>>,
    tidings: BTreeMap<MeshName, Tidings>,
}

/// A store in memory.
pub struct MemoryStore {
    wire: Arc<Wire>,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(wire: Arc<Wire>) -> Self {
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
        let of_mesh = |(mesh, tidings): (&MeshName, &Tidings)| {
            tidings.findings.iter().map(|f| (mesh.clone(), f.kind, f.subject.clone())).collect::<Vec<_>>()
        };
        tables.tidings.iter().flat_map(of_mesh).collect()
    }

    /// The organisation as it was last listed.
    pub fn known_organization(&self) -> Organization {
        self.tables().organization.clone()
    }

    /// What is kept of a mesh's findings.
    pub fn kept(&self, mesh: &MeshName) -> Tidings {
        self.tables().tidings.get(mesh).cloned().unwrap_or_default()
    }

    /// The recorded runs since the last time this was asked.
    pub fn take_runs(&self) -> Vec<Run> {
        std::mem::take(&mut self.tables().runs)
    }

    async fn call<T>(&self, name: &'static str, effect: impl FnOnce(&mut Tables) -> T) -> Result<T, PortError> {
        self.wire.call(name, None, || Ok(effect(&mut self.tables()))).await
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, PortError> {
        self.call("Query", |tables| tables.meshes.clone()).await
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, PortError> {
        let members =
            |tables: &mut Tables| tables.by_mesh.get(mesh).into_iter().flat_map(BTreeMap::values).cloned().collect();
        self.call("Query", members).await
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, PortError> {
        self.call("GetItem", |tables| tables.by_vpc.get(vpc).cloned()).await
    }

    async fn remember(&self, before: Option<&Member>, now: &Member) -> Result<bool, PortError> {
        let write = |tables: &mut Tables| {
            if tables.by_vpc.get(&now.vpc).map(|known| known.version) != before.map(|before| before.version) {
                return false;
            }
            for mesh in &now.meshes {
                tables.by_mesh.entry(mesh.clone()).or_default().insert(now.vpc.clone(), now.clone());
                if before.is_none_or(|before| !before.meshes.contains(mesh)) {
                    tables.meshes.entry(mesh.clone()).or_default();
                }
            }
            for mesh in before.into_iter().flat_map(|before| &before.meshes - &now.meshes) {
                tables.by_mesh.entry(mesh).or_default().remove(&now.vpc);
            }
            match now.meshes.is_empty() {
                true => drop(tables.by_vpc.remove(&now.vpc)),
                false => drop(tables.by_vpc.insert(now.vpc.clone(), now.clone())),
            }
            true
        };
        self.call("TransactWriteItems", write).await
    }

    async fn forget_mesh(&self, mesh: &MeshName) -> Result<(), PortError> {
        let forget = |tables: &mut Tables| {
            let tidings = tables.tidings.get(mesh);
            if tidings.is_none_or(|tidings| tidings.findings.is_empty() && tidings.untold.is_empty()) {
                tables.tidings.remove(mesh);
                tables.meshes.retain(|known, policy| known != mesh || policy.is_some());
            }
        };
        self.call("DeleteItem", forget).await
    }

    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, PortError> {
        self.call("Query", |tables| tables.accounts.clone()).await
    }

    async fn register(&self, scope: &Scope) -> Result<(), PortError> {
        let register = |tables: &mut Tables| {
            let said = tables.accounts.entry(scope.account.clone()).or_default();
            said.regions.insert(scope.region.clone());
            said.gone = false;
        };
        self.call("UpdateItem", register).await
    }

    async fn organization(&self) -> Result<Organization, PortError> {
        self.call("GetItem", |tables| tables.organization.clone()).await
    }

    async fn keep_organization(&self, before: u64, now: &Organization) -> Result<bool, PortError> {
        let keep = |tables: &mut Tables| {
            let unchanged = tables.organization.version == before;
            if unchanged {
                tables.organization = now.clone();
            }
            unchanged
        };
        self.call("PutItem", keep).await
    }

    async fn claim(&self, claim: &Claim) -> Result<bool, PortError> {
        let take = |tables: &mut Tables| {
            let free = tables.claims.get(&claim.pair).is_none_or(|(held, peering)| {
                !Rule::OneRequester.is_kept()
                    || held.until < claim.now
                    || held.owner == claim.owner
                    || peering.as_ref().is_some_and(|peering| claim.dead.contains(peering))
            });
            if free {
                tables.claims.insert(claim.pair.clone(), (claim.clone(), None));
            }
            free
        };
        self.call("UpdateItem", take).await
    }

    async fn settle_claim(&self, claim: &Claim, peering: &PeeringId) -> Result<(), PortError> {
        let settle = |tables: &mut Tables| match tables.claims.get_mut(&claim.pair) {
            Some((held, led_to)) if held.owner == claim.owner => {
                *led_to = Some(peering.clone());
                Ok(())
            }
            _ => Err(PortError::new("ConditionalCheckFailedException")),
        };
        self.call("UpdateItem", settle).await?
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), PortError> {
        let release = |tables: &mut Tables| {
            if tables.claims.get(&claim.pair).is_some_and(|(held, _)| held.owner == claim.owner) {
                tables.claims.remove(&claim.pair);
            }
        };
        self.call("DeleteItem", release).await
    }

    async fn tidings(&self, mesh: &MeshName) -> Result<Option<Tidings>, PortError> {
        self.call("GetItem", |tables| tables.tidings.get(mesh).cloned()).await
    }

    async fn keep_tidings(&self, mesh: &MeshName, before: Option<u64>, now: &Tidings) -> Result<bool, PortError> {
        let keep = |tables: &mut Tables| {
            let unchanged = tables.tidings.get(mesh).map(|kept| kept.version) == before;
            if unchanged {
                tables.tidings.insert(mesh.clone(), now.clone());
                tables.meshes.entry(mesh.clone()).or_default();
            }
            unchanged
        };
        self.call("PutItem", keep).await
    }

    async fn record_run(&self, run: &Run, now: Timestamp) -> Result<(), PortError> {
        let keep = |tables: &mut Tables| {
            tables.past.entry(run.mesh.clone()).or_default().push(run.deeds(now));
            tables.runs.push(run.clone());
        };
        self.call("PutItem", keep).await
    }

    async fn past(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<Deeds>, PortError> {
        let since = |tables: &mut Tables| {
            let all = tables.past.get(mesh).into_iter().flatten();
            all.filter(|deeds| deeds.at >= from).cloned().collect()
        };
        self.call("Query", since).await
    }
}
