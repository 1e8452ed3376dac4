//! The meshes of a batch are reconciled together: on one read of each scope, and with one call for what several of them plan.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Scope, VpcRef, cidr};
use peerd_testkit::user_actions::table;
use peerd_testkit::{Fault, FaultTiming, MINUTE, World, mesh, scope};

/// Two members of `prod` and two of `staging`, connected, in two scopes.
fn two_meshes() -> (World, [VpcRef; 4]) {
    let mut world = World::default();
    let member = |world: &mut World, name, account, cidr, mesh| world.vpc(name, scope(account, 0), cidr, mesh);
    let a = member(&mut world, "a", 1, "10.1.0.0/16", "prod");
    let b = member(&mut world, "b", 2, "10.2.0.0/16", "prod");
    let c = member(&mut world, "c", 1, "10.3.0.0/16", "staging");
    let d = member(&mut world, "d", 2, "10.4.0.0/16", "staging");
    world.rest();
    world.pass(10 * MINUTE);
    world.transport.take_calls();
    (world, [a, b, c, d])
}

fn calls(world: &World, name: &str) -> BTreeMap<Option<Scope>, usize> {
    let mut calls = BTreeMap::new();
    for call in world.transport.take_calls().into_iter().filter(|call| call.name == name) {
        *calls.entry(call.scope).or_default() += 1;
    }
    calls
}

/// However many meshes a batch reconciles, it reads each of their scopes once.
#[test]
fn the_meshes_of_a_batch_share_one_read_of_each_scope() {
    let (mut world, _) = two_meshes();
    for name in ["prod", "staging"] {
        world.ask(&mesh(name), BTreeSet::new());
    }
    world.rest();
    assert_eq!(calls(&world, "DescribeRouteTables"), [1, 2].map(|n| (Some(scope(n, 0)), 1)).into());
}

#[test]
fn what_two_meshes_plan_is_done_once() {
    let (mut world, [a, b, ..]) = two_meshes();
    let e = world.vpc("e", scope(3, 1), "10.5.0.0/16", "prod staging");
    world.rest();
    world.pass(10 * MINUTE);
    assert!(world.connected(&a, &e) && world.connected(&b, &e));
    world.events_lost = true;
    world.untag(&e).unwrap();
    world.transport.take_calls();
    world.sweep();
    world.rest();
    assert_eq!(world.traces(&e), Vec::<String>::new());
    assert_eq!(calls(&world, "DeleteTags"), [(Some(scope(3, 1)), 1)].into(), "the status tag");
}

#[test]
fn a_mesh_that_fails_in_a_sweep_is_requested_again_without_the_others() {
    let (mut world, [a, b, c, d]) = two_meshes();
    world.events_lost = true;
    for (name, to) in [("a", "10.2.0.0/16"), ("c", "10.4.0.0/16")] {
        world.delete_route(&table(name), &cidr::parse(to).unwrap()).unwrap();
    }
    world.transport.inject_fault("CreateRoute", Fault::Denied, FaultTiming::Before);
    let (began, visibility_timeout) = (world.now(), 6 * MINUTE);
    world.sweep();
    world.rest();
    assert!(world.connected(&a, &b) && world.connected(&c, &d));
    assert!(world.now() < began + visibility_timeout, "the sweep itself was not delivered again");
}
