//! The loop with its ports, and what it knows of the deployment as a whole: its scopes and its meshes.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, Deployment, MeshName, Organization, Policy, Region, Scope, UnitId};

use crate::error::PortError;
use crate::ports::{Bus, Clock, Cloud, Directory, Queue, Registration, Store};

/// What the deployment was given.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// Meshes declared with the default policy.
    pub meshes: BTreeSet<MeshName>,
    /// Accounts that are known from the start, in all of `regions`.
    pub accounts: BTreeSet<AccountId>,
    /// Organisational units and roots whose accounts are known as well, once they were listed.
    pub units: BTreeSet<UnitId>,
    /// Regions of those accounts.
    pub regions: BTreeSet<Region>,
}

/// The loop with its ports.
pub struct Engine<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The organisation.
    pub directory: &'a dyn Directory,
    /// The store.
    pub store: &'a dyn Store,
    /// The queue for follow-ups.
    pub queue: &'a dyn Queue,
    /// Where it tells what it did and found.
    pub bus: &'a dyn Bus,
    /// The time.
    pub clock: &'a dyn Clock,
    /// What the deployment was given.
    pub settings: &'a Settings,
    /// The name of this worker in claims; no two that run at once have the same.
    pub worker: &'a str,
}

/// Whom a deployment knows.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Where members may be.
    pub scopes: BTreeSet<Scope>,
    /// The organisation as it was last listed.
    pub organization: Organization,
    /// Accounts that an operator said are gone for good: nothing is there, and nobody looks.
    pub gone: BTreeSet<AccountId>,
}

impl Roster {
    /// What comes of the accounts and Regions that a deployment was given, of what was said of accounts since, and of the
    /// organisation.
    pub fn of(
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<Region>,
        said: &BTreeMap<AccountId, Registration>,
        organization: Organization,
    ) -> Self {
        // In an account that is closed or suspended nothing answers; members that are remembered there are looked for.
        let found = accounts.iter().chain(organization.accounts.keys());
        let found = found.filter(|account| organization.inactive(account).is_none());
        let found = found.flat_map(|account| regions.iter().map(|region| Scope::new(account.clone(), region.clone())));
        let gone: BTreeSet<AccountId> =
            said.iter().filter(|(_, said)| said.gone).map(|(account, _)| account.clone()).collect();
        let registered = said.iter().flat_map(|(account, said)| {
            said.regions.iter().map(move |region| Scope::new(account.clone(), region.clone()))
        });
        let mut scopes: BTreeSet<Scope> = found.chain(registered).collect();
        scopes.retain(|scope| !gone.contains(&scope.account));
        Self { scopes, organization, gone }
    }

    /// The accounts of the scopes.
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        self.scopes.iter().map(|scope| scope.account.clone()).collect()
    }
}

impl Engine<'_> {
    /// Every known account and scope: those of the deployment's parameters, those of its organisational units, and those
    /// that an operator named or an event came from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn roster(&self) -> Result<Roster, PortError> {
        let (said, organization) = (self.store.accounts().await?, self.store.organization().await?);
        Ok(Roster::of(&self.settings.accounts, &self.settings.regions, &said, organization))
    }

    /// The scopes of the roster.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn scopes(&self) -> Result<BTreeSet<Scope>, PortError> {
        Ok(self.roster().await?.scopes)
    }

    /// Registers a scope that has just answered.
    pub(crate) async fn register(&self, scope: &Scope) -> Result<(), PortError> {
        if self.scopes().await?.contains(scope) {
            return Ok(());
        }
        tracing::info!(%scope, "registered by its first event");
        self.store.register(scope).await
    }

    /// Every mesh that is declared or that a VPC ever asked for; with a policy where it is declared.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, PortError> {
        let mut meshes = self.store.meshes().await?;
        for mesh in &self.settings.meshes {
            meshes.entry(mesh.clone()).or_default().get_or_insert_default();
        }
        Ok(meshes)
    }

    /// The declared meshes with their policies.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn declared(&self) -> Result<BTreeMap<MeshName, Policy>, PortError> {
        Ok(self.meshes().await?.into_iter().filter_map(|(mesh, policy)| Some((mesh, policy?))).collect())
    }
}
