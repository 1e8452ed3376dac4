//! Why two VPCs can or cannot reach each other.

use std::collections::BTreeMap;

use super::world::{World, joined, scope};
use crate::observed::RouteTarget;
use crate::tags;
use crate::*;

fn explained(world: &World, a: &VpcRef, b: &VpcRef) -> Vec<String> {
    with(world, &NetworkFilters::default(), a, b)
}

fn with(world: &World, filters: &NetworkFilters, a: &VpcRef, b: &VpcRef) -> Vec<String> {
    let checks = explain(&world.desired, &world.observed, filters, &PathQuery::between([a, b]));
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
    world.observed.peerings.clear();
    let last = |world: &World| explained(world, &a, &b).pop().unwrap();
    world.set_meshes(&b, "staging");
    assert_eq!(last(&world), "Fail: vpc-a requests prod, and vpc-b requests staging");
    world.set_meshes(&b, "prod");
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-z"]}}"#);
    assert_eq!(last(&world), "Fail: prod is hub-and-spoke, and neither VPC is a hub");
    world.declare("prod", r#"{"admit":{"accounts":["111111111111"]}}"#);
    assert_eq!(last(&world), "Fail: prod does not admit vpc-b: account 222222222222 is not admitted");
    world.close(&b.scope);
    assert_eq!(
        last(&world),
        "Fail: 222222222222/eu-west-1 cannot be read: AssumeRole: denied, with the role peerd-spoke"
    );
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

/// A rule of a network ACL for both directions; the last rule denies all.
fn acl(subnet: &str, rules: &[(i32, bool, bool, &str, &str)]) -> NetworkAcl {
    let rules = rules.iter().map(|&(number, egress, allows, traffic, cidr)| NetworkAclRule {
        number,
        egress,
        allows,
        traffic: if traffic == "all" { Traffic::All } else { traffic.parse().unwrap() },
        cidr: cidr.parse().unwrap(),
    });
    NetworkAcl { id: "acl-1".to_owned(), subnets: [subnet.to_owned()].into(), rules: rules.collect() }
}

const OPEN: [(i32, bool, bool, &str, &str); 4] = [
    (100, false, true, "all", "0.0.0.0/0"),
    (100, true, true, "all", "0.0.0.0/0"),
    (101, false, true, "all", "::/0"),
    (101, true, true, "all", "::/0"),
];

/// A security group with these inbound rules, that lets everything out.
fn group(id: &str, ingress: &[(&str, &str)]) -> GroupRules {
    let rule = |(traffic, peer): &(&str, &str)| GroupRule {
        traffic: if *traffic == "all" { Traffic::All } else { traffic.parse().unwrap() },
        peer: match peer {
            group if group.starts_with("sg-") => GroupRulePeer::Group((*group).to_owned()),
            list if list.starts_with("pl-") => GroupRulePeer::UnreadableList((*list).to_owned()),
            cidr => GroupRulePeer::Cidr(cidr.parse().unwrap()),
        },
    };
    let ingress = ingress.iter().map(rule).collect();
    GroupRules { id: id.to_owned(), ingress, egress: vec![rule(&("all", "0.0.0.0/0"))] }
}

#[test]
fn network_acls_and_groups_are_checked_as_far_as_they_are_readable() {
    let (world, a, b) = joined();
    let rules = [&[(1, true, false, "all", "10.2.0.0/16")][..], &OPEN].concat();
    let filters = NetworkFilters {
        acls: [(a.clone(), Ok(vec![acl("subnet-1", &rules)])), (b.clone(), Err("denied".to_owned()))].into(),
        groups: [
            (a.clone(), Ok(vec![group("sg-1", &[("all", "192.0.2.0/24")])])),
            (b.clone(), Ok(vec![group("sg-2", &[("tcp/443", "10.0.0.0/8")]), group("sg-3", &[])])),
        ]
        .into(),
        ..NetworkFilters::default()
    };
    let checks = with(&world, &filters, &a, &b);
    assert_eq!(
        checks[7..],
        [
            "Fail: rule 1 of acl-1 (1 subnet of vpc-a) denies traffic to 10.2.0.0/16 of vpc-b",
            "Warn: no security group of vpc-a allows traffic from vpc-b",
            "Warn: the network ACLs of vpc-b cannot be read: denied",
            "Pass: 1 of 2 security groups of vpc-b allow traffic from vpc-a",
        ]
    );
}

/// 10.1.0.5 of a and 10.2.0.7 of b, each with a network interface; a asks for a port of b.
struct Hosts {
    world: World,
    query: PathQuery,
    filters: NetworkFilters,
}

impl Hosts {
    fn new(port: &str) -> Self {
        let (world, a, b) = joined();
        let end = |vpc: &VpcRef, name: &str, address: &str| PathEnd {
            host: Some(Host {
                address: address.parse().unwrap(),
                interface: Some(NetworkInterface {
                    id: format!("eni-{name}"),
                    subnet: format!("subnet-{name}"),
                    groups: [format!("sg-{name}")].into(),
                }),
            }),
            ..PathEnd::of_vpc(vpc)
        };
        let ends = [end(&a, "a", "10.1.0.5"), end(&b, "b", "10.2.0.7")];
        let filters = NetworkFilters {
            subnets: BTreeMap::new(),
            acls: [(a.clone(), "subnet-a"), (b.clone(), "subnet-b")]
                .map(|(vpc, it)| (vpc, Ok(vec![acl(it, &OPEN)])))
                .into(),
            groups: [(a, Ok(vec![group("sg-a", &[])])), (b, Ok(vec![group("sg-b", &[("tcp/443", "10.1.0.0/24")])]))]
                .into(),
        };
        Self { world, query: PathQuery { ends, traffic: Some(port.parse().unwrap()) }, filters }
    }

    /// The checks of the packets.
    fn checks(&self) -> Vec<String> {
        let checks = explain(&self.world.desired, &self.world.observed, &self.filters, &self.query);
        checks[5..].iter().map(|check| format!("{:?}: {}", check.result(), check.message())).collect()
    }

    /// What does not pass.
    fn problems(&self) -> Vec<String> {
        self.checks().into_iter().filter(|line| !line.starts_with("Pass")).collect()
    }

    fn set_acl(&mut self, end: usize, first: (i32, bool, bool, &'static str, &'static str)) {
        let (vpc, subnet) = (self.query.ends[end].vpc.clone(), ["subnet-a", "subnet-b"][end]);
        self.filters.acls.insert(vpc, Ok(vec![acl(subnet, &[&[first][..], &OPEN].concat())]));
    }

    fn set_group(&mut self, ingress: &[(&str, &str)]) {
        self.filters.groups.insert(self.query.ends[1].vpc.clone(), Ok(vec![group("sg-b", ingress)]));
    }
}

#[test]
fn a_packet_between_two_addresses_passes_every_check() {
    assert_eq!(
        Hosts::new("tcp/443").checks(),
        [
            "Pass: eni-a in subnet-a of vpc-a has 10.1.0.5",
            "Pass: eni-b in subnet-b of vpc-b has 10.2.0.7",
            "Pass: rtb-a of vpc-a routes 10.2.0.7 to pcx-new1 (10.2.0.0/16)",
            "Pass: rtb-b of vpc-b routes 10.1.0.5 to pcx-new1 (10.1.0.0/16)",
            "Pass: sg-a of eni-a allows tcp/443 to 10.2.0.7",
            "Pass: sg-b of eni-b allows tcp/443 from 10.1.0.5",
        ]
    );
}

#[test]
fn the_rule_of_a_network_acl_that_denies_a_packet_or_its_reply_is_named() {
    let problem = |end, rule| {
        let mut hosts = Hosts::new("tcp/443");
        hosts.set_acl(end, rule);
        hosts.problems()
    };
    let denies = "Fail: rule 50 of acl-1 (1 subnet of vpc-b) denies tcp/443 from 10.1.0.5/32 of vpc-a";
    assert_eq!(problem(1, (50, false, false, "tcp/0-1023", "10.1.0.0/24")), [denies]);
    let replies = "Fail: rule 50 of acl-1 (1 subnet of vpc-a) denies tcp/1024-65535 from 10.2.0.7/32 of vpc-b";
    assert_eq!(problem(0, (50, false, false, "all", "10.2.0.0/16")), [replies]);
    let some = "Warn: rule 50 of acl-1 (1 subnet of vpc-b) denies some of tcp/1024-65535 to 10.1.0.5/32 of vpc-a";
    assert_eq!(problem(1, (50, true, false, "tcp/8080", "0.0.0.0/0")), [some]);
    for irrelevant in [(50, false, false, "udp/443", "0.0.0.0/0"), (50, false, false, "tcp/443", "10.1.9.0/24")] {
        assert!(problem(1, irrelevant).is_empty());
    }
}

#[test]
fn only_the_security_groups_of_the_interface_count() {
    let refused = "Fail: no security group of eni-b (sg-b) allows tcp/443 from 10.1.0.5";
    let mut hosts = Hosts::new("tcp/443");
    for (ingress, expected) in [
        (&[("tcp/443", "10.1.9.0/24")][..], &[refused][..]),
        (&[("tcp/22", "0.0.0.0/0"), ("udp/443", "0.0.0.0/0")], &[refused]),
        (&[("all", "0.0.0.0/0")], &[]),
        (&[("tcp/443", "sg-a")], &[]),
        (&[("tcp/443", "sg-z")], &[refused]),
        (&[("tcp/443", "pl-1")], &["Warn: sg-b names a prefix list that cannot be read"]),
    ] {
        hosts.set_group(ingress);
        assert_eq!(hosts.problems(), expected, "{ingress:?}");
    }
}

#[test]
fn the_table_of_the_subnet_decides_by_its_longest_route() {
    let mut hosts = Hosts::new("tcp/443");
    let a = hosts.query.ends[0].vpc.clone();
    let id = hosts.world.table("own", &a);
    hosts.world.observed.tables.get_mut(&id).unwrap().subnets.insert("subnet-a".to_owned());
    assert_eq!(hosts.problems(), ["Fail: rtb-own of vpc-a has no route to 10.2.0.0/16"]);
    let peering = RouteTarget::Peering("pcx-new1".parse().unwrap());
    hosts.world.route("rtb-own", "10.2.0.0/16", peering.clone());
    assert!(hosts.problems().is_empty());
    hosts.world.route("rtb-own", "10.2.0.0/24", RouteTarget::Other("igw-1".to_owned()));
    let part = "Fail: rtb-own of vpc-a routes 10.2.0.0/24, a part of 10.2.0.0/16, to igw-1";
    assert_eq!(hosts.problems(), [part]);
    hosts.world.route("rtb-own", "10.2.0.7/32", peering);
    assert!(hosts.problems().is_empty(), "a longer route of anyone decides");
}

#[test]
fn an_address_without_an_interface_or_outside_what_is_advertised_is_reported() {
    let mut hosts = Hosts::new("tcp/443");
    hosts.query.ends[1].host = Some(Host { address: "10.2.0.9".parse().unwrap(), interface: None });
    assert_eq!(hosts.problems(), ["Fail: no network interface of vpc-b has 10.2.0.9"]);
    let b = hosts.query.ends[1].vpc.clone();
    hosts.world.tag(&b, tags::CIDRS, "10.2.128.0/17");
    let table = hosts.world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap();
    table.routes.retain(|route| route.destination.to_string() != "10.2.0.0/16");
    assert_eq!(hosts.problems()[1], "Fail: vpc-b does not advertise 10.2.0.9 to the mesh");
}

#[test]
fn a_table_that_applies_to_no_subnet_is_no_obstacle() {
    let (mut world, a, b) = joined();
    world.table("spare", &a);
    let subnet = Subnet { id: "subnet-a".to_owned(), cidrs: ["10.1.0.0/24".parse().unwrap()].into_iter().collect() };
    let filters = NetworkFilters { subnets: [(a.clone(), Ok(vec![subnet]))].into(), ..NetworkFilters::default() };
    let checks = with(&world, &filters, &a, &b);
    assert!(checks.contains(&"Warn: rtb-spare of vpc-a does not have all routes, and applies to no subnet".to_owned()));
    assert!(!checks.iter().any(|line| line.starts_with("Fail")), "{checks:#?}");
}

#[test]
fn an_active_peering_without_a_common_mesh_carries_packets() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "staging");
    assert_eq!(explained(&world, &a, &b)[2..], ["Fail: vpc-a requests prod, and vpc-b requests staging"]);
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &Tags::new());
    world.route("rtb-a", "10.2.0.0/16", RouteTarget::Peering("pcx-hand".parse().unwrap()));
    let end = |vpc: &VpcRef, cidr: &str| PathEnd {
        cidrs: [cidr.parse().unwrap()].into_iter().collect(),
        ..PathEnd::of_vpc(vpc)
    };
    let query = PathQuery { ends: [end(&a, "10.1.0.0/16"), end(&b, "10.2.0.0/16")], traffic: None };
    let checks = explain(&world.desired, &world.observed, &NetworkFilters::default(), &query);
    let lines: Vec<String> =
        checks[2..].iter().map(|check| format!("{:?}: {}", check.result(), check.message())).collect();
    assert_eq!(
        lines,
        [
            "Warn: vpc-a requests prod, and vpc-b requests staging",
            "Pass: pcx-hand is active; peerd does not own it",
            "Pass: 1 of 1 route tables of vpc-a have all routes to vpc-b",
            "Fail: rtb-b of vpc-b has no route to 10.1.0.0/16",
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

#[test]
fn a_missing_peering_is_explained_with_the_reason_of_the_planner() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let why = |world: &World| explained(world, &a, &b).into_iter().find(|line| line.contains("no peering")).unwrap();
    assert_eq!(why(&world), "Fail: they have no peering");
    world.declare("prod", r#"{"mode":"paused"}"#);
    assert!(why(&world).starts_with("Fail: they have no peering: 3 changes pending while it is paused, and"));
    world.declare("prod", "{}");
    let create = world.plan().0.work[0].clone();
    let refused = Effect::Refused("VpcPeeringConnectionsPerVpcLimitExceeded".to_owned());
    world.observed.apply_effect(&create, refused, &world.desired.seals);
    assert_eq!(why(&world), "Fail: they have no peering: VpcPeeringConnectionsPerVpcLimitExceeded");
}

#[test]
fn an_own_peering_that_no_mesh_wants_carries_packets_until_it_is_deleted() {
    let (mut world, a, b) = joined();
    world.desired.declared.clear();
    let checks = explained(&world, &a, &b);
    assert!(checks.contains(&"Warn: pcx-new1 is active, and no mesh connects the two VPCs".to_owned()), "{checks:#?}");
    assert!(!checks.iter().any(|line| line.starts_with("Fail: prod")), "{checks:#?}");
}
