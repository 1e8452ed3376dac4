//! AWS quotas: what is within them, which members go first, and how the rest is reported.

use super::world::*;
use crate::report::InputRequest;
use crate::*;

fn said(findings: &std::collections::BTreeSet<Rendered>) -> Vec<String> {
    findings.iter().map(|finding| format!("{} {}: {}", finding.kind, finding.subject, finding.text)).collect()
}

/// Four members that joined one after the other, the last one by name first.
fn four() -> (World, Vec<VpcRef>) {
    let mut world = World::new();
    let vpcs = world.crowd(4);
    for (nth, vpc) in vpcs.iter().rev().enumerate() {
        world.joined_at(vpc, nth as u64);
    }
    (world, vpcs)
}

#[test]
fn earliest_members_are_peered_first_and_a_full_vpc_names_who_is_left_out() {
    let (mut world, vpcs) = four();
    world.set_quotas(&[(Quota::Peerings, 2)]);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["p1-p2", "p1-p3", "p2-p3"]);
    let limit = "the quota is 2 active peerings per VPC";
    let full = |name: &str| format!("quota vpc-{name} (222222222222/us-east-1): no capacity for vpc-p0: {limit}");
    assert_eq!(said(&findings), ["p1", "p2", "p3"].map(full));
    let remedy = &findings.first().unwrap().remedy;
    assert!(
        remedy.starts_with("request an increase of L-7E9ECCDB for 222222222222/us-east-1 (Service Quotas)"),
        "{remedy}"
    );
    let status = world.status(&vpcs[1]);
    assert_eq!(status, Some("joined prod. refused prod with vpc-p0: vpc-p1 has reached its peering quota"));
    world.set_quotas(&[]);
    assert!(world.settle().1.is_empty());
    assert_eq!(world.peered().len(), 6);
}

#[test]
fn existing_and_foreign_peerings_keep_their_slots_in_any_order_of_joining() {
    let (mut world, vpcs) = four();
    let tags = world.managed([&vpcs[0], &vpcs[1]], "prod");
    world.peering("pcx-1", &vpcs[0], &vpcs[1], PeeringStatus::Active, &tags);
    let strange = world.vpc("x", scope(3, 0), "10.99.0.0/16", "");
    world.peering("pcx-2", &strange, &vpcs[3], PeeringStatus::Active, &Tags::new());
    world.set_quotas(&[(Quota::Peerings, 1)]);
    world.settle();
    assert_eq!(world.peered(), ["p0-p1", "x-p3"]);
}

#[test]
fn a_pair_ranks_by_the_common_mesh_that_both_joined_first() {
    let (mut world, vpcs) = four();
    world.set_quotas(&[(Quota::Peerings, 1)]);
    for vpc in &vpcs {
        world.set_meshes(vpc, "prod staging");
    }
    let staging = |world: &mut World, vpc: &VpcRef, since| {
        let member = world.desired.indexed.get_mut(vpc).unwrap();
        member.joined_at.insert(mesh("staging"), since);
    };
    for vpc in &vpcs {
        staging(&mut world, vpc, 9);
    }
    world.desired.indexed.get_mut(&vpcs[0]).unwrap().joined_at.insert(mesh("staging"), 0);
    world.desired.indexed.get_mut(&vpcs[1]).unwrap().joined_at.insert(mesh("staging"), 0);
    world.settle();
    assert_eq!(world.peered(), ["p0-p1", "p2-p3"], "staging connected p0 and p1 from the beginning");
}

#[test]
fn a_pair_that_waits_for_the_request_quota_keeps_its_slot() {
    let mut world = World::new();
    let hub = world.vpc("h", scope(3, 0), "10.100.0.0/16", "prod");
    let first = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let later = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    for (vpc, since) in [(&hub, 0), (&first, 1), (&later, 2)] {
        world.joined_at(vpc, since);
    }
    let other = world.vpc("o", scope(1, 0), "10.200.0.0/16", "");
    world.peering("pcx-1", &other, &later, PeeringStatus::PendingAcceptance, &Tags::new());
    world.set_quotas(&[(Quota::Peerings, 1), (Quota::Requests, 1)]);
    let (plan, report) = world.plan();
    assert_eq!(plan.work, [], "h has capacity only for a, whose account has too many pending requests");
    assert_eq!(report.waits.len(), 1);
}

#[test]
fn earliest_members_are_routed_first_and_routes_over_quota_are_reported() {
    let (mut world, vpcs) = four();
    world.set_quotas(&[(Quota::Routes, 2)]);
    let (_, findings) = world.settle();
    assert_eq!(world.peered().len(), 6);
    assert_eq!(world.targets("rtb-p1").len(), 2);
    assert!(world.targets("rtb-p1").iter().all(|route| !route.starts_with("10.0.0.0/16")));
    let text = "quota rtb-p1 in 222222222222/us-east-1: no capacity for 10.0.0.0/16 of vpc-p0: the quota is 2 routes per route table, for IPv4 and IPv6 each";
    assert!(said(&findings).contains(&text.to_owned()), "{findings:?}");
    assert!(world.status(&vpcs[1]).unwrap().contains("with vpc-p0: rtb-p1 has reached its route quota"));
}

#[test]
fn ipv6_routes_have_their_own_quota() {
    let (mut world, ..) = joined();
    world.set_quotas(&[(Quota::Routes, 1)]);
    assert_eq!(world.settle(), (Vec::new(), [].into()));
    world.vpc("c", scope(3, 0), "10.3.0.0/16 2600:1f18:3::/56", "prod");
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1", "2600:1f18:3::/56 pcx-new3"], "{findings:?}");
    assert_eq!(world.targets("rtb-c").len(), 2, "one of each family");
}

#[test]
fn a_quota_that_is_80_percent_used_is_reported() {
    let mut world = World::new();
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-p0"]}}"#);
    world.crowd(40);
    assert!(world.settle().1.is_empty(), "39 of 50");
    world.vpc("z", scope(3, 0), "10.200.0.0/16", "prod");
    let (_, findings) = world.settle();
    let near_limit = "quota vpc-p0 (222222222222/us-east-1): 80 % used: the quota is 50 active peerings per VPC";
    assert_eq!(said(&findings), [near_limit]);
    world.set_quotas(&[(Quota::Peerings, 125)]);
    assert!(world.settle().1.is_empty(), "40 of 125");
}

#[test]
fn quotas_are_read_only_if_something_is_to_be_added() {
    let (mut world, a, b) = joined();
    world.observed.inputs.quotas.clear();
    assert!(world.plan().1.questions.is_empty(), "the mesh has converged");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    let asked = [&a, &b, &c].map(|vpc| InputRequest::Quotas(vpc.scope.clone()));
    assert_eq!(world.plan().1.questions, asked.into());
}

#[test]
fn an_unreadable_quota_counts_as_the_aws_default_and_the_report_says_so() {
    let mut world = World::new();
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-p0"]}}"#);
    world.crowd(52);
    world.observed.inputs.quotas.insert(scope(2, 0), Err("denied".to_owned()));
    let (_, findings) = world.settle();
    let limit = "the default quota is 50 active peerings per VPC; the applied value cannot be read";
    assert_eq!(said(&findings), [format!("quota vpc-p0 (222222222222/us-east-1): no capacity for vpc-p9: {limit}")]);
}

#[test]
fn of_many_members_over_quota_three_are_named_and_the_others_counted() {
    let mut world = World::new();
    world.set_quotas(&[(Quota::Peerings, 1)]);
    world.crowd(7);
    let (_, findings) = world.settle();
    assert!(said(&findings)[0].contains("no capacity for vpc-p2, vpc-p3, vpc-p4 and 2 others: "), "{findings:?}");
}

#[test]
fn a_mesh_admits_up_to_its_member_limit_and_others_get_the_reason() {
    let (mut world, vpcs) = four();
    world.declare("prod", r#"{"admit":{"members":2}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["p2-p3"], "the earliest members");
    assert_eq!(world.status(&vpcs[0]), Some("refused prod: mesh is full (2 members)"));
    assert_eq!(findings.len(), 2);
    world.set_meshes(&vpcs[3], "");
    world.settle();
    assert_eq!(world.peered(), ["p1-p2"]);
}

#[test]
fn connected_members_keep_their_slots_in_a_full_mesh_whatever_the_index_says() {
    let (mut world, vpcs) = four();
    world.declare("prod", r#"{"admit":{"members":2}}"#);
    world.settle();
    for vpc in &vpcs[..2] {
        world.joined_at(vpc, 0);
    }
    world.joined_at(&vpcs[3], 99);
    assert_eq!(world.settle().0, Vec::<String>::new());
    assert_eq!(world.peered(), ["p2-p3"]);
}

#[test]
fn a_pair_over_the_limit_of_one_mesh_stays_for_the_other_mesh() {
    let (mut world, vpcs) = four();
    for vpc in &vpcs[..2] {
        world.set_meshes(vpc, "prod staging");
    }
    world.declare("staging", r#"{"admit":{"members":1}}"#);
    world.settle();
    assert_eq!(world.peered().len(), 6);
    let tagged = |world: &World| world.observed.peerings.values().any(|p| p.tagged_meshes().contains(&mesh("staging")));
    assert!(!tagged(&world), "only the run of staging decides which members are within its limit");
    world.desired.mesh = mesh("staging");
    assert!(world.settle().0.iter().all(|line| !line.contains("peering")), "one member is no pair");
    world.declare("staging", r#"{"admit":{"members":2}}"#);
    world.settle();
    assert!(tagged(&world));
    world.desired.mesh = mesh("prod");
    assert_eq!(world.settle().0, Vec::<String>::new(), "what staging has tagged stays");
    assert_eq!(world.peered().len(), 6);
}
