//! AWS Organizations: which accounts a mesh admits by their units, and which unreadable scopes are reported how.

use super::world::{World, joined, kinds, mesh, scope};
use crate::finding::FindingKind;
use crate::*;

const BY_UNIT: &str = r#"{"admit":{"units":["ou-ab12-prod0000"]}}"#;

/// Members of prod in accounts 1, 2 and 3; account 3 is in another unit.
fn three() -> (World, [VpcRef; 3]) {
    let mut world = World::new();
    world.organize([&[1, 2], &[3]]);
    let name = |n: u8| ["a", "b", "c"][usize::from(n) - 1];
    let vpcs = [1, 2, 3].map(|n| world.vpc(name(n), scope(n, 0), &format!("10.{n}.0.0/16"), "prod"));
    world.declare("prod", BY_UNIT);
    (world, vpcs)
}

#[test]
fn accounts_of_an_admitted_unit_are_connected_and_others_get_the_reason() {
    let (mut world, [a, _, c]) = three();
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b"]);
    assert_eq!(world.status(&a), Some("joined prod"));
    let refused = "refused prod: account 333333333333 is in no admitted organizational unit";
    assert_eq!(world.status(&c), Some(refused));
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
    world.declare("prod", r#"{"admit":{"units":["ou-ab12-dev00000","r-ab12"]}}"#);
    world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "b-c"]);
}

#[test]
fn an_account_that_moves_out_of_the_unit_is_disconnected() {
    let (mut world, _) = three();
    world.settle();
    world.organize([&[1], &[2, 3]]);
    world.settle();
    assert!(world.peered().is_empty());
    assert!(world.targets("rtb-a").is_empty());
}

#[test]
fn with_an_unlisted_unit_existing_peerings_stay_and_none_is_created() {
    let (mut world, [a, b, _]) = three();
    world.settle();
    world.desired.organization = Organization::default();
    world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod");
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b"]);
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1"]);
    let refused = "refused prod: the accounts in ou-ab12-prod0000 are not known";
    assert_eq!([world.status(&a), world.status(&b)], [Some(refused); 2]);
    assert!(findings.iter().any(|finding| finding.remedy.contains("OrganizationalUnits")), "{findings:?}");
}

#[test]
fn after_an_account_leaves_the_unit_only_routes_of_its_other_mesh_remain() {
    let (mut world, [a, b, _]) = three();
    for vpc in [&a, &b] {
        world.set_meshes(vpc, "prod+staging");
    }
    world.declare("staging", r#"{"routes":{"exclude":["10.2.128.0/17"]}}"#);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1"]);
    let listed = std::mem::take(&mut world.desired.organization);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1", "10.2.0.0/17 pcx-new1"], "in doubt, all routes stay");
    world.desired.organization = listed;
    world.organize([&[1], &[2, 3]]);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/17 pcx-new1"]);
}

#[test]
fn a_disabled_region_is_reported_only_if_it_has_indexed_members() {
    let (mut world, _, b) = joined();
    world.close(&scope(3, 1));
    world.observed.disabled_regions.insert(scope(3, 1));
    assert!(world.settle().1.is_empty());
    world.close(&b.scope);
    world.observed.disabled_regions.insert(b.scope.clone());
    let (done, findings) = world.settle();
    assert_eq!(kinds(&findings), [FindingKind::Unreadable]);
    assert!(findings.iter().all(|finding| finding.text.contains("eu-west-1 is disabled in")), "{findings:?}");
    assert!(done.iter().all(|line| !line.starts_with('-')), "{done:?}");
}

#[test]
fn the_finding_for_a_suspended_account_names_its_state() {
    let (mut world, _, b) = joined();
    world.organize([&[1, 2], &[3]]);
    world.close(&b.scope);
    world.desired.organization.accounts.get_mut(&b.scope.account).unwrap().state = Some("SUSPENDED".to_owned());
    let (_, findings) = world.settle();
    let reported: Vec<_> = findings.iter().map(|f| (f.kind, f.text.as_str(), f.remedy.as_str())).collect();
    let text = "222222222222 is SUSPENDED in its organization: AssumeRole: denied";
    let remedy = "reinstate it; or, if it is closed for good, run `peerd account remove 222222222222`";
    assert_eq!(reported, [(FindingKind::Unreadable, text, remedy)]);
}

#[test]
fn the_remedy_for_an_unreadable_account_names_the_assumed_role() {
    let (mut world, [_, _, c]) = three();
    world.settle();
    world.desired.role = "acme-spoke".to_owned();
    world.close(&c.scope);
    let (_, findings) = world.settle();
    assert!(
        findings.iter().any(|finding| finding.remedy.contains("the role acme-spoke of that account")),
        "{findings:?}"
    );
}

#[test]
fn an_unreadable_account_that_a_policy_excludes_by_id_or_unit_is_disconnected() {
    for policy in
        [r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#, r#"{"admit":{"units":["ou-ab12-prod0000"]}}"#]
    {
        let (mut world, [a, b, c]) = three();
        world.declare("prod", "{}");
        world.settle();
        world.close(&b.scope);
        world.declare("prod", policy);
        world.desired.organization = Organization::default();
        if policy.contains("units") {
            let (done, _) = world.settle();
            assert!(done.iter().all(|line| !line.starts_with('-')), "an incomplete listing proves nothing: {done:?}");
        }
        world.organize([&[1, 3], &[2]]);
        world.settle();
        assert_eq!(world.peered(), ["a-c"], "{policy}");
        assert!(!world.targets("rtb-a").iter().chain(&world.targets("rtb-c")).any(|route| route.contains("10.2.")));
        assert_eq!((world.status(&a), world.status(&c)), (Some("joined prod"), Some("joined prod")));
    }
}

#[test]
fn a_mesh_that_admits_an_unreadable_account_or_is_undeclared_protects_its_peerings() {
    for staging in [Some("{}"), None] {
        let (mut world, [a, b, c]) = three();
        for vpc in [&a, &b, &c] {
            world.set_meshes(vpc, "prod staging");
        }
        for name in ["staging", "prod"] {
            world.desired.mesh = mesh(name);
            world.settle();
        }
        world.close(&b.scope);
        world.declare("prod", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
        match staging {
            Some(policy) => world.declare("staging", policy),
            None => drop(world.desired.declared.remove(&mesh("staging"))),
        }
        let (done, _) = world.settle();
        assert_eq!(world.peered(), ["a-b", "a-c", "b-c"], "{done:#?}");
    }
}

#[test]
fn a_peering_whose_readable_end_left_stays_while_the_other_end_may_route_to_it() {
    let (mut world, [a, b, _]) = three();
    world.settle();
    world.close(&b.scope);
    world.set_meshes(&a, "");
    world.settle();
    assert_eq!(world.peered(), ["a-b"], "no policy excludes the account");
    world.declare("prod", r#"{"admit":{"accounts":["111111111111"]}}"#);
    world.settle();
    assert_eq!(world.peered(), Vec::<String>::new());
}

/// Seed 1795820023667 of the simulator, 2026-11-27: the account was unreadable for one run only.
#[test]
fn a_peering_to_an_unreadable_account_that_one_of_its_two_meshes_admits_waits_for_the_routes_there() {
    let (mut world, [a, b, _]) = three();
    for vpc in [&a, &b] {
        world.set_meshes(vpc, "prod staging");
    }
    for name in ["staging", "prod"] {
        world.desired.mesh = mesh(name);
        world.settle();
    }
    world.set_meshes(&a, "prod");
    world.close(&b.scope);
    world.declare("prod", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
    world.declare("staging", "{}");
    let (done, findings) = world.settle();
    assert!(world.peered().contains(&"a-b".to_owned()), "staging admits the account: {done:#?}");
    assert!(kinds(&findings).contains(&FindingKind::Unreadable));
    world.declare("staging", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
    world.settle();
    assert!(!world.peered().contains(&"a-b".to_owned()), "no mesh admits the account");
}

#[test]
fn the_exclusion_of_an_unreadable_account_stays_within_the_delete_limits() {
    let (mut world, [_, b, _]) = three();
    world.declare("prod", "{}");
    world.settle();
    world.close(&b.scope);
    world.declare("prod", r#"{"admit":{"accounts":["111111111111"]},"deletes":{"count":0,"percent":0}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "b-c"]);
    assert!(kinds(&findings).contains(&FindingKind::Blocked));
}
