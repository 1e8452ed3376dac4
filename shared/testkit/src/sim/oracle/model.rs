//! A model of the simulated AWS with its history, built from the change log: slow and simple, without code of peerd.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::cidr::IpNet;
use peerd_core::{
    PeeringId, PeeringStatus, Permission, RouteTableId, RouteTarget, Scope, SecurityGroupId, SecurityGroupRuleId, Tags,
    VpcRef,
};

use super::expected_state::{self, End, Policies};
use crate::aws::GroupRule;
use crate::change_log::Actor;

/// A value with all its earlier values.
#[derive(Debug, Clone)]
pub struct Timeline<T>(Vec<(u64, T)>);

impl<T> Timeline<T> {
    pub fn new(at: u64, value: T) -> Self {
        Self(vec![(at, value)])
    }

    pub fn set(&mut self, at: u64, value: T) {
        self.0.push((at, value));
    }

    pub fn now(&self) -> &T {
        &self.0[self.0.len() - 1].1
    }

    /// Returns every value that was current at some time from `from` on; before the first one there was no value.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &T> {
        let held = self.0.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        self.0[held..].iter().map(|(_, value)| value)
    }

    pub fn at(&self, time: u64) -> Option<&T> {
        self.0.iter().rev().find(|(at, _)| *at <= time).map(|(_, value)| value)
    }
}

/// Returns the words of a tag with mesh names.
pub fn words<'a>(tags: &'a Tags, key: &str) -> impl Iterator<Item = &'a str> {
    let value = tags.get(key).map_or("", String::as_str);
    value.split([' ', ',', '+', '/', ':', ';']).filter(|word| !word.is_empty())
}

/// Whether a rule has the ownership tag of peerd.
pub fn has_ownership_tag(tags: &Tags) -> bool {
    tags.get("peerd:managed-by").is_some_and(|by| by == "peerd")
}

/// An existing VPC.
#[derive(Debug, Clone)]
pub struct Vpc {
    pub cidrs: Vec<IpNet>,
    pub tags: Tags,
}

impl Vpc {
    /// Returns the requested meshes, the words of `peerd:env`.
    pub fn requested_meshes(&self) -> BTreeSet<String> {
        words(&self.tags, "peerd:env").map(str::to_owned).collect()
    }

    pub fn status(&self) -> Option<&String> {
        self.tags.get("peerd:status")
    }
}

#[derive(Debug, Clone)]
pub struct Peering {
    pub requester: VpcRef,
    pub accepter: VpcRef,
    pub made_at: u64,
    pub made_by_peerd: bool,
    pub status: Timeline<PeeringStatus>,
    pub tags: BTreeMap<Scope, Timeline<Tags>>,
    pub managed: Timeline<bool>,
    /// Whether the DNS option of an end is on; off by default.
    pub dns: BTreeMap<VpcRef, bool>,
}

impl Peering {
    /// Returns its VPCs in order.
    pub fn pair(&self) -> [VpcRef; 2] {
        let [mut first, mut second] = [self.requester.clone(), self.accepter.clone()];
        if second < first {
            std::mem::swap(&mut first, &mut second);
        }
        [first, second]
    }

    pub fn is_live(&self) -> bool {
        is_live(self.status.now())
    }

    pub fn was_active(&self) -> bool {
        self.status.since(0).any(|status| *status == PeeringStatus::Active)
    }

    pub fn is_managed(&self) -> bool {
        *self.managed.now()
    }

    pub fn connects(&self, a: &VpcRef, b: &VpcRef) -> bool {
        (&self.requester, &self.accepter) == (a, b) || (&self.requester, &self.accepter) == (b, a)
    }

    pub fn peer_of(&self, vpc: &VpcRef) -> Option<&VpcRef> {
        match vpc {
            _ if *vpc == self.requester => Some(&self.accepter),
            _ if *vpc == self.accepter => Some(&self.requester),
            _ => None,
        }
    }

    /// Returns the meshes in `peerd:env` on any side.
    pub fn meshes(&self) -> BTreeSet<String> {
        let values = self.tags.values().filter_map(|tags| tags.now().get("peerd:env"));
        values.flat_map(|value| value.split('+')).map(str::to_owned).collect()
    }
}

pub fn is_live(status: &PeeringStatus) -> bool {
    use PeeringStatus::{Active, InitiatingRequest, PendingAcceptance, Provisioning};
    matches!(status, InitiatingRequest | PendingAcceptance | Provisioning | Active)
}

#[derive(Debug, Clone)]
pub struct Table {
    pub vpc: VpcRef,
    pub is_edge_associated: bool,
    pub main: bool,
    pub tags: Timeline<Tags>,
    pub routes: BTreeMap<IpNet, Route>,
    /// Routes that were deleted or replaced.
    pub deleted_routes: Vec<DeletedRoute>,
    /// CIDR blocks that a prefix list routes elsewhere, and since when.
    pub listed: BTreeMap<IpNet, u64>,
    /// CIDR blocks to which a gateway propagates a route, and since when.
    pub propagated: BTreeMap<IpNet, u64>,
}

impl Table {
    /// Since when a prefix list or a gateway routes a CIDR block, which a static route would override.
    pub fn taken_since(&self, cidr: &IpNet) -> Option<u64> {
        [&self.listed, &self.propagated].into_iter().filter_map(|of| of.get(cidr)).min().copied()
    }
}

#[derive(Debug, Clone)]
pub struct Route {
    pub target: RouteTarget,
    pub since: u64,
}

#[derive(Debug, Clone)]
pub struct DeletedRoute {
    pub cidr: IpNet,
    pub target: RouteTarget,
    pub until: u64,
    /// The principal that deleted or replaced it.
    pub by: Actor,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub vpc: VpcRef,
    pub tags: Timeline<Tags>,
    pub rules: BTreeMap<SecurityGroupRuleId, GroupRule>,
    /// Deleted rules, and the times of their deletion.
    pub deleted_rules: Vec<(Permission, u64)>,
    /// The time when a user last changed a rule.
    pub changed_by_user: BTreeMap<SecurityGroupRuleId, u64>,
}

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

pub fn share_addresses(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
