//! DNS resolution across peerings.

use super::world::{World, joined, kinds, mesh, scope};
use crate::finding::FindingKind;
use crate::*;

/// Two members with both DNS attributes, in a converged mesh whose policy enables DNS resolution.
fn resolved() -> (World, VpcRef, VpcRef) {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    world.settle();
    (world, a, b)
}

#[test]
fn a_mesh_that_says_so_has_both_options_switched_on_each_in_its_own_scope() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    let (done, findings) = world.settle();
    assert_eq!(
        done,
        [
            "* peering pcx-new1 dns of vpc-a (111111111111/us-east-1) on",
            "* peering pcx-new1 dns of vpc-b (222222222222/eu-west-1) on"
        ]
    );
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(world.resolving(), ["a", "b"]);
}

#[test]
fn an_option_that_somebody_switched_off_comes_back_and_one_of_a_mesh_that_says_off_goes() {
    let (mut world, a, _) = resolved();
    let peering = world.observed.peerings.values_mut().next().unwrap();
    peering.dns.insert(a, false);
    world.settle();
    assert_eq!(world.resolving(), ["a", "b"]);
    world.declare("prod", r#"{"dns":"off"}"#);
    world.settle();
    assert_eq!(world.resolving(), Vec::<String>::new());
}

fn asked(world: &World) -> Vec<InputRequest> {
    world.plan().1.questions.into_iter().collect()
}

#[test]
fn a_mesh_that_says_nothing_leaves_the_options_as_they_are_and_asks_no_questions() {
    let (mut world, a, _) = resolved();
    world.declare("prod", "{}");
    assert_eq!(world.settle().0, Vec::<String>::new());
    world.observed.peerings.values_mut().next().unwrap().dns.insert(a, false);
    assert_eq!(world.settle().0, Vec::<String>::new());
    assert_eq!(asked(&world), []);
}

#[test]
fn a_question_is_asked_of_every_vpc_of_a_pair_that_is_to_resolve_and_of_no_other() {
    let (mut world, a, b) = joined();
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "staging");
    world.vpc("d", scope(3, 1), "10.4.0.0/16", "staging");
    world.declare("prod", r#"{"dns":"on"}"#);
    assert_eq!(asked(&world), [&a, &b].map(|vpc| InputRequest::Dns(vpc.clone())));
    world.set_meshes(&b, "staging");
    assert_eq!(asked(&world), []);
    world.set_meshes(&b, "prod");
    world.close(&a.scope);
    assert_eq!(asked(&world), [], "a cannot be read, so peerd changes no option");
}

#[test]
fn where_one_vpc_lacks_an_attribute_neither_side_is_switched_on_and_that_is_told_with_the_attribute() {
    for (hostnames, support, words) in [
        (false, true, "enableDnsHostnames is off"),
        (true, false, "enableDnsSupport is off"),
        (false, false, "enableDnsHostnames and enableDnsSupport are off"),
    ] {
        let (mut world, a, b) = joined();
        world.declare("prod", r#"{"dns":"on"}"#);
        world.set_dns(&[&a], true, true);
        world.set_dns(&[&b], hostnames, support);
        let (done, findings) = world.settle();
        assert_eq!(done, Vec::<String>::new());
        let [finding] = &findings.into_iter().collect::<Vec<_>>()[..] else { panic!("one finding") };
        assert_eq!((finding.kind, &finding.subject), (FindingKind::Dns, &b.to_string()));
        assert!(finding.text.starts_with(words), "{finding}");
    }
}

#[test]
fn attributes_that_cannot_be_read_are_a_gap_and_switch_nothing_on() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a], true, true);
    world.observed.inputs.dns.insert(b, Err("denied".to_owned()));
    let (done, findings) = world.settle();
    assert_eq!((done, kinds(&findings)), (Vec::<String>::new(), vec![FindingKind::Unreadable]));
    world.declare("prod", r#"{"dns":"off"}"#);
    assert!(world.settle().1.is_empty(), "an unused attribute is not reported as unreadable");
}

#[test]
fn of_meshes_that_disagree_the_one_that_says_on_is_followed_and_the_disagreement_is_told() {
    let (mut world, a, b) = resolved();
    for vpc in [&a, &b] {
        world.set_meshes(vpc, "prod+staging");
    }
    let (_, findings) = world.settle();
    assert!(findings.is_empty(), "a mesh that does not manage DNS does not disagree: {findings:?}");
    world.declare("staging", r#"{"dns":"off"}"#);
    world.desired.mesh = mesh("staging");
    let (_, findings) = world.settle();
    assert_eq!(kinds(&findings), [FindingKind::Conflict]);
    assert_eq!(world.resolving(), ["a", "b"]);
}

#[test]
fn nothing_is_switched_before_the_peering_is_active_nor_where_one_end_cannot_be_read() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    world.observed.peerings.values_mut().next().unwrap().status = PeeringStatus::Provisioning;
    let switches = |world: &World| world.plan().0.work.iter().filter(|a| matches!(a, Action::SetDns { .. })).count();
    assert_eq!(switches(&world), 0);
    world.observed.peerings.values_mut().next().unwrap().status = PeeringStatus::Active;
    assert_eq!(switches(&world), 2);
    world.close(&b.scope);
    assert_eq!(switches(&world), 0);
}

#[test]
fn a_side_is_switched_once_it_wears_the_mark_by_which_its_role_knows_it() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    let anothers = Tags::from([(crate::tags::MANAGED_BY.to_owned(), "another".to_owned())]);
    world.observed.peerings.values_mut().next().unwrap().tags.insert(b.scope, anothers);
    let at_once: Vec<String> = world.plan().0.work.iter().map(ToString::to_string).collect();
    let [tagged, switched] = &at_once[..] else { panic!("{at_once:#?}") };
    assert!(tagged.contains(" tags ") && switched.ends_with("vpc-a (111111111111/us-east-1) on"), "{at_once:#?}");
    world.settle();
    assert_eq!(world.resolving(), ["a", "b"]);
}

#[test]
fn a_foreign_peering_keeps_its_options() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::Active, &Tags::new());
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    world.settle();
    assert_eq!(world.resolving(), Vec::<String>::new());
}
