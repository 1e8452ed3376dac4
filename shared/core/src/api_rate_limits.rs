//! The rate limits of EC2, for each account, Region and API
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>).

use std::collections::BTreeMap;

use crate::action::Action;
use crate::ids::Scope;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of calls that a full bucket allows immediately.
    pub burst: u32,
    /// The number of calls per second after that.
    pub per_second: u32,
}

/// The rate limit of paginated or filtered describe calls.
pub const READ: Rate = Rate { burst: 100, per_second: 20 };
/// The rate limit of calls that write routes, peerings and rules.
pub const WRITE: Rate = Rate { burst: 50, per_second: 5 };
/// The rate limit of CreateTags and DeleteTags.
pub const TAG: Rate = Rate { burst: 100, per_second: 10 };

impl Rate {
    /// The least time that so many calls take, in whole seconds.
    pub fn seconds(self, calls: usize) -> u64 {
        let waiting = u64::try_from(calls).unwrap_or(u64::MAX).saturating_sub(self.burst.into());
        waiting.div_ceil(self.per_second.into())
    }
}

/// The least time that actions take because of EC2's rate limits alone, in whole seconds. Calls to different scopes or
/// APIs do not wait for each other.
pub fn seconds<'a>(actions: impl IntoIterator<Item = &'a Action>) -> u64 {
    let mut calls: BTreeMap<(&Scope, &str), (Rate, usize)> = BTreeMap::new();
    for action in actions {
        let (api, rate) = call(action);
        calls.entry((action.scope(), api)).or_insert((rate, 0)).1 += 1;
    }
    calls.into_values().map(|(rate, calls)| rate.seconds(calls)).max().unwrap_or_default()
}

/// The name of the API that applies an action.
pub fn api(action: &Action) -> &'static str {
    call(action).0
}

/// The call that applies an action, with its rate limit.
fn call(action: &Action) -> (&'static str, Rate) {
    match action {
        Action::CreatePeering { .. } => ("CreateVpcPeeringConnection", WRITE),
        Action::AcceptPeering { .. } => ("AcceptVpcPeeringConnection", WRITE),
        Action::SetDns { .. } => ("ModifyVpcPeeringConnectionOptions", WRITE),
        Action::AddRoute { .. } => ("CreateRoute", WRITE),
        Action::ReplaceRoute { .. } => ("ReplaceRoute", WRITE),
        Action::RemoveRoute { .. } => ("DeleteRoute", WRITE),
        Action::DeletePeering { .. } => ("DeleteVpcPeeringConnection", WRITE),
        Action::AuthorizeIngress { .. } => ("AuthorizeSecurityGroupIngress", WRITE),
        Action::RevokeIngress { .. } => ("RevokeSecurityGroupIngress", WRITE),
        Action::TagIngress { change, .. } if change.value().is_none() => ("DeleteTags", TAG),
        Action::ReleasePeering { .. } | Action::SetStatus { line: None, .. } => ("DeleteTags", TAG),
        Action::TagPeering { .. } | Action::TagIngress { .. } | Action::SetStatus { .. } => ("CreateTags", TAG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_within_the_burst_take_no_time_and_scopes_do_not_share_a_bucket() {
        assert_eq!([0, 50, 51, 55, 56].map(|calls| WRITE.seconds(calls)), [0, 0, 1, 1, 2]);
        let accept = |n: usize, account: u8| Action::AcceptPeering {
            peering: format!("pcx-{n}").parse().unwrap(),
            scope: format!("{}/us-east-1", account.to_string().repeat(12)).parse().unwrap(),
        };
        let all: Vec<Action> = (0..60).flat_map(|n| [accept(n, 1), accept(n, 2)]).collect();
        assert_eq!(seconds(&all), 2);
    }
}
