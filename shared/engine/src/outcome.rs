//! How a run ended.

use std::collections::BTreeSet;
use std::fmt;

use peerd_core::{Action, Cause, ManagedResource, MeshName, Report, RunChanges, Scope};
use serde::{Deserialize, Serialize};

use crate::ports::Timestamp;

/// Every way in which a reconcile can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was to be done.
    Unchanged,
    /// Everything that was to be done was done.
    Applied,
    /// AWS, or a passing fault, is not done with something; a later run goes on.
    Waiting,
    /// Another run holds a claim on what was to be done.
    Busy,
    /// Something failed that will not pass by itself; the rest was done.
    Partial,
    /// peerd held back on purpose until somebody acts; the rest was done.
    Blocked,
    /// A pause withheld what was due, and nothing else was to be done.
    Paused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::Applied => "applied",
            Self::Waiting => "waiting",
            Self::Busy => "busy",
            Self::Partial => "partial",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
        })
    }
}

/// One reconcile of one mesh, told in full.
#[derive(Debug, Clone)]
pub struct Run {
    /// Which mesh.
    pub mesh: MeshName,
    /// How it ended.
    pub outcome: Outcome,
    /// What was done, in order of passes.
    pub applied: Vec<Action>,
    /// What failed, each with its chain of causes.
    pub failed: Vec<String>,
    /// What the last pass found and waits for.
    pub report: Report,
    /// The scopes that it asked, whether or not they answered.
    pub asked: BTreeSet<Scope>,
    /// The calls of which events told that woke it.
    pub causes: BTreeSet<Cause>,
}

impl Run {
    /// What was done but for telling VPCs how they stand.
    pub fn changes(&self) -> impl Iterator<Item = &Action> {
        self.applied.iter().filter(|action| !matches!(action, Action::SetStatus { .. }))
    }

    /// What it put in place and took out, for later runs.
    pub fn deeds(&self, at: Timestamp) -> RunChanges {
        let names = |of: fn(&Action) -> Option<ManagedResource>| {
            self.applied.iter().filter_map(of).map(|t| t.to_string()).collect()
        };
        let causes = self.causes.iter().cloned().collect();
        RunChanges { at, put: names(ManagedResource::put_by), taken: names(ManagedResource::taken_by), causes }
    }

    /// Whether anything was.
    pub fn changed_the_network(&self) -> bool {
        self.changes().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_a_vpc_how_it_stands_changes_no_network() {
        let vpc: peerd_core::VpcRef =
            peerd_core::VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap());
        let status = Action::SetStatus { vpc: vpc.clone(), line: None };
        let accept = Action::AcceptPeering { peering: "pcx-1".parse().unwrap(), scope: vpc.scope };
        let run = |applied| Run {
            mesh: "prod".parse().unwrap(),
            outcome: Outcome::Applied,
            applied,
            failed: Vec::new(),
            report: Report::default(),
            asked: BTreeSet::new(),
            causes: BTreeSet::new(),
        };
        assert!(!run(vec![status.clone()]).changed_the_network());
        assert!(run(vec![status, accept]).changed_the_network());
    }
}
