//! What an event points at. It narrows where to look, and never says what to do.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::tags::{self, MeshTag};
use peerd_core::{Cause, PeeringId, RouteTableId, Scope, SecurityGroupId, Tags, Vpc, VpcRef};

/// What an event says of a VPC. A read that contradicts it is stale: nothing is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedState {
    /// It changed somehow.
    Anything,
    /// It was made.
    Exists,
    /// It was deleted.
    Gone,
    /// It was tagged.
    Tagged {
        /// It asks for exactly these meshes.
        asks: MeshTag,
        /// What it says of itself besides ([`tags::of_member`]).
        tags: Tags,
        /// The number of the tag change, which rises with each
        /// (<https://docs.aws.amazon.com/tag-editor/latest/userguide/tag-monitor.html>).
        version: u64,
    },
}

impl ExpectedState {
    /// The tag change after which a read that the event allows must have been made; nothing if it allows any.
    pub fn told(&self) -> Option<u64> {
        match self {
            Self::Anything => None,
            Self::Exists => Some(0),
            Self::Gone => Some(u64::MAX),
            Self::Tagged { version, .. } => Some(*version),
        }
    }

    /// Whether what was read can be the state after the event.
    pub fn allows(&self, read: Option<&Vpc>) -> bool {
        match (self, read) {
            (Self::Anything, _) | (Self::Exists, Some(_)) | (Self::Gone, None) => true,
            (Self::Exists, None) | (Self::Gone, Some(_)) => false,
            (Self::Tagged { asks, tags, .. }, Some(vpc)) => {
                MeshTag::of(&vpc.tags) == *asks && tags::of_member(&vpc.tags) == *tags
            }
            // A VPC without a mesh may have been untagged because it is about to be deleted.
            (Self::Tagged { asks, .. }, None) => asks.meshes.is_empty(),
        }
    }
}

/// The things that one event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTarget {
    /// VPCs to survey.
    pub vpcs: BTreeMap<VpcRef, ExpectedState>,
    /// Peerings whose meshes are concerned, as seen from a scope.
    pub peerings: BTreeSet<(Scope, PeeringId)>,
    /// Route tables whose VPC's meshes are concerned.
    pub tables: BTreeSet<(Scope, RouteTableId)>,
    /// Security groups whose VPC's meshes are concerned.
    pub groups: BTreeSet<(Scope, SecurityGroupId)>,
    /// The calls of which the event tells.
    pub causes: BTreeSet<Cause>,
}

impl EventTarget {
    /// One VPC.
    pub fn of_vpc(vpc: VpcRef, expect: ExpectedState) -> Self {
        Self { vpcs: BTreeMap::from([(vpc, expect)]), ..Self::default() }
    }

    /// One peering.
    pub fn of_peering(scope: Scope, id: PeeringId) -> Self {
        Self { peerings: BTreeSet::from([(scope, id)]), ..Self::default() }
    }

    /// One security group.
    pub fn of_group(scope: Scope, id: SecurityGroupId) -> Self {
        Self { groups: BTreeSet::from([(scope, id)]), ..Self::default() }
    }

    /// The same, with who did what to the one thing that it is about.
    pub fn caused(self, call: &str, by: &str) -> Self {
        let Self { vpcs, peerings, tables, groups, .. } = &self;
        let vpcs = vpcs.keys().map(|vpc| vpc.id.to_string());
        let peerings = peerings.iter().map(|(_, id)| id.to_string());
        let tables = tables.iter().map(|(_, id)| id.to_string());
        let on = vpcs.chain(peerings).chain(tables).chain(groups.iter().map(|(_, id)| id.to_string()));
        let causes = on.map(|on| Cause { call: call.to_owned(), on, by: by.to_owned() }).collect();
        Self { causes, ..self }
    }

    /// One route table.
    pub fn of_table(scope: Scope, id: RouteTableId) -> Self {
        Self { tables: BTreeSet::from([(scope, id)]), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_after_which_tag_change_a_read_was_made_that_it_allows() {
        let tagged = ExpectedState::Tagged { asks: MeshTag::parse("prod"), tags: Tags::new(), version: 7 };
        let told =
            [ExpectedState::Anything, ExpectedState::Exists, ExpectedState::Gone, tagged].map(|expect| expect.told());
        assert_eq!(told, [None, Some(0), Some(u64::MAX), Some(7)]);
    }

    #[test]
    fn a_read_with_other_meshes_or_another_role_contradicts_the_event() {
        let read = |values: &[(&str, &str)]| Vpc {
            at: VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap()),
            cidrs: peerd_core::CidrSet::default(),
            settling: false,
            tags: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let hub = read(&[(tags::ENV, "prod"), (tags::ROLE, "hub"), ("team", "red")]);
        let expect =
            ExpectedState::Tagged { asks: MeshTag::parse("prod"), tags: tags::of_member(&hub.tags), version: 1 };
        assert!(expect.allows(Some(&hub)));
        assert!(!expect.allows(Some(&read(&[(tags::ENV, "prod")]))), "the role is not seen yet");
        assert!(!expect.allows(Some(&read(&[(tags::ROLE, "hub")]))));
        assert!(!expect.allows(None));
    }
}
