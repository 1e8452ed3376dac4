//! The situations that occurred in simulations, and those that never occurred.

use std::collections::BTreeMap;
use std::fmt;

use peerd_core::{Action, PeeringStatus};
use peerd_engine::{Outcome, Run};
use strum::VariantNames;

use super::scenario::Operation;
use crate::change_log::{Actor, Change, Entry};
use crate::faults::{Fault, FaultTiming};
use crate::transport::InjectedFault;
use crate::world::World;

/// Counts by kind and name.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    counts: BTreeMap<&'static str, BTreeMap<String, u64>>,
    changes: u64,
}

fn action(action: &Action) -> &'static str {
    match action {
        Action::CreatePeering { .. } => "CreatePeering",
        Action::AcceptPeering { .. } => "AcceptPeering",
        Action::TagPeering { .. } => "TagPeering",
        Action::ReleasePeering { .. } => "ReleasePeering",
        Action::SetDns { .. } => "SetDns",
        Action::AddRoute { .. } => "AddRoute",
        Action::ReplaceRoute { .. } => "ReplaceRoute",
        Action::RemoveRoute { .. } => "RemoveRoute",
        Action::DeletePeering { .. } => "DeletePeering",
        Action::AuthorizeIngress { .. } => "AuthorizeIngress",
        Action::TagIngress { .. } => "TagIngress",
        Action::RevokeIngress { .. } => "RevokeIngress",
        Action::SetStatus { .. } => "SetStatus",
    }
}

const ACTIONS: [&str; 13] = [
    "CreatePeering",
    "AcceptPeering",
    "TagPeering",
    "ReleasePeering",
    "SetDns",
    "AddRoute",
    "ReplaceRoute",
    "RemoveRoute",
    "DeletePeering",
    "AuthorizeIngress",
    "TagIngress",
    "RevokeIngress",
    "SetStatus",
];

const FINDINGS: [&str; 10] = [
    "refused",
    "overlap",
    "conflict",
    "quota",
    "unreadable",
    "blocked",
    "paused",
    "dns",
    "unknown-requester",
    "incomplete",
];

/// The error codes that the simulated AWS can return to peerd.
const ANSWERS: [&str; 19] = [
    "AccessDenied",
    "InvalidGroup.NotFound",
    "InvalidPermission.Duplicate",
    "InvalidRoute.NotFound",
    "InvalidRouteTableID.NotFound",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidStateTransition",
    "InvalidVpcID.NotFound",
    "InvalidVpcPeeringConnectionID.NotFound",
    "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
    "OperationNotPermitted",
    "OptInRequired",
    "OutstandingVpcPeeringConnectionLimitExceeded",
    "RequestLimitExceeded",
    "RouteAlreadyExists",
    "RouteLimitExceeded",
    "RulesPerSecurityGroupLimitExceeded",
    "VpcPeeringConnectionAlreadyExists",
    "VpcPeeringConnectionsPerVpcLimitExceeded",
];

const MAIL: [&str; 4] = ["lost", "doubled", "late", "dead letter"];

impl Coverage {
    /// Counts an occurrence.
    pub fn count(&mut self, kind: &'static str, name: impl Into<String>) {
        *self.counts.entry(kind).or_default().entry(name.into()).or_default() += 1;
    }

    /// Counts a change.
    pub fn count_change(&mut self, entry: &Entry) {
        self.changes += u64::from(matches!(entry.by, Actor::Worker(_)));
        match &entry.change {
            Change::Peering { .. } => self.count("state", PeeringStatus::InitiatingRequest.to_string()),
            Change::Status { status, .. } => self.count("state", status.to_string()),
            _ => {}
        }
    }

    /// Returns the number of changes by peerd so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts the outcome, the actions and the findings of a run.
    pub fn count_run(&mut self, run: &Run) {
        self.count("outcome", run.outcome.to_string());
        run.applied.iter().for_each(|applied| self.count("action", action(applied)));
        run.report.findings.iter().for_each(|finding| self.count("finding", finding.kind().to_string()));
    }

    /// Counts the injected faults, the error codes and the delivery faults of a deployment.
    pub fn count_world(&mut self, world: &World) {
        for (strike, times) in world.transport.struck() {
            self.add("fault", name_of(strike), times);
        }
        for (code, times) in world.cloud.answers().into_iter().filter(|(code, _)| !code.is_empty()) {
            self.add("error", code, times);
        }
        for (fault, times) in world.delivery_faults() {
            self.add("message", fault.to_owned(), times);
        }
        self.add("message", "dead letter".to_owned(), world.queue.dead_letters() as u64);
    }

    fn add(&mut self, kind: &'static str, name: String, times: u64) {
        if times > 0 {
            *self.counts.entry(kind).or_default().entry(name).or_default() += times;
        }
    }

    /// Adds the counts of another coverage.
    pub fn merge(&mut self, other: Self) {
        self.changes += other.changes;
        for (kind, names) in other.counts {
            names.into_iter().for_each(|(name, times)| self.add(kind, name, times));
        }
    }

    /// Returns the known situations that never occurred.
    pub fn never_hit(&self) -> Vec<String> {
        let known = known();
        let met = |kind: &str, name: &String| self.counts.get(kind).is_some_and(|names| names.contains_key(name));
        let missing = known.into_iter().filter(|(kind, name)| !met(kind, name));
        missing.map(|(kind, name)| format!("{kind} {name}")).collect()
    }
}

fn name_of(strike: InjectedFault) -> String {
    match strike {
        InjectedFault::Fault(fault, moment) => format!("{fault:?} {moment:?}"),
        InjectedFault::Crash(moment) => format!("Crash {moment:?}"),
    }
}

/// Returns all known situations.
fn known() -> Vec<(&'static str, String)> {
    use PeeringStatus as S;
    let states = [
        S::InitiatingRequest,
        S::PendingAcceptance,
        S::Provisioning,
        S::Active,
        S::Failed,
        S::Expired,
        S::Rejected,
        S::Deleting,
        S::Deleted,
    ];
    let outcomes = [Outcome::Applied, Outcome::Waiting, Outcome::Busy, Outcome::Partial, Outcome::Blocked];
    let before = Fault::ALL.map(|fault| InjectedFault::Fault(fault, FaultTiming::Before));
    let after = Fault::ALL.into_iter().filter(|fault| fault.may_come_after());
    let after = after.map(|fault| InjectedFault::Fault(fault, FaultTiming::After));
    let deaths = [FaultTiming::Before, FaultTiming::After].map(InjectedFault::Crash);
    let texts = |kind, names: &[&str]| names.iter().map(|name| (kind, (*name).to_owned())).collect::<Vec<_>>();
    let mut known: Vec<(&str, String)> = states.map(|state| ("state", state.to_string())).into();
    known.extend(outcomes.map(|outcome| ("outcome", outcome.to_string())));
    known.extend(before.into_iter().chain(after).chain(deaths).map(|strike| ("fault", name_of(strike))));
    known.extend(texts("action", &ACTIONS));
    known.extend(texts("finding", &FINDINGS));
    known.extend(texts("error", &ANSWERS));
    known.extend(texts("message", &MAIL));
    known.extend(texts("operation", Operation::VARIANTS));
    known
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, names) in &self.counts {
            let names: Vec<String> = names.iter().map(|(name, times)| format!("{name} {times}")).collect();
            writeln!(f, "{kind}: {}", names.join(", "))?;
        }
        let never = self.never_hit();
        writeln!(f, "never occurred: {}", if never.is_empty() { "none".to_owned() } else { never.join(", ") })
    }
}
