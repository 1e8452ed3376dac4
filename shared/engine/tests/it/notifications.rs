//! The notifications that peerd publishes on the hub's event bus.

use peerd_core::{FindingKind, Tags, VpcRef, cidr};
use peerd_engine::NotificationKind;
use peerd_testkit::user_actions::table;
use peerd_testkit::{Fault, FaultTiming, MINUTE, World, account, scope};

/// Returns the notifications since the previous call: of changes their number, of findings the kind and the subject.
fn sent(world: &World) -> Vec<String> {
    let notifications = world.bus.take_notices().into_iter();
    let line = |news: NotificationKind| match news {
        NotificationKind::Changed { changes, .. } => format!("{} changes", changes.len()),
        NotificationKind::Opened(finding) => format!("opened {} {}", finding.kind, finding.subject),
        NotificationKind::Resolved(finding) => format!("resolved {} {}", finding.kind, finding.subject),
    };
    notifications.map(|notification| format!("{} {}", notification.mesh, line(notification.kind))).collect()
}

/// peerd publishes the changes of each run; a sweep that finds nothing wrong publishes nothing.
#[test]
fn changes_are_published_once() {
    let (mut world, ..) = World::of_two();
    assert_eq!(sent(&world), ["prod 5 changes"], "create, accept, tag, and a route on each side");
    world.sweep();
    world.rest();
    assert_eq!(sent(&world), Vec::<String>::new());
    world.delete_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.rest();
    assert_eq!(sent(&world), ["prod 1 changes"]);
}

/// peerd publishes a finding when it opens and when it is resolved, and not in between.
#[test]
fn findings_are_published_when_they_open_and_when_they_are_resolved() {
    let (mut world, ..) = World::of_two();
    let c = world.vpc("c", scope(3, 0), "10.2.0.0/17", "prod");
    world.rest();
    let pair = "vpc-b (222222222222/us-east-1) - vpc-c (333333333333/us-east-1)";
    let notifications = sent(&world);
    assert!(notifications.contains(&format!("prod opened overlap {pair}")), "{notifications:?}");
    world.sweep();
    world.rest();
    assert_eq!(sent(&world), Vec::<String>::new());
    world.untag(&c).unwrap();
    world.rest();
    let notifications = sent(&world);
    assert!(notifications.contains(&format!("prod resolved overlap {pair}")), "{notifications:?}");
}

/// The finding for an unreadable scope stays open until a run reads that scope again.
#[test]
fn an_unreadable_finding_stays_open_until_a_run_reads_the_scope() {
    let (mut world, a, _) = World::of_two();
    sent(&world);
    world.set_denied(&account(3), true);
    world.sweep();
    world.rest();
    let notifications = sent(&world);
    assert!(notifications.contains(&"prod opened unreadable 333333333333/us-east-1".to_owned()), "{notifications:?}");
    world.tag(&a, "prod").unwrap();
    world.rest();
    assert_eq!(sent(&world), Vec::<String>::new());
    world.set_denied(&account(3), false);
    world.sweep();
    world.rest();
    let notifications = sent(&world);
    assert!(notifications.contains(&"prod resolved unreadable 333333333333/us-east-1".to_owned()), "{notifications:?}");
}

/// If the event bus does not accept a notification, peerd publishes it later.
#[test]
fn a_failed_event_bus_loses_no_notification() {
    let (mut world, ..) = World::of_two();
    sent(&world);
    world.transport.inject_fault("PutEvents", Fault::ServerFault, FaultTiming::Before);
    let c = world.vpc("c", scope(3, 0), "10.2.0.0/17", "prod");
    world.rest();
    let notifications = sent(&world);
    assert!(notifications.iter().any(|line| line.contains("changes")), "{notifications:?}");
    assert!(notifications.iter().any(|line| line.contains("opened overlap")), "{notifications:?}");
    assert_eq!(world.status(&c).unwrap().split(". ").next(), Some("joined prod"));
}

/// peerd never accepts a request from an unknown account, and reports the request until it no longer exists.
#[test]
fn a_peering_request_from_an_unknown_account_is_reported() {
    let (mut world, a, _) = World::of_two();
    sent(&world);
    let unknown = VpcRef::new(scope(9, 0), "vpc-unknown".parse().unwrap());
    let cidrs = peerd_testkit::user_actions::blocks_of("10.99.0.0/16");
    world.cloud.aws().create_vpc(peerd_testkit::change_log::Actor::User, &unknown, &cidrs, &Tags::new());
    let id = world.request_peering(&unknown, &a, &Tags::new()).unwrap();
    world.sweep();
    world.rest();
    assert_eq!(sent(&world), [format!("prod opened {} {id}", FindingKind::UnknownRequester)]);
    world.pass(MINUTE);
    world.reject_peering(&a.scope, &id).unwrap();
    world.rest();
    assert_eq!(sent(&world), [format!("prod resolved unknown-requester {id}")]);
}
