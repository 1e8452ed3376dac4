//! Scenarios that other tests lacked, as the simulator and mutation tests showed.

use super::world::{World, joined, kinds, mesh, scope};
use crate::cidr;
use crate::finding::FindingKind;
use crate::observed::{PeeringStatus, RouteTarget};
use crate::tags::{self, Tags};
use crate::*;

fn target(id: &str) -> RouteTarget {
    RouteTarget::Peering(id.parse().unwrap())
}

fn work(done: &[String]) -> Vec<&str> {
    done.iter().map(String::as_str).filter(|line| !line.contains(" status")).collect()
}

fn two() -> (World, VpcRef, VpcRef) {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    (world, a, b)
}

#[test]
fn a_peering_not_yet_visible_to_its_requester_is_waited_for_and_not_foreign() {
    let (mut world, a, b) = two();
    let status = PeeringStatus::PendingAcceptance;
    let view = PeeringView::new("pcx-1".parse().unwrap(), [&a, &b], status, Tags::new());
    world.observed.add_peering(&b.scope, view.clone(), &world.desired.seals);
    let (plan, report) = world.plan();
    assert!(plan.work.is_empty() && report.findings.is_empty(), "{plan}{report}");
    assert_eq!(report.waits.len(), 1);
    for action in &plan.labels {
        world.apply(action);
    }
    assert_eq!(world.status(&a), Some("waiting prod with vpc-b: peering is pending"));
    world.observed.add_peering(&a.scope, view, &world.desired.seals);
    assert_eq!(kinds(&world.settle().1), [FindingKind::Conflict]);
}

#[test]
fn an_owned_request_is_deleted_if_the_pair_has_an_active_foreign_peering() {
    for (ours, left) in [(PeeringStatus::PendingAcceptance, 1), (PeeringStatus::Active, 0)] {
        let (mut world, a, b) = two();
        let tags = world.managed([&a, &b], "prod");
        world.peering("pcx-ours", &a, &b, ours, &tags);
        world.peering("pcx-hand", &b, &a, PeeringStatus::Active, &Tags::new());
        let (done, findings) = world.settle();
        let deleted = done.iter().filter(|line| line.starts_with("- peering pcx-ours")).count();
        assert_eq!((deleted, findings.len()), (left, left), "{done:#?}");
    }
}

#[test]
fn of_several_owned_peerings_the_most_advanced_is_used() {
    let (mut world, a, b) = two();
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    world.peering("pcx-2", &b, &a, PeeringStatus::Active, &tags);
    world.peering("pcx-3", &b, &a, PeeringStatus::Provisioning, &tags);
    let (plan, report) = world.plan();
    let text = plan.to_string();
    assert!(text.contains("- peering pcx-1") && !text.contains("accept") && text.contains("-> pcx-2"), "{text}");
    assert!(report.waits.iter().any(|wait| wait.text.starts_with("pcx-3 is provisioning")), "{report}");
}

#[test]
fn a_pending_request_is_retagged_only_on_the_requester_side() {
    let (mut world, a, b) = two();
    let tags = world.managed([&a, &b], "staging");
    world.peering("pcx-1", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    let (plan, _) = world.plan();
    assert_eq!(
        plan.to_string().lines().filter(|line| line.contains("tags")).collect::<Vec<_>>(),
        ["* peering pcx-1 in 111111111111/us-east-1 tags peerd:env=prod"]
    );
}

#[test]
fn routes_of_a_dead_peering_move_to_its_successor_and_stale_ones_are_removed() {
    let (mut world, a, b) = joined();
    world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap().status = PeeringStatus::Deleted;
    world.route("rtb-a", "10.9.0.0/16", target("pcx-new1"));
    let (first, _) = world.plan();
    assert!(first.work.iter().any(|action| action.to_string().starts_with("- route rtb-a in")), "{first}");
    assert_eq!(first.work.iter().filter(|action| action.to_string().starts_with("- route")).count(), 1, "{first}");
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new2", "2600:1f18:2::/56 pcx-new2"]);
    assert_eq!((world.status(&a), world.status(&b)), (Some("joined prod"), Some("joined prod")));
}

#[test]
fn routes_of_a_dead_peering_are_removed_if_no_successor_is_possible_now() {
    let refused =
        |world: &mut World, pair: Pair| drop(world.observed.run.quota_refusals.insert(pair, "quota".to_owned()));
    let dark = |world: &mut World, pair: Pair| world.close(&pair.accepter().scope.clone());
    let waiting_in_line = |world: &mut World, pair: Pair| {
        let requester = pair.requester().clone();
        let other = world.vpc("o", scope(3, 0), "10.200.0.0/16", "");
        world.set_quotas(&[(Quota::Requests, 1)]);
        world.peering("pcx-pending", &requester, &other, PeeringStatus::PendingAcceptance, &Tags::new());
    };
    let hinder: [fn(&mut World, Pair); 3] = [refused, dark, waiting_in_line];
    for hinder in hinder {
        let (mut world, a, b) = joined();
        world.observed.peerings.get_mut(&"pcx-new1".parse().unwrap()).unwrap().status = PeeringStatus::Deleted;
        hinder(&mut world, Pair::of(&a, &b).unwrap());
        let (plan, _) = world.plan();
        let taken = work(&plan.work.iter().map(ToString::to_string).collect::<Vec<_>>()).join("\n");
        assert!(taken.contains("- route rtb-a in 111111111111/us-east-1 10.2.0.0/16 -> pcx-new1"), "{taken}");
    }
}

#[test]
fn a_retained_peering_that_looks_unwanted_is_reported_with_the_reason() {
    let (mut world, _, b) = joined();
    world.set_meshes(&b, "staging");
    world.close(&scope(1, 0));
    let (_, findings) = world.settle();
    assert!(findings.iter().any(|finding| finding.text.contains("seems unwanted, but neither VPC's tags prove it")));
    let (mut world, ..) = joined();
    world.desired.declared.remove(&mesh("prod"));
    let (_, findings) = world.settle();
    assert!(
        findings.iter().any(|finding| finding.text.contains("stays: both VPCs request prod, which is not declared"))
    );
}

#[test]
fn a_request_for_another_mesh_proves_nothing_while_the_other_side_is_unreadable() {
    let (mut world, _, b) = joined();
    world.close(&scope(1, 0));
    world.set_meshes(&b, "staging");
    assert_eq!(work(&world.settle().0), Vec::<&str>::new());
    world.set_meshes(&b, "");
    assert!(!work(&world.settle().0).is_empty(), "an end that requests no mesh at all is proof");
}

#[test]
fn an_indexed_vpc_in_a_scope_that_was_not_read_is_not_a_member() {
    let (mut world, _, b) = two();
    world.close(&b.scope);
    world.observed.scopes.remove(&b.scope);
    let (done, findings) = world.settle();
    assert_eq!((work(&done).len(), findings.len()), (0, 0));
    assert!(done.iter().all(|line| !line.contains("waiting")), "{done:#?}");
}

#[test]
fn an_indexed_vpc_that_left_gets_no_routes() {
    let (mut world, _, b) = joined();
    world.close(&b.scope);
    let member = world.desired.indexed.get_mut(&b).unwrap();
    member.left_meshes = member.meshes.clone();
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    assert_eq!(work(&world.settle().0), Vec::<&str>::new());
}

#[test]
fn of_two_routes_that_overlap_the_one_to_the_lesser_peer_stays() {
    let (mut world, a, _) = joined();
    let c = world.vpc("c", scope(3, 0), "10.2.128.0/17", "prod");
    let tags = world.managed([&a, &c], "prod");
    world.peering("pcx-c", &a, &c, PeeringStatus::Active, &tags);
    world.route("rtb-a", "10.2.128.0/17", target("pcx-c"));
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1", "2600:1f18:2::/56 pcx-new1"]);
}

#[test]
fn a_cidr_that_overlaps_the_vpc_itself_is_not_routed_and_the_others_are() {
    let (mut world, _, b) = joined();
    let cidrs = "10.1.128.0/17 10.2.0.0/16 10.7.0.0/16";
    let cidrs = cidrs.split(' ').map(|cidr| cidr::parse(cidr).unwrap()).collect();
    world.observed.vpcs.get_mut(&b).unwrap().cidrs = cidrs;
    let (_, findings) = world.settle();
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-new1", "10.7.0.0/16 pcx-new1"]);
    assert!(kinds(&findings).contains(&FindingKind::Overlap));
}

#[test]
fn more_than_ten_deletes_below_the_percentage_need_no_confirmation() {
    let mut world = World::new();
    for n in 1..=12 {
        world.vpc(&format!("v{n}"), scope(1, 0), &format!("10.{n}.0.0/16"), "prod");
    }
    world.settle();
    let leaver = world.observed.vpcs.keys().next().unwrap().clone();
    world.set_meshes(&leaver, "");
    let (done, findings) = world.settle();
    assert_eq!(done.iter().filter(|line| line.starts_with("- peering")).count(), 11);
    assert_eq!(findings.len(), 0);
}

#[test]
fn a_status_keeps_the_entries_of_other_declared_meshes_also_if_the_vpc_left_them() {
    let (mut world, a, _) = joined();
    world.set_meshes(&a, "prod $x");
    let rewritten = |world: &mut World, line: &str| {
        world.observed.vpcs.get_mut(&a).unwrap().tags.insert(tags::STATUS.to_owned(), line.to_owned());
        world.settle();
        world.status(&a).unwrap_or_default().to_owned()
    };
    let own = "refused $x: not a mesh name. joined prod";
    for held in ["waiting staging: any words", "joined staging"] {
        assert!(rewritten(&mut world, held).contains(held), "a run of staging removes it");
    }
    assert_eq!(rewritten(&mut world, "waiting gone: any words"), own, "gone is not declared");
}

#[test]
fn a_route_to_an_unreadable_vpc_stays_and_displaces_no_other_route() {
    let (mut world, a, _) = joined();
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    let tags = world.managed([&a, &c], "prod");
    world.peering("pcx-c", &a, &c, PeeringStatus::Active, &tags);
    world.route("rtb-a", "10.2.128.0/17", target("pcx-c"));
    world.close(&c.scope);
    world.settle();
    let kept = ["10.2.0.0/16 pcx-new1", "10.2.128.0/17 pcx-c", "10.3.0.0/16 pcx-c", "2600:1f18:2::/56 pcx-new1"];
    assert_eq!(world.targets("rtb-a"), kept);
    let newcomer = world.vpc("d", scope(1, 0), "10.2.192.0/18", "prod");
    let tags = world.managed([&a, &newcomer], "prod");
    world.peering("pcx-d", &a, &newcomer, PeeringStatus::Active, &tags);
    world.settle();
    assert_eq!(world.targets("rtb-a"), kept);
}
