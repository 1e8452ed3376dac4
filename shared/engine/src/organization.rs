//! Lists the accounts of the organization: everything in the organizational units of the deployment, again in every
//! sweep.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, Organization, OrganizationalUnitId};

use crate::engine::Engine;
use crate::error::{CloudError, InfraError};
use crate::membership_index::ScanError;
use crate::message::{Message, Work};

impl Engine<'_> {
    /// Lists the organization and stores the listing if it changed. Requests a scan of each new account, and a
    /// reconcile of each mesh that admits by organizational unit.
    ///
    /// # Errors
    /// When AWS Organizations does not return everything, or the store or the queue fails. peerd then concludes
    /// nothing.
    pub async fn refresh_organization(&self) -> Result<(), ScanError> {
        let before = self.store.organization().await?;
        let mut now = self.list_organization().await?;
        if before.accounts.keys().any(|account| !now.accounts.contains_key(account)) {
            // An account that moved from a unit that was not listed yet to one that was is in neither list.
            let again = self.list_organization().await?;
            now.units.extend(again.units);
            now.accounts.extend(again.accounts);
        }
        if now.agrees_with(&before) {
            return Ok(());
        }
        now.version = self.clock.now().max(before.version + 1);
        if !self.store.put_organization(before.version, &now).await? {
            return Err(InfraError::new("another worker has just stored a listing of the organization").into());
        }
        let new: BTreeSet<&AccountId> =
            now.accounts.keys().filter(|account| !before.accounts.contains_key(account)).collect();
        tracing::info!(accounts = now.accounts.len(), new = new.len(), units = now.units.len(), "organization listed");
        let registrations = self.store.accounts().await?;
        for account in new {
            if registrations.get(account).is_some_and(|registration| registration.asked) {
                self.store.record_unknown(account, false).await?;
            }
            self.queue.send(&Message::new(0, Work::ScanAccount { account: account.clone() }), 0).await?;
        }
        let by_unit =
            self.observer().declared().await?.into_iter().filter(|(_, policy)| !policy.admit.units.is_empty());
        for (mesh, _) in by_unit {
            let work = Work::reconcile(mesh, BTreeSet::new(), false);
            self.queue.send(&Message::new(0, work), 0).await?;
        }
        Ok(())
    }

    /// Lists the units of the deployment and everything in them, from the top down.
    async fn list_organization(&self) -> Result<Organization, CloudError> {
        let mut found = Organization::default();
        let mut todo: Vec<(OrganizationalUnitId, Option<OrganizationalUnitId>)> =
            self.settings.units.iter().map(|unit| (unit.clone(), None)).collect();
        while let Some((unit, parent)) = todo.pop() {
            let is_new = !found.units.contains_key(&unit);
            let known = found.units.entry(unit.clone()).or_default();
            *known = parent.or(known.take());
            if is_new {
                let (accounts, units): (BTreeMap<_, _>, _) =
                    futures::try_join!(self.organizations.accounts_in(&unit), self.organizations.units_in(&unit))?;
                found.accounts.extend(accounts);
                todo.extend(units.into_iter().map(|within| (within, Some(unit.clone()))));
            }
        }
        Ok(found)
    }
}
