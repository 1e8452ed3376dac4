//! Contention: resources that peerd creates again and again because another principal reverts them.

use std::collections::BTreeMap;

use peerd_core::cidr::IpNet;
use peerd_core::{PeeringStatus, Permission, RouteTableId, SecurityGroupId, VpcRef};

use super::Oracle;
use super::facts::Facts;
use super::violation::{Violation, violation};
use crate::aws::{HOUR, MINUTE};
use crate::change_log::{Actor, Change, Entry};

/// The time window over which creations of a resource are counted.
const WINDOW: u64 = 2 * HOUR;
/// The number of creations without back-off.
const FREE_ATTEMPTS: usize = 4;
/// The longest back-off, and the time until the next sweep.
const REST: u64 = 32 * MINUTE + 16 * MINUTE;
/// The maximum number of creations in the window: four without back-off, five with back-off between them, and those
/// that two runs made at the same time.
const MOST: usize = 12;

/// The times at which peerd created each resource.
#[derive(Debug, Default)]
pub struct CreationCounts {
    times: BTreeMap<String, Vec<u64>>,
    /// The virtual time.
    pub now: u64,
}

pub fn peering_of(a: &VpcRef, b: &VpcRef) -> String {
    format!("{} {}", a.min(b), a.max(b))
}

pub fn route(table: &RouteTableId, cidr: &IpNet) -> String {
    format!("{table} {cidr}")
}

pub fn rule(group: &SecurityGroupId, permission: &Permission) -> String {
    format!("{group} {permission}")
}

impl CreationCounts {
    /// Records the creations of peerd, and removes a resource that peerd itself deleted.
    pub fn note(&mut self, facts: &Facts, Entry { at, by, change }: &Entry) {
        self.now = *at;
        if !matches!(by, Actor::Worker(_)) {
            return;
        }
        let (thing, put) = match change {
            Change::Peering { requester, accepter, .. } => (peering_of(requester, accepter), true),
            Change::Status { id, status: PeeringStatus::Deleting | PeeringStatus::Deleted } => {
                let Some(peering) = facts.peerings.get(id) else { return };
                (peering_of(&peering.requester, &peering.accepter), false)
            }
            Change::Route { table, cidr, was: _, now } => (route(table, cidr), now.is_some()),
            Change::Rule { group, rule: _, was: None, now: Some(now) } => (rule(group, &now.permission), true),
            Change::Rule { group, rule: _, was: Some(was), now: None } => (rule(group, &was.permission), false),
            _ => return,
        };
        let times = self.times.entry(thing).or_default();
        times.retain(|time| put && time + WINDOW > *at);
        if put {
            times.push(*at);
        }
    }

    /// Whether peerd may be backing off from a resource now.
    pub fn rests(&self, thing: &str) -> bool {
        let times = self.times.get(thing).map(Vec::as_slice).unwrap_or_default();
        times.len() >= FREE_ATTEMPTS && times.last().is_some_and(|last| self.now < last + REST)
    }

    /// Deletes all records, as the loss of the table does.
    pub fn prune(&mut self) {
        self.times.clear();
    }

    fn most(&self) -> Option<(&String, usize)> {
        self.times.iter().map(|(thing, times)| (thing, times.len())).max_by_key(|(_, times)| *times)
    }
}

impl Oracle {
    /// Checks that no resource was created too often.
    pub(super) fn judge_contests(&self) -> Result<(), Violation> {
        match self.creations.most() {
            Some((thing, times)) if times > MOST => {
                let by = format!("{thing} was created {times} times within two hours");
                violation("peerd backs off from what is reverted repeatedly", by)
            }
            _ => Ok(()),
        }
    }
}
