//! What peerd reads again after a transient error, what stays in the index in the meantime, and which failures do not
//! affect the rest.

use std::collections::BTreeSet;

use peerd_core::{FindingKind, cidr, tags};
use peerd_testkit::user_actions::table;
use peerd_testkit::{Fault, FaultTiming, MINUTE, World, account, mesh, scope};

#[test]
fn a_transient_read_failure_is_retried_without_an_event() {
    for call in ["DescribeRouteTables", "DescribeVpcPeeringConnections", "DescribeVpcs"] {
        let (mut world, a, b) = World::of_two();
        world.events_lost = true;
        world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
        world.transport.inject_fault(call, Fault::Throttled, FaultTiming::Before);
        world.ask(&mesh("prod"), BTreeSet::new());
        world.rest();
        assert!(world.connected(&a, &b), "{call}");
    }
}

#[test]
fn an_event_is_retried_if_its_peering_or_table_is_unreadable() {
    let (mut world, a, b) = World::of_two();
    let (id, _) = world.peering(&a, &b).unwrap();
    world.transport.inject_fault("DescribeVpcPeeringConnections", Fault::Throttled, FaultTiming::Before);
    world.delete_peering(&a.scope, &id).unwrap();
    world.rest();
    assert!(world.connected(&a, &b), "after a deleted peering");
    world.transport.inject_fault("DescribeRouteTables", Fault::Throttled, FaultTiming::Before);
    world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.rest();
    assert!(world.connected(&a, &b), "after a deleted route");
}

#[test]
fn a_region_of_a_known_account_is_swept_after_its_first_event() {
    let mut world = World::default();
    world.store.add_account(&scope(4, 0));
    let stays = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let first = world.vpc("d", scope(4, 1), "10.4.0.0/16", "staging");
    world.rest();
    world.pass(MINUTE);
    world.untag(&first).unwrap();
    world.rest();
    assert_eq!(world.store.everybody().len(), 1, "only the registration names the scope");
    world.events_lost = true;
    let second = world.vpc("e", scope(4, 1), "10.5.0.0/16", "prod");
    world.sweep();
    world.rest();
    assert!(world.connected(&stays, &second));
}

#[test]
fn a_clean_sweep_marks_no_member_as_left() {
    let (mut world, ..) = World::of_two();
    world.pass(10 * MINUTE);
    world.sweep();
    world.rest();
    for member in world.store.everybody() {
        assert!(member.left_meshes.is_empty(), "{member:?}");
    }
}

#[test]
fn an_account_whose_role_is_denied_causes_no_dead_letter() {
    let (mut world, ..) = World::of_two();
    world.set_denied(&account(2), true);
    world.sweep();
    world.rest();
    assert_eq!(world.queue.dead_letters(), 0);
}

#[test]
fn a_transient_scan_failure_is_retried() {
    let mut world = World::default();
    world.events_lost = true;
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    for _ in 0..6 {
        world.transport.inject_fault("DescribeVpcs", Fault::Throttled, FaultTiming::Before);
    }
    world.sweep();
    world.rest();
    assert_eq!(world.store.everybody().len(), 2);
}

#[test]
fn a_pair_whose_unreadable_side_is_indexed_is_not_reported_as_unwanted() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "staging");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "staging");
    world.vpc("c", scope(1, 1), "10.3.0.0/16", "prod");
    world.rest();
    world.pass(MINUTE);
    let (id, _) = world.peering(&a, &b).unwrap();
    world.retag_peering(&a.scope, &id, tags::ENV, Some("prod")).unwrap();
    world.set_denied(&account(2), true);
    world.sweep();
    world.rest();
    let unwanted = |(mesh, kind, of): &(_, FindingKind, String)| {
        *mesh == peerd_testkit::mesh("prod") && *kind == FindingKind::Unreadable && of.contains(" - ")
    };
    let open = world.store.open_findings();
    assert!(!open.iter().any(unwanted), "{open:?}");
}
