//! Plans and applies for several meshes on one observed state, until there is nothing left to do now.
//!
//! As soon as some calls have ended, every mesh is planned again with their results, while the other calls are in flight: a peering
//! is accepted when its own create call has returned, and routed when it is active. What two meshes plan is done once.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{
    Action, DesiredState, Effect, InputRequest, ObservedIndex, ObservedState, Quota, Report, Scope, Timestamp, VpcRef,
    lint, plan_on,
};

use crate::apply::{Applied, Applier};
use crate::calls::Calls;
use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::lease::Leases;
use crate::outcome::Outcome;

/// The maximum number of plans, so that a defect wastes one run and cannot run up costs. A batch of calls takes at most a few dozen
/// plans, since each waits for a share of the calls.
const MAX_PLANS: usize = 2000;

/// The run of one mesh.
pub(crate) struct MeshRun {
    /// The desired state of the mesh.
    pub desired: DesiredState,
    /// The report of the last plan.
    pub report: Report,
    /// The applied actions, in the order in which they ended.
    pub applied: Vec<Action>,
    /// The failed actions, each with its chain of causes.
    pub failed: Vec<String>,
    /// The checks of the linter that a plan violated. The run ends then, and nothing more is applied.
    pub violations: Vec<String>,
    /// Whether something failed with a transient error, was stale or was deferred, so that a later run may succeed.
    pub is_transient: bool,
    is_busy: bool,
    /// Whether it must be planned, because it has not been or because one of its calls has ended.
    is_due: bool,
    /// The number of changes of the observed state when it was last planned.
    planned_at: u64,
}

/// What the runs have tried. Each action is tried once, whichever runs plan it; the next run retries it.
#[derive(Default)]
struct Tried {
    attempts: BTreeMap<Action, Attempt>,
    /// The VPCs whose status tag is being set. A second mesh waits, since a tag has the entries of all meshes.
    statuses: BTreeSet<VpcRef>,
    /// The number of peerings that are being requested from each scope.
    requesting: BTreeMap<Scope, usize>,
    /// The runs that wait until fewer requests are pending, by position.
    waiting_to_request: BTreeSet<usize>,
    /// The number of changes of the observed state.
    changes: u64,
}

struct Attempt {
    /// The runs that planned it, by position. The first lists the change.
    planned_by: Vec<usize>,
    /// The result; none while the call is in flight.
    result: Option<Applied>,
}

/// What the plans of all runs need next.
#[derive(Default)]
struct Next {
    /// The inputs that plans lack, each with the runs that requested it, by position.
    requests: BTreeMap<InputRequest, Vec<usize>>,
    /// The actions to start.
    actions: Vec<Action>,
}

impl Engine<'_> {
    /// Plans, and makes the calls of the plans, until every run is at rest. If the store cannot be read, the runs end early, and
    /// later ones continue.
    pub(crate) async fn converge(
        &self,
        runs: &mut [MeshRun],
        observed: &mut ObservedState,
        leases: &Leases<'_>,
        deadline: Timestamp,
    ) {
        let owner = self.worker;
        let applier = Applier { cloud: self.cloud, store: self.store, clock: self.clock, owner, deadline, leases };
        let (mut calls, mut tried) = (Calls::new(&applier), Tried::default());
        for _ in 0..MAX_PLANS {
            leases.keep_alive().await;
            let Next { requests, actions } = plan_due(runs, observed, &mut tried);
            if requests.is_empty() && actions.is_empty() && calls.is_empty() {
                // What other meshes changed in the meantime may let a run go on.
                runs.iter_mut().for_each(|run| run.is_due = run.is_sound() && run.planned_at < tried.changes);
                match runs.iter().any(|run| run.is_due) {
                    true => continue,
                    false => break,
                }
            }
            calls.add(actions, self.clock.now());
            if let Err(error) = self.answer(&requests, runs, observed).await {
                tracing::warn!(error = chain(&error), "inputs of the plans not read");
                break;
            }
            self.add_results(calls.next().await, runs, observed, &mut tried);
        }
        while !calls.is_empty() {
            self.add_results(calls.next().await, runs, observed, &mut tried);
        }
        runs.iter_mut().for_each(|run| run.is_transient |= run.is_due);
    }

    /// Reads the inputs that the plans lack.
    async fn answer(
        &self,
        requests: &BTreeMap<InputRequest, Vec<usize>>,
        runs: &mut [MeshRun],
        observed: &mut ObservedState,
    ) -> Result<(), InfraError> {
        requests.values().flatten().for_each(|place| runs[*place].is_due = true);
        let retryable = self.observer().fetch_inputs(requests.keys().cloned().collect(), observed).await?;
        let affected = retryable.iter().flat_map(|request| &requests[request]);
        affected.for_each(|place| runs[*place].is_transient = true);
        Ok(())
    }

    /// Notes the results of calls, and applies them to the observed state.
    fn add_results(
        &self,
        results: Vec<(Action, Applied)>,
        runs: &mut [MeshRun],
        observed: &mut ObservedState,
        tried: &mut Tried,
    ) {
        for (action, applied) in results {
            if let Applied::Done(effect) = &applied {
                observed.apply_effect(&action, effect.clone(), &self.settings.seals);
                tried.changes += 1;
            }
            for (nth, place) in tried.end(&action, &applied).iter().enumerate() {
                let run = &mut runs[*place];
                run.note(&action, &applied, nth == 0);
                run.is_due = run.is_sound();
            }
            for place in std::mem::take(&mut tried.waiting_to_request) {
                runs[place].is_due = runs[place].is_sound();
            }
        }
    }
}

/// Plans the runs that are due, on one index of the observed state.
fn plan_due(runs: &mut [MeshRun], observed: &ObservedState, tried: &mut Tried) -> Next {
    let mut next = Next::default();
    if runs.iter().any(|run| run.is_due) {
        let index = ObservedIndex::new(observed);
        for (place, run) in runs.iter_mut().enumerate().filter(|(_, run)| run.is_due) {
            run.plan(place, &index, tried, &mut next);
        }
    }
    next
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
            is_due: true,
            planned_at: 0,
        }
    }

    /// Plans, and adds what is needed next. Status tags come last: they are set when no other call of the run is in flight.
    fn plan(&mut self, place: usize, index: &ObservedIndex<'_>, tried: &mut Tried, next: &mut Next) {
        let (plan, report) = plan_on(&self.desired, index);
        self.report = report;
        (self.is_due, self.planned_at) = (false, tried.changes);
        let requests = std::mem::take(&mut self.report.questions);
        if !requests.is_empty() {
            requests.into_iter().for_each(|request| next.requests.entry(request).or_default().push(place));
            return;
        }
        self.violations = lint::lint_on(&plan, &self.desired, index);
        let capacity = RequestCapacity(index);
        if self.is_sound() && !self.begin(place, plan.work, &capacity, tried, next) {
            self.begin(place, plan.labels, &capacity, tried, next);
        }
    }

    fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// Begins those of the actions that no run has tried. Returns whether any is in flight or waits for its turn.
    fn begin(
        &mut self,
        place: usize,
        actions: Vec<Action>,
        capacity: &RequestCapacity<'_>,
        tried: &mut Tried,
        next: &mut Next,
    ) -> bool {
        let mut goes_on = false;
        for action in actions {
            if let Some(attempt) = tried.attempts.get_mut(&action) {
                let is_new = !attempt.planned_by.contains(&place);
                attempt.planned_by.extend(is_new.then_some(place));
                match &attempt.result {
                    Some(applied) if is_new => self.note(&action, applied, false),
                    Some(_) => {}
                    None => goes_on = true,
                }
                continue;
            }
            goes_on = true;
            if tried.begin(&action, place, capacity) {
                next.actions.push(action);
            }
        }
        goes_on
    }

    /// Notes the result of an action. Of the runs that planned it, the first lists the change.
    fn note(&mut self, action: &Action, applied: &Applied, is_first: bool) {
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

/// How many peerings may be requested from a scope besides those that are pending.
struct RequestCapacity<'a>(&'a ObservedIndex<'a>);

impl RequestCapacity<'_> {
    fn of(&self, scope: &Scope) -> usize {
        let Self(index) = self;
        let quotas = index.observed.inputs.quotas.get(scope).and_then(|quotas| quotas.as_ref().ok());
        let quota = quotas.map_or(Quota::Requests.default_value(), |quotas| quotas.value(Quota::Requests));
        quota.saturating_sub(index.pending().filter(|peering| peering.requester.scope == *scope).count())
    }
}

impl Tried {
    /// Begins an action for a run, and returns whether it may start now: the status tag of a VPC is set by one call at a time, and
    /// all meshes together request no more peerings than the quota allows, while the plan of a mesh knows only its own.
    fn begin(&mut self, action: &Action, place: usize, capacity: &RequestCapacity<'_>) -> bool {
        match action {
            Action::SetStatus { vpc, .. } if !self.statuses.insert(vpc.clone()) => return false,
            Action::CreatePeering { pair, .. } => {
                let scope = &pair.requester().scope;
                let requesting = self.requesting.entry(scope.clone()).or_default();
                if *requesting >= capacity.of(scope) {
                    self.waiting_to_request.insert(place);
                    return false;
                }
                *requesting += 1;
            }
            _ => {}
        }
        self.attempts.insert(action.clone(), Attempt { planned_by: vec![place], result: None });
        true
    }

    /// Ends an action, and returns the runs that planned it.
    fn end(&mut self, action: &Action, applied: &Applied) -> Vec<usize> {
        match action {
            Action::SetStatus { vpc, .. } => drop(self.statuses.remove(vpc)),
            Action::CreatePeering { pair, .. } => {
                self.requesting.entry(pair.requester().scope.clone()).and_modify(|requesting| *requesting -= 1);
            }
            _ => {}
        }
        let Some(attempt) = self.attempts.get_mut(action) else { return Vec::new() };
        attempt.result = Some(applied.clone());
        attempt.planned_by.clone()
    }
}
