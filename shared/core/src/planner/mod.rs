//! The planner: from what is wanted and what was seen to what follows. Read [`plan`] first; it is the list of steps.
//!
//! Each step stands in a file of its own. No step knows an id that does not exist yet: create, accept, tag and route are
//! successive passes, and so are taking routes out and deleting.

mod agreeing;
mod allowing;
mod explaining;
mod fitting;
mod guarding;
mod leaving;
mod linking;
mod membership;
mod pausing;
mod resolving;
mod resting;
mod routing;
mod telling;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeSet;

pub use explaining::{Check, Doors, Holds, Told, explain, explain_all};
pub use view::View;

use crate::action::{Action, Plan};
use crate::desired::Desired;
use crate::observed::Observed;
use crate::report::Report;

/// Decides what to do for one mesh, and says why not more.
///
/// Total, deterministic and pure: equal inputs give byte-equal plans, and applying a plan in full leaves the next one
/// empty or one step further. A scope that did not answer never causes a delete. Where the report has questions, they are to
/// be answered first, and the plan made again.
pub fn plan(desired: &Desired, observed: &Observed) -> (Plan, Report) {
    let view = View::new(desired, observed);
    let mut draft = Draft::default();

    guarding::report_gaps(&view, &mut draft);
    guarding::report_strangers(&view, &mut draft);
    let links = linking::find(&view);
    linking::count(&links, &mut draft);
    agreeing::report(&links, &view, &mut draft);
    linking::request(&links, &view, &mut draft);
    linking::accept(&links, &view, &mut draft);
    linking::tag(&links, &view, &mut draft);
    linking::release(&view, &mut draft);
    routing::route(&links, &view, &mut draft);
    resolving::resolve(&links, &view, &mut draft);
    allowing::allow(&links, &view, &mut draft);
    let leaving = leaving::find(&links, &view, &mut draft);
    leaving::withdraw_routes(&leaving, &mut draft);
    leaving::delete_peerings(&leaving, &view, &mut draft);
    resting::hold(&view, &mut draft);
    telling::set_status(&view, &mut draft);
    pausing::withhold(&view, &mut draft);

    draft.finish()
}

/// A plan and a report in the making, with what each VPC is to be told.
#[derive(Default)]
struct Draft {
    work: BTreeSet<Action>,
    labels: BTreeSet<Action>,
    report: Report,
    notes: telling::Notes,
    unfit: fitting::Unfit,
}

impl Draft {
    fn finish(self) -> (Plan, Report) {
        (Plan { work: self.work.into_iter().collect(), labels: self.labels.into_iter().collect() }, self.report)
    }
}
