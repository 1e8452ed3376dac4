//! What a plan leads to: the plans that follow from it, each on what the one before it brought about, to the end.

use crate::action::{Action, Effect};
use crate::desired::DesiredState;
use crate::ids::{Pair, PeeringId, SecurityGroupRuleId};
use crate::lint::lint;
use crate::observed::{ObservedState, PeeringStatus, PeeringView};
use crate::planner::plan;
use crate::report::Report;

/// As many plans as one run makes at the most.
const MAX_PASSES: usize = 40;

/// Everything that is to be done, if all goes well and AWS takes no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRun {
    /// In order.
    pub steps: Vec<Step>,
    /// What the last plan finds, waits for, and should have known: where it has questions, there is more to come.
    pub report: Report,
}

/// One thing that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What. A peering that does not exist yet has an id that AWS would not give, such as `pcx-new1`.
    pub action: Action,
    /// The pair that it serves; none for what serves a whole mesh.
    pub pair: Option<Pair>,
}

/// Plans to the end.
///
/// # Errors
/// The rules of the linter that a plan breaks: that is a defect of peerd.
pub fn forecast(desired: &DesiredState, observed: &ObservedState) -> Result<PlannedRun, Vec<String>> {
    let (mut observed, mut steps, mut made) = (observed.clone(), Vec::new(), 0);
    let mut last = Report::default();
    for _ in 0..MAX_PASSES {
        let (plan, report) = plan(desired, &observed);
        last = report;
        let broken = lint(&plan, desired, &observed);
        if !broken.is_empty() {
            return Err(broken);
        }
        let todo = if plan.work.is_empty() { plan.labels } else { plan.work };
        if todo.is_empty() || !last.questions.is_empty() {
            break;
        }
        for action in todo {
            let effect = foreseen(&action, &mut made);
            observed.apply_effect(&action, effect);
            steps.push(Step { pair: action.pair(&observed), action });
        }
    }
    Ok(PlannedRun { steps, report: last })
}

/// What an action brings about where AWS does at once what it is asked for; `made` counts what has no id yet.
pub fn foreseen(action: &Action, made: &mut u32) -> Effect {
    match action {
        Action::CreatePeering { pair, tags, .. } => {
            let (id, ends) = (PeeringId::foreseen(made), pair.ends());
            Effect::Peering(Box::new(PeeringView::new(id, ends, PeeringStatus::PendingAcceptance, tags.clone())))
        }
        Action::AcceptPeering { .. } => Effect::Status(PeeringStatus::Active),
        Action::AuthorizeIngress { .. } => Effect::Rule(SecurityGroupRuleId::foreseen(made)),
        _ => Effect::Done,
    }
}
