//! Plans and applies for several meshes on one observed state, until there is nothing left to do now.
//!
//! Each pass plans every mesh, makes the calls of all plans, and adds their results to the observed state for the next pass.
//! What two meshes plan is done once.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Action, DesiredState, Effect, InputRequest, ObservedState, Report, Timestamp, VpcRef, lint, plan};

use crate::apply::{Applied, Applier};
use crate::engine::Engine;
use crate::error::chain;
use crate::lease::Leases;
use crate::outcome::Outcome;

/// The maximum number of passes, so that a defect wastes one run and cannot run up costs. Create, accept, tag, route
/// and status tags take five passes; each further batch of outstanding requests takes two more.
const MAX_PASSES: usize = 40;

/// The run of one mesh.
pub(crate) struct MeshRun {
    /// The desired state of the mesh.
    pub desired: DesiredState,
    /// The report of the last plan.
    pub report: Report,
    /// The applied actions, in the order of the passes.
    pub applied: Vec<Action>,
    /// The failed actions, each with its chain of causes.
    pub failed: Vec<String>,
    /// The checks of the linter that a plan violated. The run ends then, and nothing more is applied.
    pub violations: Vec<String>,
    /// Whether something failed with a transient error, was stale or was deferred, so that a later run may succeed.
    pub is_transient: bool,
    is_busy: bool,
    /// Actions that the run has tried. A run tries each action once; the next run retries it.
    tried: BTreeSet<Action>,
    /// Whether the last plan had nothing left to try, and nothing has changed since.
    at_rest: bool,
}

/// The work of one pass.
#[derive(Default)]
struct Pass {
    /// The inputs that plans lack, each with the runs that requested it, by position.
    requests: BTreeMap<InputRequest, Vec<usize>>,
    /// The actions, each with the runs that planned it, by position.
    actions: BTreeMap<Action, Vec<usize>>,
    /// The VPCs whose status tag the pass sets: a second mesh waits for the next pass, since a tag has the entries of all
    /// meshes.
    statuses: BTreeSet<VpcRef>,
}

impl Engine<'_> {
    /// Runs passes until every run is at rest. The next pass plans with the results of the calls of this one. If the store
    /// cannot be read, the runs end early, and later ones continue.
    pub(crate) async fn converge(
        &self,
        runs: &mut [MeshRun],
        observed: &mut ObservedState,
        leases: &Leases<'_>,
        deadline: Timestamp,
    ) {
        let owner = self.worker;
        let applier = Applier { cloud: self.cloud, store: self.store, clock: self.clock, owner, deadline, leases };

        let mut results: BTreeMap<Action, Applied> = BTreeMap::new();
        for _ in 0..MAX_PASSES {
            leases.keep_alive().await;
            let mut pass = Pass::default();
            for (place, run) in runs.iter_mut().enumerate().filter(|(_, run)| !run.at_rest) {
                run.plan(place, observed, &results, &mut pass);
            }
            let Pass { requests, actions, statuses: _ } = pass;
            if requests.is_empty() && actions.is_empty() {
                break;
            }
            match self.observer().fetch_inputs(requests.keys().cloned().collect(), observed).await {
                Ok(retryable) => {
                    let affected = retryable.iter().flat_map(|request| &requests[request]);
                    affected.for_each(|place| runs[*place].is_transient = true);
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "inputs of the plans not read");
                    break;
                }
            }
            let mut has_changed = false;
            for (action, applied) in applier.apply(actions.keys().cloned().collect()).await {
                let planned_by = &actions[&action];
                for (nth, place) in planned_by.iter().enumerate() {
                    runs[*place].note(&action, &applied, nth == 0);
                }
                if let Applied::Done(effect) = &applied {
                    observed.apply_effect(&action, effect.clone(), &self.settings.seals);
                    has_changed = true;
                }
                results.insert(action, applied);
            }
            if has_changed {
                runs.iter_mut().for_each(|run| run.at_rest = !run.violations.is_empty());
            }
        }
        runs.iter_mut().for_each(|run| run.is_transient |= !run.at_rest);
    }
}

impl MeshRun {
    /// Creates the run of a mesh, before its first plan.
    pub(crate) fn new(desired: DesiredState, is_transient: bool) -> Self {
        Self {
            desired,
            is_transient,
            report: Report::default(),
            applied: Vec::new(),
            failed: Vec::new(),
            violations: Vec::new(),
            is_busy: false,
            tried: BTreeSet::new(),
            at_rest: false,
        }
    }

    /// Plans, and adds what is to be done to the pass. `results` are those of all runs so far.
    fn plan(&mut self, place: usize, observed: &ObservedState, results: &BTreeMap<Action, Applied>, pass: &mut Pass) {
        let (plan, report) = plan(&self.desired, observed);
        self.report = report;
        let requests = std::mem::take(&mut self.report.questions);
        if !requests.is_empty() {
            requests.into_iter().for_each(|request| pass.requests.entry(request).or_default().push(place));
            return;
        }
        self.violations = lint::lint(&plan, &self.desired, observed);
        let todo = match self.violations.is_empty() {
            true => self.untried(plan.work, results).or_else(|| self.untried(plan.labels, results)),
            false => None,
        };
        self.at_rest = todo.is_none();
        for action in todo.into_iter().flatten() {
            if let Action::SetStatus { vpc, .. } = &action
                && !pass.actions.contains_key(&action)
                && !pass.statuses.insert(vpc.clone())
            {
                continue;
            }
            pass.actions.entry(action).or_default().push(place);
        }
    }

    /// Returns the actions that no run has tried, if there are any. What another run tried without success is not tried again
    /// here either.
    fn untried(&mut self, actions: Vec<Action>, results: &BTreeMap<Action, Applied>) -> Option<Vec<Action>> {
        let mut todo = Vec::new();
        for action in actions.into_iter().filter(|action| !self.tried.contains(action)).collect::<Vec<_>>() {
            match results.get(&action) {
                Some(applied) => self.note(&action, applied, false),
                None => todo.push(action),
            }
        }
        (!todo.is_empty()).then_some(todo)
    }

    /// Notes the result of an action. Of the runs that planned it, the first lists the change.
    fn note(&mut self, action: &Action, applied: &Applied, is_first: bool) {
        self.tried.insert(action.clone());
        let mesh = &self.desired.mesh;
        match applied {
            Applied::Done(Effect::Refused(_)) => {} // the next plan reports it
            Applied::Done(_) if is_first => {
                tracing::info!(%mesh, %action, "applied");
                self.applied.push(action.clone());
            }
            Applied::Done(_) => {}
            Applied::ClaimedElsewhere => self.is_busy = true,
            Applied::Stale | Applied::Deferred => self.is_transient = true,
            Applied::Transient(error) => {
                tracing::info!(%mesh, %action, error, "not applied yet");
                self.is_transient = true;
            }
            Applied::Failed(error) => {
                tracing::error!(%mesh, %action, error, "not applied");
                self.failed.push(format!("{action}: {error}"));
            }
        }
    }

    /// Returns how the run ended.
    pub(crate) fn outcome(&self) -> Outcome {
        if !self.failed.is_empty() {
            Outcome::Partial
        } else if self.is_transient || !self.report.waits.is_empty() {
            Outcome::Waiting
        } else if self.is_busy {
            Outcome::Busy
        } else if self.report.is_blocked() {
            Outcome::Blocked
        } else if !self.applied.is_empty() {
            Outcome::Applied
        } else if self.report.suppressed.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Paused
        }
    }
}
