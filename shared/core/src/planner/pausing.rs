//! What a paused mesh keeps from being done.

use super::Draft;
use super::view::View;
use crate::action::Action;
use crate::policy::{Mode, Policy};
use crate::report::FindingKind;

/// Takes out of the plan what a pause forbids, and tells how much that is: everything where this run's mesh is paused, else
/// what concerns a pair of a paused mesh.
pub fn withhold(view: &View<'_>, draft: &mut Draft) {
    let mesh = &view.desired.mesh;
    let policy = view.desired.declared.get(mesh);
    let paused = policy.is_some_and(Policy::is_frozen);
    let of_frozen_pair = |action: &Action| action.pair(view.observed).is_some_and(|pair| view.is_frozen(&pair));
    let (withheld, work) = std::mem::take(&mut draft.work).into_iter().partition(|a| paused || of_frozen_pair(a));
    (draft.report.withheld, draft.work) = (withheld, work);
    if paused {
        draft.report.withheld.append(&mut draft.labels);
        draft.report.waits.clear();
    }
    match policy.map(|policy| &policy.mode) {
        Some(Mode::Unreadable(why)) => {
            let remedy = format!("declare {mesh} anew; until then nothing of it is changed");
            draft.report.find(FindingKind::Blocked, mesh, why, remedy);
        }
        _ if !draft.report.withheld.is_empty() => {
            let text = format!("{} changes are due that a pause withholds", draft.report.withheld.len());
            draft.report.find(FindingKind::Paused, mesh, text, "resume the mesh that is paused, and they are made");
        }
        _ => {}
    }
}
