//! What proves that peerd made a peering or a rule: its seal. Every principal that may write tags can write and remove the
//! ownership tag.

use super::security_groups::opened;
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
        "check the key of the seals (stack output SealSecretArn) first; then, if it connects two members, run `peerd adopt --mesh prod pcx-hand`; else remove the tag, in \
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

// ---------------------------------------------------------------- ingress rules

fn rule_tags(world: &mut World, change: impl Fn(&mut Tags)) {
    world.observed.ingress.rules.values_mut().for_each(|rule| change(&mut rule.tags));
}

#[test]
fn a_forged_ownership_tag_on_a_rule_makes_it_no_rule_of_peerd() {
    let (mut world, ..) = opened("tcp/80");
    let marks = world.marks(&["prod"]);
    world.described_rule("sgr-hand", "sg-a", ["tcp/22", "10.99.0.0/16"], marks.clone(), false);
    world.described_rule("sgr-else", "sg-else", ["tcp/22", "10.99.0.0/16"], marks, false);
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    let said: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|text| text.contains("no valid seal")), "{said:?}");
    assert_eq!(
        findings.last().unwrap().remedy,
        "remove the tag, in 111111111111: `aws ec2 delete-tags --region us-east-1 --resources sgr-hand --tags \
         Key=peerd:managed-by`; or revoke the rule, and peerd adds its own if a mesh wants it: `aws ec2 \
         revoke-security-group-ingress --region us-east-1 --group-id sg-a --security-group-rule-ids sgr-hand`"
    );
}

#[test]
fn a_wanted_rule_that_lost_all_its_tags_is_tagged_again() {
    let (mut world, ..) = opened("tcp/80");
    rule_tags(&mut world, Tags::clear);
    let (done, findings) = world.settle();
    assert_eq!(done.len(), 4, "first the ownership tag, then the mesh, of two rules: {done:?}");
    assert!(done[0].ends_with("tags peerd:managed-by=peerd") && done[3].ends_with("is also for prod"), "{done:?}");
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_unwanted_rule_that_lost_its_tags_is_revoked() {
    let (mut world, _, b) = opened("tcp/80");
    rule_tags(&mut world, Tags::clear);
    world.set_meshes(&b, "");
    world.settle();
    assert!(world.observed.ingress.rules.is_empty());
}

#[test]
fn a_rule_for_two_meshes_that_lost_its_ownership_tag_gets_it_before_its_mesh_tags_change() {
    let (mut world, a, b) = opened("tcp/80");
    let both = world.marks(&["prod", "staging"]);
    rule_tags(&mut world, |tags| {
        *tags = both.clone();
        tags.remove(tags::MANAGED_BY);
    });
    world.set_meshes(&a, "prod staging");
    world.set_meshes(&b, "staging");
    let (done, _) = world.settle();
    let changes: Vec<&String> = done.iter().filter(|line| line.contains("* ingress")).collect();
    assert_eq!(changes.len(), 4, "{done:?}");
    assert!(changes[0].ends_with("tags peerd:managed-by=peerd"), "{done:?}");
    assert!(changes[3].ends_with("is no longer for prod"), "{done:?}");
}

#[test]
fn a_rule_with_the_ownership_tag_of_another_deployment_is_reported_and_revoked_when_unwanted() {
    let (mut world, _, b) = opened("tcp/80");
    rule_tags(&mut world, |tags| drop(tags.insert(tags::MANAGED_BY.to_owned(), "other".to_owned())));
    let (done, findings) = world.settle();
    assert_eq!(done, Vec::<String>::new());
    assert!(messages(&findings)[0].contains("has the tag peerd:managed-by=other in sg-a"), "{findings:?}");
    world.set_meshes(&b, "");
    world.settle();
    assert!(world.observed.ingress.rules.is_empty(), "its seal proves that peerd made it");
}

/// The linter rejected the whole plan: the DNS option of a peering with a forged tag was to change before its adoption.
#[test]
fn the_dns_option_of_a_forged_peering_changes_only_after_its_adoption() {
    let mut world = World::new();
    let a = world.vpc("c", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.9.0.0/16", "prod");
    world.set_dns(&[&a, &b], true, true);
    dressed(&mut world, [&a, &b], &forged(None));
    let peering = world.observed.peerings.get_mut(&"pcx-hand".parse().unwrap()).unwrap();
    peering.dns = [(a.clone(), false), (b.clone(), false)].into();
    world.declare("prod", r#"{"dns":"on","adopt":["pcx-hand"]}"#);
    world.settle();
    assert_eq!(world.resolving(), ["c", "b"]);
}

#[test]
fn with_the_key_of_another_deployment_the_key_is_reported_and_no_tag_is_to_be_removed() {
    let mut world = World::new();
    for (name, n) in [("a", 1), ("b", 2), ("c", 3)] {
        world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod");
    }
    world.settle();
    let keys = SealKeys::parse("the-key-of-another-deployment-0123456789").unwrap();
    world.desired.seals = Seals::new(world.desired.deployment.clone(), keys);
    for id in ["pcx-new1", "pcx-new2", "pcx-new3"] {
        retag(&mut world, id, |_| {});
    }
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| line.contains(" status ")), "{done:#?}");
    let said = "prod: none of the 3 peerings with the ownership tag of this deployment has a seal of its key";
    assert_eq!(messages(&findings), [said]);
    let remedy = &findings.first().unwrap().remedy;
    assert!(remedy.contains("change no tag") && !remedy.contains("delete-tags"), "{remedy}");
}
