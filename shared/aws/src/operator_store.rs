//! The command line's port over the table.

use std::collections::BTreeSet;

use async_trait::async_trait;
use peerd_core::{AccountId, MeshName, Policy, Region};
use peerd_engine::{InfraError, OperatorStore, PastRun};

use crate::table::DynamoStore;

#[async_trait]
impl OperatorStore for DynamoStore {
    async fn declare(&self, mesh: &MeshName, policy: &Policy) -> Result<(), InfraError> {
        self.put_policy(mesh, policy).await
    }

    async fn undeclare(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.remove_policy(mesh).await
    }

    async fn add_account(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<bool, InfraError> {
        self.register_account(account, regions).await
    }

    async fn set_blocked(&self, account: &AccountId, blocked: bool) -> Result<(), InfraError> {
        self.record_block(account, blocked).await
    }

    async fn unregister(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<(), InfraError> {
        self.remove_regions(account, regions).await
    }

    async fn mark_removed(&self, account: &AccountId) -> Result<(), InfraError> {
        self.record_removal(account).await
    }

    async fn past_runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, InfraError> {
        self.latest_runs(mesh, most).await
    }
}
