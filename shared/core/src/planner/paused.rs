//! What a paused mesh keeps from being done.

use std::collections::BTreeSet;

use super::PlanBuilder;
use super::context::PlanContext;
use crate::action::Action;
use crate::finding::Finding;
use crate::policy::{Mode, Policy};

/// Takes out of the plan what a pause forbids, and tells how much that is: everything where this run's mesh is paused, else
/// what concerns a pair of a paused mesh.
pub fn suppress_paused(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let mesh = &context.desired.mesh;
    let policy = context.desired.declared.get(mesh);
    let paused = policy.is_some_and(Policy::is_frozen);
    let mut freezing = BTreeSet::from_iter(paused.then(|| mesh.clone()));
    let mut is_withheld = |action: &Action| {
        let of_pair = action.pair(context.observed).map(|pair| context.freezing(&pair)).unwrap_or_default();
        let is_withheld = paused || !of_pair.is_empty();
        freezing.extend(of_pair);
        is_withheld
    };
    let (withheld, work) = std::mem::take(&mut draft.work).into_iter().partition(|action| is_withheld(action));
    (draft.report.withheld, draft.work) = (withheld, work);
    if paused {
        draft.report.withheld.append(&mut draft.labels);
        draft.report.waits.clear();
    }
    match policy.map(|policy| &policy.mode) {
        Some(Mode::Unreadable(why)) => {
            draft.report.add_finding(Finding::UnreadablePolicy { mesh: mesh.clone(), error: why.clone() });
        }
        _ if !draft.report.withheld.is_empty() => {
            let pending = draft.report.withheld.len();
            draft.report.add_finding(Finding::Paused { mesh: mesh.clone(), pending, paused: freezing });
        }
        _ => {}
    }
}
