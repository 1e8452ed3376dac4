//! The map of a mesh.

use super::world::{joined, scope};
use crate::map::Health;
use crate::*;

#[test]
fn a_map_has_every_member_pair_route_check_and_finding() {
    let (mut world, a, b) = joined();
    world.tag(&a, tags::NAME, "web");
    let far = world.vpc("far", scope(3, 0), "10.1.0.0/16", "prod");
    world.vpc("alone", scope(3, 0), "10.9.0.0/16", "");
    world.settle();
    let mut map = Map::default();
    map.add(&world.desired, &world.observed, &Operator::default());
    let vpcs: Vec<(&str, Option<&str>)> =
        map.vpcs.iter().map(|node| (node.vpc.as_str(), node.name.as_deref())).collect();
    assert_eq!(vpcs, [("vpc-a", Some("web")), ("vpc-b", None), ("vpc-far", None)]);
    let seen: Vec<(String, &str, Health)> = map
        .pairs
        .iter()
        .map(|edge| (edge.between.each_ref().map(VpcId::as_str).join(" "), &*edge.state, edge.health()))
        .collect();
    assert_eq!(
        seen,
        [
            ("vpc-a vpc-b".to_owned(), "active", Health::Active),
            ("vpc-a vpc-far".to_owned(), "overlapping", Health::Broken),
            ("vpc-b vpc-far".to_owned(), "active", Health::Broken) // b routes the CIDR block to a
        ]
    );
    let first = map.pairs.first().unwrap();
    let routes: Vec<String> =
        first.routes.iter().map(|over| format!("{} {} {}", over.vpc, over.table, over.cidr)).collect();
    assert_eq!(routes, ["vpc-a rtb-a 10.2.0.0/16", "vpc-a rtb-a 2600:1f18:2::/56", "vpc-b rtb-b 10.1.0.0/16"]);
    assert!(map.findings_of(far.id.as_str()).next().is_some(), "{:?}", map.findings);
    let explained = explain(&world.desired, &world.observed, &NetworkFilters::default(), &PathQuery::between([&a, &b]));
    let explained: Vec<Check> = explained.iter().map(|check| check.render(&Operator::default())).collect();
    assert_eq!(first.checks, explained, "the map shows what explain reports");
    let before = map.clone();
    map.add(&world.desired, &world.observed, &Operator::default());
    assert_eq!(map, before, "the map has a pair of two meshes once");
    world.close(&b.scope);
    let mut closed = Map::default();
    closed.add(&world.desired, &world.observed, &Operator::default());
    assert_eq!(closed.vpcs.len(), 3, "the unreadable member comes from the index");
}

#[test]
fn an_unwanted_peering_is_on_the_map_until_it_is_deleted() {
    let (mut world, a, b) = joined();
    world.tag(&b, tags::ENV, "");
    let mut map = Map::default();
    map.add(&world.desired, &world.observed, &Operator::default());
    let [edge] = &map.pairs[..] else { panic!("{:?}", map.pairs) };
    assert_eq!((&edge.between, edge.state.as_str()), (&[a.id.clone(), b.id.clone()], "leaving"));
    assert_eq!(edge.health(), Health::Waiting);
    world.settle();
    let mut after = Map::default();
    after.add(&world.desired, &world.observed, &Operator::default());
    assert_eq!(after.pairs, []);
}
