//! Runs and their outcomes.

use std::collections::BTreeSet;
use std::fmt;

use peerd_core::operator::Operator;
use peerd_core::{Action, Cause, ManagedResource, MeshName, PeeringId, Rendered, Report, RunChanges, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There was nothing to do.
    Unchanged,
    /// Every action succeeded.
    Applied,
    /// AWS has not finished something, or an error was transient; a later run continues.
    Waiting,
    /// Another run holds a claim on a peering that this run wanted to request.
    Busy,
    /// Something failed with a permanent error; the rest was done.
    Partial,
    /// peerd held back a change until an operator acts; the rest was done.
    Blocked,
    /// A pause suppressed changes, and there was nothing else to do.
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

/// One reconcile of one mesh, in full.
#[derive(Debug, Clone)]
pub struct Run {
    /// The mesh.
    pub mesh: MeshName,
    /// The outcome.
    pub outcome: Outcome,
    /// The applied actions, in the order of the passes.
    pub applied: Vec<Action>,
    /// The failed actions, each with its chain of causes.
    pub failed: Vec<String>,
    /// The report of the last pass.
    pub report: Report,
    /// The scopes that it read, with or without success.
    pub read_scopes: BTreeSet<Scope>,
    /// The scopes among them that a later run of the mesh has to read again.
    pub scopes: BTreeSet<Scope>,
    /// The API calls that triggered it, as events reported them.
    pub causes: BTreeSet<Cause>,
}

impl Run {
    /// Returns the applied actions except for status tags.
    pub fn changes(&self) -> impl Iterator<Item = &Action> {
        self.applied.iter().filter(|action| !matches!(action, Action::SetStatus { .. }))
    }

    /// Returns the peerings that it deleted.
    pub(crate) fn deleted_peerings(&self) -> impl Iterator<Item = &PeeringId> {
        self.applied.iter().filter_map(|action| match action {
            Action::DeletePeering { peering, .. } => Some(peering),
            _ => None,
        })
    }

    /// Returns the created and removed resources, for the run history.
    pub fn record_changes(&self, at: Timestamp) -> RunChanges {
        let names = |of: fn(&Action) -> Option<ManagedResource>| {
            self.applied.iter().filter_map(of).map(|t| t.to_string()).collect()
        };
        let causes = self.causes.iter().cloned().collect();
        RunChanges {
            at,
            created: names(ManagedResource::created_by),
            removed: names(ManagedResource::removed_by),
            causes,
        }
    }

    /// Logs what the run found, what it waits for, and its outcome.
    pub(crate) fn log(&self, operator: &Operator) {
        let mesh = &self.mesh;
        for finding in &self.report.findings {
            let Rendered { kind, subject, text, remedy, .. } = Rendered::new(finding, operator);
            tracing::warn!(%mesh, %kind, subject, text, remedy, "finding");
        }
        for wait in &self.report.waits {
            tracing::info!(%mesh, subject = wait.subject, text = wait.text, "waiting");
        }
        for action in &self.report.suppressed {
            tracing::info!(%mesh, %action, "paused");
        }
        let (applied, failed) = (self.applied.len(), self.failed.len());
        tracing::info!(%mesh, outcome = %self.outcome, applied, failed, "reconciled");
    }

    /// Whether it changed anything other than status tags.
    pub fn changed_the_network(&self) -> bool {
        self.changes().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_update_does_not_change_the_network() {
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
            read_scopes: BTreeSet::new(),
            scopes: BTreeSet::new(),
            causes: BTreeSet::new(),
        };
        assert!(!run(vec![status.clone()]).changed_the_network());
        assert!(run(vec![status, accept]).changed_the_network());
    }
}
