//! The store in memory, with the same promises as the table: consistent reads, conditional claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{AccountId, Member, MeshName, Pair, PeeringId, Policy, Region, Scope, VpcRef};
use peerd_engine::{Claim, PortError, Run, Store, Timestamp};

#[derive(Default)]
pub(crate) struct Tables {
    pub meshes: BTreeMap<MeshName, Option<Policy>>,
    pub members: BTreeMap<VpcRef, Member>,
    pub accounts: BTreeMap<AccountId, BTreeSet<Region>>,
    pub claims: BTreeMap<Pair, (Claim, Option<PeeringId>)>,
    pub runs: Vec<Run>,
    /// How many of the next writes fail after they took effect.
    pub lost_answers: usize,
}

/// A store in memory.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses the whole index, as if the table had been made anew.
    pub fn lose_everything(&self) {
        *self.tables() = Tables::default();
    }

    /// What is remembered of every VPC.
    pub fn everybody(&self) -> Vec<Member> {
        self.tables().members.values().cloned().collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, PortError> {
        Ok(self.tables().meshes.clone())
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, PortError> {
        Ok(self.tables().members.values().filter(|member| member.meshes.contains(mesh)).cloned().collect())
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, PortError> {
        Ok(self.tables().members.get(vpc).cloned())
    }

    async fn remember(&self, _before: Option<&Member>, now: &Member) -> Result<(), PortError> {
        let mut tables = self.tables();
        if now.meshes.is_empty() {
            tables.members.remove(&now.vpc);
        } else {
            tables.members.insert(now.vpc.clone(), now.clone());
            for mesh in &now.meshes {
                tables.meshes.entry(mesh.clone()).or_default();
            }
        }
        if tables.lost_answers > 0 {
            tables.lost_answers -= 1;
            return Err(PortError::new("the write took effect and its answer was lost"));
        }
        Ok(())
    }

    async fn forget_mesh(&self, mesh: &MeshName) -> Result<(), PortError> {
        self.tables().meshes.retain(|known, policy| known != mesh || policy.is_some());
        Ok(())
    }

    async fn accounts(&self) -> Result<BTreeMap<AccountId, BTreeSet<Region>>, PortError> {
        Ok(self.tables().accounts.clone())
    }

    async fn register(&self, scope: &Scope) -> Result<(), PortError> {
        self.tables().accounts.entry(scope.account.clone()).or_default().insert(scope.region.clone());
        Ok(())
    }

    async fn claim(&self, claim: &Claim) -> Result<bool, PortError> {
        let mut tables = self.tables();
        let free = tables.claims.get(&claim.pair).is_none_or(|(held, peering)| {
            held.until < claim.now
                || held.owner == claim.owner
                || peering.as_ref().is_some_and(|peering| claim.dead.contains(peering))
        });
        if free {
            tables.claims.insert(claim.pair.clone(), (claim.clone(), None));
        }
        Ok(free)
    }

    async fn settle_claim(&self, claim: &Claim, peering: &PeeringId) -> Result<(), PortError> {
        if let Some((_, led_to)) = self.tables().claims.get_mut(&claim.pair) {
            *led_to = Some(peering.clone());
        }
        Ok(())
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), PortError> {
        let mut tables = self.tables();
        if tables.claims.get(&claim.pair).is_some_and(|(held, _)| held.owner == claim.owner) {
            tables.claims.remove(&claim.pair);
        }
        Ok(())
    }

    async fn record_run(&self, run: &Run, _now: Timestamp) -> Result<(), PortError> {
        self.tables().runs.push(run.clone());
        Ok(())
    }
}
