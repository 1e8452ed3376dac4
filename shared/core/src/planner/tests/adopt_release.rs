//! Peerings that a policy adopts from another principal, or releases.

use super::world::{World, joined, kinds, scope};
use crate::finding::FindingKind;
use crate::observed::{PeeringStatus, RouteTarget};
use crate::tags::{self, Tags};
use crate::*;

/// Two members that a user peered and routed manually: the accepter's side only to a part of the CIDR block.
fn by_hand() -> (World, VpcRef, VpcRef) {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    let named = Tags::from([(tags::NAME.to_owned(), "by-terraform".to_owned())]);
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &named);
    let target = || RouteTarget::Peering("pcx-hand".parse().unwrap());
    world.route("rtb-a", "10.2.0.0/16", target());
    world.route("rtb-b", "10.1.7.0/24", target());
    (world, a, b)
}

#[test]
fn an_adopted_peering_gets_ownership_tags_and_routes_without_interruption() {
    let (mut world, a, b) = by_hand();
    assert_eq!(kinds(&world.settle().1), [FindingKind::Conflict]);
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    let (done, findings) = world.settle();
    let work: Vec<&str> = done.iter().map(String::as_str).filter(|line| !line.contains(" status ")).collect();
    assert_eq!(
        work,
        [
            "* peering pcx-hand in 111111111111/us-east-1 tags peerd:env=prod peerd:managed-by=peerd peerd:seal",
            "* peering pcx-hand in 222222222222/eu-west-1 tags peerd:env=prod peerd:managed-by=peerd peerd:seal",
            "+ route rtb-b in 222222222222/eu-west-1 10.1.0.0/16 -> pcx-hand",
            "- route rtb-b in 222222222222/eu-west-1 10.1.7.0/24 -> pcx-hand",
        ],
        "the wider route exists before the narrower one is removed"
    );
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!((world.status(&a), world.status(&b)), (Some("joined prod"), Some("joined prod")));
}

#[test]
fn only_a_mesh_connecting_the_pair_adopts_and_never_from_another_deployment() {
    let (mut world, _, b) = by_hand();
    world.declare("staging", r#"{"adopt":["pcx-hand"]}"#);
    assert_eq!(kinds(&world.settle().1), [FindingKind::Conflict], "staging does not connect them");
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    let peering = world.observed.peerings.get_mut(&"pcx-hand".parse().unwrap()).unwrap();
    peering.tags.get_mut(&b.scope).unwrap().insert(tags::MANAGED_BY.to_owned(), "other".to_owned());
    assert_eq!(kinds(&world.settle().1), [FindingKind::Conflict], "another deployment owns it");
}

#[test]
fn an_owned_request_for_the_pair_of_an_adopted_peering_is_deleted() {
    let (mut world, a, b) = by_hand();
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-ours", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    world.settle();
    assert_eq!(world.observed.peerings[&"pcx-ours".parse().unwrap()].status, PeeringStatus::Deleted);
    assert_eq!(world.targets("rtb-a"), ["10.2.0.0/16 pcx-hand"]);
}

#[test]
fn an_unreadable_side_defers_an_adoption() {
    let (mut world, _, b) = by_hand();
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    world.close(&b.scope);
    let (done, _) = world.settle();
    assert!(done.iter().all(|line| !line.contains("pcx-hand")), "{done:#?}");
}

#[test]
fn a_released_peering_loses_its_ownership_tags_and_keeps_its_routes() {
    let (mut world, _, b) = joined();
    world.declare("prod", r#"{"release":["pcx-new1"]}"#);
    let routes = (world.targets("rtb-a"), world.targets("rtb-b"));
    let (done, findings) = world.settle();
    let work: Vec<&str> = done.iter().map(String::as_str).filter(|line| !line.contains(" status ")).collect();
    assert_eq!(
        work,
        [
            "* peering pcx-new1 in 111111111111/us-east-1 is released",
            "* peering pcx-new1 in 222222222222/eu-west-1 is released",
        ]
    );
    assert_eq!(kinds(&findings), [FindingKind::Conflict], "it is in the way of peerd's own peering");
    world.set_meshes(&b, "");
    world.settle();
    assert_eq!((world.targets("rtb-a"), world.targets("rtb-b")), routes);
    assert_eq!(world.peered(), ["a-b"]);
}

#[test]
fn a_peering_that_one_policy_adopts_and_another_releases_is_reported_with_both() {
    let (mut world, ..) = by_hand();
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    world.declare("staging", r#"{"release":["pcx-hand"]}"#);
    let (_, findings) = world.settle();
    let said: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    let text = "prod and staging disagree about pcx-hand: one adopts it, another releases it; it is released";
    assert!(said.contains(&text), "{said:?}");
}
