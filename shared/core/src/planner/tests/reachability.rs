//! Why two VPCs can or cannot reach each other.

use std::collections::BTreeMap;

use super::world::{World, joined, scope};
use crate::cidr::CidrSet;
use crate::observed::RouteTarget;
use crate::tags;
use crate::*;

fn explained(world: &World, a: &VpcRef, b: &VpcRef) -> Vec<String> {
    with(world, &NetworkFilters::default(), a, b)
}

fn with(world: &World, filters: &NetworkFilters, a: &VpcRef, b: &VpcRef) -> Vec<String> {
    let checks = explain(&world.desired, &world.observed, filters, [a, b]);
    checks.iter().map(|check| format!("{:?}: {}", check.result(), check.message())).collect()
}

#[test]
fn every_check_passes_for_two_vpcs_that_reach_each_other() {
    let (world, a, b) = joined();
    assert_eq!(
        explained(&world, &a, &b),
        [
            "Pass: vpc-a (111111111111/us-east-1) can be read",
            "Pass: vpc-b (222222222222/eu-west-1) can be read",
            "Pass: both request prod",
            "Pass: prod connects them",
            "Pass: pcx-new1 is active",
            "Pass: 1 of 1 route tables of vpc-a have all routes to vpc-b",
            "Pass: 1 of 1 route tables of vpc-b have all routes to vpc-a",
        ]
    );
}

#[test]
fn checks_before_the_peering_end_at_the_first_failure() {
    let (mut world, a, b) = joined();
    let last = |world: &World| explained(world, &a, &b).pop().unwrap();
    world.set_meshes(&b, "staging");
    assert_eq!(last(&world), "Fail: vpc-a requests prod, and vpc-b requests staging");
    world.set_meshes(&b, "prod");
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-z"]}}"#);
    assert_eq!(last(&world), "Fail: prod is hub-and-spoke, and neither VPC is a hub");
    world.declare("prod", r#"{"admit":{"accounts":["111111111111"]}}"#);
    assert_eq!(last(&world), "Fail: prod does not admit vpc-b: account 222222222222 is not admitted");
    world.close(&b.scope);
    assert_eq!(last(&world), "Fail: 222222222222/eu-west-1 cannot be read: AssumeRole: denied");
    let missing = VpcRef::new(scope(1, 0), "vpc-missing".parse().unwrap());
    assert_eq!(
        explained(&world, &a, &missing)[1],
        "Fail: vpc-missing (111111111111/us-east-1) has no peerd:env tag, or does not exist"
    );
    assert_eq!(explained(&world, &a, &a), ["Fail: both arguments are the same VPC"]);
}

#[test]
fn what_prevents_a_peering_is_reported() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.1.128.0/17", "prod");
    assert!(
        explained(&world, &a, &b)
            .contains(&"Fail: 10.1.0.0/16 overlaps 10.1.128.0/17, so AWS does not peer them".to_owned())
    );
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    assert!(explained(&world, &a, &c).contains(&"Fail: they have no peering".to_owned()));
    world.peering("pcx-hand", &a, &c, PeeringStatus::Active, &Tags::new());
    assert!(explained(&world, &a, &c).contains(&"Pass: pcx-hand is active; peerd does not own it".to_owned()));
    world.declare("prod", r#"{"mode":"paused"}"#);
    assert!(explained(&world, &a, &c).contains(&"Warn: prod is paused: peerd changes nothing of it".to_owned()));
}

#[test]
fn every_route_table_is_checked_in_both_directions() {
    let (mut world, a, b) = joined();
    world.table("more", &a);
    world.table("left", &a);
    world.tag_table("rtb-left", tags::ROUTES, "ignore");
    world.route("rtb-more", "10.2.0.0/16", RouteTarget::Other("tgw-1".to_owned()));
    let checks = explained(&world, &a, &b);
    for line in [
        "Warn: rtb-left of vpc-a gets no routes of the mesh",
        "Fail: rtb-more of vpc-a routes 10.2.0.0/16 to tgw-1",
        "Fail: rtb-more of vpc-a has no route to 2600:1f18:2::/56",
        "Pass: 1 of 3 route tables of vpc-a have all routes to vpc-b",
    ] {
        assert!(checks.contains(&line.to_owned()), "{line}: {checks:#?}");
    }
    world.propagate("rtb-more", "2600:1f18:2::/56", "vgw-1");
    let elsewhere = "Fail: rtb-more of vpc-a routes 2600:1f18:2::/56 to vgw-1".to_owned();
    assert!(explained(&world, &a, &b).contains(&elsewhere), "a propagated route is in the way of one");
    world.tag(&b, tags::CIDRS, "");
    assert!(explained(&world, &a, &b).contains(&"Fail: vpc-b advertises no CIDR block to the mesh".to_owned()));
}

#[test]
fn network_acls_and_groups_are_checked_as_far_as_they_are_readable() {
    let (world, a, b) = joined();
    let deny = NetworkAclRule {
        number: 1,
        egress: true,
        allows: false,
        all_traffic: true,
        cidr: "10.2.0.0/16".parse().unwrap(),
    };
    let allow = |egress| NetworkAclRule {
        number: 100,
        egress,
        allows: true,
        all_traffic: true,
        cidr: "0.0.0.0/0".parse().unwrap(),
    };
    let allow6 = |egress| NetworkAclRule { cidr: "::/0".parse().unwrap(), number: 101, ..allow(egress) };
    let rules = vec![deny, allow(false), allow(true), allow6(false), allow6(true)];
    let acl = NetworkAcl { id: "acl-1".to_owned(), subnets: 2, rules };
    let from = |cidrs: &str| cidrs.split(' ').map(|cidr| cidr.parse::<cidr::IpNet>().unwrap()).collect::<CidrSet>();
    let filters = NetworkFilters {
        acls: BTreeMap::from([(a.clone(), Ok(vec![acl])), (b.clone(), Err("denied".to_owned()))]),
        groups: BTreeMap::from([
            (a.clone(), Ok(BTreeMap::from([("sg-1".to_owned(), from("192.0.2.0/24"))]))),
            (b.clone(), Ok(BTreeMap::from([("sg-2".to_owned(), from("10.0.0.0/8"))]))),
        ]),
    };
    let checks = with(&world, &filters, &a, &b);
    assert_eq!(
        checks[7..],
        [
            "Fail: acl-1 of 2 subnets of vpc-a denies traffic to 10.2.0.0/16 of vpc-b",
            "Warn: no security group of vpc-a allows vpc-b",
            "Warn: the network ACLs of vpc-b cannot be read: denied",
            "Pass: 1 of 1 security groups of vpc-b allow vpc-a",
        ]
    );
}

#[test]
fn a_longer_route_that_leads_a_part_elsewhere_is_reported() {
    let (mut world, a, b) = joined();
    world.route("rtb-a", "10.2.1.0/24", RouteTarget::Other("igw-1".to_owned()));
    world.propagate("rtb-b", "10.1.0.0/17", "vgw-1");
    let said = explained(&world, &a, &b);
    assert_eq!(
        said[5..],
        [
            "Warn: rtb-a of vpc-a routes 10.2.1.0/24, a part of 10.2.0.0/16, to igw-1",
            "Warn: rtb-b of vpc-b routes 10.1.0.0/17, a part of 10.1.0.0/16, to vgw-1",
        ]
    );
}

#[test]
fn the_routes_over_a_foreign_peering_are_checked_as_well() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &Tags::new());
    world.route("rtb-a", "10.2.0.0/16", RouteTarget::Peering("pcx-hand".parse().unwrap()));
    assert_eq!(
        explained(&world, &a, &b)[4..],
        [
            "Pass: pcx-hand is active; peerd does not own it",
            "Pass: 1 of 1 route tables of vpc-a have all routes to vpc-b",
            "Fail: rtb-b of vpc-b has no route to 10.1.0.0/16",
        ]
    );
}

#[test]
fn a_missing_route_is_explained_with_the_reason_of_the_planner() {
    let (mut world, a, b) = joined();
    let c = world.vpc("c", scope(3, 0), "10.2.128.0/17", "prod");
    world.settle();
    let said = explained(&world, &a, &c);
    let overlap = "Fail: rtb-a of vpc-a has no route to 10.2.128.0/17: 10.2.128.0/17 of vpc-c (333333333333/us-east-1) overlaps \
                   10.2.0.0/16, which is routed to vpc-b (222222222222/eu-west-1)";
    assert!(said.contains(&overlap.to_owned()), "{said:#?}");
    world.declare("prod", r#"{"mode":"paused"}"#);
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    let said = explained(&world, &a, &b);
    assert!(said.iter().any(|line| line.contains("pending while it is paused")), "{said:#?}");
}
