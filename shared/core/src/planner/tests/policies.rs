//! The effects of policies, and of the tags besides `peerd:env`.

use super::world::{World, joined, kinds, mesh, messages, rendered, scope};
use crate::finding::FindingKind;
use crate::observed::RouteTarget;
use crate::tags;
use crate::*;

/// Three members of prod in three accounts, converged.
pub fn three() -> (World, [VpcRef; 3]) {
    let mut world = World::new();
    let [a, b, c] = [1, 2, 3].map(|n| {
        let name = ["a", "b", "c"][usize::from(n) - 1];
        world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod")
    });
    world.settle();
    (world, [a, b, c])
}

pub fn removals(done: &[String]) -> Vec<&str> {
    done.iter().map(String::as_str).filter(|line| line.starts_with('-') && !line.contains("status")).collect()
}

#[test]
fn confirmed_deletes_exceed_the_limit_up_to_their_number_and_for_their_mesh_only() {
    let (mut world, [a, b, _]) = three();
    world.declare("prod", r#"{"deletes":{"count":0,"percent":0}}"#);
    world.set_meshes(&b, "");
    let (done, findings) = world.settle();
    assert_eq!((removals(&done).len(), kinds(&findings)), (0, vec![FindingKind::Blocked]));
    world.desired.delete_approval = DeleteApproval::Confirmed { deletes: 1 };
    assert_eq!(kinds(&world.settle().1), [FindingKind::Blocked], "two are more than were confirmed");
    world.desired.delete_approval = DeleteApproval::Confirmed { deletes: 2 };
    world.settle();
    assert_eq!(world.peered(), ["a-c"]);
    world.desired.mesh = mesh("staging");
    world.set_meshes(&a, "");
    world.settle();
    assert_eq!(world.peered(), ["a-c"], "the confirmation is of staging");
}

#[test]
fn a_vpc_that_is_not_admitted_is_disconnected_and_gets_the_reason() {
    let (mut world, [a, b, _]) = three();
    world.declare("prod", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-c"]);
    assert_eq!(world.status(&b), Some("refused prod: account 222222222222 is not admitted"));
    assert_eq!(world.status(&a), Some("joined prod"));
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
    assert_eq!(world.targets("rtb-b"), Vec::<String>::new());
}

#[test]
fn a_policy_that_excludes_a_region_or_a_vpc_removes_nothing_of_an_unreadable_one() {
    let (mut world, [_, b, _]) = three();
    world.close(&b.scope);
    world.declare("prod", r#"{"admit":{"regions":["us-east-1"],"vpcs":["vpc-a","vpc-c"]}}"#);
    let (done, findings) = world.settle();
    assert_eq!(removals(&done), Vec::<&str>::new());
    assert!(kinds(&findings).contains(&FindingKind::Unreadable));
}

#[test]
fn only_cidrs_in_the_admitted_ranges_are_routed_and_others_are_reported() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16 172.16.1.0/24", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.declare("prod", r#"{"admit":{"cidrs":["10.0.0.0/8"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1"]);
    assert_eq!(
        world.status(&a),
        Some("joined prod. refused prod: 172.16.1.0/24 is not in the ranges that prod admits")
    );
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
}

#[test]
fn without_admitted_ranges_private_addresses_and_amazons_ipv6_are_routed_and_others_are_reported() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "100.65.0.0/16 8.8.0.0/16 2600:1f18::/56 2a05:d000::/56 fd00:1::/56", "prod");
    let b = world.vpc("b", scope(2, 0), "192.168.2.0/24", "prod");
    let seen = world.observed.vpcs.get_mut(&a).unwrap();
    seen.amazon_provided = ["2600:1f18::/56".parse().unwrap()].into_iter().collect();
    let (_, findings) = world.settle();
    let routed = ["100.65.0.0/16 pcx-new1", "2600:1f18::/56 pcx-new1", "fd00:1::/56 pcx-new1"];
    assert_eq!(world.targets("rtb-b"), routed);
    assert_eq!(
        messages(&findings),
        ["2a05:d000::/56", "8.8.0.0/16"].map(|cidr| { format!("{a}: {cidr} is not in the ranges that prod admits") })
    );
    assert_eq!(world.status(&b), Some("joined prod"));
    world.close(&a.scope);
    let table = world.observed.tables.get_mut(&"rtb-b".parse().unwrap()).unwrap();
    table.routes.retain(|route| !route.destination.addr().is_ipv6());
    world.settle();
    assert_eq!(world.targets("rtb-b"), routed, "the index knows what Amazon provided");
}

#[test]
fn excluded_addresses_are_not_routed_and_the_rest_of_their_cidr_is() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16 100.64.1.0/24", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.declare("prod", r#"{"routes":{"exclude":["100.64.0.0/10","10.1.128.0/17"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/17 pcx-new1"]);
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_changed_advertisement_never_interrupts_addresses_that_it_keeps() {
    let (mut world, _, b) = joined();
    world.tag(&b, tags::CIDRS, "10.2.0.0/17,10.2.128.0/18");
    let (plan, _) = world.plan();
    let work: Vec<String> = plan.work.iter().map(ToString::to_string).collect();
    assert_eq!(
        work,
        [
            "+ route rtb-a in 111111111111/us-east-1 10.2.0.0/17 -> pcx-new1",
            "+ route rtb-a in 111111111111/us-east-1 10.2.128.0/18 -> pcx-new1",
            "- route rtb-a in 111111111111/us-east-1 2600:1f18:2::/56 -> pcx-new1",
        ]
    );
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/17 pcx-new1", "10.2.128.0/18 pcx-new1"]);
    assert_eq!(world.peered(), ["a-b"]);
}

/// Seed 21978 of the simulator, 2026-11-23.
#[test]
fn a_member_that_advertises_less_keeps_its_route_despite_an_overlapping_member() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.7.128.0/17", "prod");
    world.settle();
    world.vpc("c", scope(1, 1), "10.7.0.0/16", "prod");
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.7.128.0/17 pcx-new1"], "b joined before c");
    world.tag(&b, tags::CIDRS, "10.7.128.0/18");
    let (done, _) = world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.7.128.0/18 pcx-new1"]);
    assert!(done[0].starts_with("+ route rtb-a in 111111111111/us-east-1 10.7.128.0/18"), "{done:#?}");
}

#[test]
fn an_unreadable_vpc_is_not_assumed_to_have_withdrawn_a_cidr() {
    let (mut world, _, b) = joined();
    world.route("rtb-a", "10.8.0.0/20", RouteTarget::Peering("pcx-new1".parse().unwrap()));
    world.close(&b.scope);
    world.vpc("d", scope(3, 0), "10.8.0.0/16", "prod");
    let (_, findings) = world.settle();
    assert!(!world.targets("rtb-a").iter().any(|route| route.starts_with("10.8.0.0/16")), "{findings:?}");
}

#[test]
fn an_unroutable_part_does_not_retain_the_route_of_the_withdrawn_cidr() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.7.128.0/17", "prod");
    world.settle();
    let c = world.vpc("c", scope(3, 0), "10.7.128.0/18", "prod");
    let tags = world.managed([&a, &c], "prod");
    world.peering("pcx-c", &a, &c, PeeringStatus::Active, &tags);
    world.route("rtb-a", "10.7.128.0/20", RouteTarget::Peering("pcx-c".parse().unwrap()));
    world.close(&c.scope); // or the lesser of the two would keep the addresses
    world.tag(&b, tags::CIDRS, "10.7.128.0/19");
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.7.128.0/18 pcx-c", "10.7.128.0/20 pcx-c"]);
}

#[test]
fn the_policy_selects_route_tables_and_the_tag_of_a_table_overrides_it() {
    let (mut world, a, _) = joined();
    for name in ["main2", "managed", "ignored", "eligible"] {
        world.table(name, &a);
    }
    world.tag_table("rtb-managed", tags::ROUTES, "manage");
    world.tag_table("rtb-ignored", tags::ROUTES, "ignore");
    world.tag_table("rtb-eligible", tags::ELIGIBLE, "true");
    let routed = |world: &World| {
        let names = ["a", "main2", "managed", "ignored", "eligible"];
        names.into_iter().filter(|name| !world.targets(&format!("rtb-{name}")).is_empty()).collect::<Vec<_>>()
    };
    world.settle();
    assert_eq!(routed(&world), ["a", "main2", "managed", "eligible"]);
    world.declare("prod", r#"{"routes":{"tables":"main"}}"#);
    world.settle();
    assert_eq!(routed(&world), ["a", "managed"]);
    world.declare("prod", r#"{"routes":{"tables":"tagged"}}"#);
    world.settle();
    assert_eq!(routed(&world), ["managed", "eligible"]);
}

#[test]
fn an_ignored_table_does_not_change_until_its_peering_is_unwanted() {
    let (mut world, _, b) = joined();
    world.tag_table("rtb-a", tags::ROUTES, "ignore");
    let pcx = RouteTarget::Peering("pcx-new1".parse().unwrap());
    world.route("rtb-a", "10.2.7.0/24", pcx);
    let (done, _) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    world.set_meshes(&b, "");
    world.settle();
    assert_eq!((world.targets("rtb-a"), world.peered()), (vec![], vec![]));
}

#[test]
fn a_table_with_an_invalid_tag_is_not_changed_and_reported() {
    let (mut world, a, _) = joined();
    world.table("odd", &a);
    world.tag_table("rtb-odd", tags::ROUTES, "yes");
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "! refused rtb-odd of vpc-a (111111111111/us-east-1): `yes` in peerd:routes is neither manage nor ignore; correct the tag; until then peerd does not change the table"
        ]
    );
}

#[test]
fn policy_tags_are_set_on_both_sides_of_an_existing_peering() {
    let (mut world, ..) = joined();
    world.declare("prod", r#"{"tags":{"team":"network"}}"#);
    let (done, _) = world.settle();
    assert_eq!(
        done,
        [
            "* peering pcx-new1 in 111111111111/us-east-1 tags team=network",
            "* peering pcx-new1 in 222222222222/eu-west-1 tags team=network",
        ]
    );
}

#[test]
fn a_disagreement_of_two_meshes_about_a_pair_is_resolved_and_reported() {
    let (mut world, a, b) = joined();
    world.set_meshes(&a, "prod+staging");
    world.set_meshes(&b, "prod+staging");
    world.declare("prod", r#"{"tags":{"team":"red","of":"both"},"routes":{"exclude":["10.2.0.0/16"]}}"#);
    world.declare("staging", r#"{"tags":{"team":"blue","of":"both"}}"#);
    let (_, findings) = world.settle();
    let said: Vec<_> = findings.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "prod and staging disagree about the tag `team`; it is `red`",
            "prod and staging route different CIDR blocks of vpc-b (222222222222/eu-west-1); all of them are routed: 10.2.0.0/16 2600:1f18:2::/56",
        ]
    );
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1", "2600:1f18:2::/56 pcx-new1"]);
    let peering = &world.observed.peerings[&"pcx-new1".parse().unwrap()];
    assert!(peering.tags.values().all(|tags| tags["team"] == "red"));
}

#[test]
fn a_paused_mesh_is_observed_and_reported_and_not_changed() {
    let (mut world, a, b) = joined();
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.set_meshes(&b, "");
    world.declare("prod", r#"{"mode":"paused"}"#);
    let (plan, report) = world.plan();
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(kinds(&rendered(&report.findings)), [FindingKind::Paused]);
    let suppressed: Vec<_> = report.suppressed.iter().map(ToString::to_string).collect();
    assert_eq!(suppressed.len(), 7, "three of them are status updates: {suppressed:#?}");
    assert!(suppressed[0].starts_with("+ peering vpc-a") && suppressed[3].starts_with("- route rtb-b"));
    assert!(report.to_string().contains("paused: + peering vpc-a"), "{report}");
    assert_eq!(world.status(&a), Some("joined prod"));
    world.declare("prod", "{}");
    world.settle();
    assert_eq!(world.peered(), ["a-c"]);
}

#[test]
fn a_run_of_another_mesh_changes_no_pair_of_a_paused_mesh() {
    let (mut world, a, b) = joined();
    world.set_meshes(&a, "prod+staging");
    world.set_meshes(&b, "prod+staging");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "staging");
    world.declare("prod", r#"{"mode":"paused"}"#);
    world.desired.mesh = mesh("staging");
    let (done, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "b-c"]);
    assert!(!done.iter().any(|line| line.starts_with("* peering pcx-new1")), "its tags would name staging: {done:#?}");
    assert_eq!(kinds(&findings), [FindingKind::Paused]);
}

#[test]
fn a_run_of_another_mesh_deletes_no_peering_of_a_paused_mesh() {
    let (mut world, a, b) = joined();
    for vpc in [&a, &b] {
        world.set_meshes(vpc, "");
    }
    world.declare("prod", r#"{"mode":"paused"}"#);
    world.desired.mesh = mesh("staging");
    let (done, _) = world.settle();
    assert_eq!(removals(&done), Vec::<&str>::new());
}

#[test]
fn an_unreadable_policy_blocks_its_mesh_and_the_reason_is_reported() {
    let (mut world, _, b) = joined();
    world.set_meshes(&b, "");
    let error = PolicyError { field: "mode".to_owned(), why: "unknown variant `off`".to_owned() };
    world.desired.declared.insert(mesh("prod"), Policy::unreadable(&error));
    let (plan, report) = world.plan();
    assert!(plan.is_empty(), "{plan}");
    let said: Vec<_> = rendered(&report.findings).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "! blocked prod: policy field `mode`: unknown variant `off`; to declare it again, run `peerd mesh declare prod --policy prod.json`; until then peerd changes nothing of it"
        ]
    );
}

#[test]
fn draining_exceeds_the_delete_limit_and_members_get_the_reason() {
    let mut world = World::new();
    let vpcs = world.crowd(8);
    world.settle();
    world.set_meshes(&vpcs[0], "prod+staging");
    world.set_meshes(&vpcs[1], "prod+staging");
    world.declare("prod", r#"{"mode":"draining"}"#);
    let (done, findings) = world.settle();
    assert_eq!(world.peered(), ["p0-p1"], "staging keeps its pair");
    assert_eq!(world.status(&vpcs[7]), Some("refused prod: mesh is draining"));
    assert!(done.contains(&"* peering pcx-new1 in 222222222222/us-east-1 tags peerd:env=staging".to_owned()));
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn only_a_mesh_that_was_declared_retains_the_peerings_created_for_it() {
    let (mut world, a, b) = joined();
    for vpc in [&a, &b] {
        world.set_meshes(vpc, "prod+nosuch+staging");
    }
    world.settle();
    world.desired.declared.remove(&mesh("staging"));
    world.declare("prod", r#"{"mode":"draining"}"#);
    world.settle();
    assert_eq!(world.peered(), ["a-b"], "it was made for staging too");
    world.declare("staging", r#"{"mode":"draining"}"#);
    world.settle();
    assert_eq!(world.peered(), Vec::<String>::new());
}

#[test]
fn the_status_of_a_vpc_that_left_a_paused_mesh_is_not_changed_by_the_runs_of_other_meshes() {
    let (mut world, a, _) = joined();
    world.declare("prod", r#"{"mode":"paused"}"#);
    world.set_meshes(&a, "");
    world.desired.mesh = mesh("staging");
    world.settle();
    assert_eq!(world.status(&a), Some("joined prod"));
    world.desired.mesh = mesh("prod");
    world.declare("prod", "{}");
    world.settle();
    assert_eq!(world.status(&a), None);
}
