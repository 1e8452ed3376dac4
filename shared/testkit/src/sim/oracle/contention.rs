//! What peerd puts in place again and again, because somebody undoes it.

use std::collections::BTreeMap;

use peerd_core::cidr::IpNet;
use peerd_core::{PeeringStatus, Permission, RouteTableId, SecurityGroupId, VpcRef};

use super::model::Facts;
use super::safety::broken;
use super::{Oracle, Violation};
use crate::aws::{HOUR, MINUTE};
use crate::change_log::{Actor, Change, Entry};

/// The time over which is counted how often a thing was put in place.
const WINDOW: u64 = 2 * HOUR;
/// So often it is put in place at once.
const AT_ONCE: usize = 4;
/// The longest rest, and the time until the sweep after it.
const REST: u64 = 32 * MINUTE + 16 * MINUTE;
/// More often is no rest: four times at once, five with rests between them, and what two runs did at the same time.
const MOST: usize = 12;

/// When peerd put what in place.
#[derive(Debug, Default)]
pub struct Puts {
    times: BTreeMap<String, Vec<u64>>,
    /// The time.
    pub now: u64,
}

pub fn peering_of(a: &VpcRef, b: &VpcRef) -> String {
    format!("{} {}", a.min(b), a.max(b))
}

pub fn route(table: &RouteTableId, block: &IpNet) -> String {
    format!("{table} {block}")
}

pub fn rule(group: &SecurityGroupId, permission: &Permission) -> String {
    format!("{group} {permission}")
}

impl Puts {
    /// Takes note of what peerd put in place, and of what it took out itself.
    pub fn note(&mut self, facts: &Facts, Entry { at, by, deed }: &Entry) {
        self.now = *at;
        if !matches!(by, Actor::Worker(_)) {
            return;
        }
        let (thing, put) = match deed {
            Change::Peering { requester, accepter, .. } => (peering_of(requester, accepter), true),
            Change::Status { id, status: PeeringStatus::Deleting | PeeringStatus::Deleted } => {
                let Some(peering) = facts.peerings.get(id) else { return };
                (peering_of(&peering.requester, &peering.accepter), false)
            }
            Change::Route { table, block, was: _, now } => (route(table, block), now.is_some()),
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

    /// Whether a thing may be left as it is for now.
    pub fn rests(&self, thing: &str) -> bool {
        let times = self.times.get(thing).map(Vec::as_slice).unwrap_or_default();
        times.len() >= AT_ONCE && times.last().is_some_and(|last| self.now < last + REST)
    }

    /// Forgets everything, as peerd does when its table is lost.
    pub fn forget(&mut self) {
        self.times.clear();
    }

    fn most(&self) -> Option<(&String, usize)> {
        self.times.iter().map(|(thing, times)| (thing, times.len())).max_by_key(|(_, times)| *times)
    }
}

impl Oracle {
    /// Judges whether anything was put in place too often.
    pub(super) fn judge_contests(&self) -> Result<(), Violation> {
        match self.puts.most() {
            Some((thing, times)) if times > MOST => {
                let by = format!("{thing} was put in place {times} times within two hours");
                broken("what is undone again and again is put back less and less often", by)
            }
            _ => Ok(()),
        }
    }
}
