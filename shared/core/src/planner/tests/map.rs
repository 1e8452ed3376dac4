//! The map of a mesh.

use std::collections::BTreeSet;

use super::world::{World, joined, mesh, scope};
use crate::map::Health;
use crate::planned_map::{ChangeKind, PlannedChange};
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

/// Maps a plan of prod and staging.
fn planned(world: &World) -> Map {
    let of = |name| DesiredState { mesh: mesh(name), ..world.desired.clone() };
    let (map, questions) = Map::planned(&[of("prod"), of("staging")], &world.observed, &Operator::default()).unwrap();
    assert_eq!(questions, BTreeSet::new());
    map
}

fn kind(planned: Option<&PlannedChange>) -> &'static str {
    planned.map_or("-", |planned| planned.kind.word())
}

#[test]
fn the_map_of_a_plan_shows_the_meshes_after_it_with_its_changes() {
    let (mut world, a, b) = joined();
    world.observed.inputs.run_histories.insert(mesh("staging"), RunHistory::default());
    let new = world.vpc("new", scope(1, 0), "10.3.0.0/16", "prod staging");
    world.vpc("other", scope(2, 0), "10.4.0.0/16", "prod staging");
    world.tag(&b, tags::ENV, "");
    let map = planned(&world);
    let pairs: Vec<_> = map.pairs.iter().map(|edge| (kind(edge.planned.as_ref()), edge.state.as_str())).collect();
    assert_eq!(pairs.iter().filter(|pair| **pair == ("create", "active")).count(), 3, "{pairs:?}");
    assert_eq!(pairs.iter().filter(|pair| **pair == ("delete", "leaving")).count(), 1, "{pairs:?}");
    assert_eq!(pairs.len(), 4, "a pair of two meshes is created once");
    let shared = map.pairs.iter().find(|edge| edge.meshes.len() == 2).unwrap();
    let steps = &shared.planned.as_ref().unwrap().steps;
    assert!(steps[0].starts_with("+ peering vpc-new") && steps[0].ends_with("for prod+staging"), "{steps:?}");
    assert!(steps.iter().any(|step| step.starts_with("+ route rtb-new")), "{steps:?}");
    let node = |vpc: &VpcRef| map.vpcs.iter().find(|node| node.vpc == vpc.id).unwrap();
    assert_eq!(node(&new).status.as_deref(), Some("joined prod. joined staging"), "the status after the plan");
    let of_leaver = node(&b).planned.as_ref().unwrap();
    assert_eq!((of_leaver.kind, of_leaver.steps.len()), (ChangeKind::Update, 1), "its status is removed");
    assert_eq!(kind(node(&a).planned.as_ref()), "-");
    let of_pairs = map.pairs.iter().filter_map(|edge| edge.planned.as_ref());
    let all = of_pairs.chain(map.vpcs.iter().filter_map(|node| node.planned.as_ref()));
    assert_eq!(map.changes, Some(all.map(|planned| planned.steps.len()).sum()), "every step is on the map");
}

#[test]
fn the_map_of_a_plan_without_changes_and_of_a_paused_mesh_marks_nothing() {
    let (mut world, a, b) = joined();
    world.observed.inputs.run_histories.insert(mesh("staging"), RunHistory::default());
    assert_eq!(planned(&world).changes, Some(0));
    world.desired.declared.get_mut(&mesh("prod")).unwrap().mode = policy::Mode::Paused;
    world.tag(&b, tags::ENV, "");
    let map = planned(&world);
    assert_eq!(map.changes, Some(0));
    assert!(map.pairs.iter().all(|edge| edge.planned.is_none()) && map.vpcs.iter().any(|node| node.vpc == a.id));
}
