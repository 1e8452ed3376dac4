//! The planner: from what is wanted and what was seen to what follows. Read [`plan`] first; it is the list of steps.
//!
//! Each step stands in a file of its own. No step knows an id that does not exist yet: create, accept, tag and route are
//! successive passes, and so are taking routes out and deleting.

mod backoff;
mod context;
mod dns;
mod membership;
mod paused;
mod peerings;
mod policy_conflicts;
mod quotas;
mod reachability;
mod routes;
mod security_groups;
mod status_tags;
mod teardown;
#[cfg(test)]
mod tests;
mod unreadable_scopes;

use std::collections::BTreeSet;

pub use context::PlanContext;
pub use reachability::{Check, CheckResult, ExplainedPair, NetworkFilters, explain, explain_all};

use crate::action::{Action, Plan};
use crate::desired::DesiredState;
use crate::observed::ObservedState;
use crate::report::Report;

/// Decides what to do for one mesh, and says why not more.
///
/// Total, deterministic and pure: equal inputs give byte-equal plans, and applying a plan in full leaves the next one
/// empty or one step further. A scope that did not answer never causes a delete. Where the report has questions, they are to
/// be answered first, and the plan made again.
pub fn plan(desired: &DesiredState, observed: &ObservedState) -> (Plan, Report) {
    let context = PlanContext::new(desired, observed);
    let mut draft = PlanBuilder::default();

    unreadable_scopes::report_gaps(&context, &mut draft);
    unreadable_scopes::report_unknown_requesters(&context, &mut draft);
    let links = peerings::find_wanted_pairs(&context);
    peerings::count(&links, &mut draft);
    policy_conflicts::report(&links, &context, &mut draft);
    peerings::request(&links, &context, &mut draft);
    peerings::accept(&links, &context, &mut draft);
    peerings::tag(&links, &context, &mut draft);
    peerings::release(&context, &mut draft);
    routes::route(&links, &context, &mut draft);
    dns::resolve(&links, &context, &mut draft);
    security_groups::allow(&links, &context, &mut draft);
    let leaving = teardown::find_teardowns(&links, &context, &mut draft);
    teardown::withdraw_routes(&leaving, &mut draft);
    teardown::delete_peerings(&leaving, &context, &mut draft);
    backoff::suppress_contended(&context, &mut draft);
    status_tags::set_status(&context, &mut draft);
    paused::suppress_paused(&context, &mut draft);

    draft.finish()
}

/// A plan and a report in the making, with what each VPC is to be told.
#[derive(Default)]
struct PlanBuilder {
    work: BTreeSet<Action>,
    labels: BTreeSet<Action>,
    report: Report,
    notes: status_tags::StatusReasons,
    unfit: quotas::OverQuota,
}

impl PlanBuilder {
    fn finish(self) -> (Plan, Report) {
        (Plan { work: self.work.into_iter().collect(), labels: self.labels.into_iter().collect() }, self.report)
    }
}
