//! A model of the simulated AWS with its history, built from the change log, and what it says of two VPCs.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{PeeringId, Permission, RouteTableId, SecurityGroupId, VpcRef};

use super::expected_state::{self, End, Policies};
use super::model::{Group, Peering, Table, Timeline, Vpc, share_addresses};
use crate::aws::GroupRule;

/// The current state of the simulated AWS, and the history of VPCs and peerings.
#[derive(Debug)]
pub struct Facts {
    pub policies: Timeline<Policies>,
    pub vpcs: BTreeMap<VpcRef, Timeline<Option<Vpc>>>,
    pub tables: BTreeMap<RouteTableId, Table>,
    /// Deleted tables, and the times of their deletion.
    pub deleted_tables: Vec<(Table, u64)>,
    pub peerings: BTreeMap<PeeringId, Peering>,
    pub groups: BTreeMap<SecurityGroupId, Group>,
    /// Whether VPCs have both DNS attributes. A VPC without an entry does not: CreateVpc does not enable host names.
    pub names: BTreeMap<VpcRef, Timeline<bool>>,
    /// What peerd wrote as the seal of each pair.
    pub seals: BTreeMap<[VpcRef; 2], BTreeSet<String>>,
    /// What peerd wrote as the description of a rule, for each group and permission.
    pub descriptions: BTreeMap<(SecurityGroupId, Permission), BTreeSet<String>>,
    /// Peerings that were dead while a policy released them.
    pub given_up: BTreeSet<PeeringId>,
}

impl Facts {
    pub fn new(policies: Policies) -> Self {
        let (vpcs, tables, deleted_tables, peerings, groups, names) = Default::default();
        let (seals, descriptions, given_up) = Default::default();
        let policies = Timeline::new(0, policies);
        Self { policies, vpcs, tables, deleted_tables, peerings, groups, names, seals, descriptions, given_up }
    }

    pub fn vpc(&self, vpc: &VpcRef) -> Option<&Vpc> {
        self.vpcs.get(vpc)?.now().as_ref()
    }

    /// Returns the existing VPCs.
    pub fn existing(&self) -> Vec<&VpcRef> {
        self.vpcs.iter().filter(|(_, past)| past.now().is_some()).map(|(vpc, _)| vpc).collect()
    }

    pub fn peerings_of<'a>(
        &'a self,
        a: &'a VpcRef,
        b: &'a VpcRef,
    ) -> impl Iterator<Item = (&'a PeeringId, &'a Peering)> {
        self.peerings.iter().filter(move |(_, peering)| peering.connects(a, b))
    }

    /// Returns a VPC in its current state.
    pub fn end<'a>(&'a self, vpc: &'a VpcRef) -> End<'a> {
        End { vpc_ref: vpc, seen: self.vpc(vpc) }
    }

    /// Returns the meshes that connect two VPCs in their current states.
    pub fn connecting(&self, a: &VpcRef, b: &VpcRef) -> BTreeSet<String> {
        expected_state::connecting(self.policies.now(), self.end(a), self.end(b))
    }

    /// Whether peerd may change a peering: it has a seal, and no policy releases it.
    pub fn is_ours(&self, id: &PeeringId, peering: &Peering) -> bool {
        peering.is_managed() && !self.is_released(id)
    }

    /// Whether peerd made a rule: it has the description that peerd writes for its group and permission.
    pub fn is_sealed(&self, group: &SecurityGroupId, rule: &GroupRule) -> bool {
        let known = self.descriptions.get(&(group.clone(), rule.permission.clone()));
        known.is_some_and(|known| known.contains(&rule.description))
    }

    /// Whether a policy releases a peering.
    pub fn is_released(&self, id: &PeeringId) -> bool {
        self.policies.now().values().any(|policy| policy.release.contains(id))
    }

    /// Whether the account of a VPC was removed at some time from `from` on.
    pub fn was_gone(&self, vpc: &VpcRef, from: u64) -> bool {
        self.policies.since(from).any(|policies| policies.removed_accounts.contains(&vpc.scope.account))
    }

    /// Whether the policies of a peering's meshes excluded the account of a VPC at some time from `from` on: then peerd does not
    /// wait for the VPC's routes.
    pub fn was_excluded(&self, vpc: &VpcRef, peering: &Peering, from: u64) -> bool {
        let meshes = peering.meshes();
        // Names that no one declared, such as those of a flood, exclude no one and protect nothing.
        let excludes = |policies: &Policies| {
            let mut declared = meshes.iter().filter(|mesh| policies.contains_key(*mesh)).peekable();
            declared.peek().is_some() && declared.all(|mesh| expected_state::excludes_account(policies, mesh, vpc))
        };
        self.policies.since(from).any(excludes)
    }

    /// Whether a VPC had both DNS attributes at some time from `from` on.
    pub fn had_names(&self, vpc: &VpcRef, from: u64) -> bool {
        self.names.get(vpc).is_some_and(|past| past.since(from).any(|has| *has))
    }

    /// Whether a VPC has both DNS attributes.
    pub fn has_names(&self, vpc: &VpcRef) -> bool {
        self.names.get(vpc).is_some_and(|past| *past.now())
    }

    /// Whether a mesh connected two VPCs at a time.
    pub fn were_connected(&self, a: &VpcRef, b: &VpcRef, time: u64) -> bool {
        let seen = |vpc| {
            let past: Option<&Timeline<Option<Vpc>>> = self.vpcs.get(vpc);
            past.and_then(|past| past.at(time)).and_then(Option::as_ref)
        };
        let policies = self.policies.at(time).unwrap_or(self.policies.now());
        !expected_state::connecting(policies, End { vpc_ref: a, seen: seen(a) }, End { vpc_ref: b, seen: seen(b) })
            .is_empty()
    }

    /// Whether CIDR blocks of two VPCs overlap.
    pub fn overlap(a: End<'_>, b: End<'_>) -> bool {
        let cidrs = |end: End<'_>| end.seen.map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
        let theirs = cidrs(b);
        cidrs(a).iter().any(|mine| theirs.iter().any(|theirs| share_addresses(mine, theirs)))
    }

    /// Whether a condition held for some combination of policies and states of two VPCs from `from` on. A separate call
    /// reads each of them, so the states need not be from the same time.
    pub fn sometime(
        &self,
        a: &VpcRef,
        b: &VpcRef,
        from: u64,
        held: impl Fn(&Policies, End<'_>, End<'_>) -> bool,
    ) -> bool {
        let states = |vpc| {
            let past: Option<&Timeline<Option<Vpc>>> = self.vpcs.get(vpc);
            // The VPC did not exist before its creation.
            let absent = past.is_none_or(|past| past.at(from).is_none()).then_some(None);
            let present = past.into_iter().flat_map(move |past| past.since(from).map(Option::as_ref));
            absent.into_iter().chain(present).collect::<Vec<_>>()
        };
        let theirs = states(b);
        let hold = |policies: &Policies, mine: Option<&Vpc>, theirs: Option<&Vpc>| {
            held(policies, End { vpc_ref: a, seen: mine }, End { vpc_ref: b, seen: theirs })
        };
        let ours = states(a);
        self.policies
            .since(from)
            .any(|policies| ours.iter().any(|mine| theirs.iter().any(|theirs| hold(policies, *mine, *theirs))))
    }
}
