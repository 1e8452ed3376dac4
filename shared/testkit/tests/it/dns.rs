//! Tests of DNS across peerings in the simulated AWS. The functions under test cite the sources.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::{DnsSupport, PeeringId, Tags, VpcRef};
use peerd_engine::CloudError;
use peerd_testkit::{AwsBehavior, SECOND, SimConfig, World, scope};

const NAMES: DnsSupport = DnsSupport { hostnames: true, support: true };

/// Creates a request between VPCs of two accounts with host names enabled.
fn requested(behavior: AwsBehavior) -> (World, VpcRef, VpcRef, PeeringId) {
    let mut world = World::new(&SimConfig { behavior, ..SimConfig::default() });
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "");
    for vpc in [&a, &b] {
        world.set_dns_support(vpc, NAMES).unwrap();
    }
    let id = world.request_peering(&a, &b, &Tags::new()).unwrap();
    (world, a, b, id)
}

fn refusal(answer: Result<(), CloudError>) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn a_vpc_is_created_with_dns_support_and_without_dns_host_names() {
    let mut world = World::default();
    let vpc = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let has = world.cloud.aws().dns_support(&vpc, world.now()).unwrap();
    assert_eq!(has, DnsSupport { hostnames: false, support: true });
}

#[test]
fn dns_options_can_be_set_shortly_after_the_peering_is_active() {
    let (mut world, a, b, id) = requested(AwsBehavior { opening: SECOND..=SECOND, ..AwsBehavior::default() });
    let shown = |world: &World| world.cloud.aws().seen_peering(&id, &a.scope, world.now()).unwrap().dns;
    assert!(refusal(world.set_dns_option(&id, &a, true)).contains("is not active"));
    assert!(shown(&world).is_empty());
    world.accept_peering(&b.scope, &id).unwrap();
    assert!(refusal(world.set_dns_option(&id, &a, true)).contains("is not active"));
    assert_eq!(shown(&world), [(a.clone(), false)].into());
    world.executor.advance(world.now() + SECOND);
    world.set_dns_option(&id, &a, true).unwrap();
    assert_eq!(shown(&world), [(a.clone(), true)].into(), "each scope reads only its own end");
}

#[test]
fn an_account_cannot_set_the_dns_option_of_the_other_side() {
    let (mut world, a, b, id) = requested(AwsBehavior::default());
    world.accept_peering(&b.scope, &id).unwrap();
    let by = peerd_testkit::change_log::Actor::User;
    let answer = world.cloud.aws().set_dns_option(by, &a.scope, &id, &b, true);
    assert!(refusal(answer).starts_with("OperationNotPermitted"));
}

#[test]
fn enabling_a_dns_option_needs_host_names_in_both_vpcs_and_disabling_does_not() {
    let (mut world, a, b, id) = requested(AwsBehavior::default());
    world.accept_peering(&b.scope, &id).unwrap();
    world.set_dns_option(&id, &b, true).unwrap();
    world.set_dns_support(&b, DnsSupport { hostnames: false, ..NAMES }).unwrap();
    let answer = world.set_dns_option(&id, &a, true);
    assert!(refusal(answer).starts_with("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"));
    world.set_dns_option(&id, &b, false).unwrap();
}
