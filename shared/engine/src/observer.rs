//! The part of the engine that only reads: here the scopes and meshes of the deployment, and in other files the
//! observation and the forecast of a mesh.
//!
//! An [`Observer`] has only the reads of the cloud, so code that uses it cannot change AWS.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, Accounts, MeshName, Organization, Policy, Region, Scope};

use crate::error::InfraError;
use crate::ports::{Clock, CloudRead, MeshRecord, Registration, Store};
use crate::settings::Settings;

/// The ports that an observation needs.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// The cloud, to read.
    pub cloud: &'a dyn CloudRead,
    /// The store; an observer only reads it.
    pub store: &'a dyn Store,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The configuration of the deployment.
    pub settings: &'a Settings,
}

/// The accounts that a deployment knows.
#[derive(Debug, Clone)]
pub struct KnownAccounts {
    /// The scopes in which members may exist.
    pub scopes: BTreeSet<Scope>,
    /// The last listing of the organization.
    pub organization: Organization,
    /// The accounts that an operator blocked, or recorded as permanently removed. They count as empty, and peerd does
    /// not read them.
    pub removed: BTreeSet<AccountId>,
    /// What the planner needs to know of them.
    pub accounts: Accounts,
}

impl KnownAccounts {
    /// Combines the configured accounts and Regions, the registrations of accounts (`registrations`) and the listing of the
    /// organization.
    pub fn of(
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<Region>,
        registrations: &BTreeMap<AccountId, Registration>,
        organization: Organization,
    ) -> Self {
        // A closed or suspended account cannot be read. If the index has members there, peerd tries to read it anyway.
        let with = |is: fn(&Registration) -> bool| -> BTreeSet<AccountId> {
            registrations.iter().filter(|(_, it)| is(it)).map(|(account, _)| account.clone()).collect()
        };
        let (blocked, removed) = (with(|it| it.blocked), with(|it| it.blocked || it.removed));
        let added = with(|it| it.added);
        let known: BTreeSet<AccountId> =
            accounts.iter().chain(organization.accounts.keys()).chain(&added).cloned().collect();
        let known = &known - &blocked;
        let unknown = &(&with(|it| it.asked) - &known) - &blocked;
        let found = accounts.iter().chain(organization.accounts.keys());
        let found = found.filter(|account| organization.inactive(account).is_none());
        let found = found.flat_map(|account| regions.iter().map(|region| Scope::new(account.clone(), region.clone())));
        let registered = registrations.iter().filter(|(account, _)| known.contains(*account)).flat_map(
            |(account, registrations)| {
                registrations.regions.iter().map(move |region| Scope::new(account.clone(), region.clone()))
            },
        );
        let mut scopes: BTreeSet<Scope> = found.chain(registered).collect();
        scopes.retain(|scope| !removed.contains(&scope.account));
        Self { scopes, organization, removed, accounts: Accounts { known, blocked, unknown } }
    }

    /// Whether events of a scope are handled: its account is known. An account that was removed counts again once an
    /// event comes from it, a blocked one does not.
    pub fn knows(&self, scope: &Scope) -> bool {
        self.accounts.known.contains(&scope.account)
    }

    /// The accounts of the scopes.
    pub fn scanned(&self) -> BTreeSet<AccountId> {
        self.scopes.iter().map(|scope| scope.account.clone()).collect()
    }
}

/// The meshes of a deployment.
#[derive(Debug)]
pub struct RecordedMeshes {
    /// Every mesh that is declared or that a VPC has requested, with its policy if it is declared.
    pub policies: BTreeMap<MeshName, Option<Policy>>,
    /// The meshes of the parameters that the store has no record of: the deployment is new, or the table was lost.
    pub unrecorded: BTreeSet<MeshName>,
}

impl RecordedMeshes {
    /// The declared meshes with their policies.
    pub fn declared(self) -> BTreeMap<MeshName, Policy> {
        self.policies.into_iter().filter_map(|(mesh, policy)| Some((mesh, policy?))).collect()
    }
}

impl Observer<'_> {
    /// Returns every known account and scope: those of the deployment's parameters, those of its organizational units,
    /// and those that an operator registered.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn known_accounts(&self) -> Result<KnownAccounts, InfraError> {
        let (registrations, organization) = (self.store.accounts().await?, self.store.organization().await?);
        Ok(KnownAccounts::of(&self.settings.accounts, &self.settings.regions, &registrations, organization))
    }

    /// Returns the known scopes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn scopes(&self) -> Result<BTreeSet<Scope>, InfraError> {
        Ok(self.known_accounts().await?.scopes)
    }

    /// Returns every mesh that is declared or that a VPC has requested, with its policy if it is declared.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, InfraError> {
        Ok(self.recorded_meshes().await?.policies)
    }

    /// Returns the same, and which of the meshes of the deployment's parameters the store has no record of.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recorded_meshes(&self) -> Result<RecordedMeshes, InfraError> {
        let records = self.store.meshes().await?;
        let is_recorded = |mesh: &&MeshName| !matches!(records.get(*mesh), None | Some(MeshRecord::Requested));
        let unrecorded = self.settings.meshes.iter().filter(|mesh| !is_recorded(mesh)).cloned().collect();
        let mut policies: BTreeMap<MeshName, Option<Policy>> =
            records.into_iter().map(|(mesh, record)| (mesh, record.policy())).collect();
        for mesh in &self.settings.meshes {
            policies.entry(mesh.clone()).or_default().get_or_insert_default();
        }
        Ok(RecordedMeshes { policies, unrecorded })
    }

    /// Returns the declared meshes with their policies.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn declared(&self) -> Result<BTreeMap<MeshName, Policy>, InfraError> {
        Ok(self.recorded_meshes().await?.declared())
    }
}
