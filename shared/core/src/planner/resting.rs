//! What somebody undoes again and again is left as it is for a while, and told.

use super::Draft;
use super::view::View;
use crate::action::Action;
use crate::contest::{Contest, Past, Thing};
use crate::report::{FindingKind, Question};

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
    let opponent = opponent.as_deref().unwrap_or("somebody of whom no event told");
    let minute = until.div_ceil(60_000);
    let (hour, minute) = (minute / 60 % 24, minute % 60);
    let text = format!("put in place {times} times within two hours and undone, last by {opponent}");
    let remedy = format!(
        "have that tool leave it (docs/terraform.md), or keep peerd out of it (`peerd:routes=ignore`, `peerd release`); \
         peerd tries again from {hour:02}:{minute:02} UTC on"
    );
    draft.report.find(FindingKind::Conflict, &thing, text, remedy);
    if let Some(pair) = action.pair(view.observed) {
        draft.notes.of_rest(&pair, "somebody keeps undoing it");
    }
}
