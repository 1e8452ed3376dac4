//! Reconciles one mesh: observes it, then plans and applies until there is nothing left to do now.

use std::collections::BTreeSet;

use peerd_core::{Action, DeleteApproval, DesiredState, Effect, MeshName, Report, Scope, lint, plan};

use crate::apply::{Applied, Applier};
use crate::engine::Engine;
use crate::error::InfraError;
use crate::observe::Snapshot;
use crate::outcome::{Outcome, Run};
use crate::ports::Timestamp;

/// The maximum number of passes, so that a defect wastes one run and cannot run up costs. Create, accept, tag, route
/// and status tags take five passes; each further batch of outstanding requests takes two more.
const MAX_PASSES: usize = 40;

/// What one run has done so far.
#[derive(Default)]
struct Progress {
    /// Actions that this run has tried. A run tries each action once; the next run retries it.
    tried: BTreeSet<Action>,
    applied: Vec<Action>,
    failed: Vec<String>,
    /// Whether something failed with a transient error, was stale or was deferred, so that a later run may succeed.
    transient: bool,
    busy: bool,
}

impl Engine<'_> {
    /// Reconciles a mesh and returns the run. The next pass plans with the results of the calls of this one.
    ///
    /// # Errors
    /// When the store fails or the changes cannot be published, or when a plan violates a check of the linter. In the
    /// latter case, nothing more is applied.
    pub async fn reconcile(
        &self,
        mesh: &MeshName,
        scopes: &BTreeSet<Scope>,
        delete_approval: DeleteApproval,
        deadline: Timestamp,
    ) -> Result<Run, ReconcileError> {
        let Snapshot { desired, mut observed, has_transient_failure } = self.observer().observe(mesh, scopes).await?;
        let desired = DesiredState { delete_approval, ..desired };
        let owner = format!("{}/{mesh}", self.worker);
        let applier = Applier { cloud: self.cloud, store: self.store, clock: self.clock, owner: &owner, deadline };
        let mut progress = Progress { transient: has_transient_failure, ..Progress::default() };
        let mut report = Report::default();
        let mut at_rest = false;
        for _ in 0..MAX_PASSES {
            let (plan, said) = plan(&desired, &observed);
            report = said;
            if !report.questions.is_empty() {
                let questions = std::mem::take(&mut report.questions);
                progress.transient |= self.observer().fetch_inputs(mesh, questions, &mut observed).await?;
                continue;
            }
            let broken = lint::lint(&plan, &desired, &observed);
            if !broken.is_empty() {
                return Err(ReconcileError::UnsoundPlan(broken));
            }
            let todo = progress.untried(plan.work).or_else(|| progress.untried(plan.labels));
            let Some(todo) = todo else {
                at_rest = true;
                break;
            };
            for (action, applied) in applier.apply(todo).await {
                if let Some(effect) = progress.note(&action, applied) {
                    observed.apply_effect(&action, effect);
                }
            }
        }
        progress.transient |= !at_rest;
        let run = progress.end(mesh.clone(), report, observed.scopes.keys().cloned().collect());
        let published = self.announce(&run).await?;
        let done = matches!(run.outcome, Outcome::Unchanged | Outcome::Applied) && run.report.suppressed.is_empty();
        if done && published {
            self.prune_index(&desired, &observed).await?;
        }
        Ok(run)
    }
}

impl Progress {
    fn untried(&self, actions: Vec<Action>) -> Option<Vec<Action>> {
        let todo: Vec<Action> = actions.into_iter().filter(|action| !self.tried.contains(action)).collect();
        (!todo.is_empty()).then_some(todo)
    }

    fn note(&mut self, action: &Action, applied: Applied) -> Option<Effect> {
        self.tried.insert(action.clone());
        match applied {
            Applied::Done(effect @ Effect::Refused(_)) => return Some(effect), // the next plan reports it
            Applied::Done(effect) => {
                tracing::info!(%action, "applied");
                self.applied.push(action.clone());
                return Some(effect);
            }
            Applied::ClaimedElsewhere => self.busy = true,
            Applied::Stale | Applied::Deferred => self.transient = true,
            Applied::Transient(error) => {
                tracing::info!(%action, error, "not applied yet");
                self.transient = true;
            }
            Applied::Failed(error) => {
                tracing::error!(%action, error, "not applied");
                self.failed.push(format!("{action}: {error}"));
            }
        }
        None
    }

    fn end(self, mesh: MeshName, report: Report, read_scopes: BTreeSet<Scope>) -> Run {
        let Self { tried: _, applied, failed, transient, busy } = self;
        let outcome = if !failed.is_empty() {
            Outcome::Partial
        } else if transient || !report.waits.is_empty() {
            Outcome::Waiting
        } else if busy {
            Outcome::Busy
        } else if report.is_blocked() {
            Outcome::Blocked
        } else if !applied.is_empty() {
            Outcome::Applied
        } else if report.suppressed.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Paused
        };
        Run { mesh, outcome, applied, failed, report, read_scopes, causes: BTreeSet::new() }
    }
}

/// Why a run was aborted.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store failed.
    #[error("index not read")]
    Store(#[from] InfraError),
    /// The planner made a plan that violates its own checks, which is a defect of peerd. Nothing of the plan was
    /// applied.
    #[error("plan rejected by the linter, which is a defect of peerd to report: {}", .0.join("; "))]
    UnsoundPlan(Vec<String>),
}
