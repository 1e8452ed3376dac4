//! Tests of peerings in the simulated AWS, one per behavior. The functions under test cite the sources.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::{PeeringId, PeeringStatus, Quota, Scope, Tags, VpcRef};
use peerd_engine::CloudError;
use peerd_testkit::{AwsBehavior, DAY, HOUR, MINUTE, SECOND, SimConfig, World, scope};

fn world(behavior: AwsBehavior) -> World {
    World::new(&SimConfig { behavior, ..SimConfig::default() })
}

/// Creates VPCs of two accounts in two Regions.
fn two(behavior: AwsBehavior) -> (World, VpcRef, VpcRef) {
    let mut world = world(behavior);
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "");
    (world, a, b)
}

/// Advances the clock without running workers.
fn wait(world: &World, milliseconds: u64) {
    world.executor.advance(world.now() + milliseconds);
}

fn request(world: &mut World, a: &VpcRef, b: &VpcRef) -> PeeringId {
    world.request_peering(a, b, &Tags::new()).unwrap()
}

fn active(world: &mut World, a: &VpcRef, b: &VpcRef) -> PeeringId {
    let id = request(world, a, b);
    world.accept_peering(&b.scope, &id).unwrap();
    id
}

/// Returns the state that a describe call in a scope returns; none if the peering is not visible.
fn seen(world: &World, scope: &Scope, id: &PeeringId) -> Option<PeeringStatus> {
    world.cloud.aws().seen_peering(id, scope, world.now()).map(|view| view.status)
}

fn code<T>(answer: Result<T, CloudError>) -> String {
    answer.err().map(|error| error.code).unwrap_or_default()
}

#[test]
fn a_new_peering_is_visible_to_requester_and_accepter_at_different_times() {
    let behavior = AwsBehavior { initiating: SECOND..=SECOND, crossing: MINUTE..=MINUTE, ..AwsBehavior::default() };
    let (mut world, a, b) = two(behavior);
    let id = request(&mut world, &a, &b);
    assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::InitiatingRequest));
    assert_eq!(seen(&world, &b.scope, &id), None);
    wait(&world, SECOND);
    assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::PendingAcceptance));
    assert_eq!(code(world.accept_peering(&b.scope, &id)), "InvalidVpcPeeringConnectionID.NotFound");
    wait(&world, MINUTE);
    assert_eq!(seen(&world, &b.scope, &id), Some(PeeringStatus::PendingAcceptance));
    assert!(world.accept_peering(&b.scope, &id).is_ok());
}

#[test]
fn an_accepted_peering_is_provisioning_for_a_while_and_then_active() {
    let (mut world, a, b) = two(AwsBehavior { provisioning: MINUTE..=MINUTE, ..AwsBehavior::default() });
    let id = active(&mut world, &a, &b);
    assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::Provisioning));
    assert_eq!(code(world.accept_peering(&b.scope, &id)), "InvalidStateTransition");
    wait(&world, MINUTE);
    assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::Active));
}

#[test]
fn a_request_between_overlapping_vpcs_or_to_a_wrong_id_fails_after_its_creation() {
    let (mut world, a, _) = two(AwsBehavior::default());
    let twin = world.vpc("c", scope(3, 0), "10.1.128.0/17", "");
    let missing = VpcRef::new(scope(2, 0), "vpc-missing".parse().unwrap());
    for accepter in [twin, missing] {
        let id = request(&mut world, &a, &accepter);
        assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::Failed));
        assert_eq!(seen(&world, &accepter.scope, &id), None);
        assert_eq!(code(world.delete_peering(&a.scope, &id)), "InvalidStateTransition");
        wait(&world, 2 * HOUR);
        assert_eq!(seen(&world, &a.scope, &id), None, "a failed request is visible for 2 hours");
    }
}

#[test]
fn a_cidr_that_overlaps_at_the_acceptance_fails_the_request() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = request(&mut world, &a, &b);
    world.associate(&b, &"10.1.128.0/17".parse().unwrap()).unwrap();
    world.accept_peering(&b.scope, &id).unwrap();
    assert_eq!(seen(&world, &a.scope, &id), Some(PeeringStatus::Failed));
}

#[test]
fn a_request_expires_after_seven_days_and_is_visible_for_two_more() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = request(&mut world, &a, &b);
    wait(&world, 7 * DAY);
    for side in [&a.scope, &b.scope] {
        assert_eq!(seen(&world, side, &id), Some(PeeringStatus::Expired));
    }
    wait(&world, 2 * DAY);
    assert_eq!((seen(&world, &a.scope, &id), seen(&world, &b.scope, &id)), (None, None));
}

#[test]
fn a_rejected_request_is_visible_longer_to_its_requester_than_to_its_accepter() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = request(&mut world, &a, &b);
    assert_eq!(code(world.reject_peering(&a.scope, &id)), "OperationNotPermitted");
    world.reject_peering(&b.scope, &id).unwrap();
    assert_eq!(seen(&world, &b.scope, &id), Some(PeeringStatus::Rejected));
    wait(&world, 2 * HOUR);
    assert_eq!((seen(&world, &a.scope, &id), seen(&world, &b.scope, &id)), (Some(PeeringStatus::Rejected), None));
    wait(&world, 2 * DAY);
    assert_eq!(seen(&world, &a.scope, &id), None);
}

#[test]
fn a_deleted_peering_is_visible_longer_to_the_side_that_did_not_delete_it() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = active(&mut world, &a, &b);
    world.delete_peering(&b.scope, &id).unwrap();
    wait(&world, 2 * HOUR);
    assert_eq!((seen(&world, &a.scope, &id), seen(&world, &b.scope, &id)), (Some(PeeringStatus::Deleted), None));
    wait(&world, 2 * DAY);
    assert_eq!(seen(&world, &a.scope, &id), None);
}

#[test]
fn only_an_inter_region_peering_is_deleting_before_it_is_deleted() {
    let (mut world, a, b) = two(AwsBehavior { deleting: MINUTE..=MINUTE, ..AwsBehavior::default() });
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "");
    let (far, near) = (active(&mut world, &a, &b), active(&mut world, &a, &c));
    world.delete_peering(&a.scope, &far).unwrap();
    world.delete_peering(&a.scope, &near).unwrap();
    assert_eq!(seen(&world, &a.scope, &far), Some(PeeringStatus::Deleting));
    assert_eq!(seen(&world, &a.scope, &near), Some(PeeringStatus::Deleted));
    wait(&world, MINUTE);
    assert_eq!(seen(&world, &a.scope, &far), Some(PeeringStatus::Deleted));
}

#[test]
fn only_the_requester_deletes_a_pending_request_and_either_an_active_peering() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = request(&mut world, &a, &b);
    assert_eq!(code(world.delete_peering(&b.scope, &id)), "InvalidStateTransition");
    world.delete_peering(&a.scope, &id).unwrap();
    let id = active(&mut world, &a, &b);
    world.delete_peering(&b.scope, &id).unwrap();
    assert_eq!(code(world.delete_peering(&a.scope, &id)), "InvalidStateTransition");
}

#[test]
fn a_repeated_request_returns_the_existing_peering() {
    for repeated_create_tags in [false, true] {
        let (mut world, a, b) = two(AwsBehavior { repeated_create_tags, ..AwsBehavior::default() });
        let id = active(&mut world, &a, &b);
        let tags = Tags::from([("Name".to_owned(), "again".to_owned())]);
        assert_eq!(world.request_peering(&a, &b, &tags).unwrap(), id);
        let current = world.cloud.aws().seen_peering(&id, &a.scope, world.now()).unwrap().tags;
        assert_eq!(current.contains_key("Name"), repeated_create_tags);
    }
}

#[test]
fn a_reversed_request_is_a_new_peering_and_cannot_be_accepted() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = active(&mut world, &a, &b);
    let reversed = request(&mut world, &b, &a);
    assert_ne!(reversed, id);
    assert_eq!(code(world.accept_peering(&a.scope, &reversed)), "VpcPeeringConnectionAlreadyExists");
}

#[test]
fn only_the_account_and_region_of_the_accepter_can_accept() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let id = request(&mut world, &a, &b);
    assert_eq!(code(world.accept_peering(&a.scope, &id)), "OperationNotPermitted");
    assert_eq!(code(world.accept_peering(&scope(2, 0), &id)), "InvalidVpcPeeringConnectionID.NotFound");
}

#[test]
fn each_scope_has_its_own_tags_of_a_peering() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let near = world.vpc("c", scope(1, 0), "10.3.0.0/16", "");
    let (far, shared) = (active(&mut world, &a, &b), active(&mut world, &a, &near));
    for id in [&far, &shared] {
        world.retag_peering(&a.scope, id, "Name", Some("mine")).unwrap();
    }
    let current = |side: &Scope, id: &PeeringId| world.cloud.aws().seen_peering(id, side, world.now()).unwrap().tags;
    assert_eq!((current(&a.scope, &far).len(), current(&b.scope, &far).len()), (1, 0));
    assert_eq!(current(&near.scope, &shared).len(), 1);
}

#[test]
fn a_describe_call_can_return_an_older_state() {
    let (mut world, a, b) = two(AwsBehavior::default());
    let before = world.now();
    wait(&world, SECOND);
    let id = active(&mut world, &a, &b);
    let aws = world.cloud.aws();
    assert!(aws.seen_peering(&id, &a.scope, before).is_none());
    assert!(aws.seen_peering(&id, &a.scope, world.executor.next_wake().unwrap_or(before + SECOND)).is_some());
}

#[test]
fn quotas_limit_the_peerings_of_a_vpc_and_the_requests_of_an_account() {
    let behavior = AwsBehavior {
        quotas: [(Quota::Peerings, 1), (Quota::Requests, 2)].into_iter().collect(),
        ..AwsBehavior::default()
    };
    let (mut world, a, b) = two(behavior);
    let c = world.vpc("c", scope(1, 0), "10.3.0.0/16", "");
    let d = world.vpc("d", scope(1, 0), "10.4.0.0/16", "");
    let tags = Tags::new();
    let first = request(&mut world, &a, &b);
    assert_eq!(code(world.request_peering(&a, &c, &tags)), "VpcPeeringConnectionsPerVpcLimitExceeded");
    let second = request(&mut world, &c, &b);
    assert_eq!(code(world.request_peering(&d, &b, &tags)), "OutstandingVpcPeeringConnectionLimitExceeded");
    world.accept_peering(&b.scope, &first).unwrap();
    assert_eq!(code(world.accept_peering(&b.scope, &second)), "ActiveVpcPeeringConnectionPerVpcLimitExceeded");
}
