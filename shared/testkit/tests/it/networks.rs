//! Tests of VPCs, route tables and throttling in the simulated AWS, one per behavior. The functions under test cite the
//! sources.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::cidr::IpNet;
use peerd_core::{PeeringId, Quota, RouteTable, RouteTarget, Tags, VpcRef};
use peerd_engine::CloudError;
use peerd_testkit::user_actions::table;
use peerd_testkit::{AwsBehavior, MINUTE, SECOND, SimConfig, World, account, scope};

fn two(behavior: AwsBehavior) -> (World, VpcRef, VpcRef) {
    let mut world = World::new(&SimConfig { behavior, ..SimConfig::default() });
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "");
    (world, a, b)
}

fn active(world: &mut World, a: &VpcRef, b: &VpcRef) -> PeeringId {
    let id = world.request_peering(a, b, &Tags::new()).unwrap();
    world.accept_peering(&b.scope, &id).unwrap();
    id
}

fn cidr(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn seen(world: &World, vpc: &VpcRef, name: &str) -> RouteTable {
    world.cloud.aws().seen_table(&table(name), &vpc.scope, world.now()).unwrap()
}

fn code<T>(answer: Result<T, CloudError>) -> String {
    answer.err().map(|error| error.code).unwrap_or_default()
}

#[test]
fn a_route_is_a_blackhole_unless_its_peering_is_active() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = world.request_peering(&a, &b, &Tags::new()).unwrap();
    let to = RouteTarget::Peering(id.clone());
    world.put_route(&table("a"), &cidr("10.2.0.0/16"), &to).unwrap();
    let blackhole = |world: &World| seen(world, &a, "a").created_route(&cidr("10.2.0.0/16")).unwrap().blackhole;
    assert!(blackhole(&world));
    world.accept_peering(&b.scope, &id).unwrap();
    assert!(!blackhole(&world));
    world.delete_peering(&a.scope, &id).unwrap();
    assert!(blackhole(&world));
}

#[test]
fn a_second_route_to_a_cidr_fails_and_to_the_same_target_may_succeed() {
    for same_route_twice in [false, true] {
        let (mut world, a, b) = two(AwsBehavior { same_route_twice, ..AwsBehavior::default() });
        let to = RouteTarget::Peering(active(&mut world, &a, &b));
        let mut aws = world.cloud.aws();
        let by = peerd_testkit::change_log::Actor::User;
        let mut create = |to: &RouteTarget| aws.create_route(by, &a.scope, &table("a"), &cidr("10.2.0.0/16"), to);
        create(&to).unwrap();
        assert_eq!(code(create(&to)).is_empty(), same_route_twice);
        assert_eq!(code(create(&RouteTarget::Other("tgw-1".to_owned()))), "RouteAlreadyExists");
    }
}

#[test]
fn a_route_within_the_vpcs_own_cidr_is_rejected_and_its_local_route_is_described() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let to = RouteTarget::Peering(active(&mut world, &a, &b));
    assert_eq!(code(world.put_route(&table("a"), &cidr("10.1.1.0/24"), &to)), "InvalidParameterValue");
    let local = seen(&world, &a, "a").routes.into_iter().find(|route| route.target == RouteTarget::Local).unwrap();
    assert_eq!((local.destination, local.is_static), (cidr("10.1.0.0/16"), false));
}

#[test]
fn a_route_in_an_edge_table_or_to_a_peering_of_other_vpcs_is_rejected() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "");
    world.gateway_table("gateway", &a);
    let to = RouteTarget::Peering(active(&mut world, &a, &b));
    assert_eq!(code(world.put_route(&table("gateway"), &cidr("10.2.0.0/16"), &to)), "InvalidParameterValue");
    let other = RouteTarget::Peering(active(&mut world, &b, &c));
    let refused = code(world.put_route(&table("a"), &cidr("10.2.0.0/16"), &other));
    assert_eq!(refused, "InvalidVpcPeeringConnectionID.NotFound", "account 1 does not see it");
    let gone = code(world.delete_route(&table("a"), &cidr("10.2.0.0/16")));
    assert_eq!(gone, "InvalidRoute.NotFound");
}

#[test]
fn a_propagated_route_exists_beside_a_static_one() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let to = RouteTarget::Peering(active(&mut world, &a, &b));
    world.cloud.aws().propagate(&table("a"), &cidr("10.2.0.0/16"));
    world.put_route(&table("a"), &cidr("10.2.0.0/16"), &to).unwrap();
    let routes = seen(&world, &a, "a").routes;
    assert_eq!(routes.iter().filter(|route| route.destination == cidr("10.2.0.0/16")).count(), 2);
}

#[test]
fn the_route_quota_of_a_table_applies_per_address_family() {
    let (mut world, a, b) =
        two(AwsBehavior { quotas: [(Quota::Routes, 1)].into_iter().collect(), ..AwsBehavior::default() });
    let to = RouteTarget::Peering(active(&mut world, &a, &b));
    world.put_route(&table("a"), &cidr("10.2.0.0/16"), &to).unwrap();
    world.put_route(&table("a"), &cidr("2600:1f18:2::/56"), &to).unwrap();
    assert_eq!(code(world.put_route(&table("a"), &cidr("10.9.0.0/16"), &to)), "RouteLimitExceeded");
}

#[test]
fn deleting_a_vpc_deletes_its_active_peerings_or_is_rejected() {
    for delete_takes_peerings in [false, true] {
        let (mut world, a, b) = two(AwsBehavior { delete_takes_peerings, ..AwsBehavior::default() });
        active(&mut world, &a, &b);
        assert_eq!(world.delete_vpc(&b).is_ok(), delete_takes_peerings);
        assert_eq!(world.peering(&a, &b).is_none(), delete_takes_peerings);
        assert!(world.delete_vpc_and_peerings(&a).is_ok());
    }
}

#[test]
fn a_request_blocks_deleting_its_accepter_and_is_deleted_with_its_requester() {
    let (mut world, a, b) = two(AwsBehavior::default());
    world.request_peering(&a, &b, &Tags::new()).unwrap();
    assert_eq!(code(world.delete_vpc(&b)), "DependencyViolation");
    world.delete_vpc(&a).unwrap();
    assert!(world.peering(&a, &b).is_none());
}

#[test]
fn a_cidr_that_conflicts_with_a_peer_a_route_or_an_own_request_is_rejected() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let to = RouteTarget::Peering(active(&mut world, &a, &b));
    world.put_route(&table("a"), &cidr("172.16.0.0/24"), &to).unwrap();
    for refused in ["10.2.128.0/17", "172.16.0.0/16", "10.1.0.0/17"] {
        assert_eq!(code(world.associate(&a, &cidr(refused))), "InvalidVpc.Range", "{refused}");
    }
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "");
    world.request_peering(&c, &b, &Tags::new()).unwrap();
    assert_eq!(code(world.associate(&c, &cidr("192.168.0.0/16"))), "InvalidVpc.Range");
    assert!(world.associate(&b, &cidr("192.168.0.0/16")).is_ok());
}

#[test]
fn a_cidr_belongs_to_the_vpc_only_after_its_association_completes() {
    let (mut world, a, _) = two(AwsBehavior { associating: MINUTE..=MINUTE, ..AwsBehavior::default() });
    world.associate(&a, &cidr("10.9.0.0/16")).unwrap();
    let vpc = |world: &World| world.cloud.aws().vpc(&a).unwrap().clone();
    assert_eq!((vpc(&world).cidrs_changing, vpc(&world).cidrs.has(&cidr("10.9.0.0/16"))), (true, false));
    world.executor.advance(world.now() + MINUTE);
    assert_eq!((vpc(&world).cidrs_changing, vpc(&world).cidrs.has(&cidr("10.9.0.0/16"))), (false, true));
}

#[test]
fn a_primary_cidr_cannot_be_disassociated() {
    let (mut world, a, _) = two(AwsBehavior::default());
    assert_eq!(code(world.disassociate(&a, &cidr("10.1.0.0/16"))), "OperationNotPermitted");
}

#[test]
fn calls_are_throttled_per_scope_and_api_and_tokens_are_refilled() {
    let (world, a, b) = two(AwsBehavior { write_bucket: Some((2, 1)), ..AwsBehavior::default() });
    let take = |scope, api| world.cloud.aws().take_token(scope, api);
    assert!(take(&a.scope, "CreateRoute").is_ok() && take(&a.scope, "CreateRoute").is_ok());
    assert_eq!(code(take(&a.scope, "CreateRoute")), "RequestLimitExceeded");
    assert!(take(&a.scope, "DeleteRoute").is_ok() && take(&b.scope, "CreateRoute").is_ok());
    world.executor.advance(world.now() + SECOND);
    assert!(take(&a.scope, "CreateRoute").is_ok());
    assert_eq!(code(take(&a.scope, "CreateRoute")), "RequestLimitExceeded");
}

#[test]
fn a_denied_account_or_an_unreachable_region_cannot_be_read() {
    let (mut world, a, b) = two(AwsBehavior::default());
    world.tag(&a, "prod").unwrap();
    world.tag(&b, "prod").unwrap();
    world.set_denied(&account(1), true);
    world.rest();
    assert_eq!(world.status(&a), None);
    world.set_denied(&account(1), false);
    world.cloud.aws().set_region_unreachable(&b.scope.region, true);
    world.sweep();
    world.pass(10 * MINUTE);
    assert_eq!(world.status(&a).as_deref(), Some("waiting prod with vpc-b: 222222222222/eu-west-1 cannot be read"));
}
