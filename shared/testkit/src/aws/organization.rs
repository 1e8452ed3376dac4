//! The organization: the units of the accounts, and the Regions that accounts have disabled.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use peerd_core::{AccountId, Organization, OrganizationalUnitId, Placement, Scope};
use peerd_engine::{CloudError, OrganizationsClient};

use super::cloud::SimCloud;
use super::state::Aws;

impl Aws {
    /// Returns the organization.
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Creates a unit below another, or a root.
    pub fn create_unit(&mut self, unit: &OrganizationalUnitId, within: Option<&OrganizationalUnitId>) {
        self.organization.units.insert(unit.clone(), within.cloned());
    }

    /// Moves an account to a unit, or adds it to the organization.
    pub fn move_account(&mut self, account: &AccountId, unit: &OrganizationalUnitId) {
        let state = self.organization.accounts.remove(account).and_then(|placement| placement.state);
        self.organization.accounts.insert(account.clone(), Placement { unit: unit.clone(), state });
    }

    /// Removes an account from the organization.
    pub fn remove_account(&mut self, account: &AccountId) {
        self.organization.accounts.remove(account);
    }

    /// Omits an account from the next list that should contain it, as if the account were moved at that moment.
    pub fn miss_once(&mut self, account: &AccountId) {
        self.missed.insert(account.clone());
    }

    /// Suspends or reinstates an account: while it is suspended, its role cannot be assumed.
    pub fn suspend(&mut self, account: &AccountId, suspended: bool) {
        self.set_account_unreachable(account, suspended);
        if let Some(placement) = self.organization.accounts.get_mut(account) {
            placement.state = suspended.then(|| "SUSPENDED".to_owned());
        }
    }

    /// Disables or enables a Region of an account.
    pub fn switch_region(&mut self, scope: &Scope, off: bool) {
        match off {
            true => drop(self.off.insert(scope.clone())),
            false => drop(self.off.remove(scope)),
        }
    }
}

#[async_trait]
impl OrganizationsClient for SimCloud {
    async fn accounts_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeMap<AccountId, Placement>, CloudError> {
        let here = |aws: &mut Aws| {
            let Aws { organization, missed, .. } = aws;
            let here = organization.accounts.iter().filter(|(_, placement)| placement.unit == *unit);
            let accounts = here.filter(|(account, _)| !missed.remove(*account));
            accounts.map(|(account, placement)| (account.clone(), placement.clone())).collect()
        };
        self.list("ListAccountsForParent", here).await
    }

    async fn units_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeSet<OrganizationalUnitId>, CloudError> {
        let here = |aws: &mut Aws| {
            let within = aws.organization.units.iter().filter(|(_, over)| over.as_ref() == Some(unit));
            within.map(|(unit, _)| unit.clone()).collect()
        };
        self.list("ListOrganizationalUnitsForParent", here).await
    }
}
