//! What somebody undoes again and again is left as it is for a while, and told.

use super::PlanBuilder;
use super::context::PlanContext;
use crate::action::Action;
use crate::contention::{Contention, ManagedResource, Past};
use crate::finding::Finding;
use crate::report::InputRequest;

/// Takes out of the plan what is contested, and asks for what earlier runs did where something is to be put in place.
pub fn suppress_contended(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let putting = |action: &Action| ManagedResource::put_by(action).is_some();
    match &context.observed.past {
        Some(past) => {
            for action in std::mem::take(&mut draft.work) {
                match contest(&action, past) {
                    None => drop(draft.work.insert(action)),
                    Some(contested) => tell(&action, contested, context, draft),
                }
            }
        }
        None if draft.work.iter().any(putting) => drop(draft.report.questions.insert(InputRequest::Past)),
        None => {}
    }
}

fn contest(action: &Action, past: &Past) -> Option<(ManagedResource, Contention)> {
    let thing = ManagedResource::put_by(action)?;
    past.contest(&thing).map(|contest| (thing, contest))
}

fn tell(
    action: &Action,
    (thing, contest): (ManagedResource, Contention),
    context: &PlanContext<'_>,
    draft: &mut PlanBuilder,
) {
    let Contention { times, opponent, until } = contest;
    let resource = thing.to_string();
    draft.report.add_finding(Finding::Contention { resource, times, principal: opponent, retry_at_ms: until });
    if let Some(pair) = action.pair(context.observed) {
        draft.notes.of_rest(&pair, "somebody keeps undoing it");
    }
}
