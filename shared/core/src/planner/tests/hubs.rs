//! Hub-and-spoke meshes: which members are hubs, and which pairs are connected.

use super::policies::{removals, three};
use super::world::{World, kinds, messages, scope};
use crate::finding::FindingKind;
use crate::tags;

#[test]
fn hub_and_spoke_connects_spokes_with_hubs_and_hubs_with_every_member() {
    let (mut world, [a, _, c]) = three();
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-b"],"accounts":["333333333333"]}}"#);
    world.tag(&c, tags::ROLE, "spoke");
    let (done, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "b-c"]);
    assert_eq!(removals(&done).len(), 3, "two routes and the peering of a and c: {done:#?}");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(world.status(&a), Some("joined prod"));
    world.tag(&c, tags::ROLE, "hub");
    world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "b-c"]);
}

#[test]
fn a_tag_makes_no_hub_of_a_vpc_that_the_policy_does_not_name() {
    let (mut world, [a, b, _]) = three();
    world.tag(&a, tags::ROLE, "hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-b"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "b-c"]);
    let said = "peerd:role is hub, and the policy of prod does not name it in `hubs`, so it is a spoke";
    assert_eq!(messages(&findings), [format!("{a}: {said}")]);
    assert_eq!(world.status(&b), Some("joined prod"));
}

#[test]
fn while_a_unit_of_hubs_is_not_listed_connections_stay_and_none_is_created() {
    let (mut world, [a, ..]) = three();
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"units":["ou-ab12-prod0000"]}}"#);
    world.vpc("d", scope(3, 1), "10.4.0.0/16", "prod");
    let (done, findings) = world.settle();
    assert_eq!((removals(&done).len(), world.peered().len()), (0, 3), "{done:#?}");
    assert!(
        messages(&findings).contains(&format!("{a}: requests prod: the accounts in ou-ab12-prod0000 are not known"))
    );
    world.organize([&[1], &[2, 3]]);
    world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "a-d"]);
}

#[test]
fn an_invalid_role_counts_as_spoke_and_is_reported() {
    let (mut world, [a, b, _]) = three();
    world.tag(&a, tags::ROLE, "hub");
    world.tag(&b, tags::ROLE, "Hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-a","vpc-b"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c"]);
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
    assert_eq!(world.status(&b), Some("joined prod. refused prod: `Hub` in peerd:role is neither hub nor spoke"));
}

#[test]
fn the_role_of_an_unreadable_hub_comes_from_the_index() {
    let (mut world, [_, b, _]) = three();
    world.tag(&b, tags::ROLE, "hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-b"]}}"#);
    world.settle();
    world.close(&b.scope);
    let (done, _) = world.settle();
    assert_eq!(removals(&done), Vec::<&str>::new());
}

#[test]
fn a_mesh_that_connects_fewer_vpcs_than_its_topology_suggests_is_reported() {
    let mut world = World::new();
    let lacks = |world: &mut World| messages(&world.settle().1);
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    assert_eq!(lacks(&mut world), ["prod: it has one member, and so no peering"]);
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    assert_eq!(lacks(&mut world), Vec::<String>::new());
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-z"]}}"#);
    assert_eq!(lacks(&mut world), ["prod: it is hub-and-spoke, and none of its 2 members is a hub"]);
    world.declare("prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-a","vpc-b"]}}"#);
    assert_eq!(lacks(&mut world), ["prod: it is hub-and-spoke, and all its 2 members are hubs"]);
    world.tag(&b, tags::ROLE, "spoke");
    assert_eq!(lacks(&mut world), Vec::<String>::new());
    world.declare("prod", r#"{"admit":{"accounts":["111111111111"]}}"#);
    assert!(lacks(&mut world).contains(&"prod: it has one member, and so no peering".to_owned()));
    world.close(&a.scope);
    assert!(lacks(&mut world).contains(&"prod: it has one member, and so no peering".to_owned()), "indexed");
    world.declare("prod", r#"{"mode":"draining"}"#);
    assert!(!lacks(&mut world).iter().any(|line| line.starts_with("prod: it ")));
}
