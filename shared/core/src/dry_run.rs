//! The forecast: the plans of a mesh until nothing is left to do, each computed from the predicted effects of the one
//! before.

use crate::action::Action;
use crate::desired::DesiredState;
use crate::effect::Effect;
use crate::ids::{Pair, PeeringId, SecurityGroupRuleId};
use crate::lint::lint;
use crate::observed::{ObservedState, PeeringStatus, PeeringView};
use crate::planner::plan;
use crate::report::Report;

/// The most plans in a forecast, which is as many as one run makes at most.
const MAX_PASSES: usize = 40;

/// All steps until the mesh has converged, if every call succeeds and AWS takes no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRun {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The report of the last plan: findings, waits and questions. If it has questions, more steps may follow.
    pub report: Report,
}

/// One step of a forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The action. A peering that does not exist yet has an id that AWS would not assign, such as `pcx-new1`.
    pub action: Action,
    /// The pair that the action concerns; `None` for actions that concern a whole mesh.
    pub pair: Option<Pair>,
}

/// Computes the steps until nothing is left to do.
///
/// # Errors
/// The lint violations of a plan, which are a defect of peerd.
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
            let effect = predicted(&action, &mut made);
            observed.apply_effect(&action, effect, &desired.seals);
            steps.push(Step { pair: action.pair(&observed), action });
        }
    }
    Ok(PlannedRun { steps, report: last })
}

/// The predicted effect of an action if AWS executes the call immediately. `made` counts resources without an id.
pub fn predicted(action: &Action, made: &mut u32) -> Effect {
    match action {
        Action::CreatePeering { pair, tags, .. } => {
            let (id, ends) = (PeeringId::predicted(made), pair.ends());
            Effect::Peering(Box::new(PeeringView::new(id, ends, PeeringStatus::PendingAcceptance, tags.clone())))
        }
        Action::AcceptPeering { .. } => Effect::Status(PeeringStatus::Active),
        Action::AuthorizeIngress { .. } => Effect::Rule(SecurityGroupRuleId::predicted(made)),
        _ => Effect::Done,
    }
}
