//! Security groups: what a policy and the routes let them allow.

use super::security_groups::{ANY_PORT, joined, opened, with_any_port};
use super::world::{World, mesh, messages, scope};
use crate::cidr;
use crate::tags::{ALLOW, CIDRS, ENV, MANAGED_BY, PORTS, for_mesh};
use crate::*;

#[test]
fn without_ports_in_the_policy_no_rule_is_added_and_existing_ones_are_revoked() {
    let (mut world, ..) = opened("tcp/443");
    world.declare("prod", "{}");
    let (_, findings) = world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
    assert_eq!(
        messages(&findings),
        ["sg-a of vpc-a (111111111111/us-east-1): allows prod, whose policy allows no security group rules"]
    );
}

#[test]
fn ports_that_the_policy_does_not_allow_are_reported_and_the_others_opened() {
    let (mut world, ..) = opened("tcp/22 tcp/443-8443");
    world.declare("prod", r#"{"security_groups":{"ports":["tcp/443","tcp/8443","udp/53"]}}"#);
    let (_, findings) = world.settle();
    let expected = [
        "tcp/443 from 10.2.0.0/16",
        "tcp/443 from 2600:1f18:2::/56",
        "tcp/8443 from 10.2.0.0/16",
        "tcp/8443 from 2600:1f18:2::/56",
    ];
    assert_eq!(world.lets_in(), expected.map(|rule| format!("{rule} for prod")));
    assert_eq!(
        messages(&findings),
        [
            "sg-a of vpc-a (111111111111/us-east-1): tcp/22 tcp/443-8443 in peerd:ports is more than the policy of prod allows"
        ]
    );
}

#[test]
fn a_group_allows_only_what_a_table_of_its_vpc_routes_to_the_peer() {
    let (mut world, a, _) = joined();
    world.declare("prod", &with_any_port(r#""routes":{"tables":"tagged"}"#));
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/80")]);
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new(), "no table is tagged");
    world.tag_table("rtb-a", tags::ROUTES, "manage");
    world.settle();
    assert_eq!(world.lets_in().len(), 2);
    // A route that someone deletes is added again, and the rule stays.
    let table = world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap();
    table.routes.clear();
    let (done, _) = world.settle();
    assert!(!done.iter().any(|line| line.contains("ingress")), "{done:?}");
    // Addresses that the VPC routes elsewhere are not opened.
    let table = world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap();
    table.routes.iter_mut().for_each(|route| route.target = RouteTarget::Other("tgw-1".to_owned()));
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn a_rule_stays_while_its_peering_is_missing_only_if_a_table_can_get_its_route() {
    let (mut world, ..) = opened("tcp/80");
    let peering = world.observed.peerings.values_mut().next().unwrap();
    peering.tags.values_mut().for_each(Tags::clear);
    world.settle();
    assert_eq!(world.lets_in().len(), 2, "a foreign peering is in the way for now");
    world.observed.tables.clear();
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn a_rule_stays_while_its_cidr_gets_a_wider_route() {
    let (mut world, _, b) = opened("tcp/80");
    world.tag(&b, CIDRS, "10.2.0.0/17");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/17 for prod"]);
    world.tag(&b, CIDRS, "10.2.0.0/16");
    let (plan, _) = world.plan();
    assert!(!plan.actions().any(|action| action.to_string().starts_with("- ingress")), "{plan}");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/16 for prod"]);
}

#[test]
fn a_port_is_not_opened_while_the_route_is_missing_and_open_ports_stay() {
    let (mut world, ..) = opened("tcp/80");
    world.tag_group(PORTS, "tcp/80 tcp/443");
    let routes = std::mem::take(&mut world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes);
    assert_eq!(routes.len(), 2);
    let (plan, _) = world.plan();
    assert!(!plan.actions().any(|action| action.to_string().contains("ingress")), "{plan}");
    world.settle();
    assert_eq!(world.lets_in().len(), 4);
}

#[test]
fn a_rule_for_two_peers_stays_while_the_route_to_one_of_them_is_added_again() {
    let mut world = World::new();
    world.declare("prod", ANY_PORT);
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/80")]);
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/15 for prod"]);
    let lost = cidr::parse("10.3.0.0/16").unwrap();
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.retain(|route| route.destination != lost);
    let (done, _) = world.settle();
    assert!(!done.iter().any(|line| line.contains("ingress")), "{done:?}");
}

#[test]
fn the_linter_allows_only_members_and_revokes_only_owned_rules() {
    let (mut world, a, _) = joined();
    world.vpc("d", scope(3, 0), "10.7.0.0/16", "staging");
    world.group("a", &a, &[(ALLOW, "prod")]);
    let marks = world.marks(&["prod"]);
    let authorize_ports = |group: &str, from: &str, traffic: Traffic| Action::AuthorizeIngress {
        scope: a.scope.clone(),
        group: group.parse().unwrap(),
        permission: Permission { traffic, from: cidr::parse(from).unwrap() },
        description: String::new(),
        tags: marks.clone(),
    };
    let authorize = |group: &str, from: &str| authorize_ports(group, from, Traffic::Tcp(80, 80));
    let broken = |world: &World, action: Action| {
        let plan = Plan { work: vec![action], labels: Vec::new() };
        lint::lint(&plan, &world.desired, &world.observed)
            .pop()
            .map(|said| said.rsplit(": ").next().unwrap().to_owned())
    };
    let (fine, wide) = (authorize("sg-a", "10.2.0.0/17"), authorize("sg-a", "10.2.0.0/15"));
    let (unseen, unknown) = (authorize("sg-x", "10.2.0.0/16"), authorize("sg-a", "10.7.0.0/16"));
    assert_eq!(broken(&world, fine.clone()), None);
    assert_eq!(broken(&world, wide).unwrap(), "no other member advertises all of these addresses");
    assert_eq!(broken(&world, unknown).unwrap(), "no other member advertises all of these addresses");
    assert_eq!(broken(&world, unseen).unwrap(), "the group was not read");
    let open = authorize_ports("sg-a", "10.2.0.0/16", Traffic::All);
    assert_eq!(broken(&world, open).unwrap(), "the policy of the mesh does not allow these ports");
    let table = world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap();
    let routes = std::mem::take(&mut table.routes);
    assert_eq!(broken(&world, fine.clone()).unwrap(), "no table of the VPC routes all of these addresses to peers");
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes = routes;
    world.the_group().tags.insert(ALLOW.to_owned(), "staging".to_owned());
    assert_eq!(broken(&world, fine).unwrap(), "the group does not allow the mesh");
    let foreign = [(MANAGED_BY.to_owned(), "another".to_owned()), (for_mesh(&mesh("prod")), String::new())];
    world.rule("sgr-1", "sg-a", "tcp/80", "10.2.0.0/16", foreign.into());
    let rule = world.observed.ingress.rules.values().next().unwrap().clone();
    let IngressRule { id, scope, group, permission, .. } = rule;
    let revoke = Action::RevokeIngress { scope, group, rule: id, permission };
    assert_eq!(broken(&world, revoke).unwrap(), "the rule is foreign");
    assert!(!world.observed.vpcs[&a].tags[ENV].is_empty());
}
