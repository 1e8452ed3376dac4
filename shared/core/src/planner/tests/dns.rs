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
fn a_mesh_with_dns_on_enables_both_options_each_in_its_own_scope() {
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
fn an_option_disabled_by_a_user_is_enabled_again_and_dns_off_disables_both() {
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
fn a_mesh_that_does_not_manage_dns_changes_no_option_and_reads_no_attribute() {
    let (mut world, a, _) = resolved();
    world.declare("prod", "{}");
    assert_eq!(world.settle().0, Vec::<String>::new());
    world.observed.peerings.values_mut().next().unwrap().dns.insert(a, false);
    assert_eq!(world.settle().0, Vec::<String>::new());
    assert_eq!(asked(&world), []);
}

#[test]
fn dns_attributes_are_read_only_of_vpcs_whose_pair_needs_dns() {
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
fn if_one_vpc_lacks_a_dns_attribute_neither_side_is_enabled_and_it_is_reported() {
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
fn unreadable_dns_attributes_are_reported_and_enable_nothing() {
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
fn when_meshes_disagree_about_dns_on_wins_and_the_conflict_is_reported() {
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
fn dns_options_change_only_on_an_active_peering_with_both_sides_readable() {
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
fn a_side_is_switched_only_after_it_has_the_ownership_tag() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    world.observed.peerings.values_mut().next().unwrap().tags.insert(b.scope, Tags::new());
    let at_once: Vec<String> = world.plan().0.work.iter().map(ToString::to_string).collect();
    let [tagged, switched] = &at_once[..] else { panic!("{at_once:#?}") };
    assert!(tagged.contains(" tags ") && switched.ends_with("vpc-a (111111111111/us-east-1) on"), "{at_once:#?}");
    world.settle();
    assert_eq!(world.resolving(), ["a", "b"]);
}

#[test]
fn a_foreign_peering_keeps_its_dns_options() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    world.peering("pcx-1", &a, &b, PeeringStatus::Active, &Tags::new());
    world.declare("prod", r#"{"dns":"on"}"#);
    world.set_dns(&[&a, &b], true, true);
    world.settle();
    assert_eq!(world.resolving(), Vec::<String>::new());
}
