//! Whether quotas of a scope are near their end, for `peerd doctor`.

use peerd_core::{Check, Quota, Quotas, Scope, tags};

use crate::trials::Ground;

/// The most active peerings per VPC that AWS grants
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).
const MOST_PEERINGS: usize = 125;

/// A warning for each quota of which a VPC, table or group of peerd has used most.
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
    let quotas = [Quota::Peerings, Quota::Routes, Quota::Rules].map(|quota| (quota, quotas.value(quota)));
    quotas.into_iter().filter_map(|(quota, value)| near(scope, quota, value, &used)).collect()
}

/// The warning of a quota, with the resource that has used most of it.
fn near(scope: &Scope, quota: Quota, value: usize, used: &[(String, Quota, usize)]) -> Option<Check> {
    let is_near = |used: usize| used >= value || quota.is_near_limit(used, value);
    let near: Vec<_> = used.iter().filter(|(_, of, used)| *of == quota && is_near(*used)).collect();
    let (subject, _, most) = near.iter().max_by_key(|(subject, _, used)| (used, std::cmp::Reverse(subject)))?;
    let text = match near.len() - 1 {
        0 => format!("{subject} has {most} of {value} {quota}"),
        1 => format!("{subject} and 1 other have up to {most} of {value} {quota}"),
        others => format!("{subject} and {others} others have up to {most} of {value} {quota}"),
    };
    let wanted = if quota == Quota::Peerings { (2 * value).min(MOST_PEERINGS) } else { 2 * value };
    Some(Check::warn(
        text,
        format!(
            "in account {}, run `aws service-quotas request-service-quota-increase --region {} --service-code vpc --quota-code {} \
             --desired-value {wanted}`",
            scope.account,
            scope.region,
            quota.code()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_used_to_four_fifths_or_up_is_one_warning() {
        let scope: Scope = "111111111111/us-east-1".parse().unwrap();
        let check = |used: &[usize], value| {
            let used: Vec<_> =
                used.iter().enumerate().map(|(n, used)| (format!("vpc-{n}"), Quota::Peerings, *used)).collect();
            near(&scope, Quota::Peerings, value, &used)
        };
        let text = |used: &[usize], value| check(used, value).map(|check| check.text);
        assert_eq!(text(&[39], 50), None);
        assert_eq!(text(&[40], 50).unwrap(), "vpc-0 has 40 of 50 active peerings per VPC");
        assert_eq!(text(&[40, 44], 50).unwrap(), "vpc-1 and 1 other have up to 44 of 50 active peerings per VPC");
        assert_eq!(
            text(&[44, 3, 40, 44], 50).unwrap(),
            "vpc-0 and 2 others have up to 44 of 50 active peerings per VPC"
        );
        assert_eq!(
            text(&[1], 1).unwrap(),
            "vpc-0 has 1 of 1 active peerings per VPC",
            "below the default only when it is used up"
        );
        let remedy = check(&[100], 100).unwrap().remedy.unwrap();
        assert!(remedy.contains("--quota-code L-7E9ECCDB --desired-value 125"), "{remedy}");
    }
}
