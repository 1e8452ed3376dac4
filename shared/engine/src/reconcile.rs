//! Reconciles the meshes of a batch: observes them together, then plans and applies until there is nothing left to do now,
//! and reports each.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::{DesiredState, MeshName, ObservedState, PeeringId, Scope, Timestamp};

use crate::converge::MeshRun;
use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::lease::Leases;
use crate::observe::Observation;
use crate::outcome::{Outcome, Run};
use crate::reconcile_request::{ReconcileRequest, ReconcileRequests};

/// The number of meshes that are reported concurrently.
const CONCURRENCY: usize = 8;

/// The result of reconciling meshes.
pub(crate) struct Reconciled {
    /// The meshes that were not reconciled, or only in part.
    pub failed: BTreeSet<MeshName>,
    /// The peerings that were deleted.
    pub deleted: BTreeSet<PeeringId>,
}

impl Engine<'_> {
    /// Reconciles meshes, records the runs and sends the follow-up messages that they need.
    ///
    /// # Errors
    /// When the store fails before anything was applied.
    pub(crate) async fn reconcile_meshes(
        &self,
        requests: &ReconcileRequests,
        leases: &Leases<'_>,
        deadline: Timestamp,
    ) -> Result<Reconciled, InfraError> {
        let runs = self.run(requests, leases, deadline).await?;
        let deleted = runs.values().flatten().flat_map(Run::deleted_peerings).cloned().collect();
        let reports = runs.into_iter().map(|(mesh, run)| async move {
            let request = &requests[&mesh];
            let done = match run {
                Ok(run) => self.record(run, request).await,
                Err(error) => Err(error),
            };
            let done = done.unwrap_or_else(|error| {
                tracing::error!(%mesh, error = chain(&error), "mesh not reconciled");
                false
            });
            (!done).then_some(mesh)
        });
        let failed = stream::iter(reports).buffer_unordered(CONCURRENCY).filter_map(async |failed| failed).collect();
        Ok(Reconciled { failed: failed.await, deleted })
    }

    /// Records a run and sends a follow-up message if it needs one. Returns false if the request must be repeated.
    async fn record(&self, mut run: Run, request: &ReconcileRequest) -> Result<bool, ReconcileError> {
        run.causes.clone_from(&request.causes);
        run.log(&self.settings.operator);
        if !matches!(run.outcome, Outcome::Unchanged) {
            self.store.record_run(&run, self.clock.now()).await?;
        }
        self.send_follow_up(&run, request).await?;
        Ok(run.outcome != Outcome::Partial)
    }

    /// Reconciles meshes without a lease, and returns their runs.
    ///
    /// # Errors
    /// When the store fails before anything was applied; for one mesh, when the store or the queue fails later, or when a plan
    /// violates a check of the linter. In the latter case, nothing more is applied.
    pub async fn reconcile(
        &self,
        requests: &ReconcileRequests,
        deadline: Timestamp,
    ) -> Result<BTreeMap<MeshName, Result<Run, ReconcileError>>, InfraError> {
        self.run(requests, &Leases::none(self), deadline).await
    }

    /// Reconciles meshes on one read of their scopes, and announces what was changed and found. If it reads every scope, writes to
    /// the membership index what was read.
    async fn run(
        &self,
        requests: &ReconcileRequests,
        leases: &Leases<'_>,
        deadline: Timestamp,
    ) -> Result<BTreeMap<MeshName, Result<Run, ReconcileError>>, InfraError> {
        let meshes = requests.iter().map(|(mesh, request)| (mesh.clone(), request.scopes.clone())).collect();
        let everywhere = requests.values().any(|request| request.everywhere);
        let more = if everywhere { self.observer().scopes().await? } else { BTreeSet::new() };
        let mut observation = self.observer().observe_all(&meshes, &more).await?;
        if everywhere {
            self.update_index(&mut observation).await?;
        }
        for mesh in observation.new.iter().filter(|mesh| requests.contains_key(*mesh)) {
            self.store.record_default(mesh).await?;
        }
        let mut observed = std::mem::take(&mut observation.observed);
        observed.run.deleted.clone_from(&leases.deleted);
        let mut runs: Vec<MeshRun> =
            requests.iter().map(|(mesh, request)| self.begin(mesh, request, &observation)).collect();
        self.converge(&mut runs, &mut observed, leases, deadline).await;
        let observed = &observed;
        let observation = &observation;
        let ended = runs.into_iter().map(|run| async move {
            let mesh = run.desired.mesh.clone();
            let scopes = observation.scopes_to_read_again(&mesh, &requests[&mesh]);
            (mesh, self.end(run, observed, scopes).await)
        });
        Ok(stream::iter(ended).buffer_unordered(CONCURRENCY).collect().await)
    }

    fn begin(&self, mesh: &MeshName, request: &ReconcileRequest, observation: &Observation) -> MeshRun {
        let desired = observation.desired(mesh, self.settings);
        let desired = DesiredState { delete_approval: request.delete_approval, ..desired };
        let scopes = observation.scopes.get(mesh);
        let is_affected = |scope| request.everywhere || scopes.is_some_and(|scopes| scopes.contains(scope));
        MeshRun::new(desired, observation.retryable.iter().any(is_affected))
    }

    /// Announces what a run changed and found, and removes from the index what has left the mesh.
    async fn end(
        &self,
        run: MeshRun,
        observed: &ObservedState,
        scopes: BTreeSet<Scope>,
    ) -> Result<Run, ReconcileError> {
        if !run.violations.is_empty() {
            return Err(ReconcileError::UnsoundPlan(run.violations));
        }
        let outcome = run.outcome();
        let MeshRun { desired, report, applied, failed, .. } = run;
        let (mesh, read_scopes) = (desired.mesh.clone(), observed.scopes.keys().cloned().collect());
        let run = Run { mesh, outcome, applied, failed, report, read_scopes, scopes, causes: BTreeSet::new() };
        let published = self.announce(&run).await?;
        let done = matches!(run.outcome, Outcome::Unchanged | Outcome::Applied) && run.report.suppressed.is_empty();
        if done && published {
            self.prune_index(&desired, observed).await?;
        }
        Ok(run)
    }
}

impl Observation {
    /// The scopes that a follow-up of the mesh reads: those of the mesh, and those that may be readable soon.
    fn scopes_to_read_again(&self, mesh: &MeshName, request: &ReconcileRequest) -> BTreeSet<Scope> {
        let mut scopes = self.scopes.get(mesh).cloned().unwrap_or_default();
        if request.everywhere {
            scopes.extend(self.retryable.iter().cloned());
        }
        scopes
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
