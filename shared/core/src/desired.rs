//! The desired state: the declared meshes, and the records of their members in the membership index.
//!
//! The index only replaces the tags of scopes that cannot be read. In a scope that was read, the VPC's own tag decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cidr::CidrSet;
use crate::ids::{AccountId, Deployment, MeshName, VpcRef};
use crate::organization::Organization;
use crate::policy::Policy;
use crate::printable::printable;
use crate::seal::Seals;
use crate::tags::{self, Tags};
use crate::time::Timestamp;

/// The index record of a VPC that has, or had, a mesh tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The VPC.
    pub vpc: VpcRef,
    /// Its associated CIDR blocks when it was last read.
    pub cidrs: CidrSet,
    /// Those of its IPv6 CIDR blocks that Amazon provided.
    #[serde(default, skip_serializing_if = "CidrSet::is_empty")]
    pub amazon_provided: CidrSet,
    /// The tags that determine its role in its meshes, `peerd:role` and `peerd:cidrs`, and its name.
    #[serde(default)]
    pub tags: Tags,
    /// The meshes that its tag names, and those that it left and whose resources may still have to be removed.
    pub meshes: BTreeSet<MeshName>,
    /// The meshes that it left.
    #[serde(default)]
    pub left_meshes: BTreeSet<MeshName>,
    /// When peerd first read that it requests the last of them, or when an event last reported so.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// When peerd first read that it requests each of the meshes, without interruption since then.
    #[serde(default)]
    pub joined_at: BTreeMap<MeshName, Timestamp>,
    /// The number of the last tag change that an event reported. An event with a lower number reports an older tag.
    #[serde(default)]
    pub tag_version: u64,
    /// Increases with every write, for optimistic locking: of two concurrent writers, one detects the conflict.
    #[serde(default)]
    pub version: u64,
}

impl Member {
    /// The meshes that it requested when it was last read.
    pub fn requested_meshes(&self) -> BTreeSet<MeshName> {
        &self.meshes - &self.left_meshes
    }

    /// The value of its tag `Name` when it was last read.
    pub fn name(&self) -> Option<String> {
        self.tags.get(tags::NAME).map(|name| printable(name))
    }

    /// When it began to request a mesh.
    pub fn joined_at(&self, mesh: &MeshName) -> Timestamp {
        self.joined_at.get(mesh).copied().unwrap_or(self.changed_at)
    }
}

/// How many peerings a run may delete without a confirmation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteApproval {
    /// As many as the delete limits of the policy allow.
    #[default]
    WithinLimits,
    /// As many as an operator has confirmed: those that a run reported as blocked.
    Confirmed {
        /// The number of peerings.
        deletes: usize,
    },
}

impl DeleteApproval {
    /// Whether an operator has confirmed so many deletes.
    pub fn confirms(self, deletes: usize) -> bool {
        matches!(self, Self::Confirmed { deletes: confirmed } if deletes <= confirmed)
    }
}

/// What a deployment knows of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The accounts whose VPCs may be members: those of the configuration, of the organizational units, and those that
    /// an operator registered.
    pub known: BTreeSet<AccountId>,
    /// The accounts that an operator blocked. They count as empty: what leads to them is removed, without delete limits.
    pub blocked: BTreeSet<AccountId>,
    /// Other accounts, one of whose VPCs requested a mesh.
    pub unknown: BTreeSet<AccountId>,
}

/// The desired state of one mesh, with as much of the other meshes as its pairs need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredState {
    /// The deployment that owns the resources: the value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// Its seals.
    pub seals: Seals,
    /// The name of the role that peerd assumes in each account, for remedies.
    pub role: String,
    /// The mesh of this run.
    pub mesh: MeshName,
    /// How many peerings of the mesh the run may delete.
    pub delete_approval: DeleteApproval,
    /// Every declared mesh. A mesh that is not declared connects no VPCs, but undeclaring one is no proof that its
    /// members left.
    pub declared: BTreeMap<MeshName, Policy>,
    /// The accounts whose VPCs may be members, and those whose VPCs may not.
    pub accounts: Accounts,
    /// The organizational units of these accounts.
    pub organization: Organization,
    /// The index, for VPCs in scopes that could not be read.
    pub indexed: BTreeMap<VpcRef, Member>,
}

impl DesiredState {
    /// When a VPC began to request a mesh. A VPC that is not indexed is the last.
    pub fn joined_at(&self, vpc: &VpcRef, mesh: &MeshName) -> Timestamp {
        self.indexed.get(vpc).map_or(u64::MAX, |member| member.joined_at(mesh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_round_trips_and_the_format_of_an_older_peerd_is_read() {
        let text = r#"{"vpc":{"scope":{"account":"111111111111","region":"us-east-1"},"id":"vpc-1"},
            "cidrs":["10.1.2.3/16"],"meshes":["prod","staging"]}"#;
        let member: Member = serde_json::from_str(text).unwrap();
        assert!(member.cidrs.has(&"10.1.0.0/16".parse().unwrap()));
        assert_eq!((member.requested_meshes(), member.version), (member.meshes.clone(), 0));
        let left = Member { left_meshes: ["prod".parse().unwrap()].into(), changed_at: 5, version: 7, ..member };
        assert_eq!(left.requested_meshes(), ["staging".parse().unwrap()].into());
        let written = serde_json::to_string(&left).unwrap();
        assert_eq!(serde_json::from_str::<Member>(&written).unwrap(), left);
    }
}
