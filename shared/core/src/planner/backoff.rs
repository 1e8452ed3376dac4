//! Back-off: what another principal reverts again and again is not created again for a while.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::action::Action;
use crate::contention::{Contention, ManagedResource};
use crate::finding::Finding;
use crate::report::InputRequest;
use crate::run_history::RunHistory;
use crate::status::StatusReason;

/// Removes contended actions from the plan. Without the run history, requests it if the plan creates something.
pub fn suppress_contended(mut decisions: Decisions, context: &PlanContext<'_>) -> Decisions {
    let Some(past) = run_history(context) else {
        if decisions.creates_something() {
            decisions.ask(InputRequest::RunHistory(context.desired.mesh.clone()));
        }
        return decisions;
    };
    let mut kept = BTreeSet::new();
    for action in std::mem::take(&mut decisions.actions) {
        match find_contention(&action, past) {
            None => drop(kept.insert(action)),
            Some(contended) => report(&action, contended, context, &mut decisions),
        }
    }
    Decisions { actions: kept, ..decisions }
}

/// Removes the updates of status tags that another principal rewrites again and again. Without the run history, requests it if
/// there are updates.
pub fn suppress_contended_status(
    updates: BTreeSet<Action>,
    mut decisions: Decisions,
    context: &PlanContext<'_>,
) -> (BTreeSet<Action>, Decisions) {
    let Some(past) = run_history(context) else {
        if !updates.is_empty() {
            decisions.ask(InputRequest::RunHistory(context.desired.mesh.clone()));
        }
        return (updates, decisions);
    };
    let mut kept = BTreeSet::new();
    for action in updates {
        match find_contention(&action, past) {
            Some((ManagedResource::Status(vpc, _), contention)) => {
                let Contention { times, reverted_by: principal, until: retry_at_ms } = contention;
                decisions.report(Finding::StatusContention { vpc, times, principal, retry_at_ms });
            }
            _ => drop(kept.insert(action)),
        }
    }
    (kept, decisions)
}

fn run_history<'a>(context: &PlanContext<'a>) -> Option<&'a RunHistory> {
    context.observed.inputs.run_histories.get(&context.desired.mesh)
}

fn find_contention(action: &Action, past: &RunHistory) -> Option<(ManagedResource, Contention)> {
    let resource = ManagedResource::created_by(action)?;
    past.contention(&resource).map(|contention| (resource, contention))
}

fn report(
    action: &Action,
    (resource, contention): (ManagedResource, Contention),
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) {
    let Contention { times, reverted_by: principal, until: retry_at_ms } = contention;
    decisions.report(Finding::Contention { resource: resource.to_string(), times, principal, retry_at_ms });
    if let Some(pair) = action.pair(context.observed) {
        decisions.reasons.replace(&pair, StatusReason::BackingOff);
    }
}
