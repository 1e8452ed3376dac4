//! The world as the ledger tells it, with its past: slow and obvious, and without a line of peerd's own.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::cidr::IpNet;
use peerd_core::{PeeringId, PeeringStatus, RouteTableId, RouteTarget, Scope, Tags, VpcRef};

/// A value and all that it ever was.
#[derive(Debug, Clone)]
pub struct Past<T>(Vec<(u64, T)>);

impl<T> Past<T> {
    pub fn new(at: u64, value: T) -> Self {
        Self(vec![(at, value)])
    }

    pub fn set(&mut self, at: u64, value: T) {
        self.0.push((at, value));
    }

    pub fn now(&self) -> &T {
        &self.0[self.0.len() - 1].1
    }

    /// Every value that held at some time from `from` on; before the first there was none.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &T> {
        let held = self.0.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        self.0[held..].iter().map(|(_, value)| value)
    }

    pub fn at(&self, time: u64) -> Option<&T> {
        self.0.iter().rev().find(|(at, _)| *at <= time).map(|(_, value)| value)
    }
}

/// A VPC while it exists.
#[derive(Debug, Clone)]
pub struct Vpc {
    pub blocks: Vec<IpNet>,
    pub tags: Tags,
}

impl Vpc {
    /// The words of `peerd:env`.
    pub fn asks_for(&self) -> BTreeSet<String> {
        let value = self.tags.get("peerd:env").map_or("", String::as_str);
        value.split([' ', ',', '+', '/', ':', ';']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
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
    pub status: Past<PeeringStatus>,
    pub tags: BTreeMap<Scope, Past<Tags>>,
    pub managed: Past<bool>,
}

impl Peering {
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

    /// The words of `peerd:env` on any side.
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
    pub of_gateway: bool,
    pub routes: BTreeMap<IpNet, Route>,
}

#[derive(Debug, Clone)]
pub struct Route {
    pub target: RouteTarget,
    pub since: u64,
}

/// All that there is, and what the VPCs and peerings were.
#[derive(Debug, Default)]
pub struct Facts {
    pub vpcs: BTreeMap<VpcRef, Past<Option<Vpc>>>,
    pub tables: BTreeMap<RouteTableId, Table>,
    pub peerings: BTreeMap<PeeringId, Peering>,
}

impl Facts {
    pub fn vpc(&self, vpc: &VpcRef) -> Option<&Vpc> {
        self.vpcs.get(vpc)?.now().as_ref()
    }

    /// The VPCs that exist.
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

    /// The declared meshes that two VPCs share in these states.
    pub fn shared(a: Option<&Vpc>, b: Option<&Vpc>, declared: &BTreeSet<String>) -> BTreeSet<String> {
        let asked = |vpc: Option<&Vpc>| vpc.map(Vpc::asks_for).unwrap_or_default();
        let shared = &asked(a) & &asked(b);
        &shared & declared
    }

    /// Whether blocks of two VPCs share addresses.
    pub fn overlap(a: Option<&Vpc>, b: Option<&Vpc>) -> bool {
        let blocks = |vpc: Option<&Vpc>| vpc.map(|vpc| vpc.blocks.clone()).unwrap_or_default();
        let theirs = blocks(b);
        blocks(a).iter().any(|mine| theirs.iter().any(|theirs| share_addresses(mine, theirs)))
    }

    /// Whether something held of two VPCs in states that each of them had at some time from `from` on. Each was read by a
    /// call of its own, so the two states need not have been at the same time.
    pub fn sometime(
        &self,
        a: &VpcRef,
        b: &VpcRef,
        from: u64,
        held: impl Fn(Option<&Vpc>, Option<&Vpc>) -> bool,
    ) -> bool {
        let states = |vpc| {
            let past: Option<&Past<Option<Vpc>>> = self.vpcs.get(vpc);
            // Before it was made there was no VPC.
            let absent = past.is_none_or(|past| past.at(from).is_none()).then_some(None);
            let present = past.into_iter().flat_map(move |past| past.since(from).map(Option::as_ref));
            absent.into_iter().chain(present).collect::<Vec<_>>()
        };
        let theirs = states(b);
        states(a).into_iter().any(|mine| theirs.iter().any(|theirs| held(mine, *theirs)))
    }
}

pub fn share_addresses(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
