//! The engine and its ports. [`Engine::reconcile`] makes the changes in AWS; the [`Observer`] only reads.

use std::collections::BTreeSet;

use peerd_core::{AccountId, Deployment, MeshName, OrganizationalUnitId, Region, Scope};

use crate::error::InfraError;
use crate::observer::Observer;
use crate::ports::{Bus, Clock, Cloud, Directory, Queue, Store};

/// The configuration of a deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// Meshes declared with the default policy.
    pub meshes: BTreeSet<MeshName>,
    /// The configured accounts, which peerd reads in all of `regions`.
    pub accounts: BTreeSet<AccountId>,
    /// Organizational units and roots. peerd also reads their accounts, once it has listed them.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// The Regions of those accounts.
    pub regions: BTreeSet<Region>,
    /// The name of the role that peerd assumes in each account, for remedies.
    pub role: String,
    /// The name of the hub's stack, for the commands in remedies.
    pub stack: String,
}

/// Returns the name of a role from its name or its ARN, with or without a path.
pub fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

/// The reconcile loop and its ports.
pub struct Engine<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The client of AWS Organizations.
    pub directory: &'a dyn Directory,
    /// The store.
    pub store: &'a dyn Store,
    /// The queue for follow-up messages.
    pub queue: &'a dyn Queue,
    /// The event bus for notifications of changes and findings.
    pub bus: &'a dyn Bus,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The configuration of the deployment.
    pub settings: &'a Settings,
    /// The name of this worker in claims. Concurrent workers have different names.
    pub worker: &'a str,
}

impl Engine<'_> {
    /// Returns the part of the engine that only reads.
    pub fn observer(&self) -> Observer<'_> {
        Observer { cloud: self.cloud, store: self.store, clock: self.clock, settings: self.settings }
    }

    /// Registers a scope that was just read, unless the deployment already knows it.
    pub(crate) async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        if self.observer().scopes().await?.contains(scope) {
            return Ok(());
        }
        tracing::info!(%scope, "scope registered by its first event");
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
