//! The accounts and units of an AWS organization, as far as the deployment lists them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OrganizationalUnitId};

/// The listing by AWS Organizations of the units that a deployment reads, and of everything in them
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_getting-started_concepts.html>). It contains no
/// other units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Organization {
    /// Increases with every write, for optimistic locking: of two concurrent writers, one detects the conflict.
    pub version: u64,
    /// Every unit that was listed, with its parent if that was listed as well.
    pub units: BTreeMap<OrganizationalUnitId, Option<OrganizationalUnitId>>,
    /// The accounts in these units.
    pub accounts: BTreeMap<AccountId, Placement>,
}

/// The place of an account in its organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The unit that directly contains it.
    pub unit: OrganizationalUnitId,
    /// AWS's word for its state if that is not `ACTIVE`, such as `SUSPENDED`
    /// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_account_state.html>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Organization {
    /// Whether an account is in a unit or in one below it; `None` if that unit was not listed.
    pub fn is_in(&self, account: &AccountId, unit: &OrganizationalUnitId) -> Option<bool> {
        self.units.contains_key(unit).then(|| self.path(account).any(|over| over == unit))
    }

    /// Whether an account is in one of these units or below it.
    ///
    /// # Errors
    /// A unit on which it depends, if that was not listed.
    pub fn is_in_any<'a>(
        &self,
        account: &AccountId,
        units: impl IntoIterator<Item = &'a OrganizationalUnitId>,
    ) -> Result<bool, &'a OrganizationalUnitId> {
        let mut unlisted = None;
        for unit in units {
            match self.is_in(account, unit) {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => unlisted = unlisted.or(Some(unit)),
            }
        }
        unlisted.map_or(Ok(false), Err)
    }

    /// The listed units above an account, its own first.
    pub fn path<'a>(&'a self, account: &AccountId) -> impl Iterator<Item = &'a OrganizationalUnitId> {
        let own = self.accounts.get(account).map(|placement| &placement.unit);
        std::iter::successors(own, |unit| self.units.get(*unit)?.as_ref()).take(self.units.len())
    }

    /// AWS's word for the state of an account, if the account is known not to be active.
    pub fn inactive(&self, account: &AccountId) -> Option<&str> {
        self.accounts.get(account)?.state.as_deref()
    }

    /// Whether two listings have the same units and accounts.
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.units, &self.accounts) == (&other.units, &other.accounts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str) -> OrganizationalUnitId {
        id.parse().unwrap()
    }

    fn account(number: u8) -> AccountId {
        number.to_string().repeat(12).parse().unwrap()
    }

    fn organization() -> Organization {
        let [root, prod, eu] = ["r-ab12", "ou-ab12-11111111", "ou-ab12-22222222"].map(unit);
        let placed = |unit: &OrganizationalUnitId, state: Option<&str>| Placement {
            unit: unit.clone(),
            state: state.map(str::to_owned),
        };
        Organization {
            version: 7,
            accounts: [(account(1), placed(&eu, None)), (account(2), placed(&root, Some("SUSPENDED")))].into(),
            units: [(root.clone(), None), (prod.clone(), Some(root)), (eu, Some(prod))].into(),
        }
    }

    #[test]
    fn an_account_is_in_its_unit_and_all_ancestors_and_unlisted_units_are_undetermined() {
        let organization = organization();
        let is_in = |number, id| organization.is_in(&account(number), &unit(id));
        for over in ["ou-ab12-22222222", "ou-ab12-11111111", "r-ab12"] {
            assert_eq!(is_in(1, over), Some(true), "{over}");
        }
        assert_eq!(is_in(2, "ou-ab12-11111111"), Some(false));
        assert_eq!(is_in(3, "r-ab12"), Some(false), "not in the listing");
        assert_eq!(is_in(1, "ou-ab12-99999999"), None);
        let [eu, root, unlisted] = ["ou-ab12-22222222", "r-ab12", "ou-ab12-99999999"].map(unit);
        let is_in_any = |number, units: &[&OrganizationalUnitId]| {
            organization.is_in_any(&account(number), units.iter().copied()).map_err(Clone::clone)
        };
        assert_eq!(is_in_any(1, &[&unlisted, &eu]), Ok(true));
        assert_eq!(is_in_any(2, &[&eu, &unlisted]), Err(unlisted));
        assert_eq!(is_in_any(2, &[&eu]), Ok(false));
        assert_eq!((is_in_any(2, &[&root]), is_in_any(2, &[])), (Ok(true), Ok(false)));
    }

    #[test]
    fn a_listing_round_trips_and_a_cycle_of_units_terminates() {
        let mut organization = organization();
        let text = serde_json::to_string(&organization).unwrap();
        assert_eq!(serde_json::from_str::<Organization>(&text).unwrap(), organization);
        assert_eq!(organization.inactive(&account(2)), Some("SUSPENDED"));
        organization.units.insert(unit("r-ab12"), Some(unit("ou-ab12-22222222")));
        assert_eq!(organization.path(&account(1)).count(), 3);
    }
}
