//! Floods: what a tag with many names costs.

use peerd_core::{Policy, Tags, tags};
use peerd_testkit::{World, mesh, scope};

fn cloud_calls(world: &World) -> usize {
    world.transport.take_calls().iter().filter(|call| call.scope.is_some()).count()
}

/// Mesh names that no one declared cost one run when the tag changes, to report them, and nothing in any sweep.
#[test]
fn undeclared_meshes_in_a_tag_cost_no_sweep_anything() {
    let (mut world, a, _) = World::of_two();
    let swept = |world: &mut World| {
        world.transport.take_calls();
        world.sweep();
        world.rest();
        cloud_calls(world)
    };
    let before = swept(&mut world);
    let names: Vec<String> = (0..44).map(|n| format!("m{n}")).collect();
    world.transport.take_calls();
    world.tag(&a, &format!("prod {}", names.join(" "))).unwrap();
    world.rest();
    assert!(cloud_calls(&world) <= 100);
    assert_eq!(swept(&mut world), before);
    let status = world.status(&a).unwrap();
    assert!(status.contains("refused m0: mesh is not declared"), "{status}");
    assert!(status.contains("refused +37: only 8 names count"), "{status}");
}

/// A mesh finds the VPCs that requested it before it was declared.
#[test]
fn a_declared_mesh_finds_the_vpcs_that_requested_it_before() {
    let (mut world, ..) = World::of_two();
    let early = [1, 2].map(|n| world.vpc(&format!("n{n}"), scope(n, 0), &format!("10.{}.0.0/16", 60 + n), "new"));
    world.rest();
    assert_eq!(world.status(&early[0]).as_deref(), Some("refused new: mesh is not declared"));
    world.declare(&mesh("new"), Policy::default());
    world.rest();
    assert!(world.connected(&early[0], &early[1]));
}

/// The tags of a peering that another principal owns wake nothing.
#[test]
fn mesh_names_on_a_foreign_peering_wake_no_run() {
    let (mut world, ..) = World::of_two();
    let [one, two] = [7, 8].map(|n| world.vpc(&format!("f{n}"), scope(1, 0), &format!("10.{}.0.0/16", 70 + n), ""));
    world.rest();
    world.transport.take_calls();
    let id =
        world.request_peering(&one, &two, &Tags::from([(tags::ENV.to_owned(), "prod staging".to_owned())])).unwrap();
    world.accept_peering(&two.scope, &id).unwrap();
    world.rest();
    assert!(cloud_calls(&world) < 10);
}
