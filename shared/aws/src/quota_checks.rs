//! Whether quotas of a scope are near their end, for `peerd doctor`.

use peerd_core::{Check, Quota, Quotas, Scope, tags};

use crate::trials::Ground;

/// The most active peerings per VPC that AWS grants
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).
const MOST_PEERINGS: usize = 125;

/// A warning for each VPC, table and group of peerd that has used most of a quota.
pub fn check(scope: &Scope, ground: &Ground, quotas: &Quotas) -> Vec<Check> {
    let mut used: Vec<(String, Quota, usize)> = Vec::new();
    let members: Vec<_> =
        ground.vpcs.iter().filter(|vpc| vpc.tags.contains_key(tags::ENV)).map(|vpc| &vpc.vpc_ref).collect();
    for vpc in &members {
        let live =
            ground.peerings.iter().filter(|it| it.status.is_live() && [&it.requester, &it.accepter].contains(vpc));
        used.push((vpc.id.to_string(), Quota::Peerings, live.count()));
    }
    for table in ground.tables.iter().filter(|table| members.contains(&&table.vpc)) {
        for v4 in [true, false] {
            let routes =
                table.routes.iter().filter(|route| route.is_static && route.destination.addr().is_ipv4() == v4);
            used.push((table.id.to_string(), Quota::Routes, routes.count()));
        }
    }
    for group in &ground.groups {
        used.extend([true, false].map(|v4| (group.id.to_string(), Quota::Rules, group.count(v4))));
    }
    used.into_iter()
        .filter_map(|(subject, quota, used)| near(scope, &subject, quota, used, quotas.value(quota)))
        .collect()
}

fn near(scope: &Scope, subject: &str, quota: Quota, used: usize, value: usize) -> Option<Check> {
    let wanted = if quota == Quota::Peerings { (2 * value).min(MOST_PEERINGS) } else { 2 * value };
    (used >= value || quota.is_near_limit(used, value)).then(|| {
        Check::warn(
            format!("{subject} has {used} of {value} {quota}"),
            format!(
                "in account {}, run `aws service-quotas request-service-quota-increase --region {} --service-code vpc --quota-code {} \
                 --desired-value {wanted}`",
                scope.account,
                scope.region,
                quota.code()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_used_to_four_fifths_or_up_is_a_warning() {
        let scope: Scope = "111111111111/us-east-1".parse().unwrap();
        let text = |used, value| near(&scope, "vpc-1", Quota::Peerings, used, value).map(|check| check.text);
        assert_eq!(text(39, 50), None);
        assert_eq!(text(40, 50).unwrap(), "vpc-1 has 40 of 50 active peerings per VPC");
        assert_eq!(
            text(1, 1).unwrap(),
            "vpc-1 has 1 of 1 active peerings per VPC",
            "below the default only when it is used up"
        );
        let remedy = near(&scope, "vpc-1", Quota::Peerings, 100, 100).unwrap().remedy.unwrap();
        assert!(remedy.contains("--quota-code L-7E9ECCDB --desired-value 125"), "{remedy}");
    }
}
