//! Pause: what a paused mesh keeps from being changed.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::action::{Action, Plan};
use crate::finding::Finding;
use crate::ids::MeshName;
use crate::policy::{Mode, Policy};
use crate::report::Report;

/// Moves what a pause suppresses out of the plan and into the report: everything if this run's mesh is paused, else what
/// concerns a pair of a paused mesh.
pub fn suppress_paused(
    decisions: Decisions,
    status_updates: BTreeSet<Action>,
    context: &PlanContext<'_>,
) -> (Plan, Report) {
    let mesh = &context.desired.mesh;
    let policy = context.desired.declared.get(mesh);
    let is_paused = policy.is_some_and(Policy::is_frozen);
    let mut pausing_meshes: BTreeSet<MeshName> = BTreeSet::new();
    if is_paused {
        pausing_meshes.insert(mesh.clone());
    }
    let mut is_suppressed = |action: &Action| {
        let of_pair = action.pair(context.observed).map(|pair| context.pausing_meshes(&pair)).unwrap_or_default();
        let is_suppressed = is_paused || !of_pair.is_empty();
        pausing_meshes.extend(of_pair);
        is_suppressed
    };
    let Decisions { actions, held, findings, mut waits, questions, reasons: _ } = decisions;
    let (mut suppressed, work): (BTreeSet<Action>, BTreeSet<Action>) =
        actions.into_iter().partition(&mut is_suppressed);
    let mut labels = status_updates;
    if is_paused {
        suppressed.append(&mut labels);
        waits.clear();
    }
    let mut report = Report { findings, waits, suppressed, held, questions, ..Report::default() };
    if let Some(Mode::Unreadable(error)) = policy.map(|policy| &policy.mode) {
        report.add_finding(Finding::UnreadablePolicy { mesh: mesh.clone(), error: error.clone() });
    } else if !report.suppressed.is_empty() {
        let pending = report.suppressed.len();
        report.add_finding(Finding::Paused { mesh: mesh.clone(), pending, paused: pausing_meshes });
    }
    let plan = Plan { work: work.into_iter().collect(), labels: labels.into_iter().collect() };
    (plan, report)
}
