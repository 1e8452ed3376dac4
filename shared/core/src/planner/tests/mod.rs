//! Behavior of the planner. Every scenario converges: the tests lint and apply each plan until a plan is empty.

use std::collections::BTreeSet;

use world::{World, joined, kinds, mesh, messages, rendered, scope};

use crate::finding::FindingKind;
use crate::tags::{self, Tags};
use crate::*;

mod accounts;
mod adopt_release;
mod advertisements;
mod backoff;
mod dns;
mod dry_run;
mod hubs;
mod lint;
mod map;
mod mutation_survivors;
mod ownership;
mod policies;
mod quotas;
mod reachability;
mod routes;
mod security_group_policy;
mod security_groups;
mod simulator_regressions;
mod world;

#[test]
fn members_are_peered_tagged_on_both_sides_and_routed_to_every_cidr() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    world.table("a2", &a);
    let (done, findings) = world.settle();
    assert_eq!(
        done,
        [
            "+ peering vpc-a (111111111111/us-east-1) - vpc-b (222222222222/eu-west-1) for prod",
            "* vpc vpc-a (111111111111/us-east-1) status waiting prod with vpc-b: peering is requested",
            "* vpc vpc-b (222222222222/eu-west-1) status waiting prod with vpc-a: peering is requested",
            "* peering pcx-new1 accept in 222222222222/eu-west-1",
            "* vpc vpc-a (111111111111/us-east-1) status waiting prod with vpc-b: peering is pending",
            "* vpc vpc-b (222222222222/eu-west-1) status waiting prod with vpc-a: peering is pending",
            "* peering pcx-new1 in 222222222222/eu-west-1 tags Name=peerd vpc-a - vpc-b peerd:env=prod peerd:managed-by=peerd peerd:seal",
            "+ route rtb-a in 111111111111/us-east-1 10.2.0.0/16 -> pcx-new1",
            "+ route rtb-a in 111111111111/us-east-1 2600:1f18:2::/56 -> pcx-new1",
            "+ route rtb-a2 in 111111111111/us-east-1 10.2.0.0/16 -> pcx-new1",
            "+ route rtb-a2 in 111111111111/us-east-1 2600:1f18:2::/56 -> pcx-new1",
            "+ route rtb-b in 222222222222/eu-west-1 10.1.0.0/16 -> pcx-new1",
            "* vpc vpc-a (111111111111/us-east-1) status waiting prod with vpc-b: routes are being added",
            "* vpc vpc-b (222222222222/eu-west-1) status waiting prod with vpc-a: routes are being added",
            "* vpc vpc-a (111111111111/us-east-1) status joined prod",
            "* vpc vpc-b (222222222222/eu-west-1) status joined prod",
        ]
    );
    assert_eq!(findings, BTreeSet::new());
    assert_eq!(world.status(&b), Some("joined prod"));
}

#[test]
fn a_vpc_that_leaves_loses_its_routes_then_its_peering_and_its_status() {
    let (mut world, a, b) = joined();
    world.set_meshes(&b, "");
    let (done, _) = world.settle();
    let work: Vec<&str> = done.iter().map(String::as_str).filter(|line| !line.contains(" status")).collect();
    assert_eq!(
        work,
        [
            "- route rtb-a in 111111111111/us-east-1 10.2.0.0/16 -> pcx-new1",
            "- route rtb-a in 111111111111/us-east-1 2600:1f18:2::/56 -> pcx-new1",
            "- route rtb-b in 222222222222/eu-west-1 10.1.0.0/16 -> pcx-new1",
            "- peering pcx-new1 vpc-a (111111111111/us-east-1) - vpc-b (222222222222/eu-west-1) from 111111111111/us-east-1",
        ]
    );
    assert_eq!(world.status(&b), None);
    assert_eq!(world.status(&a), Some("joined prod"));
}

#[test]
fn a_deleted_vpc_is_proven_absent_and_its_peering_and_routes_are_deleted() {
    let (mut world, _, b) = joined();
    world.observed.vpcs.remove(&b);
    world.observed.tables.remove(&"rtb-b".parse().unwrap());
    world.settle();
    assert_eq!(world.targets("rtb-a"), Vec::<String>::new());
    assert_eq!(world.observed.peerings.values().next().unwrap().status, PeeringStatus::Deleted);
}

#[test]
fn an_unreadable_scope_deletes_no_peering_even_if_the_other_side_left() {
    for leaver_is_readable in [true, false] {
        let (mut world, a, b) = joined();
        let leaver = if leaver_is_readable { &a } else { &b };
        world.set_meshes(leaver, "staging");
        world.close(&b.scope);
        let (plan, report) = world.plan();
        assert!(!plan.work.iter().any(|action| matches!(action, Action::DeletePeering { .. })), "{plan}");
        assert!(kinds(&rendered(&report.findings)).contains(&FindingKind::Unreadable));
    }
}

#[test]
fn an_unreadable_member_keeps_its_routes_and_delays_no_other_pair() {
    let (mut world, _, b) = joined();
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.close(&b.scope);
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.starts_with('-')), "{done:#?}");
    assert!(world.targets("rtb-c").iter().any(|line| line.starts_with("10.1.0.0/16 ")));
    assert_eq!(world.status(&c), Some("waiting prod with vpc-b: 222222222222/eu-west-1 cannot be read"));
    assert_eq!(kinds(&findings), [FindingKind::Unreadable]);
}

#[test]
fn a_newcomer_takes_no_route_of_a_vpc_that_is_unreadable_and_not_indexed() {
    let (mut world, a, b) = joined();
    let routes = world.targets("rtb-a");
    let newcomer = world.vpc("c", scope(3, 0), "10.2.0.0/16", "prod");
    world.settle();
    world.close(&b.scope);
    world.desired.indexed.clear();
    world.settle();
    assert_eq!(world.targets("rtb-a"), routes, "the route to {b} stays");
    let status = world.status(&newcomer).unwrap_or_default().to_owned();
    assert!(status.contains("overlaps 10.2.0.0/16 of vpc-b"), "{status}");
    world.set_meshes(&a, "");
    world.settle();
    assert_eq!(world.targets("rtb-a"), Vec::<String>::new());
}

#[test]
fn a_lost_index_deletes_nothing_because_the_tags_still_request_the_mesh() {
    let (mut world, ..) = joined();
    world.desired.indexed.clear();
    assert!(world.plan().0.is_empty());
}

#[test]
fn an_unreadable_scope_a_lost_index_and_a_removed_tag_prove_nothing() {
    let (mut world, a, b) = joined();
    let peering = world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap();
    peering.tags.get_mut(&a.scope).unwrap().remove(tags::ENV);
    world.close(&b.scope);
    world.desired.indexed.clear();
    for meshes in ["prod", "staging"] {
        world.set_meshes(&a, meshes);
        assert_eq!(world.plan().0.work, [], "while the VPC requests {meshes}");
    }
    world.set_meshes(&a, "");
    let (done, _) = world.settle();
    assert_eq!(world.targets("rtb-a"), Vec::<String>::new(), "{done:#?}");
}

#[test]
fn an_undeclared_mesh_connects_no_new_member_and_deletes_nothing() {
    let (mut world, _, b) = joined();
    world.desired.declared.remove(&mesh("prod"));
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| line.contains(" status refused prod: mesh is not declared")), "{done:#?}");
    assert!(findings.iter().all(|finding| finding.kind == FindingKind::Refused));
    assert_eq!(world.status(&b), Some("refused prod: mesh is not declared"));
    assert_eq!(world.targets("rtb-b"), ["10.1.0.0/16 pcx-new1"]);
}

#[test]
fn a_pair_that_another_mesh_still_wants_stays_and_only_the_tags_change() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod+staging");
    let b = world.vpc("b", scope(1, 0), "10.2.0.0/16", "prod staging");
    world.settle();
    world.set_meshes(&b, "staging");
    let (done, _) = world.settle();
    assert_eq!(
        done,
        [
            "* peering pcx-new1 in 111111111111/us-east-1 tags peerd:env=staging",
            "- vpc vpc-b (111111111111/us-east-1) status",
        ]
    );
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1"]);
    assert_eq!(world.status(&a), Some("joined prod"));
}

#[test]
fn the_status_entries_of_another_mesh_are_left_to_its_own_runs() {
    let (mut world, a, _) = joined();
    world.set_meshes(&a, "prod+staging");
    let tags = &mut world.observed.vpcs.get_mut(&a).unwrap().tags;
    tags.insert(tags::STATUS.to_owned(), "joined prod. waiting staging with vpc-x: peering is pending".to_owned());
    assert!(world.plan().0.is_empty());
}

#[test]
fn overlapping_members_are_not_peered_and_all_other_pairs_are_connected() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16 10.2.128.0/17", "prod");
    let (_, findings) = world.settle();
    let peered: BTreeSet<Option<Pair>> = world.observed.peerings.values().map(Peering::pair).collect();
    assert_eq!(peered, BTreeSet::from([Pair::of(&a, &b), Pair::of(&a, &c)]));
    assert_eq!(world.status(&b), Some("joined prod. refused prod with vpc-c: 10.2.0.0/16 overlaps 10.2.128.0/17"));
    // a can route only one of the two CIDR blocks that overlap
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1", "10.3.0.0/16 pcx-new2"]);
    assert_eq!(kinds(&findings), [FindingKind::Overlap, FindingKind::Overlap]);
}

#[test]
fn a_foreign_peering_between_members_is_not_used_and_reported() {
    for status in [PeeringStatus::Active, PeeringStatus::PendingAcceptance] {
        let mut world = World::new();
        let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
        world.peering("pcx-theirs", &b, &a, status, &Tags::new());
        let (_, findings) = world.settle();
        assert_eq!(world.targets("rtb-a"), Vec::<String>::new());
        assert_eq!(kinds(&findings), [FindingKind::Conflict]);
        assert_eq!(world.status(&a), Some("joined prod. refused prod with vpc-b: foreign peering pcx-theirs"));
    }
}

#[test]
fn a_failed_request_is_not_repeated_while_aws_still_lists_it() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-failed", &a, &b, PeeringStatus::Failed, &tags);
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| line.contains(" status ")), "{done:#?}");
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
}

#[test]
fn only_an_owned_request_between_members_is_accepted() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let unknown = world.vpc("s", scope(3, 0), "10.9.0.0/16", "");
    let tags = world.managed([&a, &unknown], "prod");
    world.peering("pcx-lure", &unknown, &a, PeeringStatus::PendingAcceptance, &tags);
    world.peering("pcx-phish", &unknown, &a, PeeringStatus::PendingAcceptance, &Tags::new());
    let (done, _) = world.settle();
    assert!(done.iter().all(|line| !line.contains(" accept ")), "{done:#?}");
    assert_eq!(world.observed.peerings[&"pcx-phish".parse().unwrap()].status, PeeringStatus::PendingAcceptance);
}

#[test]
fn of_two_owned_peerings_of_a_pair_the_active_one_stays() {
    let (mut world, a, b) = joined();
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-aaa", &b, &a, PeeringStatus::PendingAcceptance, &tags);
    let (done, _) = world.settle();
    assert_eq!(
        done,
        [
            "- peering pcx-aaa vpc-a (111111111111/us-east-1) - vpc-b (222222222222/eu-west-1) from 222222222222/eu-west-1"
        ]
    );
}

#[test]
fn requests_stay_within_the_quota_of_outstanding_requests() {
    let mut world = World::new();
    for n in 0..30 {
        world.vpc(&format!("p{n:02}"), scope(2, 0), &format!("10.{n}.0.0/16"), "prod");
    }
    world.vpc("first", scope(1, 0), "10.99.0.0/16", "prod");
    let (plan, report) = world.plan();
    let from = |account| plan.work.iter().filter(|action| *action.scope() == scope(account, 0)).count();
    assert_eq!((from(1), from(2)), (25, 25));
    assert!(!report.waits.is_empty());
    let said = world.plan().0.labels.last().unwrap().to_string();
    assert!(said.contains("waiting prod with vpc-first and 29 others: too many requests are pending"), "{said}");
    world.settle();
    assert_eq!(world.observed.peerings.len(), 31 * 30 / 2);
}

#[test]
fn a_run_that_exceeds_the_delete_limits_deletes_nothing() {
    let mut world = World::new();
    let vpcs: Vec<VpcRef> =
        (0..12).map(|n| world.vpc(&format!("p{n:02}"), scope(2, 0), &format!("10.{n}.0.0/16"), "prod")).collect();
    world.settle();
    for vpc in &vpcs[..4] {
        world.set_meshes(vpc, "");
    }
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.starts_with("- peering") && !line.starts_with("- route")));
    assert_eq!(kinds(&findings), [FindingKind::Blocked]);
    assert_eq!(world.status(&vpcs[0]), Some("waiting prod: removal needs confirmation"));
    assert_eq!(world.status(&vpcs[5]), Some("joined prod"));
    let limits = DeleteLimits { count: 100, percent: 100 };
    world.desired.declared.insert(mesh("prod"), Policy { deletes: limits, ..Policy::default() });
    world.settle();
    let live = world.observed.peerings.values().filter(|peering| peering.status.is_live()).count();
    assert_eq!(live, 8 * 7 / 2);
    assert_eq!(world.status(&vpcs[0]), None);
}

#[test]
fn a_refusal_by_a_quota_is_reported_and_all_other_pairs_are_connected() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    let create = world.plan().0.work[0].clone();
    world.observed.apply_effect(
        &create,
        Effect::Refused("VpcPeeringConnectionsPerVpcLimitExceeded".to_owned()),
        &world.desired.seals,
    );
    let (_, findings) = world.settle();
    assert_eq!(kinds(&findings), [FindingKind::Quota]);
    assert_eq!(world.targets("rtb-a"), ["10.3.0.0/16 pcx-new1"]);
    assert_eq!(world.status(&a), Some("joined prod. refused prod with vpc-b: an AWS quota is exceeded"));
}

#[test]
fn an_unknown_peering_status_is_waited_for() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::parse("migrating"), &tags);
    let (plan, report) = world.plan();
    assert_eq!(plan.work, []);
    assert_eq!(report.waits.len(), 1);
}

#[test]
fn tags_that_another_principal_changed_are_corrected_on_the_affected_side() {
    let (mut world, a, _) = joined();
    let peering = world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap();
    peering.tags.get_mut(&a.scope).unwrap().remove(tags::MANAGED_BY);
    peering.tags.get_mut(&a.scope).unwrap().insert(tags::NAME.to_owned(), "ours".to_owned());
    let (done, _) = world.settle();
    assert_eq!(done, ["* peering pcx-new1 in 111111111111/us-east-1 tags peerd:managed-by=peerd"]);
}

#[test]
fn characters_that_falsify_output_are_escaped_in_findings_and_status() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod \u{202e}x\u{1b}[2J");
    world.tag(&a, tags::CIDRS, "10.1.0.0/17 \u{7}");
    world.tag(&a, tags::STATUS, "joined pr\u{202e}od. waiting prod with \u{1b}[2J: x");
    world.tag_table("rtb-a", tags::ROUTES, "\u{2066}manage");
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let (done, findings) = world.settle();
    let said = [done, messages(&findings)].concat().join(" ") + world.status(&a).unwrap();
    assert!(crate::printable::is_printable(&said), "{said:?}");
    for word in ["`\\u{7}`", "`\\u{2066}manage`", "\\u{202e}x\\u{1b}[2J"] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn a_side_with_the_tag_of_another_deployment_is_reported_and_not_tagged() {
    let (mut world, _, b) = joined();
    let peering = world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap();
    peering.tags.get_mut(&b.scope).unwrap().insert(tags::MANAGED_BY.to_owned(), "other".to_owned());
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    assert_eq!(
        messages(&findings)[0].rsplit(": ").next().unwrap(),
        "pcx-new1 has the tag peerd:managed-by=other in 222222222222/eu-west-1, so peerd does not tag that side"
    );
}

#[test]
fn an_invalid_mesh_name_is_reported_in_the_status_of_the_vpc() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod $x");
    world.settle();
    assert_eq!(world.status(&a), Some("refused $x: not a mesh name. joined prod"));
}
