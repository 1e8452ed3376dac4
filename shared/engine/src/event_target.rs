//! The resources that an event names. They narrow down what peerd reads, and never determine what it does.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::printable::printable;
use peerd_core::tags::{self, MeshTag};
use peerd_core::{Cause, PeeringId, RouteTableId, Scope, SecurityGroupId, Tags, Vpc, VpcRef};

/// The state of a VPC that an event reports. A read that contradicts it is stale, and peerd concludes nothing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedState {
    /// It changed in an unspecified way.
    Anything,
    /// It was created.
    Exists,
    /// It was deleted.
    Gone,
    /// Its tags changed.
    Tagged {
        /// Exactly the meshes that it requests.
        asks: MeshTag,
        /// Its tags that matter in its meshes ([`tags::of_member`]).
        tags: Tags,
        /// The number of the tag change, which increases with each
        /// (<https://docs.aws.amazon.com/tag-editor/latest/userguide/tag-monitor.html>).
        version: u64,
    },
}

impl ExpectedState {
    /// The number of the tag change that an allowed read includes; none if the event allows any read.
    pub fn tag_version(&self) -> Option<u64> {
        match self {
            Self::Anything => None,
            Self::Exists => Some(0),
            Self::Gone => Some(u64::MAX),
            Self::Tagged { version, .. } => Some(*version),
        }
    }

    /// Whether a read can be the state after the event.
    pub fn allows(&self, read: Option<&Vpc>) -> bool {
        match (self, read) {
            (Self::Anything, _) | (Self::Exists, Some(_)) | (Self::Gone, None) => true,
            (Self::Exists, None) | (Self::Gone, Some(_)) => false,
            (Self::Tagged { asks, tags, .. }, Some(vpc)) => {
                MeshTag::of(&vpc.tags) == *asks && tags::of_role(&vpc.tags) == *tags
            }
            // A VPC without a mesh may have been untagged because it is about to be deleted.
            (Self::Tagged { asks, .. }, None) => asks.meshes.is_empty(),
        }
    }
}

/// The resources that one event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTarget {
    /// VPCs to scan.
    pub vpcs: BTreeMap<VpcRef, ExpectedState>,
    /// Peerings whose meshes are affected, each with a scope in which it is visible.
    pub peerings: BTreeSet<(Scope, PeeringId)>,
    /// Route tables whose VPC's meshes are affected.
    pub tables: BTreeSet<(Scope, RouteTableId)>,
    /// Security groups whose VPC's meshes are affected.
    pub groups: BTreeSet<(Scope, SecurityGroupId)>,
    /// The API calls that the event reports.
    pub causes: BTreeSet<Cause>,
}

impl EventTarget {
    /// A target with one VPC.
    pub fn of_vpc(vpc: VpcRef, expect: ExpectedState) -> Self {
        Self { vpcs: BTreeMap::from([(vpc, expect)]), ..Self::default() }
    }

    /// A target with one peering.
    pub fn of_peering(scope: Scope, id: PeeringId) -> Self {
        Self { peerings: BTreeSet::from([(scope, id)]), ..Self::default() }
    }

    /// A target with one security group.
    pub fn of_group(scope: Scope, id: SecurityGroupId) -> Self {
        Self { groups: BTreeSet::from([(scope, id)]), ..Self::default() }
    }

    /// Adds the API call and its principal, for each resource of the target.
    pub fn caused(self, call: &str, by: &str) -> Self {
        let Self { vpcs, peerings, tables, groups, .. } = &self;
        let vpcs = vpcs.keys().map(|vpc| vpc.id.to_string());
        let peerings = peerings.iter().map(|(_, id)| id.to_string());
        let tables = tables.iter().map(|(_, id)| id.to_string());
        let on = vpcs.chain(peerings).chain(tables).chain(groups.iter().map(|(_, id)| id.to_string()));
        let by = printable(by);
        let causes = on.map(|on| Cause { call: call.to_owned(), on, by: by.clone() }).collect();
        Self { causes, ..self }
    }

    /// A target with one route table.
    pub fn of_table(scope: Scope, id: RouteTableId) -> Self {
        Self { tables: BTreeSet::from([(scope, id)]), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_version_follows_from_the_expected_state() {
        let tagged = ExpectedState::Tagged { asks: MeshTag::parse("prod"), tags: Tags::new(), version: 7 };
        let tag_version = [ExpectedState::Anything, ExpectedState::Exists, ExpectedState::Gone, tagged]
            .map(|expect| expect.tag_version());
        assert_eq!(tag_version, [None, Some(0), Some(u64::MAX), Some(7)]);
    }

    #[test]
    fn a_read_with_other_meshes_or_another_role_contradicts_the_event() {
        let read = |values: &[(&str, &str)]| Vpc {
            vpc_ref: VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap()),
            cidrs: peerd_core::CidrSet::default(),
            amazon_provided: peerd_core::CidrSet::default(),
            cidrs_changing: false,
            tags: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let hub = read(&[(tags::ENV, "prod"), (tags::ROLE, "hub"), ("team", "red")]);
        let expect = ExpectedState::Tagged { asks: MeshTag::parse("prod"), tags: tags::of_role(&hub.tags), version: 1 };
        assert!(expect.allows(Some(&hub)));
        assert!(!expect.allows(Some(&read(&[(tags::ENV, "prod")]))), "the role tag is not visible yet");
        assert!(!expect.allows(Some(&read(&[(tags::ROLE, "hub")]))));
        assert!(!expect.allows(None));
    }
}
