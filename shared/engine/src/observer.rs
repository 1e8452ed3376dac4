//! What only reads: the deployment's scopes and meshes, and, in other files, what a mesh looks like and what is due.
//!
//! An [`Observer`] holds the reading half of the cloud alone, so nothing that is built on it can change AWS.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, MeshName, Organization, Policy, Region, Scope};

use crate::engine::Settings;
use crate::error::InfraError;
use crate::ports::{Clock, CloudRead, Registration, Store};

/// The ports that an observation needs.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// The cloud, to read.
    pub cloud: &'a dyn CloudRead,
    /// The store; an observer only reads it.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// What the deployment was given.
    pub settings: &'a Settings,
}

/// Whom a deployment knows.
#[derive(Debug, Clone)]
pub struct KnownAccounts {
    /// Where members may be.
    pub scopes: BTreeSet<Scope>,
    /// The organisation as it was last listed.
    pub organization: Organization,
    /// Accounts that an operator said are gone for good: nothing is there, and nobody looks.
    pub gone: BTreeSet<AccountId>,
}

impl KnownAccounts {
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

impl Observer<'_> {
    /// Every known account and scope: those of the deployment's parameters, those of its organisational units, and those
    /// that an operator named or an event came from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn known_accounts(&self) -> Result<KnownAccounts, InfraError> {
        let (said, organization) = (self.store.accounts().await?, self.store.organization().await?);
        Ok(KnownAccounts::of(&self.settings.accounts, &self.settings.regions, &said, organization))
    }

    /// The scopes of the roster.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn scopes(&self) -> Result<BTreeSet<Scope>, InfraError> {
        Ok(self.known_accounts().await?.scopes)
    }

    /// Every mesh that is declared or that a VPC ever asked for; with a policy where it is declared.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, InfraError> {
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
    pub async fn declared(&self) -> Result<BTreeMap<MeshName, Policy>, InfraError> {
        Ok(self.meshes().await?.into_iter().filter_map(|(mesh, policy)| Some((mesh, policy?))).collect())
    }
}
