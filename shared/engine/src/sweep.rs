//! The sweep: requests a listing of the organization, a scan of every account and a reconcile of every mesh, each as a
//! message of its own, so that they run in parallel and a failure of one does not affect the others.

use std::collections::BTreeSet;

use peerd_core::AccountId;

use crate::engine::Engine;
use crate::error::InfraError;
use crate::membership_index::{AccountScan, ScanError};
use crate::message::{Message, Work};

impl Engine<'_> {
    /// Sends the messages of one sweep. A reconcile reads all tags itself, so it does not wait for the scans.
    ///
    /// # Errors
    /// When the store or the queue fails. The queue then delivers the sweep again, and its messages may be sent twice.
    pub async fn sweep(&self) -> Result<(), InfraError> {
        let known_accounts = self.observer().known_accounts().await?;
        let (accounts, meshes) = (known_accounts.scanned(), self.observer().meshes().await?);
        tracing::info!(accounts = accounts.len(), meshes = meshes.len(), "sweep");
        let is_organized = !self.settings.units.is_empty() || !known_accounts.organization.units.is_empty();
        let discover = is_organized.then_some(Work::ListOrganization {});
        let surveys = accounts.into_iter().map(|account| Work::ScanAccount { account });
        let reconciles = meshes.into_keys().map(|mesh| Work::reconcile(mesh, BTreeSet::new(), true));
        for work in discover.into_iter().chain(surveys).chain(reconciles) {
            self.queue.send(&Message::new(0, work), 0).await?;
        }
        self.store.record_sweep(self.clock.now()).await
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
