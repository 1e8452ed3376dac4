//! Scopes that could not be read.

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::finding::Finding;

/// Reports the unreadable scopes, except those that are unreadable because the Region is disabled in the account and that
/// have no member in the index.
pub fn report(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    let unread = context.observed.scopes.iter().filter_map(|(scope, reading)| Some((scope, reading.as_ref().err()?)));
    for (scope, error) in unread {
        let is_disabled = context.observed.disabled_regions.contains(scope);
        let has_members = context.desired.indexed.keys().any(|vpc| vpc.scope == *scope);
        if is_disabled && !has_members {
            continue;
        }
        let (scope, error) = (scope.clone(), error.clone());
        decisions.report(match context.desired.organization.inactive(&scope.account) {
            Some(state) => Finding::InactiveAccount { state: state.to_string(), scope, error },
            None if is_disabled => Finding::DisabledRegion { scope, error },
            None => Finding::UnreadableScope { scope, role: context.desired.role.clone(), error },
        });
    }
    decisions
}
