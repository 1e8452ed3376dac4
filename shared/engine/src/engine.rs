//! The loop with its ports. What it does to AWS, [`Engine::reconcile`] does; what it reads, its [`Observer`] reads.

use std::collections::BTreeSet;

use peerd_core::{AccountId, Deployment, MeshName, OrganizationalUnitId, Region, Scope};

use crate::error::InfraError;
use crate::observer::Observer;
use crate::ports::{Bus, Clock, Cloud, Directory, Queue, Store};

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
    pub units: BTreeSet<OrganizationalUnitId>,
    /// Regions of those accounts.
    pub regions: BTreeSet<Region>,
    /// The name of the role that is assumed in each account, for remedies.
    pub role: String,
    /// The name of the hub's stack, for the commands in remedies.
    pub stack: String,
}

/// The name of a role that is given by its name or its ARN, with or without a path.
pub fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
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

impl Engine<'_> {
    /// The part of the engine that only reads.
    pub fn observer(&self) -> Observer<'_> {
        Observer { cloud: self.cloud, store: self.store, clock: self.clock, settings: self.settings }
    }

    /// Registers a scope that has just answered.
    pub(crate) async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        if self.observer().scopes().await?.contains(scope) {
            return Ok(());
        }
        tracing::info!(%scope, "registered by its first event");
        self.store.register(scope).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_without_its_arn_and_its_path() {
        for role in
            ["acme-spoke", "arn:aws:iam::{account}:role/acme-spoke", "arn:aws-cn:iam::{account}:role/a/b/acme-spoke"]
        {
            assert_eq!(role_name(role), "acme-spoke");
        }
    }
}
