//! Routes: to which peers, in which tables, beside foreign routes, and from a dead peering to its successor.

use super::world::{World, joined, kinds, messages, scope};
use crate::cidr;
use crate::finding::FindingKind;
use crate::*;

#[test]
fn a_new_member_with_a_more_specific_cidr_takes_no_traffic_of_a_routed_one() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("z", scope(3, 0), "10.2.0.0/16", "prod");
    world.settle();
    world.vpc("b", scope(2, 0), "10.2.128.0/17", "prod");
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1"]);
}

#[test]
fn a_foreign_route_is_never_replaced_and_other_tables_are_routed() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.table("a2", &a);
    world.route("rtb-a", "10.2.0.0/16", RouteTarget::Other("tgw-1".to_owned()));
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 tgw-1"]);
    assert_eq!(world.targets("rtb-a2"), ["10.2.0.0/16 pcx-new1"]);
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
    assert_eq!(world.status(&a), Some("joined prod. refused prod with vpc-b: rtb-a routes 10.2.0.0/16 to tgw-1"));
}

#[test]
fn a_propagated_route_to_the_same_cidr_is_a_conflict_and_no_static_one_overrides_it() {
    let (mut world, _, b) = joined();
    let table = world.observed.tables.get_mut(&"rtb-b".parse().unwrap()).unwrap();
    table.routes[0].is_static = false;
    table.routes[0].target = RouteTarget::Other("vgw-1".to_owned());
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 vgw-1"]);
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
    assert_eq!(world.status(&b), Some("joined prod. refused prod with vpc-a: rtb-b routes 10.1.0.0/16 to vgw-1"));
}

#[test]
fn a_route_that_a_gateway_propagates_later_is_reported_and_traffic_stays_on_the_peering() {
    let (mut world, ..) = joined();
    world.propagate("rtb-b", "10.1.0.0/16", "vgw-1");
    let (done, findings) = world.settle();
    assert_eq!((done, world.targets("rtb-b").len()), (vec![], 2));
    assert_eq!(
        messages(&findings),
        [
            "10.1.0.0/16 in rtb-b of vpc-b (222222222222/eu-west-1): is routed to vgw-1, except 10.1.0.0/16, which is routed to peerings"
        ]
    );
}

#[test]
fn routes_that_override_a_wider_route_to_a_private_gateway_are_reported_once_for_each_table() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16 172.16.1.0/24", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.route("rtb-b", "10.0.0.0/8", RouteTarget::Other("tgw-1".to_owned()));
    world.route("rtb-b", "0.0.0.0/0", RouteTarget::Other("tgw-1".to_owned()));
    world.route("rtb-a", "10.0.0.0/8", RouteTarget::Other("nat-1".to_owned()));
    world.propagate("rtb-c", "10.0.0.0/15", "vgw-1");
    let (_, findings) = world.settle();
    assert_eq!(
        messages(&findings),
        [
            "10.0.0.0/15 in rtb-c of vpc-c (333333333333/us-east-1): is routed to vgw-1, except 10.1.0.0/16, which is routed to peerings",
            "10.0.0.0/8 in rtb-b of vpc-b (222222222222/us-east-1): is routed to tgw-1, except 10.1.0.0/16 10.3.0.0/16, which is routed to peerings",
        ]
    );
    assert_eq!(world.targets("rtb-c").len(), 4, "they are routed all the same");
}

#[test]
fn an_edge_associated_table_gets_no_routes() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let edge = world.table("edge", &a);
    world.observed.tables.get_mut(&edge).unwrap().is_edge_associated = true;
    world.settle();
    assert_eq!(world.targets("rtb-edge"), Vec::<String>::new());
}

#[test]
fn a_dead_peering_is_created_again_and_its_routes_are_replaced_in_place() {
    use PeeringStatus::{Deleted, Expired, Rejected};
    for death in [Deleted, Expired, Rejected] {
        let (mut world, ..) = joined();
        world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap().status = death;
        let (done, _) = world.settle();
        assert!(
            done.iter().any(|line| line == "* route rtb-b in 222222222222/eu-west-1 10.1.0.0/16 pcx-new1 -> pcx-new2")
        );
        assert!(done.iter().all(|line| !line.starts_with("- route")), "{done:#?}");
        assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new2"]);
    }
}

#[test]
fn routes_of_a_dead_peering_are_removed_if_no_mesh_wants_the_pair() {
    let (mut world, _, b) = joined();
    world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap().status = PeeringStatus::Deleted;
    world.set_meshes(&b, "");
    world.settle();
    assert_eq!(world.targets("rtb-a"), Vec::<String>::new());
    assert_eq!(world.targets("rtb-b"), Vec::<String>::new());
}

#[test]
fn a_cidr_that_is_added_to_a_vpc_is_routed_and_a_removed_one_is_not() {
    let (mut world, a, _) = joined();
    let seen = world.observed.vpcs.get_mut(&a).unwrap();
    seen.cidrs = ["10.1.0.0/16", "10.7.0.0/16"].into_iter().map(|cidr| cidr::parse(cidr).unwrap()).collect();
    world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1", "10.7.0.0/16 pcx-new1"]);
    let seen = world.observed.vpcs.get_mut(&a).unwrap();
    seen.cidrs = [cidr::parse("10.1.0.0/16").unwrap()].into_iter().collect();
    world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1"]);
}

#[test]
fn a_route_redirected_to_another_owned_peering_is_replaced_in_place() {
    let (mut world, ..) = joined();
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.settle();
    let to_c = world.observed.tables[&"rtb-a".parse().unwrap()].created_route(&cidr::parse("10.3.0.0/16").unwrap());
    let (to_c, cidr) = (to_c.unwrap().target.clone(), cidr::parse("10.2.0.0/16").unwrap());
    let routes = &mut world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes;
    routes.iter_mut().find(|route| route.destination == cidr).unwrap().target = to_c;
    let (done, _) = world.settle();
    let work: Vec<&String> = done.iter().filter(|line| !line.contains(" status ")).collect();
    assert_eq!(work, ["* route rtb-a in 111111111111/us-east-1 10.2.0.0/16 pcx-new2 -> pcx-new1"]);
}

#[test]
fn a_manual_route_to_part_of_a_cidr_does_not_take_the_cidr_from_its_peer() {
    let (mut world, a, _) = joined();
    world.vpc("0", scope(1, 1), "10.2.0.0/16", "prod"); // a lesser VPC than b, with b's addresses
    world.settle();
    let before = world.targets("rtb-a");
    let to_0 = world
        .observed
        .peerings
        .values()
        .find(|peering| peering.ends().iter().all(|end| end.scope.account == a.scope.account));
    let to_0 = RouteTarget::Peering(to_0.unwrap().id.clone());
    world.route("rtb-a", "10.2.128.0/17", to_0);
    world.settle();
    assert_eq!(world.targets("rtb-a"), before);
}

/// Adds a route to a prefix list, with the CIDR blocks of the list, or why they cannot be read.
fn listed(world: &mut World, table: &str, list: &str, target: RouteTarget, cidrs: Result<&str, &str>) {
    let list: PrefixListId = list.parse().unwrap();
    let table = world.observed.tables.get_mut(&table.parse().unwrap()).unwrap();
    table.prefix_list_routes.push(PrefixListRoute { list: list.clone(), target });
    let parse = |cidrs: &str| cidrs.split_whitespace().map(|cidr| cidr::parse(cidr).unwrap()).collect();
    world.observed.inputs.prefix_lists.insert(list, cidrs.map(parse).map_err(str::to_owned));
}

fn elsewhere() -> RouteTarget {
    RouteTarget::Other("tgw-1".to_owned())
}

#[test]
fn a_cidr_that_a_prefix_list_routes_elsewhere_is_reported_and_not_routed() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16 10.3.0.0/16", "prod");
    listed(&mut world, "rtb-a", "pl-1", elsewhere(), Ok("10.0.0.0/8 10.2.0.0/16 10.3.1.0/24"));
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.3.0.0/16 pcx-new1"]);
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
    let finding = findings.first().unwrap();
    assert_eq!(
        (&*finding.subject, &*finding.text),
        (
            "rtb-a of vpc-a (111111111111/us-east-1)",
            "pl-1 routes 10.2.0.0/16 to tgw-1, and peerd does not own that route"
        )
    );
    assert!(world.status(&a).unwrap().contains("rtb-a routes 10.2.0.0/16 to tgw-1"));
}

#[test]
fn a_prefix_list_that_routes_to_the_same_peering_is_no_conflict() {
    let (mut world, ..) = joined();
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    listed(&mut world, "rtb-a", "pl-1", RouteTarget::Peering("pcx-new1".parse().unwrap()), Ok("10.2.0.0/16"));
    assert!(world.settle().1.is_empty());
    assert_eq!(world.targets("rtb-a").len(), 2);
}

#[test]
fn a_prefix_list_is_read_only_to_add_routes_and_an_unreadable_one_is_reported() {
    let (mut world, ..) = joined();
    let list = "pl-1".parse().unwrap();
    listed(&mut world, "rtb-a", "pl-1", elsewhere(), Err("denied"));
    world.observed.inputs.prefix_lists.clear();
    assert!(world.plan().1.questions.is_empty(), "every route exists");
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    assert_eq!(world.plan().1.questions, [InputRequest::List(scope(1, 0), list)].into());
    world.observed.inputs.prefix_lists.insert("pl-1".parse().unwrap(), Err("denied".to_owned()));
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.contains("route")), "{done:?}");
    assert_eq!(kinds(&findings), [FindingKind::Unreadable, FindingKind::Unreadable]);
}

#[test]
fn a_list_of_an_endpoint_counts_unless_it_cannot_be_read_and_the_addresses_are_private() {
    let endpoint = RouteTarget::Other("vpce-1".to_owned());
    for (list, b, routed) in [
        (Ok("10.2.0.0/16"), "10.2.0.0/16", false), // of a firewall endpoint
        (Ok("52.216.0.0/16"), "52.216.0.0/16", false),
        (Ok("52.216.0.0/16"), "10.2.0.0/16", true),
        (Err("denied"), "10.2.0.0/16", true),
        (Err("denied"), "52.216.0.0/16", false),
    ] {
        let mut world = World::new();
        world.declare("prod", r#"{"admit":{"cidrs":["private","52.216.0.0/16"]}}"#);
        world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        world.vpc("b", scope(2, 0), b, "prod");
        listed(&mut world, "rtb-a", "pl-1", endpoint.clone(), list);
        world.settle();
        assert_eq!(!world.targets("rtb-a").is_empty(), routed, "{list:?} {b}");
    }
}

#[test]
fn a_part_stays_routed_while_a_propagated_route_has_the_place_of_the_whole_cidr() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.tag(&b, tags::CIDRS, "10.2.0.0/17");
    world.settle();
    world.propagate("rtb-a", "10.2.0.0/16", "vgw-1");
    world.observed.vpcs.get_mut(&b).unwrap().tags.remove(tags::CIDRS);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 vgw-1", "10.2.0.0/17 pcx-new1"]);
}

#[test]
fn a_part_stays_routed_while_a_prefix_list_blocks_the_whole_cidr() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.tag(&b, tags::CIDRS, "10.2.0.0/17");
    world.settle();
    listed(&mut world, "rtb-a", "pl-1", elsewhere(), Ok("10.2.0.0/16"));
    world.observed.vpcs.get_mut(&b).unwrap().tags.remove(tags::CIDRS);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/17 pcx-new1"]);
    world.observed.inputs.prefix_lists.values_mut().for_each(|list| *list = Ok([].into()));
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1"]);
}
