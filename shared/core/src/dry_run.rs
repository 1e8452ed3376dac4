//! The forecast: the plans of a mesh until nothing is left to do, each computed from the predicted effects of the one
//! before.

use crate::action::Action;
use crate::desired::DesiredState;
use crate::effect::Effect;
use crate::ids::{Pair, PeeringId, SecurityGroupRuleId, VpcRef};
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
    /// The peering that the action creates, changes, routes to or deletes.
    pub peering: Option<PeeringId>,
    /// The VPC whose tags or security groups the action changes.
    pub vpc: Option<VpcRef>,
}

/// Computes the steps until nothing is left to do.
///
/// # Errors
/// The lint violations of a plan, which are a defect of peerd.
pub fn forecast(desired: &DesiredState, observed: &ObservedState) -> Result<PlannedRun, Vec<String>> {
    play(desired, &mut observed.clone(), &mut 0)
}

/// Computes the steps until nothing is left to do, and applies their predicted effects to the observed state. `made` counts
/// resources without an id.
///
/// # Errors
/// As [`forecast`].
pub fn play(desired: &DesiredState, observed: &mut ObservedState, made: &mut u32) -> Result<PlannedRun, Vec<String>> {
    let (mut steps, mut last) = (Vec::new(), Report::default());
    for _ in 0..MAX_PASSES {
        let (plan, report) = plan(desired, observed);
        last = report;
        let broken = lint(&plan, desired, observed);
        if !broken.is_empty() {
            return Err(broken);
        }
        let todo = if plan.work.is_empty() { plan.labels } else { plan.work };
        if todo.is_empty() || !last.questions.is_empty() {
            break;
        }
        for action in todo {
            let effect = predicted(&action, made);
            let peering = match &effect {
                Effect::Peering(view) => Some(view.id.clone()),
                _ => action.peering().cloned(),
            };
            let vpc = action.vpc(observed).cloned();
            observed.apply_effect(&action, effect, &desired.seals);
            steps.push(Step { pair: action.pair(observed), action, peering, vpc });
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
