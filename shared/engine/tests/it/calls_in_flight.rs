//! A run plans again while calls are in flight.

use peerd_testkit::{FaultProfile, SimConfig, World, scope};

/// A peering is accepted and routed as soon as its own calls have ended, while others are still requested.
#[test]
fn a_peering_is_accepted_and_routed_before_all_others_are_requested() {
    let faults = FaultProfile { latency: 50..=50, ..FaultProfile::default() };
    let mut world = World::new(&SimConfig { faults, ..SimConfig::default() });
    (0..12).for_each(|n| drop(world.vpc(&format!("v{n}"), scope(1, 0), &format!("10.{n}.0.0/16"), "prod")));
    world.rest();
    let calls = world.transport.take_calls();
    let place = |name: &'static str| calls.iter().position(|call| call.name == name).unwrap();
    let last_request = calls.iter().rposition(|call| call.name == "CreateVpcPeeringConnection").unwrap();
    assert!(place("AcceptVpcPeeringConnection") < last_request);
    assert!(place("CreateRoute") < last_request);
}
