//! What a policy would let in that the one before it does not, also if no VPC uses it yet.

use std::collections::BTreeSet;
use std::fmt;

use crate::admitted_ranges::{AdmittedRanges, is_private};
use crate::policy::{Policy, Routing, Tables, Topology};

/// The ways in which a policy is wider than another, in words.
pub fn widening(before: &Policy, after: &Policy) -> Vec<String> {
    let (from, to) = (&before.admit, &after.admit);
    let mut wider: Vec<String> = [
        list("admit.accounts", &from.accounts, &to.accounts),
        list("admit.units", &from.units, &to.units),
        list("admit.regions", &from.regions, &to.regions),
        list("admit.vpcs", &from.vpcs, &to.vpcs),
        more_members(from.members, to.members),
        ranges(&from.cidrs, &to.cidrs),
    ]
    .into_iter()
    .flatten()
    .collect();
    wider.extend(topology(before, after));
    wider.extend(routing(&before.routes, &after.routes));
    let ports = |policy: &Policy| policy.security_groups.as_ref().map(|it| it.ports.clone()).unwrap_or_default();
    wider.extend(added("security_groups.ports", &ports(before), &ports(after)));
    if after.deletes.count > before.deletes.count || after.deletes.percent > before.deletes.percent {
        let limits = |policy: &Policy| format!("{} and {} %", policy.deletes.count, policy.deletes.percent);
        wider.push(format!("`deletes` is {} instead of {}", limits(after), limits(before)));
    }
    wider
}

/// An empty list admits everything.
fn list<T: Ord + fmt::Display>(field: &str, before: &BTreeSet<T>, after: &BTreeSet<T>) -> Option<String> {
    if before.is_empty() {
        None
    } else if after.is_empty() {
        Some(format!("`{field}` admits any instead of {}", words(before)))
    } else {
        added(field, before, after)
    }
}

fn added<T: Ord + fmt::Display>(field: &str, before: &BTreeSet<T>, after: &BTreeSet<T>) -> Option<String> {
    let added: BTreeSet<&T> = after.difference(before).collect();
    (!added.is_empty()).then(|| format!("`{field}` has also {}", words(&added)))
}

/// The most entries of a list that are named.
const MAX_NAMED: usize = 5;

fn words<T: fmt::Display>(entries: &BTreeSet<T>) -> String {
    let named: Vec<String> = entries.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let others = entries.len() - named.len();
    named.join(", ") + &if others == 0 { String::new() } else { format!(" and {others} more") }
}

fn more_members(before: Option<usize>, after: Option<usize>) -> Option<String> {
    match (before, after) {
        (Some(before), None) => Some(format!("`admit.members` has no maximum instead of {before}")),
        (Some(before), Some(after)) if after > before => {
            Some(format!("`admit.members` is {after} instead of {before}"))
        }
        _ => None,
    }
}

fn ranges(before: &AdmittedRanges, after: &AdmittedRanges) -> Option<String> {
    let has_private = |ranges: &AdmittedRanges| ranges.private || ranges.is_empty();
    let has_amazon = |ranges: &AdmittedRanges| ranges.amazon_ipv6 || ranges.is_empty();
    let is_wider = (has_private(after) && !has_private(before))
        || (has_amazon(after) && !has_amazon(before))
        || after.cidrs.iter().any(|cidr| !(before.cidrs.spans(cidr) || has_private(before) && is_private(cidr)));
    let named = |ranges: &AdmittedRanges| match ranges.is_empty() {
        true => "private amazon-ipv6".to_owned(),
        false => ranges.to_string(),
    };
    is_wider.then(|| format!("`admit.cidrs` admits {} instead of {}", named(after), named(before)))
}

fn topology(before: &Policy, after: &Policy) -> Vec<String> {
    match (before.topology, after.topology) {
        (Topology::HubAndSpoke, Topology::FullMesh) => {
            vec!["every member is connected with every other, not with hubs only".to_owned()]
        }
        (Topology::HubAndSpoke, Topology::HubAndSpoke) => {
            let (from, to) = (&before.hubs, &after.hubs);
            let lists = [
                added("hubs.accounts", &from.accounts, &to.accounts),
                added("hubs.units", &from.units, &to.units),
                added("hubs.vpcs", &from.vpcs, &to.vpcs),
            ];
            lists.into_iter().flatten().collect()
        }
        (Topology::FullMesh, _) => Vec::new(),
    }
}

fn routing(before: &Routing, after: &Routing) -> Vec<String> {
    let mut wider = Vec::new();
    let reach = |tables: Tables| match tables {
        Tables::All => 2,
        Tables::Main | Tables::Tagged => 1,
    };
    if after.tables != before.tables && reach(after.tables) >= reach(before.tables) {
        wider.push("`routes.tables` selects other route tables".to_owned());
    }
    let routed: Vec<String> =
        before.exclude.iter().filter(|cidr| !after.exclude.spans(cidr)).map(ToString::to_string).collect();
    if !routed.is_empty() {
        wider.push(format!("`routes.exclude` no longer has all of {}", routed.join(", ")));
    }
    wider
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::read(&mut serde_json::Deserializer::from_str(text)).unwrap()
    }

    #[test]
    fn a_policy_without_limits_is_wider_than_one_with_limits_in_each_of_them() {
        let strict = policy(
            r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-1"]},
                "admit":{"accounts":["111111111111"],"units":["ou-a1b2-c3d4e5f6"],"regions":["eu-west-1"],"vpcs":["vpc-1"],
                    "members":2,"cidrs":["10.0.0.0/8"]},
                "routes":{"tables":"tagged","exclude":["100.64.0.0/10"]},"deletes":{"count":0,"percent":0}}"#,
        );
        assert_eq!(
            widening(&strict, &Policy::default()),
            [
                "`admit.accounts` admits any instead of 111111111111",
                "`admit.units` admits any instead of ou-a1b2-c3d4e5f6",
                "`admit.regions` admits any instead of eu-west-1",
                "`admit.vpcs` admits any instead of vpc-1",
                "`admit.members` has no maximum instead of 2",
                "`admit.cidrs` admits private amazon-ipv6 instead of 10.0.0.0/8",
                "every member is connected with every other, not with hubs only",
                "`routes.tables` selects other route tables",
                "`routes.exclude` no longer has all of 100.64.0.0/10",
                "`deletes` is 10 and 30 % instead of 0 and 0 %",
            ]
        );
        assert_eq!(widening(&Policy::default(), &strict), Vec::<String>::new(), "to close is not to open");
        assert_eq!(widening(&strict, &strict), Vec::<String>::new());
    }

    #[test]
    fn more_of_what_a_policy_lists_is_wider_and_less_is_not() {
        let wider = |before: &str, after: &str| widening(&policy(before), &policy(after));
        let (one, two) =
            (r#"{"admit":{"members":3,"vpcs":["vpc-1"]}}"#, r#"{"admit":{"members":4,"vpcs":["vpc-1","vpc-2"]}}"#);
        assert_eq!(wider(one, two), ["`admit.vpcs` has also vpc-2", "`admit.members` is 4 instead of 3"]);
        assert!(wider(two, one).is_empty());
        let ports = r#"{"security_groups":{"ports":["tcp/443"]}}"#;
        assert_eq!(wider("{}", ports), ["`security_groups.ports` has also tcp/443"]);
        let public = r#"{"admit":{"cidrs":["private","amazon-ipv6","198.51.100.0/24"]}}"#;
        assert_eq!(wider("{}", public).len(), 1);
        assert!(wider(public, "{}").is_empty());
    }
}
