//! The effects of policies, and of the tags besides `peerd:env`.

use super::world::{World, joined, kinds, mesh, rendered, scope};
use crate::finding::FindingKind;
use crate::observed::RouteTarget;
use crate::tags;
use crate::*;

/// Three members of prod in three accounts, converged.
fn three() -> (World, [VpcRef; 3]) {
    let mut world = World::new();
    let [a, b, c] = [1, 2, 3].map(|n| {
        let name = ["a", "b", "c"][usize::from(n) - 1];
        world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod")
    });
    world.settle();
    (world, [a, b, c])
}

fn removals(done: &[String]) -> Vec<&str> {
    done.iter().map(String::as_str).filter(|line| line.starts_with('-') && !line.contains("status")).collect()
}

#[test]
fn in_a_star_spokes_reach_hubs_and_hubs_reach_everybody() {
    let (mut world, [a, b, c]) = three();
    world.tag(&b, tags::ROLE, "hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke"}"#);
    let (done, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "b-c"]);
    assert_eq!(removals(&done).len(), 3, "two routes and the peering of a and c: {done:#?}");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(world.status(&a), Some("joined prod"));
    world.tag(&c, tags::ROLE, "hub");
    world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c", "b-c"]);
}

#[test]
fn what_an_operator_confirms_goes_whatever_the_limit_and_no_other_mesh_with_it() {
    let (mut world, [a, b, _]) = three();
    world.declare("prod", r#"{"deletes":{"count":0,"percent":0}}"#);
    world.set_meshes(&b, "");
    let (done, findings) = world.settle();
    assert_eq!((removals(&done).len(), kinds(&findings)), (0, vec![FindingKind::Blocked]));
    world.desired.delete_approval = DeleteApproval::Confirmed;
    world.settle();
    assert_eq!(world.peered(), ["a-c"]);
    world.desired.mesh = mesh("staging");
    world.set_meshes(&a, "");
    world.settle();
    assert_eq!(world.peered(), ["a-c"], "the confirmation is of staging");
}

#[test]
fn a_role_that_makes_no_sense_opens_nothing_and_is_reported() {
    let (mut world, [a, b, _]) = three();
    world.tag(&a, tags::ROLE, "hub");
    world.tag(&b, tags::ROLE, "Hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke"}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c"]);
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
    assert_eq!(world.status(&b), Some("joined prod. refused prod: `Hub` in peerd:role is neither hub nor spoke"));
}

#[test]
fn a_role_is_remembered_of_a_hub_that_cannot_be_read() {
    let (mut world, [_, b, _]) = three();
    world.tag(&b, tags::ROLE, "hub");
    world.declare("prod", r#"{"topology":"hub-and-spoke"}"#);
    world.settle();
    world.close(&b.scope);
    let (done, _) = world.settle();
    assert_eq!(removals(&done), Vec::<&str>::new());
}

#[test]
fn a_vpc_that_the_policy_does_not_admit_is_told_why_and_loses_what_it_had() {
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
fn a_policy_takes_nothing_from_a_vpc_that_cannot_be_read() {
    let (mut world, [_, b, _]) = three();
    world.close(&b.scope);
    world.declare("prod", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
    let (done, findings) = world.settle();
    assert_eq!(removals(&done), Vec::<&str>::new());
    assert!(kinds(&findings).contains(&FindingKind::Unreadable));
}

#[test]
fn only_blocks_in_the_admitted_ranges_are_routed_and_the_rest_is_reported() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16 172.16.1.0/24", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.declare("prod", r#"{"admit":{"cidrs":["10.0.0.0/8"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1"]);
    assert_eq!(
        world.status(&a),
        Some("joined prod. refused prod: 172.16.1.0/24 is outside the ranges that prod admits")
    );
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
}

#[test]
fn excluded_addresses_are_not_routed_and_the_rest_of_their_block_is() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16 100.64.1.0/24", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.declare("prod", r#"{"routes":{"exclude":["100.64.0.0/10","10.1.128.0/17"]}}"#);
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/17 pcx-new1"]);
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_advertisement_changes_in_place_and_what_stays_is_never_unrouted() {
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
fn who_advertises_less_keeps_his_place_before_another_with_the_same_addresses() {
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
fn of_a_vpc_that_cannot_be_read_nobody_can_tell_that_it_gave_a_block_up() {
    let (mut world, _, b) = joined();
    world.route("rtb-a", "10.8.0.0/20", RouteTarget::Peering("pcx-new1".parse().unwrap()));
    world.close(&b.scope);
    world.vpc("d", scope(3, 0), "10.8.0.0/16", "prod");
    let (_, findings) = world.settle();
    assert!(!world.targets("rtb-a").iter().any(|route| route.starts_with("10.8.0.0/16")), "{findings:?}");
}

#[test]
fn a_part_that_cannot_be_routed_does_not_keep_the_whole_that_was_given_up() {
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
fn what_is_no_part_of_the_vpcs_own_blocks_is_refused_and_not_routed() {
    let (mut world, _, b) = joined();
    world.tag(&b, tags::CIDRS, "0.0.0.0/0 10.2.1.0/24");
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.1.0/24 pcx-new1"]);
    assert_eq!(
        world.status(&b),
        Some("joined prod. refused prod: `0.0.0.0/0` in peerd:cidrs is not within its own CIDR blocks")
    );
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
}

#[test]
fn two_peers_with_the_same_addresses_are_both_reached_where_they_advertise_different_parts() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.9.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 0), "10.9.0.0/16", "prod");
    world.tag(&b, tags::CIDRS, "10.9.0.0/17");
    world.tag(&c, tags::CIDRS, "10.9.128.0/17");
    world.settle();
    assert_eq!(world.peered(), ["a-b", "a-c"], "AWS does not peer b and c");
    assert_eq!(world.targets("rtb-a"), ["10.9.0.0/17 pcx-new1", "10.9.128.0/17 pcx-new2"]);
}

#[test]
fn the_policy_selects_tables_and_a_tables_own_tag_goes_before_it() {
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
fn a_table_that_is_to_be_ignored_is_left_as_it_is_until_its_peering_goes() {
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
fn a_table_whose_tag_makes_no_sense_is_left_alone_and_reported() {
    let (mut world, a, _) = joined();
    world.table("odd", &a);
    world.tag_table("rtb-odd", tags::ROUTES, "yes");
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "! refused rtb-odd: `yes` in peerd:routes is neither manage nor ignore; correct the tag; until then peerd does not change the table"
        ]
    );
}

#[test]
fn the_tags_of_the_policy_are_put_on_both_sides_of_a_peering_and_changed_in_place() {
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
fn where_two_meshes_disagree_about_a_pair_the_rules_decide_and_it_is_reported() {
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
fn a_paused_mesh_is_looked_at_and_reported_and_nothing_of_it_changes() {
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
fn the_run_of_another_mesh_changes_no_pair_of_a_paused_one() {
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
fn a_pair_of_which_a_peering_was_made_for_a_paused_mesh_is_not_let_go_by_another() {
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
fn a_policy_that_cannot_be_read_blocks_its_mesh_and_says_why() {
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
            "! blocked prod: policy field `mode`: unknown variant `off`; declare it again with its policy, `peerd mesh declare prod --policy prod.json`; until then peerd changes nothing of it"
        ]
    );
}

#[test]
fn a_mesh_that_drains_is_taken_down_whatever_the_limit_and_its_members_are_told() {
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
fn a_mesh_that_was_never_declared_holds_nothing_and_one_that_no_longer_is_holds_what_was_made_for_it() {
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
