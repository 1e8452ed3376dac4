//! Accounts of an organization: found by a sweep, admitted by unit, moved, suspended, removed.

use peerd_core::{Finding, FindingKind, VpcRef};
use peerd_testkit::world::unit;
use peerd_testkit::{Call, Fault, FaultTiming, HOUR, MINUTE, SimConfig, World, account, mesh, scope};
use serde_json::json;

use crate::policies::declare;

/// Creates a deployment in an organization. Accounts 1 and 2 are in the unit `prod`; account 3, which only the
/// organization lists, is in `dev`.
fn organized() -> World {
    World::new(&SimConfig { organized: true, ..SimConfig::default() })
}

fn swept(world: &mut World) {
    world.sweep();
    world.rest();
}

fn admit(world: &mut World, units: &str) {
    declare(world, "prod", &json!({"admit": {"units": [unit(units)]}}).to_string());
}

fn members(world: &mut World) -> [VpcRef; 3] {
    [1, 2, 3].map(|n| world.vpc(&format!("v{n}"), scope(n, 0), &format!("10.{n}.0.0/16"), "prod"))
}

/// Returns the open findings of one kind of the mesh prod.
fn open(world: &World, kind: FindingKind) -> Vec<Finding> {
    let findings = world.store.kept(&mesh("prod")).findings;
    findings.into_iter().filter(|finding| finding.kind() == kind).collect()
}

/// The next sweep finds the accounts in the organizational units of the deployment, including new accounts, and
/// connects their members.
#[test]
fn accounts_are_found_in_the_organization() {
    let mut world = organized();
    world.events_lost = true;
    let [a, _, c] = members(&mut world);
    swept(&mut world);
    assert!(world.connected(&a, &c), "only the listing of the unit names account 3");
}

/// A mesh that admits by organizational unit admits the accounts in that unit or in a unit below it, as last listed;
/// the VPCs of an account that moves out leave the mesh.
#[test]
fn a_mesh_admits_accounts_by_organizational_unit() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, c] = members(&mut world);
    admit(&mut world, "prod");
    assert!(world.connected(&a, &b) && !world.connected(&a, &c));
    world.cloud.aws().move_account(&account(3), &unit("prod"));
    world.cloud.aws().move_account(&account(2), &unit("dev"));
    swept(&mut world);
    assert!(world.connected(&a, &c) && !world.connected(&a, &b));
    assert_eq!(world.peering(&a, &b), None);
    admit(&mut world, "root");
    assert!(world.connected(&a, &b) && world.connected(&b, &c));
}

/// If an organizational unit was never listed, or its listing was lost, no account counts as inside or outside it:
/// existing resources stay, none are created, and peerd reports it.
#[test]
fn an_unlisted_unit_proves_nothing() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, _] = members(&mut world);
    admit(&mut world, "prod");
    world.store.lose_organization();
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod");
    world.rest();
    assert!(world.connected(&a, &b) && !world.connected(&a, &d));
    let refused = open(&world, FindingKind::Refused);
    assert!(refused.len() == 4 && refused.iter().all(|f| f.message().contains("are not known")), "{refused:?}");
    swept(&mut world);
    assert!(world.connected(&a, &d));
}

/// An incomplete listing of the organization proves nothing, and the failure stops nothing else in a sweep.
#[test]
fn a_failed_listing_changes_nothing() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, _] = members(&mut world);
    admit(&mut world, "prod");
    let known = world.store.known_organization();
    world.cloud.aws().remove_account(&account(2));
    for _ in 0..20 {
        world.transport.inject_fault("ListAccountsForParent", Fault::Denied, FaultTiming::Before);
    }
    swept(&mut world);
    assert!(world.store.known_organization().agrees_with(&known));
    assert!(world.connected(&a, &b));
    assert_eq!(world.queue.dead_letters(), 1);
}

/// An account that moves between two units during a listing can be missing from both: if a known account is missing,
/// peerd lists the organization again.
#[test]
fn an_account_that_moves_during_a_listing_is_not_lost() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, _] = members(&mut world);
    admit(&mut world, "root");
    let (from, to) = (unit("dev"), unit("prod"));
    world.cloud.aws().move_account(&account(2), &from);
    swept(&mut world);
    world.cloud.aws().miss_once(&account(2));
    world.cloud.aws().move_account(&account(2), &to);
    swept(&mut world);
    assert!(world.store.known_organization().accounts.contains_key(&account(2)));
    assert!(world.connected(&a, &b));
}

/// An event from an account that is in no parameter, no listed unit and no registration is ignored, without a call in
/// that account; peerd reports the account with the command that registers it.
#[test]
fn an_unknown_account_joins_only_when_an_operator_registers_it() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.rest();
    world.transport.take_calls();
    let outsider = world.vpc("x", scope(4, 0), "10.44.0.0/16", "prod");
    world.rest();
    let there = |call: &Call| call.scope.as_ref().is_some_and(|scope| scope.account == account(4));
    assert!(!world.transport.take_calls().iter().any(there), "peerd calls nothing in an unknown account");
    swept(&mut world);
    assert_eq!(world.peering(&a, &outsider), None);
    let [finding] = &open(&world, FindingKind::UnknownRequester)[..] else { panic!("one finding") };
    assert!(
        finding.remedy(&peerd_core::Operator::default()).contains("`peerd account add 444444444444`"),
        "{}",
        finding.remedy(&peerd_core::Operator::default())
    );

    world.store.add_account(&scope(4, 0));
    swept(&mut world);
    assert!(world.connected(&a, &outsider));
    assert_eq!(open(&world, FindingKind::UnknownRequester), []);
}

/// An account that is no longer known keeps what it has and gets nothing new.
#[test]
fn an_account_that_is_no_longer_known_keeps_what_it_has() {
    let mut world = World::default();
    world.store.add_account(&scope(4, 0));
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let left = world.vpc("x", scope(4, 0), "10.44.0.0/16", "prod");
    swept(&mut world);
    assert!(world.connected(&a, &left));
    world.store.set_removed(&account(4), false); // the registration is lost
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    swept(&mut world);
    assert!(world.connected(&a, &left) && world.connected(&a, &b));
    assert_eq!(world.peering(&b, &left), None);
    assert!(open(&world, FindingKind::Refused).iter().any(|finding| finding.message().contains("is not registered")));
}

/// What leads to a blocked account is removed, although the account cannot be read, is in a listed unit and its
/// members exceed the delete limits. No event and no sweep brings it back; only the end of the block does.
#[test]
fn a_blocked_account_is_cut_off_until_an_operator_unblocks_it() {
    let mut world = organized();
    swept(&mut world);
    let near = world.vpc("near", scope(1, 0), "10.1.0.0/16", "prod");
    let far: Vec<VpcRef> = (0..12)
        .map(|n| world.vpc(&format!("far{n}"), scope(3, 0), &format!("10.{}.0.0/16", 100 + n), "prod"))
        .collect();
    swept(&mut world);
    assert!(far.iter().all(|far| world.connected(&near, far)));

    world.set_denied(&account(3), true);
    world.store.set_blocked(&account(3), true);
    swept(&mut world);
    assert!(far.iter().all(|far| world.peering(&near, far).is_none()), "12 of 12 peerings exceed the delete limits");
    assert_eq!(world.target("near", "10.100.0.0/16"), None);
    assert_eq!(open(&world, FindingKind::Unreadable), []);

    world.set_denied(&account(3), false);
    world.tag(&far[0], "prod staging").unwrap();
    swept(&mut world);
    assert_eq!(world.peering(&near, &far[0]), None);

    world.store.set_blocked(&account(3), false);
    swept(&mut world);
    assert!(world.connected(&near, &far[0]));
}

/// For an account that an operator removed, peerd deletes everything that it can reach, and reports no unreadable
/// scope; a later event from the account registers it again, if peerd still knows it.
#[test]
fn a_removed_account_leaves_no_trace() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, c] = members(&mut world);
    world.rest();
    world.set_denied(&account(3), true);
    swept(&mut world);
    assert_eq!(open(&world, FindingKind::Unreadable).len(), 2);
    world.pass(HOUR);
    world.store.set_removed(&account(3), true);
    world.transport.take_calls();
    swept(&mut world);
    let there = |call: &Call| call.scope.as_ref().is_some_and(|scope| scope.account == account(3));
    assert!(!world.transport.take_calls().iter().any(there), "peerd does not read a removed account");
    assert_eq!(open(&world, FindingKind::Unreadable), []);
    assert_eq!([world.peering(&a, &c), world.peering(&b, &c)], [None, None]);
    assert_eq!([world.target("v1", "10.3.0.0/16"), world.target("v2", "10.3.0.0/16")], [None, None]);
    assert!(world.store.everybody().iter().all(|member| member.vpc != c));
    assert!(world.connected(&a, &b));
    world.set_denied(&account(3), false);
    world.tag(&c, "prod").unwrap();
    world.rest();
    assert!(world.connected(&a, &c) && world.connected(&b, &c));
}

/// peerd reports a suspended or unreachable account as an unreadable scope, with the reason and the start; it reports a
/// disabled Region only if members are indexed there.
#[test]
fn unreadable_scopes_are_reported_with_reason_and_start() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, _] = members(&mut world);
    world.rest();
    world.cloud.aws().switch_region(&scope(1, 1), true);
    world.cloud.aws().suspend(&account(2), true);
    let since = world.now();
    for _ in 0..3 {
        world.pass(HOUR);
        swept(&mut world);
    }
    let unreadable = open(&world, FindingKind::Unreadable);
    let subjects: Vec<_> = unreadable.iter().map(|it| it.subject()).collect();
    assert_eq!(subjects, ["222222222222/us-east-1"], "only the scope with members");
    assert!(unreadable.iter().all(|it| it.message().contains("is SUSPENDED in its organization")), "{unreadable:?}");
    assert!(world.peering(&a, &b).is_some(), "an unreadable scope proves nothing");
    let opened_at = world.store.kept(&mesh("prod")).open_since(&unreadable[0]).unwrap();
    assert!((HOUR..HOUR + MINUTE).contains(&(opened_at - since)), "the first sweep detects it");
}

/// A policy that excludes an account by its id, or by a complete listing of units, removes what leads to it, also if
/// the account cannot be read.
#[test]
fn an_account_that_is_excluded_is_disconnected_without_its_help() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, c] = members(&mut world);
    admit(&mut world, "root");
    assert!(world.connected(&a, &b) && world.connected(&a, &c));
    world.cloud.aws().set_account_unreachable(&account(2), true);
    declare(&mut world, "prod", &json!({"admit": {"accounts": [account(1), account(3)]}}).to_string());
    assert!(world.connected(&a, &c));
    assert_eq!((world.peering(&a, &b), world.peering(&b, &c)), (None, None));
    world.cloud.aws().set_account_unreachable(&account(3), true);
    admit(&mut world, "prod");
    assert_eq!(world.peering(&a, &c), None, "account 3 is in another unit");
}
