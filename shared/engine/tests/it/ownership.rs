//! What proves that peerd made a peering.

use peerd_core::{PeeringId, VpcRef, tags};
use peerd_testkit::{MINUTE, World, mesh, scope};

/// Removes the ownership tag from both sides of the peering of two VPCs.
fn strip(world: &mut World, a: &VpcRef, b: &VpcRef) -> Option<PeeringId> {
    let id = world.peering(a, b)?.0;
    for vpc in [a, b] {
        world.retag_peering(&vpc.scope, &id, tags::MANAGED_BY, None).ok()?;
    }
    Some(id)
}

/// peerd owns a peering only if one of its sides has a valid seal: a forged ownership tag, also with a seal of another
/// peering, changes nothing and is reported ([ADR 14](adr/0014-the-seal.md)).
#[test]
fn forged_tags_on_a_foreign_peering_change_nothing() {
    let (mut world, a, b) = World::of_two();
    let [one, two] = [3, 4].map(|n| world.vpc(&format!("f{n}"), scope(1, 0), &format!("10.{}.0.0/16", 70 + n), ""));
    let ours = world.peering(&a, &b).unwrap().0;
    let copied = {
        let aws = world.cloud.aws();
        aws.peerings().find(|peering| peering.id == ours).unwrap().tags(&a.scope)
    };
    assert!(copied.contains_key(tags::SEAL));
    let foreign = world.request_peering(&one, &two, &copied).unwrap();
    world.pass(MINUTE);
    world.accept_peering(&two.scope, &foreign).unwrap();
    world.pass(MINUTE);
    world.sweep();
    world.rest();
    let findings = world.store.kept(&mesh("prod")).findings;
    assert!(findings.iter().any(|finding| finding.message().contains("no valid seal")), "{findings:?}");
    let aws = world.cloud.aws();
    let peering = aws.peerings().find(|peering| peering.id == foreign).unwrap();
    assert!(peering.status().is_live());
    assert_eq!(peering.tags(&one.scope), copied);
}

/// If the ownership tag of a sealed peering is removed, peerd writes it again, and deletes the peering if no mesh wants
/// it.
#[test]
fn a_sealed_peering_without_its_ownership_tag_is_tagged_again_or_deleted() {
    let (mut world, a, b) = World::of_two();
    let id = strip(&mut world, &a, &b).unwrap();
    world.sweep();
    world.rest();
    assert!(world.connected(&a, &b));
    assert_eq!(strip(&mut world, &a, &b), Some(id), "it is the same peering");
    world.untag(&a).unwrap();
    world.untag(&b).unwrap();
    world.rest();
    assert!(world.peering(&a, &b).is_none());
}
