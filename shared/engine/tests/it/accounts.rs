//! Accounts of an organisation, from sweep to rest: found, admitted by unit, moved, suspended.
use peerd_core::{Finding, FindingKind, Policy, VpcRef};
use peerd_testkit::world::unit;
use peerd_testkit::{Call, Fault, FaultTiming, HOUR, MINUTE, SimConfig, World, account, mesh, scope};

/// Accounts 1 and 2 are in the unit `prod`; account 3, which only the organisation names, is in `dev`.
fn organized() -> World {
    World::new(&SimConfig { organized: true, ..SimConfig::default() })
}

fn swept(world: &mut World) {
    world.sweep();
    world.rest();
}

#[expect(clippy::unwrap_used, reason = "a test that misspells a policy should fail at once")]
fn admit(world: &mut World, units: &str) {
    let policy = format!(r#"{{"admit":{{"units":["{}"]}}}}"#, unit(units));
    let policy = Policy::read(&mut serde_json::Deserializer::from_str(&policy)).unwrap();
    world.declare(&mesh("prod"), policy);
    world.rest();
}

fn members(world: &mut World) -> [VpcRef; 3] {
    [1, 2, 3].map(|n| world.vpc(&format!("v{n}"), scope(n, 0), &format!("10.{n}.0.0/16"), "prod"))
}

/// What is open of prod.
fn open(world: &World, kind: FindingKind) -> Vec<Finding> {
    let findings = world.store.kept(&mesh("prod")).findings;
    findings.into_iter().filter(|finding| finding.kind() == kind).collect()
}

/// Accounts of the organisational units that the deployment was given are found by the next sweep, new ones included, and
/// their members join by it.
#[test]
fn accounts_are_found_in_the_organisation() {
    let mut world = organized();
    world.events_lost = true;
    let [a, _, c] = members(&mut world);
    swept(&mut world);
    assert!(world.connected(&a, &c), "account 3 is named by its unit alone");
}

/// A mesh that admits by organisational unit admits the accounts that are in it or in one beneath it, as they were last
/// listed: one that moves out is let go of.
#[test]
fn a_mesh_admits_by_unit() {
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

/// Of a unit that was never listed, or of which the list was lost, nobody is taken to be in it or out of it: what stands
/// stays, nothing is opened, and it is reported.
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
    assert!(refused.len() == 4 && refused.iter().all(|f| f.message().contains("is not known")), "{refused:?}");
    swept(&mut world);
    assert!(world.connected(&a, &d));
}

/// An organisation that cannot be listed in full is not concluded from, and its failure stops nothing else of a sweep.
#[test]
fn a_list_that_fails_changes_nothing() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, _] = members(&mut world);
    admit(&mut world, "prod");
    let known = world.store.known_organization();
    world.cloud.aws().remove_account(&account(2));
    for _ in 0..20 {
        world.wire.order_trouble("ListAccountsForParent", Fault::Denied, FaultTiming::Before);
    }
    swept(&mut world);
    assert!(world.store.known_organization().agrees_with(&known));
    assert!(world.connected(&a, &b));
    assert_eq!(world.mail.dead_letters(), 1);
}

/// An account that moves while the organisation is listed may be in neither list: whoever is missing is looked for again.
#[test]
fn an_account_that_moves_between_two_lists_is_not_lost() {
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

/// Of an account that an operator says is gone for good nothing is left where peerd can reach, and no gap; should it send an
/// event again, it is back.
#[test]
fn an_account_that_is_gone_for_good_leaves_no_trace() {
    let mut world = organized();
    swept(&mut world);
    let [a, b, c] = members(&mut world);
    world.rest();
    world.set_denied(&account(3), true);
    swept(&mut world);
    assert_eq!(open(&world, FindingKind::Gap).len(), 2);
    world.pass(HOUR);
    world.store.set_gone(&account(3), true);
    world.wire.take_calls();
    swept(&mut world);
    let there = |call: &Call| call.scope.as_ref().is_some_and(|scope| scope.account == account(3));
    assert!(!world.wire.take_calls().iter().any(there), "nobody looks there");
    assert_eq!(open(&world, FindingKind::Gap), []);
    assert_eq!([world.peering(&a, &c), world.peering(&b, &c)], [None, None]);
    assert_eq!([world.target("v1", "10.3.0.0/16"), world.target("v2", "10.3.0.0/16")], [None, None]);
    assert!(world.store.everybody().iter().all(|member| member.vpc != c));
    assert!(world.connected(&a, &b));
    world.set_denied(&account(3), false);
    world.tag(&c, "prod").unwrap();
    world.rest();
    assert!(world.connected(&a, &c) && world.connected(&b, &c));
}

/// A suspended account is a gap that says so, and so is one that cannot be reached; each tells since when. A Region that an
/// account has switched off is no gap, unless members are remembered there.
#[test]
fn gaps_tell_why_and_since_when() {
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
    let gaps = open(&world, FindingKind::Gap);
    let subjects: Vec<_> = gaps.iter().map(|gap| gap.subject()).collect();
    assert_eq!(subjects, ["222222222222/us-east-1"], "where members are");
    assert!(gaps.iter().all(|gap| gap.message().contains("is SUSPENDED in its organisation")), "{gaps:?}");
    assert!(world.peering(&a, &b).is_some(), "nothing is concluded from it");
    let told = world.store.kept(&mesh("prod")).open_since(&gaps[0]).unwrap();
    assert!((HOUR..HOUR + MINUTE).contains(&(told - since)), "the first sweep found it");
}
