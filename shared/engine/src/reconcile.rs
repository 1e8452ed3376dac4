//! Reconciles one mesh: observes it, then plans and applies until there is nothing left to do now.

use std::collections::BTreeSet;

use peerd_core::{Action, Cause, DeleteApproval, DesiredState, Effect, MeshName, Report, Scope, Timestamp, lint, plan};

use crate::apply::{Applied, Applier};
use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::observe::Snapshot;
use crate::outcome::{Outcome, Run};

/// The maximum number of passes, so that a defect wastes one run and cannot run up costs. Create, accept, tag, route
/// and status tags take five passes; each further batch of outstanding requests takes two more.
const MAX_PASSES: usize = 40;

/// The reconcile of one mesh that a batch requests.
#[derive(Debug, Default)]
pub struct ReconcileRequest {
    /// The scopes to read, besides those of the members.
    pub scopes: BTreeSet<Scope>,
    /// Whether to read every known scope.
    pub everywhere: bool,
    /// How many peerings the run may delete.
    pub delete_approval: DeleteApproval,
    /// The lowest attempt of the messages: a new event restores the retry budget.
    pub attempt: Option<u32>,
    /// Whether an event requested it. Its reads may be stale, so a follow-up message verifies the mesh.
    pub verify: bool,
    /// The API calls that triggered it, as far as events reported them.
    pub causes: BTreeSet<Cause>,
    /// The positions of the requesting deliveries in the batch.
    pub deliveries: BTreeSet<usize>,
}

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
    /// Reconciles one mesh, records the run and sends a follow-up message if the run needs one. Returns false if the
    /// queue must deliver the requesting messages again.
    pub(crate) async fn reconcile_mesh(
        &self,
        mesh: &MeshName,
        request: &ReconcileRequest,
        deadline: Timestamp,
    ) -> bool {
        match self.try_reconcile_mesh(mesh, request, deadline).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%mesh, error = chain(error.as_ref()), "mesh not reconciled");
                false
            }
        }
    }

    async fn try_reconcile_mesh(
        &self,
        mesh: &MeshName,
        request: &ReconcileRequest,
        deadline: Timestamp,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let mut scopes = request.scopes.clone();
        if request.everywhere {
            scopes.extend(self.observer().scopes().await?);
        }
        let mut run = self.reconcile(mesh, &scopes, request.delete_approval, deadline).await?;
        run.causes.clone_from(&request.causes);
        run.log(&self.settings.operator);
        if !matches!(run.outcome, Outcome::Unchanged) {
            self.store.record_run(&run, self.clock.now()).await?;
        }
        self.send_follow_up(&run, request).await?;
        Ok(run.outcome != Outcome::Partial)
    }

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
        let Snapshot { desired, mut observed, has_transient_failure, is_new } =
            self.observer().observe(mesh, scopes).await?;
        if is_new {
            self.store.record_default(mesh).await?;
        }
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
                    observed.apply_effect(&action, effect, &desired.seals);
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
