//! Crash recovery: in each scenario, a worker crashes at the first call, at the second, and so on, before and after the
//! call takes effect. The next run must converge to the same state.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;

use peerd_core::cidr;
use peerd_core::{RouteTarget, VpcRef, tags};
use peerd_testkit::user_actions::table;
use peerd_testkit::{FaultTiming, MINUTE, World, scope};

/// The state before the crash, and the change during which a worker crashes.
struct Scenario {
    before: fn(&mut World),
    happens: fn(&mut World),
}

fn vpc(world: &World, name: &str) -> VpcRef {
    let found = world.cloud.aws().vpcs().find(|vpc| vpc.vpc_ref.id.as_str() == format!("vpc-{name}")).cloned();
    found.unwrap().vpc_ref
}

fn three(world: &mut World) {
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
}

/// Describes the final state to compare, without the ids of peerings.
fn picture(world: &World) -> BTreeSet<String> {
    let aws = world.cloud.aws();
    let ends = |id| {
        let peering = aws.peerings().find(|peering| peering.id == id).unwrap();
        format!("{} - {} {}", peering.requester, peering.accepter, peering.status())
    };
    let mut seen = BTreeSet::new();
    for vpc in aws.vpcs() {
        seen.insert(format!("{} has {:?}", vpc.vpc_ref, vpc.tags));
    }
    for peering in aws.peerings().filter(|peering| peering.status().is_live()) {
        for end in peering.ends() {
            seen.insert(format!("{} has {:?} in {}", ends(peering.id.clone()), peering.tags(&end.scope), end.scope));
        }
    }
    for table in aws.tables() {
        for route in &table.routes {
            let target = match &route.target {
                RouteTarget::Peering(id) => ends(id.clone()),
                other => other.to_string(),
            };
            seen.insert(format!("{} routes {} to {target}", table.id, route.destination));
        }
    }
    let live = aws.peerings().filter(|peering| peering.status().is_live()).count();
    seen.insert(format!("{live} live peerings"));
    seen.insert(format!("the index has {:?}", world.store.members_by_mesh()));
    seen
}

fn prepared(scenario: &Scenario) -> World {
    let mut world = World::default();
    (scenario.before)(&mut world);
    world.rest();
    world.pass(MINUTE);
    world
}

fn assert_survives_a_death_at_every_call(scenario: &Scenario) {
    let mut world = prepared(scenario);
    let before = world.transport.made();
    (scenario.happens)(&mut world);
    world.rest();
    let (wanted, calls) = (picture(&world), world.transport.made() - before);
    assert!(calls > 10, "{calls} calls are too few for a scenario");
    for nth in 1..=calls {
        for moment in [FaultTiming::Before, FaultTiming::After] {
            let mut world = prepared(scenario);
            world.transport.inject_crash(nth, moment);
            (scenario.happens)(&mut world);
            world.rest();
            let found = picture(&world);
            let differs: Vec<_> = found.symmetric_difference(&wanted).collect();
            assert!(differs.is_empty(), "after a crash at call {nth} of {calls} ({moment:?}): {differs:#?}");
        }
    }
}

/// A worker can crash at any call, before or after the call takes effect; the next run converges to the same state.
#[test]
fn a_mesh_forms_despite_a_crash_at_any_call() {
    assert_survives_a_death_at_every_call(&Scenario { before: |_| {}, happens: three });
}

/// A mesh gains a member even if a worker crashes.
#[test]
fn a_member_joins_despite_a_crash_at_any_call() {
    let happens = |world: &mut World| drop(world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod"));
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A VPC leaves a mesh completely even if a worker crashes.
#[test]
fn a_member_leaves_despite_a_crash_at_any_call() {
    let happens = |world: &mut World| world.untag(&vpc(world, "b")).unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// peerd deletes everything of a deleted VPC even if a worker crashes.
#[test]
fn a_deleted_vpc_is_cleaned_up_despite_a_crash_at_any_call() {
    let happens = |world: &mut World| world.delete_vpc_and_peerings(&vpc(world, "b")).unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A mesh splits in two even if a worker crashes.
#[test]
fn a_mesh_splits_in_two_despite_a_crash_at_any_call() {
    let before = |world: &mut World| {
        three(world);
        world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod");
    };
    let happens = |world: &mut World| {
        world.tag(&vpc(world, "c"), "staging").unwrap();
        world.tag(&vpc(world, "d"), "staging").unwrap();
    };
    assert_survives_a_death_at_every_call(&Scenario { before, happens });
}

/// A pair that leaves one of its two meshes keeps its peering even if a worker crashes.
#[test]
fn a_pair_in_two_meshes_keeps_its_peering_despite_a_crash_at_any_call() {
    let before = |world: &mut World| {
        world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod+staging");
        world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod+staging");
    };
    let happens = |world: &mut World| world.tag(&vpc(world, "b"), "staging").unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before, happens });
}

/// A member moves to another mesh even if a worker crashes.
#[test]
fn a_member_moves_to_another_mesh_despite_a_crash_at_any_call() {
    let before = |world: &mut World| {
        three(world);
        world.vpc("d", scope(1, 1), "10.4.0.0/16", "staging");
    };
    let happens = |world: &mut World| world.tag(&vpc(world, "a"), "staging").unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before, happens });
}

/// A sweep repairs changes whose events were lost even if a worker crashes.
#[test]
fn a_sweep_repairs_lost_events_despite_a_crash_at_any_call() {
    let happens = |world: &mut World| {
        world.events_lost = true;
        let cidr = cidr::parse("10.2.0.0/16").unwrap();
        world.delete_route(&table("a"), &cidr).unwrap();
        let (id, _) = world.peering(&vpc(world, "b"), &vpc(world, "c")).unwrap();
        world.retag_peering(&scope(3, 0), &id, tags::ENV, Some("staging")).unwrap();
        world.untag(&vpc(world, "c")).unwrap();
        world.sweep();
    };
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A policy that both removes and adds connections takes effect even if a worker crashes.
#[test]
fn a_policy_change_takes_effect_despite_a_crash_at_any_call() {
    let happens = |world: &mut World| {
        let policy = r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-a"]},"routes":{"exclude":["10.3.128.0/17"]}}"#;
        let policy = peerd_core::Policy::read(&mut serde_json::Deserializer::from_str(policy)).unwrap();
        world.declare(&peerd_testkit::mesh("prod"), policy);
    };
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}
