//! What VPCs advertise: the tag `peerd:cidrs`.

use super::*;

#[test]
fn a_tag_with_a_typo_takes_no_route_away() {
    for typo in ["10.2.1.0\\24", "10.2.1.0/24 10.2.2.0\\24"] {
        let (mut world, _, b) = joined();
        let before = world.targets("rtb-a");
        world.tag(&b, tags::CIDRS, typo);
        let (_, findings) = world.settle();
        assert!(before.iter().all(|route| world.targets("rtb-a").contains(route)), "{typo}");
        assert_eq!(kinds(&findings), [FindingKind::Refused]);
        assert!(world.status(&b).unwrap().contains("refused prod"), "{typo}");
        world.tag(&b, tags::CIDRS, "10.2.1.0/24");
        world.settle();
        assert_eq!(world.targets("rtb-a"), ["10.2.1.0/24 pcx-new1"]);
    }
}

/// A policy still excludes what it excludes.
#[test]
fn a_tag_with_a_typo_keeps_no_route_that_the_policy_excludes() {
    let (mut world, _, b) = joined();
    world.tag(&b, tags::CIDRS, "10.2.1.0\\24");
    world.declare("prod", r#"{"routes":{"exclude":["10.2.0.0/16"]}}"#);
    world.settle();
    assert_eq!(world.targets("rtb-a"), ["2600:1f18:2::/56 pcx-new1"]);
}

#[test]
fn a_cidr_outside_the_vpcs_own_blocks_is_reported_and_not_routed() {
    let mut world = World::new();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
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
fn overlapping_peers_that_advertise_different_parts_are_both_routed() {
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
