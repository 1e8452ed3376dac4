//! A worker dies at a call, any call, and whoever comes next brings the same end: for every scenario here the worker is
//! killed at the first call, at the second, and so on, before the call took effect and after.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

use std::collections::BTreeSet;

use peerd_core::cidr;
use peerd_core::{RouteTarget, VpcRef, tags};
use peerd_testkit::user_actions::table;
use peerd_testkit::{FaultTiming, MINUTE, World, scope};

/// What there is before, and what happens.
struct Scenario {
    before: fn(&mut World),
    happens: fn(&mut World),
}

fn vpc(world: &World, name: &str) -> VpcRef {
    let found = world.cloud.aws().vpcs().find(|vpc| vpc.at.id.as_str() == format!("vpc-{name}")).cloned();
    found.unwrap().at
}

fn three(world: &mut World) {
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
}

/// Everything that matters in the end, without the ids of peerings.
fn picture(world: &World) -> BTreeSet<String> {
    let aws = world.cloud.aws();
    let ends = |id| {
        let peering = aws.peerings().find(|peering| peering.id == id).unwrap();
        format!("{} - {} {}", peering.requester, peering.accepter, peering.status())
    };
    let mut seen = BTreeSet::new();
    for vpc in aws.vpcs() {
        seen.insert(format!("{} wears {:?}", vpc.at, vpc.tags));
    }
    for peering in aws.peerings().filter(|peering| peering.status().is_live()) {
        for end in peering.ends() {
            seen.insert(format!("{} wears {:?} in {}", ends(peering.id.clone()), peering.tags(&end.scope), end.scope));
        }
    }
    for table in aws.tables() {
        for route in &table.routes {
            let target = match &route.target {
                RouteTarget::Peering(id) => ends(id.clone()),
                other => other.to_string(),
            };
            seen.insert(format!("{} leads {} to {target}", table.id, route.destination));
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
    let before = world.wire.made();
    (scenario.happens)(&mut world);
    world.rest();
    let (wanted, calls) = (picture(&world), world.wire.made() - before);
    assert!(calls > 10, "{calls} calls are no scenario");
    for nth in 1..=calls {
        for moment in [FaultTiming::Before, FaultTiming::After] {
            let mut world = prepared(scenario);
            world.wire.order_death(nth, moment);
            (scenario.happens)(&mut world);
            world.rest();
            let found = picture(&world);
            let differs: Vec<_> = found.symmetric_difference(&wanted).collect();
            assert!(differs.is_empty(), "after a death {moment:?} call {nth} of {calls}: {differs:#?}");
        }
    }
}

/// A worker may die at any call, before it took effect or after; whoever comes next brings the same end.
#[test]
fn form() {
    assert_survives_a_death_at_every_call(&Scenario { before: |_| {}, happens: three });
}

/// A mesh grows whoever dies.
#[test]
fn grow() {
    let happens = |world: &mut World| drop(world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod"));
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A member leaves no trace whoever dies.
#[test]
fn shrink() {
    let happens = |world: &mut World| world.untag(&vpc(world, "b")).unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A member that is deleted leaves no trace whoever dies.
#[test]
fn lose_a_vpc() {
    let happens = |world: &mut World| world.delete_vpc_and_peerings(&vpc(world, "b")).unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A mesh splits in two whoever dies.
#[test]
fn split() {
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

/// A pair that a second mesh wants keeps its peering when the first lets go, whoever dies.
#[test]
fn two_meshes() {
    let before = |world: &mut World| {
        world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod+staging");
        world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod+staging");
    };
    let happens = |world: &mut World| world.tag(&vpc(world, "b"), "staging").unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before, happens });
}

/// A member moves to another mesh whoever dies.
#[test]
fn move_to_another_mesh() {
    let before = |world: &mut World| {
        three(world);
        world.vpc("d", scope(1, 1), "10.4.0.0/16", "staging");
    };
    let happens = |world: &mut World| world.tag(&vpc(world, "a"), "staging").unwrap();
    assert_survives_a_death_at_every_call(&Scenario { before, happens });
}

/// A sweep mends what no event told of, whoever dies.
#[test]
fn sweep() {
    let happens = |world: &mut World| {
        world.events_lost = true;
        let block = cidr::parse("10.2.0.0/16").unwrap();
        world.delete_route(&table("a"), &block).unwrap();
        let (id, _) = world.peering(&vpc(world, "b"), &vpc(world, "c")).unwrap();
        world.retag_peering(&scope(3, 0), &id, tags::ENV, Some("staging")).unwrap();
        world.untag(&vpc(world, "c")).unwrap();
        world.sweep();
    };
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}

/// A policy that takes away and adds holds whoever dies.
#[test]
fn change_a_policy() {
    let happens = |world: &mut World| {
        let policy = r#"{"topology":"hub-and-spoke","routes":{"exclude":["10.3.128.0/17"]}}"#;
        world.mark(&vpc(world, "a"), tags::ROLE, Some("hub")).unwrap();
        let policy = peerd_core::Policy::read(&mut serde_json::Deserializer::from_str(policy)).unwrap();
        world.declare(&peerd_testkit::mesh("prod"), policy);
    };
    assert_survives_a_death_at_every_call(&Scenario { before: three, happens });
}
