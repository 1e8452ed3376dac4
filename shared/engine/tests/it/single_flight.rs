//! At most one worker reconciles a mesh at a time.

use std::collections::BTreeSet;

use peerd_core::{VpcRef, cidr};
use peerd_engine::Outcome;
use peerd_testkit::user_actions::table;
use peerd_testkit::{FaultProfile, FaultTiming, MINUTE, SimConfig, World, mesh, scope};

/// Six VPCs in three accounts; each worker handles one message, and calls take a tenth of a second.
fn six_vpcs(lease: u32) -> (World, Vec<VpcRef>) {
    let faults = FaultProfile { latency: 50..=50, lease, ..FaultProfile::default() };
    let mut world = World::new(&SimConfig { batch: Some(1), faults, ..SimConfig::default() });
    let vpc = |n: u8| world.vpc(&format!("v{n}"), scope(n % 3 + 1, 0), &format!("10.{n}.0.0/16"), "");
    let vpcs: Vec<VpcRef> = (0..6).map(vpc).collect();
    world.rest();
    world.transport.take_calls();
    world.store.take_runs();
    (world, vpcs)
}

fn count(calls: &[peerd_testkit::Call], name: &str) -> usize {
    calls.iter().filter(|call| call.name == name).count()
}

/// While a worker reconciles a mesh, other workers leave their requests with it, and it reconciles the mesh again before it ends.
#[test]
fn workers_that_find_a_mesh_taken_leave_it_to_the_one_that_holds_it() {
    let run = |lease| {
        let (mut world, vpcs) = six_vpcs(lease);
        vpcs.iter().for_each(|vpc| world.tag(vpc, "prod").unwrap());
        world.rest();
        let is_connected = |a: &VpcRef, b: &VpcRef| a == b || world.connected(a, b);
        assert!(vpcs.iter().all(|a| vpcs.iter().all(|b| is_connected(a, b))));
        let is_busy = world.store.take_runs().iter().any(|run| run.outcome == Outcome::Busy);
        (world.transport.take_calls(), is_busy)
    };
    let (single, is_busy) = run(0);
    assert!(!is_busy);
    assert_eq!(count(&single, "CreateVpcPeeringConnection"), 15);
    assert_eq!(count(&single, "AcceptVpcPeeringConnection"), 15);
    assert_eq!(count(&single, "CreateRoute"), 30);
    let (crowd, is_busy) = run(1000);
    assert!(is_busy, "without leases, the workers compete");
    let reads = |calls| count(calls, "DescribeRouteTables");
    assert!(reads(&crowd) > 2 * reads(&single), "{} and {}", reads(&crowd), reads(&single));
}

/// If the worker that holds a mesh crashes, the requests that others left with it are not lost.
#[test]
fn requests_that_were_left_with_a_worker_that_crashed_are_handled() {
    for calls in 1..40 {
        let (mut world, vpcs) = six_vpcs(0);
        world.tag(&vpcs[0], "prod").unwrap();
        world.tag(&vpcs[1], "prod").unwrap();
        world.transport.inject_crash(calls, FaultTiming::After);
        world.rest();
        assert!(world.connected(&vpcs[0], &vpcs[1]), "crash after {calls} calls");
        assert_eq!(world.queue.dead_letters(), 0);
    }
}

#[test]
fn a_mesh_whose_worker_is_gone_is_free_after_a_minute() {
    let (mut world, a, b) = World::of_two();
    world.pass(MINUTE);
    world.events_lost = true;
    world.ask(&mesh("prod"), BTreeSet::new());
    world.transport.inject_crash(3, FaultTiming::After);
    while world.step(world.now()) {}
    world.pass(MINUTE + 1000);
    world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.ask(&mesh("prod"), BTreeSet::new());
    world.pass(10_000);
    assert!(world.connected(&a, &b));
}
