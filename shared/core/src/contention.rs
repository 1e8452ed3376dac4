//! Contention: resources that peerd creates and another principal reverts, again and again. peerd detects it in the run
//! history, and creates the resources again at growing intervals.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::cidr::IpNet;
use crate::ids::{Pair, PeeringId, RouteTableId, Scope, SecurityGroupId, VpcRef};
use crate::permission::Permission;
use crate::run_history::{Cause, RunChanges, RunHistory};
use crate::time::Timestamp;

/// How long the run history keeps that a resource was created, in milliseconds.
pub const WINDOW: u64 = 2 * 60 * MINUTE;
const MINUTE: u64 = 60_000;
/// How often peerd creates a resource without a back-off: once, and three times again.
const FREE_ATTEMPTS: usize = 4;
/// Creations within this time, in milliseconds, count as one: concurrent runs have read the state before each other's
/// changes.
const CONCURRENT_MS: u64 = 20_000;
/// The first back-off, in milliseconds. It doubles with every further creation.
const FIRST_BACKOFF: u64 = 4 * MINUTE;
/// The longest back-off, in milliseconds. Even in a long contention peerd creates the resource now and then, and so
/// detects the end of the contention.
const MAX_BACKOFF: u64 = 32 * MINUTE;

/// A resource that stays as peerd created it, unless another principal reverts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagedResource {
    /// The peering of a pair, whatever its id.
    Peering(Pair),
    /// The tags of one side of a peering.
    Tags(PeeringId, Scope),
    /// The DNS option of one end of a peering.
    Dns(PeeringId, VpcRef),
    /// The route to a CIDR block in a table.
    Route(RouteTableId, IpNet),
    /// A permission of a security group.
    Rule(SecurityGroupId, Permission),
    /// The value of the tag `peerd:status` of a VPC; empty if it has none.
    Status(VpcRef, String),
}

impl ManagedResource {
    /// The resource that an action creates or sets; `None` for other actions.
    pub fn created_by(action: &Action) -> Option<Self> {
        match action {
            Action::CreatePeering { pair, .. } => Some(Self::Peering(pair.clone())),
            Action::TagPeering { peering, scope, .. } => Some(Self::Tags(peering.clone(), scope.clone())),
            Action::SetDns { peering, vpc, .. } => Some(Self::Dns(peering.clone(), vpc.clone())),
            Action::AddRoute { table, destination, .. } | Action::ReplaceRoute { table, destination, .. } => {
                Some(Self::Route(table.clone(), *destination))
            }
            Action::AuthorizeIngress { group, permission, .. } => Some(Self::Rule(group.clone(), permission.clone())),
            Action::SetStatus { vpc, line } => Some(Self::Status(vpc.clone(), line.clone().unwrap_or_default())),
            Action::AcceptPeering { .. }
            | Action::ReleasePeering { .. }
            | Action::RemoveRoute { .. }
            | Action::DeletePeering { .. }
            | Action::TagIngress { .. }
            | Action::RevokeIngress { .. } => None,
        }
    }

    /// The resource that an action removes. What peerd itself removes is no contention.
    pub fn removed_by(action: &Action) -> Option<Self> {
        match action {
            Action::DeletePeering { pair, .. } => Some(Self::Peering(pair.clone())),
            Action::RemoveRoute { table, destination, .. } => Some(Self::Route(table.clone(), *destination)),
            Action::RevokeIngress { group, permission, .. } => Some(Self::Rule(group.clone(), permission.clone())),
            _ => None,
        }
    }

    /// Whether a resource with this name takes the place of this one: another value of the same tag.
    fn is_replaced_by(&self, name: &str) -> bool {
        match self {
            Self::Status(vpc, _) => name.starts_with(&status_of(vpc)) && name != self.to_string(),
            _ => false,
        }
    }

    /// Whether a call reverts the resource.
    pub fn is_reverted_by(&self, cause: &Cause) -> bool {
        let Cause { call, on, by: _ } = cause;
        match self {
            Self::Peering(_) => ["DeleteVpcPeeringConnection", "RejectVpcPeeringConnection"].contains(&&**call),
            Self::Tags(..) => false, // no event reports it
            Self::Dns(peering, _) => call == "ModifyVpcPeeringConnectionOptions" && on == peering.as_str(),
            Self::Route(table, _) => ["DeleteRoute", "ReplaceRoute"].contains(&&**call) && on == table.as_str(),
            Self::Rule(group, _) => {
                let calls = ["RevokeSecurityGroupIngress", "ModifySecurityGroupRules"];
                calls.contains(&&**call) && on == group.as_str()
            }
            Self::Status(vpc, _) => ["CreateTags", "DeleteTags"].contains(&&**call) && on == vpc.id.as_str(),
        }
    }
}

impl fmt::Display for ManagedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peering(pair) => write!(f, "peering of {pair}"),
            Self::Tags(peering, scope) => write!(f, "tags of {peering} in {scope}"),
            Self::Dns(peering, vpc) => write!(f, "dns of {vpc} over {peering}"),
            Self::Route(table, cidr) => write!(f, "route to {cidr} in {table}"),
            Self::Rule(group, permission) => write!(f, "{permission} into {group}"),
            Self::Status(vpc, line) => write!(f, "{}{}", status_of(vpc), digest(line)),
        }
    }
}

/// The first 8 hex digits of the SHA-256 digest: the run history stores a thousand names in one item, and a status can have 256 characters.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn status_of(vpc: &VpcRef) -> String {
    format!("status of {vpc}: ")
}

/// A resource that peerd does not create again until its back-off ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contention {
    /// How often peerd created it within the window.
    pub times: usize,
    /// The principal that reverted it last, if an event reported one.
    pub reverted_by: Option<String>,
    /// When the back-off ends.
    pub until: Timestamp,
}

impl RunHistory {
    /// The contention about a resource; `None` if peerd may create it now.
    pub fn contention(&self, resource: &ManagedResource) -> Option<Contention> {
        let name = resource.to_string();
        let mut times: Vec<Timestamp> = Vec::new();
        let mut reverted_by = None;
        for RunChanges { at, created, removed, causes } in self.runs.iter().filter(|run| run.at + WINDOW > self.now) {
            if removed.contains(&name) || created.iter().any(|other| resource.is_replaced_by(other)) {
                times.clear();
            }
            if created.contains(&name) {
                if times.last().is_none_or(|last| last + CONCURRENT_MS <= *at) {
                    times.push(*at);
                }
                let cause_of = causes.iter().find(|cause| resource.is_reverted_by(cause));
                reverted_by = cause_of.map(|cause| cause.by.clone()).or(reverted_by);
            }
        }
        let until = times.last()? + rest(times.len());
        (until > self.now).then_some(Contention { times: times.len(), reverted_by, until })
    }
}

/// The back-off after so many creations, in milliseconds.
fn rest(times: usize) -> u64 {
    match times.checked_sub(FREE_ATTEMPTS) {
        None => 0,
        Some(more) => {
            let doubled = u32::try_from(more).ok().and_then(|more| FIRST_BACKOFF.checked_shl(more));
            doubled.unwrap_or(MAX_BACKOFF).min(MAX_BACKOFF)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> ManagedResource {
        ManagedResource::Route("rtb-1".parse().unwrap(), "10.1.0.0/16".parse().unwrap())
    }

    fn put(minute: u64) -> RunChanges {
        RunChanges { at: minute * MINUTE, created: vec![route().to_string()], ..RunChanges::default() }
    }

    fn taken(minute: u64) -> RunChanges {
        RunChanges { at: minute * MINUTE, removed: vec![route().to_string()], ..RunChanges::default() }
    }

    fn until(runs: Vec<RunChanges>, now: u64) -> Option<u64> {
        RunHistory { now: now * MINUTE, runs }.contention(&route()).map(|contention| contention.until / MINUTE)
    }

    #[test]
    fn three_reverts_are_repaired_immediately_and_later_ones_after_a_growing_backoff() {
        assert_eq!(until(vec![put(0), put(1), put(2)], 3), None);
        assert_eq!(until(vec![put(0), put(1), put(2), put(3)], 3), Some(7));
        assert_eq!(until(vec![put(0), put(1), put(2), put(3)], 7), None);
        let long: Vec<RunChanges> = [0, 1, 2, 3, 7, 15, 31].map(put).into();
        assert_eq!(until(long.clone(), 32), Some(63));
        assert_eq!(until([long, vec![put(63), put(95)]].concat(), 100), Some(127), "the back-off grows no further");
    }

    #[test]
    fn creations_by_runs_of_the_same_time_count_once() {
        let seconds = |second: u64| RunChanges { at: second * 1000, ..put(0) };
        let contention = |runs: Vec<RunChanges>| RunHistory { now: MINUTE, runs }.contention(&route());
        assert_eq!(contention([0, 1, 2, 9].map(seconds).into()), None);
        assert_eq!(contention([0, 15, 20, 35, 40, 59].map(seconds).into()), None, "0, 20 and 40");
        let quick = contention([0, 15, 30, 45, 60, 75, 90].map(seconds).into()).unwrap();
        assert_eq!(quick.times, 4, "0, 30, 60 and 90: a quick principal is detected, too");
    }

    #[test]
    fn removals_by_peerd_and_old_creations_are_no_contention() {
        assert_eq!(until(vec![put(0), put(1), put(2), taken(3), put(4)], 5), None);
        assert_eq!(until(vec![put(0), put(1), put(2), put(119)], 121), None, "two of them are out of the window");
    }

    #[test]
    fn a_status_that_is_written_again_and_again_is_contended_and_one_that_changes_is_not() {
        let vpc = VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap());
        let status = |line: &str| ManagedResource::Status(vpc.clone(), line.to_owned());
        let written = |minute: u64, line: &str| RunChanges { created: vec![status(line).to_string()], ..put(minute) };
        let contention = |runs: Vec<RunChanges>| {
            RunHistory { now: 60 * MINUTE, runs }.contention(&status("joined prod")).map(|contention| contention.times)
        };
        let sweeps = [10, 25, 40, 55].map(|minute| written(minute, "joined prod"));
        assert_eq!(contention(sweeps.to_vec()), None, "the back-off of 4 minutes has ended");
        assert_eq!(contention([&sweeps[..], &[written(58, "joined prod")]].concat()), Some(5));
        let flapping =
            [10, 20, 30, 40, 50, 58].map(|n| written(n, if n % 20 == 0 { "waiting prod" } else { "joined prod" }));
        assert_eq!(contention(flapping.to_vec()), None);
    }

    #[test]
    fn reverted_by_names_the_last_principal_known_from_events() {
        let cause = |call: &str, on: &str, by: &str| Cause { call: call.into(), on: on.into(), by: by.into() };
        let mut runs = [0, 1, 2, 3].map(put);
        runs[1].causes = vec![cause("DeleteRoute", "rtb-1", "first")];
        runs[2].causes =
            vec![cause("DeleteRoute", "rtb-2", "of another table"), cause("CreateVpc", "vpc-1", "a maker")];
        let reverted_by = |runs: &[RunChanges]| {
            RunHistory { now: 4 * MINUTE, runs: runs.to_vec() }.contention(&route()).unwrap().reverted_by
        };
        assert_eq!(reverted_by(&runs).as_deref(), Some("first"));
        runs[3].causes = vec![cause("ReplaceRoute", "rtb-1", "last")];
        assert_eq!(reverted_by(&runs).as_deref(), Some("last"));
    }
}
