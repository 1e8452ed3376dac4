//! A sample of every finding, for tests of the code that renders, stores or sends findings.

use std::collections::BTreeSet;

use peerd_core::cidr::IpNet;
use peerd_core::ids::{MeshName, Pair, PeeringId, SecurityGroupId, SecurityGroupRuleId, VpcRef};
use peerd_core::{
    CidrSet, DeleteLimits, Denial, Disagreement, Expected, Finding, Limit, MissingRole, Quota, Traffic, cidr,
};

use crate::world::{account, mesh, scope, unit};

/// Returns every finding, with every denial, disagreement, limit and expectation that it can have.
#[expect(clippy::expect_used, clippy::too_many_lines, reason = "a list of literals")]
pub fn samples() -> Vec<Finding> {
    let here = scope(1, 0);
    let vpc = |name: &str, number| VpcRef::new(scope(number, 0), format!("vpc-{name}").parse().expect("a VPC"));
    let (a, b) = (vpc("a", 1), vpc("b", 2));
    let pair = || Pair::of(&a, &b).expect("two VPCs");
    let peering = || -> PeeringId { "pcx-1".parse().expect("a peering") };
    let cidr = |text: &str| -> IpNet { cidr::parse(text).expect("a CIDR block") };
    let (table, list, group) = ("rtb-1".parse().expect("a table"), "pl-1".parse().expect("a list"), "sg-1".parse());
    let group: SecurityGroupId = group.expect("a group");
    let rule: SecurityGroupRuleId = "sgr-1".parse().expect("a rule");
    let (prod, both): (MeshName, BTreeSet<MeshName>) = (mesh("prod"), ["prod", "staging"].map(mesh).into());
    let (role, error, target) = ("peerd-spoke".to_owned(), "denied".to_owned(), "igw-1".to_owned());
    let (cidr, other) = (cidr("10.1.0.0/16"), cidr("10.1.128.0/17"));
    let retry_at_ms = 1_795_000_000_000;
    let mut samples = vec![
        Finding::DeleteLimit { mesh: prod.clone(), deletes: 15, live: 36, limits: DeleteLimits::default() },
        Finding::UnreadablePolicy { mesh: prod.clone(), error: error.clone() },
        Finding::UnreadableScope { scope: here.clone(), role: role.clone(), error: error.clone() },
        Finding::InactiveAccount { scope: here.clone(), state: "SUSPENDED".to_owned(), error: error.clone() },
        Finding::DisabledRegion { scope: here.clone(), error: error.clone() },
        Finding::UnreadableSecurityGroups { scope: here.clone(), error: error.clone() },
        Finding::UnreadableDnsAttributes { vpc: a.clone(), role: role.clone(), error: error.clone() },
        Finding::UnprovenPeering { pair: pair(), peering: peering() },
        Finding::UnreadableRoutes { pair: pair(), peering: peering(), vpc: b.clone() },
        Finding::FailedPeering { pair: pair(), peering: peering(), error: error.clone() },
        Finding::UnknownRequester { peering: peering(), requester: a.clone(), accepter: b.clone() },
        Finding::UnknownAccount { account: a.scope.account.clone() },
        Finding::CidrOverlap { pair: pair(), ours: cidr, theirs: other },
        Finding::QuotaRefused { pair: pair(), error: error.clone() },
        Finding::CidrNotAdmitted { vpc: a.clone(), mesh: prod.clone(), cidr },
        Finding::NotAHub { vpc: a.clone(), mesh: prod.clone() },
        Finding::UndeclaredMeshes { pair: pair(), peering: peering(), meshes: both.clone() },
        Finding::DnsAttributesOff { vpc: a.clone(), hostnames: false, support: true },
        Finding::Paused { mesh: prod.clone(), pending: 3, paused: both.clone() },
    ];
    samples.push(Finding::NoValidSeal { mesh: prod.clone(), peerings: 15 });
    samples.extend([MissingRole::Peer, MissingRole::Hub, MissingRole::Spoke].map(|lacks| {
        let members = if lacks == MissingRole::Peer { 1 } else { 3 };
        Finding::IncompleteMesh { mesh: prod.clone(), members, lacks }
    }));
    samples.extend([
        Finding::ForeignPeering {
            pair: pair(),
            peering: peering(),
            mesh: prod.clone(),
            deployment: "peerd".to_owned(),
        },
        Finding::UnsealedPeering {
            pair: pair(),
            peering: peering(),
            mesh: prod.clone(),
            scopes: [here.clone(), b.scope.clone()].into(),
        },
        Finding::UnsealedRule { scope: here.clone(), group: group.clone(), rule: rule.clone() },
        Finding::OtherRuleOwner { scope: here.clone(), group: group.clone(), rule, deployment: "other".to_owned() },
        Finding::OtherOwnershipTag {
            pair: pair(),
            peering: peering(),
            scope: here.clone(),
            deployment: "other".to_owned(),
        },
        Finding::UnreadablePrefixList {
            table: Clone::clone(&table),
            vpc: a.clone(),
            list: Clone::clone(&list),
            cidr,
            target: target.clone(),
            role,
            error: error.clone(),
        },
        Finding::OverriddenRoute {
            table: Clone::clone(&table),
            vpc: a.clone(),
            cidr,
            target: target.clone(),
            by: [other].into_iter().collect(),
        },
        Finding::PrefixListRoute { table: Clone::clone(&table), vpc: a.clone(), list, cidr, target: target.clone() },
        Finding::OverlapsOwnVpc { table: Clone::clone(&table), vpc: a.clone(), cidr, peer: b.clone() },
        Finding::RouteOverlap {
            table: Clone::clone(&table),
            vpc: a.clone(),
            cidr,
            peer: a.clone(),
            routed_cidr: other,
            routed_peer: b.clone(),
        },
        Finding::GroupOfNonMember { group: Clone::clone(&group), vpc: a.clone(), mesh: prod.clone() },
        Finding::SecurityGroupsOff { group: Clone::clone(&group), vpc: a.clone(), mesh: prod.clone() },
        Finding::PortsNotAdmitted {
            group,
            vpc: a.clone(),
            mesh: prod.clone(),
            ports: [Traffic::Tcp(22, 22), Traffic::Icmp].into(),
        },
    ]);
    for propagated in [false, true] {
        let (table, target) = (Clone::clone(&table), target.clone());
        samples.push(Finding::ForeignRoute { table, vpc: a.clone(), cidr, target, propagated, peering: peering() });
    }
    for principal in [None, Some("arn:aws:iam::111111111111:user/terraform".to_owned())] {
        samples.push(Finding::StatusContention { vpc: a.clone(), times: 5, principal: principal.clone(), retry_at_ms });
        samples.push(Finding::Contention {
            resource: "route to 10.1.0.0/16 in rtb-1".to_owned(),
            times: 4,
            principal,
            retry_at_ms,
        });
    }
    for (quota, limit) in Quota::ALL.into_iter().zip([
        Limit::Applied(50),
        Limit::Default(25),
        Limit::Refused("the maximum number of routes is reached".to_owned()),
        Limit::Applied(60),
    ]) {
        let (subject, scope) = (a.to_string(), here.clone());
        let left_out = vec!["vpc-c".to_owned(), "vpc-d".to_owned()];
        samples.push(Finding::QuotaNearLimit {
            subject: subject.clone(),
            scope: scope.clone(),
            quota,
            limit: limit.clone(),
        });
        samples.push(Finding::QuotaExceeded { subject, scope, quota, limit, left_out, more: 2 });
    }
    for denial in [
        Denial::NotDeclared,
        Denial::Draining,
        Denial::Full { members: 50 },
        Denial::Account(account(3)),
        Denial::Region(here.region.clone()),
        Denial::Vpc(a.id.clone()),
        Denial::OutsideUnits(account(3)),
        Denial::UnitNotListed { unit: unit("prod") },
    ] {
        samples.push(Finding::NotAdmitted { vpc: a.clone(), mesh: prod.clone(), denial });
    }
    for (key, expected) in [
        ("peerd:allow", Expected::MeshNames),
        ("peerd:ports", Expected::Ports),
        ("peerd:routes", Expected::ManageOrIgnore),
        ("peerd:role", Expected::HubOrSpoke),
        ("peerd:cidrs", Expected::OwnCidrs),
    ] {
        let (resource, key, word) = (a.to_string(), key.to_owned(), "tpc".to_owned());
        samples.push(Finding::InvalidTag { resource, key, word, expected });
    }
    for about in [
        Disagreement::Tag { key: "team".to_owned(), value: "network".to_owned() },
        Disagreement::Cidrs { vpc: a.clone(), cidrs: [cidr].into_iter().collect::<CidrSet>() },
        Disagreement::Dns,
        Disagreement::Adoption { peering: peering() },
    ] {
        samples.push(Finding::PoliciesDisagree { pair: pair(), meshes: both.clone(), about });
    }
    samples
}

#[cfg(test)]
mod tests {
    use peerd_core::Severity;

    use super::*;

    #[test]
    fn findings_are_sorted_by_severity() {
        let sorted: BTreeSet<Finding> = samples().into_iter().collect();
        let severities: Vec<Severity> = sorted.iter().map(Finding::severity).collect();
        assert!(severities.is_sorted(), "{severities:?}");
    }

    #[test]
    fn a_finding_round_trips_through_json() {
        for finding in samples() {
            let text = serde_json::to_string(&finding).unwrap();
            assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding, "{text}");
        }
    }

    #[test]
    fn every_finding_has_a_subject_a_message_and_a_remedy() {
        for finding in samples() {
            for text in [finding.subject(), finding.message(), finding.remedy(&peerd_core::Operator::default())] {
                assert!(!text.trim().is_empty() && !text.ends_with('.'), "{finding:?}: `{text}`");
            }
        }
    }
}
