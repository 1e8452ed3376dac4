//! What is wanted: the declared meshes, and what the membership index remembers of their members.
//!
//! The index only fills in for scopes that cannot be read; where a scope answered, the VPC's own tag decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cidr::CidrSet;
use crate::ids::{AccountId, Deployment, MeshName, VpcRef};
use crate::organization::Organization;
use crate::policy::Policy;
use crate::tags::Tags;

/// What the index remembers of a VPC that wears a mesh tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The VPC.
    pub vpc: VpcRef,
    /// Its associated blocks when it was last read.
    pub cidrs: CidrSet,
    /// Of its tags, those that say what it is in its meshes: `peerd:role` and `peerd:cidrs`.
    #[serde(default)]
    pub tags: Tags,
    /// The meshes that its tag names, and those that it left and that may still have to be cleaned up after.
    pub meshes: BTreeSet<MeshName>,
    /// The ones that it left.
    #[serde(default)]
    pub left: BTreeSet<MeshName>,
    /// When it was first seen to ask for the last of them, or last told to by an event, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub since: u64,
    /// When it was first seen to ask for each of the meshes, and has asked since, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub joined: BTreeMap<MeshName, u64>,
    /// The number of the last tag change of which an event told: an older event told of an older tag.
    #[serde(default)]
    pub tag_version: u64,
    /// Grows with every write, so that of two workers who write at once one notifications.
    #[serde(default)]
    pub version: u64,
}

impl Member {
    /// The meshes that it asked for when it was last read.
    pub fn requested_meshes(&self) -> BTreeSet<MeshName> {
        &self.meshes - &self.left
    }

    /// Since when it asks for a mesh, in milliseconds since the Unix epoch.
    pub fn joined(&self, mesh: &MeshName) -> u64 {
        self.joined.get(mesh).copied().unwrap_or(self.since)
    }
}

/// How much a run may take away without a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteApproval {
    /// As much as the policy lets go.
    #[default]
    WithinLimits,
    /// All: an operator has confirmed it.
    Confirmed,
}

/// What is wanted of one mesh, with as much of the other meshes as its pairs need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredState {
    /// Who manages: the value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// The name of the role that is assumed in each account, for remedies.
    pub role: String,
    /// The mesh that this run is about.
    pub mesh: MeshName,
    /// How much of the mesh it may take away.
    pub delete_approval: DeleteApproval,
    /// Every declared mesh. A mesh that is not declared connects nobody, but undeclaring one is no proof that its
    /// members left.
    pub declared: BTreeMap<MeshName, Policy>,
    /// The accounts that the deployment knows.
    pub accounts: BTreeSet<AccountId>,
    /// Which of them are in which organisational units.
    pub organization: Organization,
    /// The index: consulted for VPCs in scopes that did not answer.
    pub indexed: BTreeMap<VpcRef, Member>,
}

impl DesiredState {
    /// Since when a VPC asks for a mesh, in milliseconds since the Unix epoch; one that the index does not know yet is the last.
    pub fn joined(&self, vpc: &VpcRef, mesh: &MeshName) -> u64 {
        self.indexed.get(vpc).map_or(u64::MAX, |member| member.joined(mesh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_reads_back_as_it_was_written_and_one_of_an_older_peerd_too() {
        let text = r#"{"vpc":{"scope":{"account":"111111111111","region":"us-east-1"},"id":"vpc-1"},
            "cidrs":["10.1.2.3/16"],"meshes":["prod","staging"]}"#;
        let member: Member = serde_json::from_str(text).unwrap();
        assert!(member.cidrs.has(&"10.1.0.0/16".parse().unwrap()));
        assert_eq!((member.requested_meshes(), member.version), (member.meshes.clone(), 0));
        let left = Member { left: ["prod".parse().unwrap()].into(), since: 5, version: 7, ..member };
        assert_eq!(left.requested_meshes(), ["staging".parse().unwrap()].into());
        let written = serde_json::to_string(&left).unwrap();
        assert_eq!(serde_json::from_str::<Member>(&written).unwrap(), left);
    }
}
