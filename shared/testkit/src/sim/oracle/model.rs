//! The things of the simulated AWS with their history: slow and simple, without code of peerd.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::cidr::IpNet;
use peerd_core::{PeeringStatus, Permission, RouteTarget, Scope, SecurityGroupRuleId, Tags, VpcRef};

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

pub fn share_addresses(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
