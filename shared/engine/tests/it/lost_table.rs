//! The table is lost, or an item of it.

use peerd_core::cidr;
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, mesh, scope};

use crate::policies::declare;

/// One sweep rebuilds a lost index, and peerd deletes nothing in the meantime.
#[test]
fn one_sweep_rebuilds_a_lost_index_and_deletes_nothing() {
    let mut world = World::default();
    let [a, b, c] = [1, 2, 3].map(|n| world.vpc(&format!("v{n}"), scope(n, 0), &format!("10.{n}.0.0/16"), "prod"));
    world.rest();
    world.pass(MINUTE);
    let before = world.peering(&a, &b);
    world.store.lose_everything();
    world.store.record_defaults(&[mesh("prod")]);
    world.delete_route(&table("v1"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.sweep();
    world.rest();
    assert!(world.connected(&a, &b) && world.connected(&a, &c) && world.connected(&b, &c));
    assert_eq!(world.peering(&a, &b), before);
    assert_eq!(world.store.everybody().len(), 3);
}

/// If the table loses the record of a mesh that has peerings, peerd changes nothing of the mesh and reports it, until an
/// operator declares the mesh again. A mesh without record and peerings is new, and has the default policy.
#[test]
fn a_mesh_whose_record_was_lost_is_not_changed_until_it_is_declared_again() {
    let mut world = World::default();
    world.store.lose_everything(); // a new deployment
    let [a, b] = [(1, "a"), (2, "b")].map(|(n, name)| world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod"));
    world.rest();
    assert!(world.connected(&a, &b));
    declare(&mut world, "prod", r#"{"admit":{"accounts":["111111111111","222222222222"]}}"#);

    world.store.lose_everything();
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod"); // reads account 3, which has no peering
    world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.rest();
    world.sweep();
    world.rest();
    assert_eq!((world.peering(&a, &c), world.peering(&b, &c)), (None, None));
    assert!(world.peering(&a, &b).is_some() && !world.connected(&a, &b), "the deleted route stays deleted");
    let findings = world.store.kept(&mesh("prod")).findings;
    assert!(findings.iter().any(|finding| finding.message().contains("its policy was lost")), "{findings:?}");

    declare(&mut world, "prod", "{}");
    assert!(world.connected(&a, &b) && world.connected(&a, &c) && world.connected(&b, &c));
}
