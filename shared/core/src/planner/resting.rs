//! What somebody undoes again and again is left as it is for a while, and told.

use super::Draft;
use super::view::View;
use crate::action::Action;
use crate::contest::{Contest, Past, Thing};
use crate::finding::Finding;
use crate::report::Question;

/// Takes out of the plan what is contested, and asks for what earlier runs did where something is to be put in place.
pub fn hold(view: &View<'_>, draft: &mut Draft) {
    let putting = |action: &Action| Thing::put_by(action).is_some();
    match &view.observed.past {
        Some(past) => {
            for action in std::mem::take(&mut draft.work) {
                match contest(&action, past) {
                    None => drop(draft.work.insert(action)),
                    Some(contested) => tell(&action, contested, view, draft),
                }
            }
        }
        None if draft.work.iter().any(putting) => drop(draft.report.questions.insert(Question::Past)),
        None => {}
    }
}

fn contest(action: &Action, past: &Past) -> Option<(Thing, Contest)> {
    let thing = Thing::put_by(action)?;
    past.contest(&thing).map(|contest| (thing, contest))
}

fn tell(action: &Action, (thing, contest): (Thing, Contest), view: &View<'_>, draft: &mut Draft) {
    let Contest { times, opponent, until } = contest;
    let resource = thing.to_string();
    draft.report.add_finding(Finding::Contention { resource, times, principal: opponent, retry_at_ms: until });
    if let Some(pair) = action.pair(view.observed) {
        draft.notes.of_rest(&pair, "somebody keeps undoing it");
    }
}
