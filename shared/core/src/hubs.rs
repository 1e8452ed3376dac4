//! Hubs: the part of a policy that decides which members of a hub-and-spoke mesh are connected with every member.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OrganizationalUnitId, VpcId, VpcRef};
use crate::organization::Organization;

/// The hubs of a mesh: members that at least one list names, except those with the tag `peerd:role=spoke`. A tag alone makes no
/// hub, because everyone who may tag a VPC could then connect it with every member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hubs {
    /// The accounts whose members are hubs.
    pub accounts: BTreeSet<AccountId>,
    /// The organizational units and roots whose accounts' members are hubs, also of accounts in a unit below one of them.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// The VPCs that are hubs.
    pub vpcs: BTreeSet<VpcId>,
}

impl Hubs {
    /// Whether no list names anything.
    pub fn is_empty(&self) -> bool {
        let Self { accounts, units, vpcs } = self;
        accounts.is_empty() && units.is_empty() && vpcs.is_empty()
    }

    /// Whether a list names a VPC.
    ///
    /// # Errors
    /// The unit on which it depends, if the accounts in it are not known.
    pub fn names<'a>(&'a self, vpc: &VpcRef, organization: &Organization) -> Result<bool, &'a OrganizationalUnitId> {
        if self.accounts.contains(&vpc.scope.account) || self.vpcs.contains(&vpc.id) {
            return Ok(true);
        }
        organization.is_in_any(&vpc.scope.account, &self.units)
    }
}
