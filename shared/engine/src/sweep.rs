//! The sweep: one batch that reconciles every mesh on one read of every known scope, and updates the index with what it read.
//! And the scan of an account that has just been added.

use std::collections::BTreeSet;

use peerd_core::{AccountId, MeshName};

use crate::engine::Engine;
use crate::error::InfraError;
use crate::membership_index::{AccountScan, ScanError};
use crate::message::{Message, Work};

impl Engine<'_> {
    /// Begins a sweep: requests a listing of the organization, as a message of its own, and returns the meshes to reconcile in
    /// every scope.
    ///
    /// # Errors
    /// When the store or the queue fails. The queue then delivers the sweep again.
    pub(crate) async fn begin_sweep(&self) -> Result<BTreeSet<MeshName>, InfraError> {
        let known = self.observer().known_accounts().await?;
        let meshes: BTreeSet<MeshName> = self.observer().meshes().await?.into_keys().collect();
        tracing::info!(scopes = known.scopes.len(), meshes = meshes.len(), "sweep");
        if !self.settings.units.is_empty() || !known.organization.units.is_empty() {
            self.queue.send(&Message::new(0, Work::ListOrganization {}), 0).await?;
        }
        self.store.record_sweep(self.clock.now()).await?;
        Ok(meshes)
    }

    /// Scans an account and requests a reconcile of each mesh whose membership changed.
    ///
    /// # Errors
    /// When a Region failed with a transient error, or the store or the queue failed.
    pub async fn scan_and_enqueue(&self, account: &AccountId) -> Result<(), ScanError> {
        let AccountScan { changed, transient } = self.scan_account(account).await?;
        for (mesh, scopes) in changed {
            let work = Work::reconcile(mesh, scopes, false);
            self.queue.send(&Message::new(0, work), 0).await?;
        }
        transient.map_or(Ok(()), Err)
    }
}
