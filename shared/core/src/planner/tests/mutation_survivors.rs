//! Behavior that no other test detected, as mutation tests showed.

use super::world::{World, joined, kinds, mesh, scope};
use crate::finding::{Finding, FindingKind};
use crate::observed::{PeeringStatus, RouteTarget};
use crate::tags::Tags;
use crate::*;

fn two(cidrs: [&str; 2]) -> (World, VpcRef, VpcRef) {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), cidrs[0], "prod");
    let b = world.vpc("b", scope(2, 1), cidrs[1], "prod");
    (world, a, b)
}

fn status_of<'a>(world: &'a World, peering: &str) -> &'a PeeringStatus {
    &world.observed.peerings[&peering.parse().unwrap()].status
}

#[test]
fn a_run_leaves_the_pairs_of_other_meshes_to_their_own_runs() {
    let (mut world, a, b) = joined();
    world.observed.tables.values_mut().for_each(|table| table.routes.clear());
    world.desired.mesh = mesh("staging");
    let (plan, report) = world.plan();
    assert!(plan.work.is_empty() && report.findings.is_empty(), "{plan}{report}");
    world.set_meshes(&a, "");
    world.close(&b.scope);
    let (plan, report) = world.plan();
    assert!(plan.work.is_empty(), "an end cannot be read, so only the run of prod may judge: {plan}");
    assert_eq!(report.findings.len(), 1, "the only finding is the unreadable scope: {report}");
}

#[test]
fn of_two_peerings_of_a_pair_the_more_advanced_one_is_used() {
    let (mut world, a, b) = two(["10.1.0.0/16", "10.2.0.0/16"]);
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    world.peering("pcx-2", &b, &a, PeeringStatus::Provisioning, &tags);
    world.settle();
    assert_eq!(*status_of(&world, "pcx-1"), PeeringStatus::Deleted);
    assert_eq!(*status_of(&world, "pcx-2"), PeeringStatus::Provisioning);
}

#[test]
fn a_request_between_vpcs_that_overlap_is_deleted() {
    let (mut world, a, b) = two(["10.1.0.0/16", "10.1.128.0/17"]);
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    let (_, findings) = world.settle();
    assert_eq!(*status_of(&world, "pcx-1"), PeeringStatus::Deleted);
    assert_eq!(kinds(&findings), [FindingKind::Overlap]);
}

#[test]
fn foreign_pending_requests_count_toward_the_quota() {
    let (mut world, a, _) = two(["10.1.0.0/16", "10.2.0.0/16"]);
    for n in 0..25 {
        let unknown = VpcRef::new(scope(9, 0), format!("vpc-s{n}").parse().unwrap());
        world.peering(&format!("pcx-s{n}"), &a, &unknown, PeeringStatus::PendingAcceptance, &Tags::new());
    }
    let (plan, report) = world.plan();
    assert!(plan.work.is_empty(), "{plan}");
    assert_eq!(report.waits.len(), 1);
}

#[test]
fn a_route_to_a_foreign_peering_is_a_conflict() {
    let (mut world, a, _) = joined();
    let unknown = VpcRef::new(scope(3, 0), "vpc-unknown".parse().unwrap());
    world.peering("pcx-hand", &a, &unknown, PeeringStatus::Active, &Tags::new());
    world.table("a2", &a);
    world.route("rtb-a2", "10.2.0.0/16", RouteTarget::Peering("pcx-hand".parse().unwrap()));
    let (_, findings) = world.settle();
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
    assert_eq!(world.targets("rtb-a2"), ["10.2.0.0/16 pcx-hand", "2600:1f18:2::/56 pcx-new1"]);
}

#[test]
fn dead_and_foreign_peerings_do_not_raise_the_delete_limit() {
    let mut world = World::new();
    let vpcs = world.crowd(9);
    world.settle();
    let tags = world.managed([&vpcs[0], &vpcs[1]], "prod");
    for n in 0..30 {
        world.peering(&format!("pcx-d{n}"), &vpcs[0], &vpcs[1], PeeringStatus::Deleted, &tags);
        let dressed = Tags::from([(crate::tags::ENV.to_owned(), "prod".to_owned())]);
        world.peering(&format!("pcx-f{n}"), &vpcs[0], &vpcs[1], PeeringStatus::PendingAcceptance, &dressed);
    }
    for vpc in &vpcs[7..] {
        world.set_meshes(vpc, "");
    }
    let (_, report) = world.plan();
    let said: Vec<String> = report.findings.iter().map(Finding::message).collect();
    assert_eq!(said, ["this run would delete 15 of 36 peerings; more than 10 and more than 30 % need a confirmation"]);
}

#[test]
fn a_long_status_of_one_mesh_does_not_hide_the_other_entries() {
    for length in 1..30 {
        let mut world = World::new();
        let a = world.vpc("a", scope(1, 0), "10.0.0.0/8", "prod $x");
        for n in 0..9 {
            world.vpc(&format!("{}{n}", "b".repeat(length)), scope(2, 0), &format!("10.{n}.0.0/16"), "prod");
        }
        world.settle();
        let status = world.status(&a).unwrap();
        assert!(status.starts_with("refused $x: not a mesh name. ") && status.ends_with(" not shown"), "{status}");
    }
}

#[test]
fn a_request_from_an_unknown_account_is_reported_and_not_accepted() {
    let (mut world, _, b) = joined();
    let unknown = VpcRef::new(scope(9, 0), "vpc-unknown".parse().unwrap());
    let dressed = world.managed([&unknown, &b], "prod");
    world.peering("pcx-phish", &unknown, &b, PeeringStatus::PendingAcceptance, &Tags::new());
    world.peering("pcx-old", &unknown, &b, PeeringStatus::Expired, &dressed);
    let outsider = world.vpc("outsider", scope(3, 0), "10.8.0.0/16", "");
    world.peering("pcx-else", &unknown, &outsider, PeeringStatus::PendingAcceptance, &Tags::new());
    world.peering("pcx-known", &outsider, &b, PeeringStatus::PendingAcceptance, &Tags::new());
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    let said: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    assert_eq!(said, [(FindingKind::UnknownRequester, "pcx-phish")]);
}

#[test]
fn earlier_deletes_of_a_run_count_toward_its_delete_limits() {
    let mut world = World::new();
    let vpcs = world.crowd(9);
    world.settle();
    world.set_meshes(&vpcs[8], "");
    world.settle();
    assert_eq!(world.observed.run.deleted.len(), 8);
    world.set_meshes(&vpcs[7], "");
    let (_, findings) = world.settle();
    assert_eq!(kinds(&findings), [FindingKind::Blocked], "8 and 7 of 36");
    world.observed.run.deleted.clear();
    world.settle();
    assert_eq!(world.peered().len(), 7 * 6 / 2);
}
