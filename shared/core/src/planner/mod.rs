//! The planner: from the desired and the observed state to actions and a report. Read [`plan`] first; it is the list of steps.
//!
//! Each step is a function in a file of its own: it takes values and returns its [`Decisions`](decisions::Decisions). No step
//! knows an id that does not exist yet: create, accept, tag and route are successive passes, and so are removing routes and
//! deleting a peering.

mod backoff;
mod context;
mod decisions;
mod dns;
mod incomplete_mesh;
mod index;
mod membership;
mod path;
mod paused;
mod peerings;
mod policy_conflicts;
mod quotas;
mod reachability;
mod reachable_filters;
mod reachable_routes;
mod routes;
mod security_group_findings;
mod security_groups;
mod status_reasons;
mod status_tags;
mod teardown;
#[cfg(test)]
mod tests;
mod unknown_requesters;
mod unreadable_scopes;
mod wanted_pairs;

pub use context::PlanContext;
pub use index::ObservedIndex;
pub use reachability::{ExplainedPair, explain, explain_all};

use crate::action::Plan;
use crate::desired::DesiredState;
use crate::observed::ObservedState;
use crate::report::Report;
use decisions::Decisions;

/// Decides what to do for one mesh, and reports why not more.
///
/// Total, deterministic and pure: equal inputs give byte-equal plans, and applying a plan in full leaves the next one
/// empty or one step further. An unreadable scope never causes a delete. If the report has questions, the caller answers
/// them and plans again.
pub fn plan(desired: &DesiredState, observed: &ObservedState) -> (Plan, Report) {
    plan_on(desired, &ObservedIndex::new(observed))
}

/// As [`plan`], on an index that serves several meshes.
pub fn plan_on(desired: &DesiredState, index: &ObservedIndex<'_>) -> (Plan, Report) {
    let context = PlanContext::new(desired, index);
    let pairs = wanted_pairs::find_wanted_pairs(&context);

    let requests = peerings::request(&pairs, &context);
    let routes = routes::route(&pairs, &context);
    // Needs both: the routes of a dead peering wait for a successor only if one can be requested, and no route is removed
    // that this plan moves, or that waits for the routes in its place.
    let teardowns = teardown::find_teardowns(&pairs, &requests, &routes, &context);

    // A rule is added only for what is routed, and stays while its route is moved.
    let ingress = security_groups::allow(&pairs, &routes, &context);

    let leaving = teardowns.leaving(&desired.mesh);
    let decisions: Decisions = [
        unreadable_scopes::report(&context),
        unknown_requesters::report(&context),
        policy_conflicts::report(&pairs, &context),
        incomplete_mesh::report(&context),
        requests.decisions,
        peerings::accept(&pairs, &context),
        peerings::tag(&pairs, &context),
        peerings::release(&context),
        peerings::report_unsealed(&context),
        routes.decisions,
        dns::resolve(&pairs, &context),
        ingress,
        teardown::delete(&teardowns, &context),
        teardowns.decisions,
    ]
    .into_iter()
    .collect();

    let decisions = backoff::suppress_contended(decisions, &context);
    let (status_updates, decisions) = status_tags::update(decisions, &context);
    let (status_updates, decisions) = backoff::suppress_contended_status(status_updates, decisions, &context);
    let waiting = decisions.reasons.waiting();
    let (plan, mut report) = paused::suppress_paused(decisions, status_updates, &context);
    (report.pairs, report.waiting) = (wanted_pairs::count_by_state(&pairs, leaving), waiting);
    (plan, report)
}
