//! Admission: the part of a policy that decides which VPCs may join a mesh, and the reasons why it denies one.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::admitted_ranges::AdmittedRanges;
use crate::ids::{AccountId, OrganizationalUnitId, Region, VpcId, VpcRef};
use crate::organization::Organization;

/// Which VPCs may join: those that match every list that is not empty, up to the member limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// The accounts that are admitted.
    pub accounts: BTreeSet<AccountId>,
    /// The organizational units and roots that are admitted: accounts in one of them, or in a unit below one of them.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// The Regions that are admitted.
    pub regions: BTreeSet<Region>,
    /// The VPCs that are admitted.
    pub vpcs: BTreeSet<VpcId>,
    /// The member limit. The earliest members keep their slots.
    pub members: Option<usize>,
    /// The ranges that a member may advertise. peerd reports a CIDR block outside them and does not route it.
    pub cidrs: AdmittedRanges,
}

/// Why a mesh does not admit a VPC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// No mesh of that name is declared.
    NotDeclared,
    /// An operator drains the mesh.
    Draining,
    /// The mesh has as many members as its policy allows.
    Full {
        /// The member limit.
        members: usize,
    },
    /// `admit.accounts` does not list the account.
    Account(AccountId),
    /// `admit.regions` does not list the Region.
    Region(Region),
    /// `admit.vpcs` does not list the VPC.
    Vpc(VpcId),
    /// The account is in none of the units of `admit.units`.
    OutsideUnits(AccountId),
    /// peerd does not know the account: peerd connects nothing, and has no proof that a member left.
    UnknownAccount(AccountId),
    /// It is unknown whether the account is in this unit: peerd connects nothing, and has no proof that a member left.
    UnitNotListed {
        /// The unit.
        unit: OrganizationalUnitId,
    },
}

impl Denial {
    /// Whether the mesh certainly does not admit the VPC.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::UnknownAccount(_) | Self::UnitNotListed { .. })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDeclared => f.write_str("mesh is not declared"),
            Self::Draining => f.write_str("mesh is draining"),
            Self::Full { members } => write!(f, "mesh is full ({members} members)"),
            Self::Account(account) => write!(f, "account {account} is not admitted"),
            Self::Region(region) => write!(f, "Region {region} is not admitted"),
            Self::Vpc(vpc) => write!(f, "{vpc} is not admitted"),
            Self::OutsideUnits(account) => write!(f, "account {account} is in no admitted organizational unit"),
            Self::UnknownAccount(account) => write!(f, "account {account} is not registered"),
            Self::UnitNotListed { unit } => write!(f, "the accounts in {unit} are not known"),
        }
    }
}

impl Admission {
    /// Why a VPC may not join; `None` if it may.
    pub fn denial(&self, vpc: &VpcRef, organization: &Organization) -> Option<Denial> {
        let Self { accounts, units: _, regions, vpcs, members: _, cidrs: _ } = self;
        let lacks = |named: bool, none: bool| !named && !none;
        if lacks(accounts.contains(&vpc.scope.account), accounts.is_empty()) {
            Some(Denial::Account(vpc.scope.account.clone()))
        } else if lacks(regions.contains(&vpc.scope.region), regions.is_empty()) {
            Some(Denial::Region(vpc.scope.region.clone()))
        } else if lacks(vpcs.contains(&vpc.id), vpcs.is_empty()) {
            Some(Denial::Vpc(vpc.id.clone()))
        } else {
            self.denial_by_unit(&vpc.scope.account, organization)
        }
    }

    /// Whether no VPC of an account may join, by the id of the account or by its place in the organization.
    pub fn excludes_account(&self, account: &AccountId, organization: &Organization) -> bool {
        let is_listed = self.accounts.is_empty() || self.accounts.contains(account);
        !is_listed || matches!(self.denial_by_unit(account, organization), Some(Denial::OutsideUnits(_)))
    }

    fn denial_by_unit(&self, account: &AccountId, organization: &Organization) -> Option<Denial> {
        match organization.is_in_any(account, &self.units) {
            _ if self.units.is_empty() => None,
            Ok(true) => None,
            Ok(false) => Some(Denial::OutsideUnits(account.clone())),
            Err(unit) => Some(Denial::UnitNotListed { unit: unit.clone() }),
        }
    }
}
