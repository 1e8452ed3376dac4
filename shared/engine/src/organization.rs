//! Finding the accounts of the organisation: all that is in the units that the deployment was given, listed anew by every
//! sweep.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, Organization, OrganizationalUnitId};

use crate::engine::Engine;
use crate::error::{CloudError, InfraError};
use crate::membership_index::SurveyError;
use crate::message::{Message, Work};

impl Engine<'_> {
    /// Lists the organisation and keeps what is new; new accounts are surveyed at once, and the meshes that admit by unit
    /// are reconciled.
    ///
    /// # Errors
    /// When AWS Organizations does not answer in full, or the store or the queue fails. Nothing is concluded then.
    pub async fn discover(&self) -> Result<(), SurveyError> {
        let before = self.store.organization().await?;
        let mut now = self.list_organization().await?;
        if before.accounts.keys().any(|account| !now.accounts.contains_key(account)) {
            // One that moved from a unit that was not listed yet to one that was is in neither list.
            let again = self.list_organization().await?;
            now.units.extend(again.units);
            now.accounts.extend(again.accounts);
        }
        if now.agrees_with(&before) {
            return Ok(());
        }
        now.version = self.clock.now().max(before.version + 1);
        if !self.store.keep_organization(before.version, &now).await? {
            return Err(InfraError::new("another worker has just listed the organisation").into());
        }
        let new: BTreeSet<&AccountId> =
            now.accounts.keys().filter(|account| !before.accounts.contains_key(account)).collect();
        tracing::info!(accounts = now.accounts.len(), new = new.len(), units = now.units.len(), "organisation listed");
        for account in new {
            self.queue.send(&Message::new(0, Work::Survey { account: account.clone() }), 0).await?;
        }
        let by_unit =
            self.observer().declared().await?.into_iter().filter(|(_, policy)| !policy.admit.units.is_empty());
        for (mesh, _) in by_unit {
            let work = Work::reconcile(mesh, BTreeSet::new(), false);
            self.queue.send(&Message::new(0, work), 0).await?;
        }
        Ok(())
    }

    /// The units of the deployment with all that is in them, from the top down.
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
                    futures::try_join!(self.directory.accounts_in(&unit), self.directory.units_in(&unit))?;
                found.accounts.extend(accounts);
                todo.extend(units.into_iter().map(|within| (within, Some(unit.clone()))));
            }
        }
        Ok(found)
    }
}
