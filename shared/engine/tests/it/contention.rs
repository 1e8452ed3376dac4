//! Contention: changes that another principal reverts repeatedly.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::{FindingKind, cidr};
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, mesh};

fn is_routed(world: &World) -> bool {
    world.target("a", "10.2.0.0/16").is_some()
}

fn take_out(world: &mut World) {
    world.pass(MINUTE);
    world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.rest();
}

/// If another principal reverts a change repeatedly, peerd restores it after increasing delays and reports that
/// principal.
#[test]
fn contention_is_detected_and_peerd_backs_off() {
    let (mut world, a, _) = World::of_two();
    for _ in 0..3 {
        take_out(&mut world);
        assert!(is_routed(&world), "peerd restores it immediately three times");
    }
    world.store.take_runs();
    take_out(&mut world);
    assert!(!is_routed(&world));
    let findings: Vec<_> = world.store.take_runs().into_iter().flat_map(|run| run.report.findings).collect();
    assert!(findings.iter().all(|finding| finding.kind() == FindingKind::Conflict) && !findings.is_empty());
    let reverted_by = format!("most recently by arn:aws:sts::{}:assumed-role/user/manual", a.scope.account);
    assert!(findings.iter().all(|finding| finding.message().ends_with(&reverted_by)), "{findings:?}");
    world.sweep();
    world.rest();
    assert!(!is_routed(&world), "a sweep does not restore it either");
    world.pass(4 * MINUTE);
    world.sweep();
    world.rest();
    assert!(is_routed(&world));
}

#[test]
fn repeated_joins_and_leaves_are_no_contention() {
    let (mut world, a, b) = World::of_two();
    for _ in 0..6 {
        world.pass(MINUTE);
        world.untag(&b).unwrap();
        world.rest();
        world.tag(&b, "prod").unwrap();
        world.rest();
        assert!(world.connected(&a, &b));
    }
}

/// Another deployment that sees the same VPC writes its own status, and this one writes its status again. After some
/// turns it reports that and writes less and less often.
#[test]
fn a_status_tag_that_another_deployment_rewrites_is_reported_and_left_as_it_is() {
    let (mut world, a, _) = World::of_two();
    let rewrite = |world: &mut World| {
        world.pass(MINUTE);
        world.mark(&a, "peerd:status", Some("refused prod: mesh is not declared")).unwrap();
        world.sweep();
        world.rest();
    };
    for _ in 0..3 {
        rewrite(&mut world);
        assert_eq!(world.status(&a).as_deref(), Some("joined prod"));
    }
    for _ in 0..3 {
        rewrite(&mut world);
        assert_eq!(world.status(&a).as_deref(), Some("refused prod: mesh is not declared"));
    }
    let open: Vec<String> = world.store.kept(&mesh("prod")).findings.iter().map(ToString::to_string).collect();
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].contains("changed its tag `peerd:status` 4 times"), "{open:?}");
    world.pass(30 * MINUTE);
    world.sweep();
    world.rest();
    assert_eq!(world.status(&a).as_deref(), Some("joined prod"), "the other deployment is gone");
    assert!(world.store.kept(&mesh("prod")).findings.is_empty());
}
