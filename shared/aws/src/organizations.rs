//! AWS Organizations, with the hub's own credentials: the hub is in the management account, or in an account to which
//! Organizations is delegated
//! (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html>).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::Account;
use peerd_core::ids::IdError;
use peerd_core::{AccountId, OrganizationalUnitId, Placement};
use peerd_engine::{CloudError, ErrorKind, OrganizationsClient};

use crate::errors;

/// The state of a usable account.
const ACTIVE: &str = "ACTIVE";

/// The organization of the hub's account.
pub struct OrganizationsApi(Client);

impl OrganizationsApi {
    /// Creates a client of the organization of `config`'s account.
    pub fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }
}

#[async_trait]
impl OrganizationsClient for OrganizationsApi {
    async fn accounts_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeMap<AccountId, Placement>, CloudError> {
        let call = format!("ListAccountsForParent of {unit}");
        let pages = self.0.list_accounts_for_parent().parent_id(unit.as_str()).into_paginator().send();
        let pages = pages.try_collect().await.map_err(|error| errors::cloud(&call, error))?;
        let accounts = pages.iter().flat_map(|page| page.accounts());
        accounts.map(|account| placed(account, unit).map_err(|error| not_an_id(&call, error))).collect()
    }

    async fn units_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeSet<OrganizationalUnitId>, CloudError> {
        let call = format!("ListOrganizationalUnitsForParent of {unit}");
        let pages = self.0.list_organizational_units_for_parent().parent_id(unit.as_str()).into_paginator().send();
        let pages = pages.try_collect().await.map_err(|error| errors::cloud(&call, error))?;
        let ids =
            pages.iter().flat_map(|page| page.organizational_units()).map(|unit| unit.id().unwrap_or_default().parse());
        ids.collect::<Result<_, _>>().map_err(|error| not_an_id(&call, error))
    }
}

/// Converts an account of a unit. AWS returns its state as `State`; until the end of 2026 some responses have only the
/// older `Status` (<https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html>).
fn placed(account: &Account, unit: &OrganizationalUnitId) -> Result<(AccountId, Placement), IdError> {
    let state = account.state().map(|state| state.as_str()).or(account.status().map(|status| status.as_str()));
    let state = state.filter(|state| *state != ACTIVE).map(str::to_owned);
    Ok((account.id().unwrap_or_default().parse()?, Placement { unit: unit.clone(), state }))
}

fn not_an_id(call: &str, error: IdError) -> CloudError {
    CloudError { source: Some(Box::new(error)), ..CloudError::new(ErrorKind::Invalid, call) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_organizations::types::{AccountState, AccountStatus};

    use super::*;

    #[test]
    fn only_an_inactive_account_has_a_state() {
        let unit: OrganizationalUnitId = "r-ab12".parse().unwrap();
        let account = Account::builder().id("111111111111");
        let state = |account: Account| placed(&account, &unit).unwrap().1.state;
        assert_eq!(state(account.clone().state(AccountState::Active).build()), None);
        assert_eq!(state(account.clone().state(AccountState::Closed).build()).as_deref(), Some("CLOSED"));
        let older = account.clone().status(AccountStatus::Suspended).build();
        assert_eq!(state(older).as_deref(), Some("SUSPENDED"));
        assert!(placed(&Account::builder().id("12").build(), &unit).is_err());
    }
}
