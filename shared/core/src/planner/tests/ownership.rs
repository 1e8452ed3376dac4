//! What proves that peerd made a peering: its seal. Every principal that may write tags can write and remove the ownership tag.

use super::world::{World, joined, messages, scope};
use crate::observed::{PeeringStatus, RouteTarget};
use crate::tags::{self, Tags};
use crate::*;

const OURS: &str = "pcx-new1";

/// Adds the peering of a user between two VPCs, with a route over it and these tags.
fn dressed(world: &mut World, [a, b]: [&VpcRef; 2], tags: &Tags) {
    world.peering("pcx-hand", a, b, PeeringStatus::Active, tags);
    world.route("rtb-c", "10.9.0.0/16", RouteTarget::Peering("pcx-hand".parse().unwrap()));
}

fn forged(seal: Option<&str>) -> Tags {
    let mark = [(tags::MANAGED_BY, "peerd"), (tags::ENV, "prod")];
    mark.into_iter()
        .chain(seal.map(|seal| (tags::SEAL, seal)))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Changes the tags of both sides, as seen by the next read.
fn retag(world: &mut World, id: &str, change: impl Fn(&mut Tags)) {
    let peering = world.observed.peerings.remove(&id.parse().unwrap()).unwrap();
    for (scope, mut tags) in peering.tags.clone() {
        change(&mut tags);
        let view = PeeringView::new(peering.id.clone(), peering.ends(), peering.status.clone(), tags);
        world.observed.add_peering(&scope, view, &world.desired.seals);
    }
}

fn state(world: &World, id: &str) -> PeeringStatus {
    world.observed.peerings[&id.parse().unwrap()].status.clone()
}

#[test]
fn a_forged_tag_even_with_a_copied_seal_makes_no_peering_owned() {
    let (mut world, a, b) = joined();
    let copied = world.managed([&a, &b], "prod")[tags::SEAL].clone();
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "");
    let d = world.vpc("d", scope(3, 1), "10.9.0.0/16", "");
    for seal in [None, Some("0".repeat(64)), Some(copied)] {
        dressed(&mut world, [&c, &d], &forged(seal.as_deref()));
        let (done, findings) = world.settle();
        assert_eq!(done, Vec::<String>::new(), "{seal:?}");
        let said = messages(&findings).join("\n");
        assert!(said.contains("pcx-hand has peerd's tags but no valid seal"), "{said}");
        world.observed.tables.get_mut(&"rtb-c".parse().unwrap()).unwrap().routes.clear();
    }
}

#[test]
fn a_forged_peering_between_two_members_is_used_for_nothing_until_it_is_adopted() {
    let mut world = World::new();
    let a = world.vpc("c", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.9.0.0/16", "prod");
    dressed(&mut world, [&a, &b], &forged(None));
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| line.contains(" status ")), "{done:?}");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        findings.first().unwrap().remedy,
        "if it connects two members, adopt it with `peerd adopt --mesh prod pcx-hand`; else remove the tag, in \
         111111111111: `aws ec2 delete-tags --region us-east-1 --resources pcx-hand --tags Key=peerd:managed-by`; in \
         222222222222: `aws ec2 delete-tags --region eu-west-1 --resources pcx-hand --tags Key=peerd:managed-by`"
    );
    world.declare("prod", r#"{"adopt":["pcx-hand"]}"#);
    let (done, findings) = world.settle();
    assert_eq!(done.iter().filter(|line| line.ends_with(" peerd:seal")).count(), 2, "{done:?}");
    assert!(findings.is_empty() && world.observed.peerings[&"pcx-hand".parse().unwrap()].is_owned());
}

#[test]
fn a_wanted_peering_whose_tags_were_removed_is_tagged_again_if_a_seal_is_left() {
    let (mut world, _, _) = joined();
    retag(&mut world, OURS, |tags| tags.retain(|key, _| key == tags::SEAL || key == tags::NAME));
    let (done, findings) = world.settle();
    let both = ["111111111111/us-east-1", "222222222222/eu-west-1"];
    assert_eq!(done, both.map(|at| format!("* peering {OURS} in {at} tags peerd:env=prod peerd:managed-by=peerd")));
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_seal_that_is_missing_on_one_side_is_written_again() {
    let (mut world, a, _) = joined();
    let before = world.observed.peerings[&OURS.parse().unwrap()].clone();
    let view = |tags| PeeringView::new(before.id.clone(), before.ends(), before.status.clone(), tags);
    let mut stripped = before.tags[&a.scope].clone();
    stripped.remove(tags::SEAL);
    world.observed.add_peering(&a.scope, view(stripped), &world.desired.seals);
    assert_eq!(world.settle().0, [format!("* peering {OURS} in 111111111111/us-east-1 tags peerd:seal")]);
}

#[test]
fn an_unwanted_peering_whose_ownership_tag_was_removed_is_tagged_and_then_deleted() {
    let (mut world, a, b) = joined();
    retag(&mut world, OURS, |tags| drop(tags.remove(tags::MANAGED_BY)));
    world.set_meshes(&a, "");
    world.set_meshes(&b, "");
    let (done, findings) = world.settle();
    let at = |start: &str| done.iter().position(|line| line.starts_with(start));
    assert!(at("* peering").is_some() && at("* peering") < at("- peering"), "{done:#?}");
    assert!(findings.is_empty() && state(&world, OURS) == PeeringStatus::Deleted, "{findings:?}");
}

#[test]
fn a_peering_is_deleted_from_the_side_that_has_the_ownership_tag() {
    let (mut world, a, b) = joined();
    let peering = world.observed.peerings.get_mut(&OURS.parse().unwrap()).unwrap();
    peering.tags.get_mut(&a.scope).unwrap().insert(tags::MANAGED_BY.to_owned(), "other".to_owned());
    world.set_meshes(&a, "");
    world.set_meshes(&b, "");
    let (done, _) = world.settle();
    assert!(
        done.iter().any(|line| line.starts_with("- peering") && line.ends_with("222222222222/eu-west-1")),
        "{done:?}"
    );
}

#[test]
fn a_peering_with_only_the_tags_of_another_deployment_is_reported_and_not_deleted() {
    let (mut world, a, b) = joined();
    retag(&mut world, OURS, |tags| drop(tags.insert(tags::MANAGED_BY.to_owned(), "other".to_owned())));
    world.set_meshes(&a, "");
    world.set_meshes(&b, "");
    let (_, findings) = world.settle();
    assert!(messages(&findings)[0].contains("has the tag peerd:managed-by=other"), "{findings:?}");
    assert_eq!(state(&world, OURS), PeeringStatus::Active);
}

#[test]
fn a_new_key_seals_again_what_the_old_one_sealed() {
    let (mut world, _, _) = joined();
    let keys = format!("{} {}", "n".repeat(seal::MIN_KEY_LEN), "k".repeat(seal::MIN_KEY_LEN));
    world.desired.seals = Seals::new(world.desired.deployment.clone(), SealKeys::parse(&keys).unwrap());
    retag(&mut world, OURS, |_| {});
    let (done, _) = world.settle();
    assert_eq!(done.len(), 2, "{done:?}");
    assert!(done.iter().all(|line| line.ends_with("tags peerd:seal")), "{done:?}");
}

#[test]
fn without_the_key_that_sealed_it_a_peering_is_foreign_and_stays() {
    let (mut world, a, b) = joined();
    let keys = SealKeys::parse(&"x".repeat(seal::MIN_KEY_LEN)).unwrap();
    world.desired.seals = Seals::new(world.desired.deployment.clone(), keys);
    retag(&mut world, OURS, |_| {});
    world.set_meshes(&a, "");
    world.set_meshes(&b, "");
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| line.contains(" status")), "{done:?}");
    assert!(messages(&findings)[0].contains("no valid seal"), "{findings:?}");
}

#[test]
fn a_released_peering_loses_its_seal() {
    let (mut world, _, _) = joined();
    world.declare("prod", &format!(r#"{{"release":["{OURS}"]}}"#));
    world.settle();
    let peering = &world.observed.peerings[&OURS.parse().unwrap()];
    assert!(!peering.is_owned() && peering.tags.values().all(|tags| !tags.contains_key(tags::SEAL)));
}
