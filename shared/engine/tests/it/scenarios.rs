//! What peerd does when users and AWS make changes, with the simulated AWS and virtual time.
//!
//! At the end of every scenario the deployment is idle: no message is waiting, and none must be delivered again.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::cidr::{self, IpNet};
use peerd_core::{RouteTarget, Tags, VpcRef};
use peerd_engine::Outcome;
use peerd_testkit::user_actions::table;
use peerd_testkit::{
    AwsBehavior, Call, Fault, FaultProfile, FaultTiming, HOUR, MINUTE, SimConfig, World, account, mesh, scope,
};

fn cidr(text: &str) -> IpNet {
    cidr::parse(text).unwrap()
}

/// Creates three members of prod in three accounts and two Regions and runs until they are connected.
fn prod() -> (World, VpcRef, VpcRef, VpcRef) {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.rest();
    world.pass(MINUTE); // the index keeps a VPC that joined just now
    (world, a, b, c)
}

/// Returns the AWS calls in the scopes of the deployment since the previous call of this function.
fn cloud_calls(world: &World) -> Vec<Call> {
    world.transport.take_calls().into_iter().filter(|call| call.scope.is_some()).collect()
}

fn assert_connected(world: &World, vpcs: &[&VpcRef]) {
    for (n, a) in vpcs.iter().enumerate() {
        for b in &vpcs[n + 1..] {
            assert!(world.connected(a, b), "{a} and {b} are not connected: {:?}", world.status(a));
        }
    }
}

/// Every VPC with the tag of a declared mesh has a peering with, and routes to, every other member, in any account and
/// Region.
#[test]
fn tagged_vpcs_are_connected_with_every_other_member() {
    let (world, a, b, c) = prod();
    assert_connected(&world, &[&a, &b, &c]);
    assert_eq!(world.status(&a).as_deref(), Some("joined prod"));
}

/// After a VPC leaves a mesh, it has no peering, route or status of that mesh, and its former peers have no route to
/// it.
#[test]
fn a_vpc_joins_when_tagged_and_leaves_no_trace_when_untagged() {
    let (mut world, a, b, c) = prod();
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "");
    world.rest();
    assert_eq!(world.traces(&d), Vec::<String>::new());
    world.tag(&d, "prod").unwrap();
    world.rest();
    assert_connected(&world, &[&a, &b, &c, &d]);
    world.pass(MINUTE);
    world.untag(&d).unwrap();
    world.rest();
    assert_eq!(world.traces(&d), Vec::<String>::new());
    assert_connected(&world, &[&a, &b, &c]);
    assert_eq!(world.store.everybody().len(), 3);
}

/// A VPC that moves to another mesh leaves the first mesh.
#[test]
fn a_vpc_that_moves_to_another_mesh_leaves_the_first() {
    let (mut world, a, b, c) = prod();
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "staging");
    world.tag(&a, "staging").unwrap();
    world.rest();
    assert_connected(&world, &[&a, &d]);
    assert_connected(&world, &[&b, &c]);
    assert!(!world.connected(&a, &b));
    assert_eq!(world.status(&a).as_deref(), Some("joined staging"));
}

/// peerd deletes all routes to a deleted VPC.
#[test]
fn a_deleted_vpc_leaves_no_routes_behind() {
    let (mut world, a, b, c) = prod();
    world.delete_vpc_and_peerings(&b).unwrap();
    world.rest();
    assert_eq!(world.target("a", "10.2.0.0/16"), None);
    assert_eq!(world.traces(&b), Vec::<String>::new());
    assert_connected(&world, &[&a, &c]);
    assert_eq!(world.store.everybody().len(), 2);
}

#[test]
fn a_pair_in_two_meshes_keeps_its_peering_when_it_leaves_one() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod+staging");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "staging prod");
    world.rest();
    let before = world.peering(&a, &b).unwrap();
    assert_eq!(before.1, "prod+staging");
    assert_eq!(world.status(&a).as_deref(), Some("joined prod. joined staging"));
    world.tag(&b, "staging").unwrap();
    world.rest();
    assert_eq!(world.peering(&a, &b).unwrap(), (before.0, "staging".to_owned()));
    assert_connected(&world, &[&a, &b]);
}

/// peerd creates routes to CIDR blocks and in route tables that are added later, and deletes routes to removed CIDR
/// blocks.
#[test]
fn cidrs_and_route_tables_that_are_added_later_get_routes() {
    let (mut world, a, b, c) = prod();
    world.associate(&a, &cidr("10.9.0.0/16")).unwrap();
    world.table("b2", &b);
    world.rest();
    assert_connected(&world, &[&a, &b, &c]);
    world.disassociate(&a, &cidr("10.9.0.0/16")).unwrap();
    world.rest();
    assert_eq!(world.target("b", "10.9.0.0/16"), None);
    assert_connected(&world, &[&a, &b, &c]);
}

/// peerd restores a route that another principal deletes.
#[test]
fn a_deleted_route_is_restored_and_a_redirected_one_is_not() {
    let (mut world, a, b, c) = prod();
    world.delete_route(&table("a"), &cidr("10.2.0.0/16")).unwrap();
    world.rest();
    assert_connected(&world, &[&a, &b, &c]);
    let elsewhere = RouteTarget::Other("tgw-1".to_owned());
    world.put_route(&table("a"), &cidr("10.2.0.0/16"), &elsewhere).unwrap();
    world.rest();
    assert_eq!(world.target("a", "10.2.0.0/16").as_deref(), Some("tgw-1"));
    assert!(world.status(&a).unwrap().contains("refused prod with vpc-b: rtb-a routes 10.2.0.0/16 to tgw-1"));
}

/// If another principal deletes a peering, peerd creates a new one, with its routes.
#[test]
fn a_deleted_peering_is_created_again() {
    let (mut world, a, b, c) = prod();
    for side in [&a, &b] {
        let (id, _) = world.peering(&a, &b).unwrap();
        world.delete_peering(&side.scope, &id).unwrap();
        world.rest();
        assert_connected(&world, &[&a, &b, &c]);
    }
}

/// If a peering request is rejected or expires, peerd sends a new one.
#[test]
fn a_rejected_or_expired_request_is_sent_again() {
    for rejected in [true, false] {
        let mut world = World::default();
        world.transport.inject_fault("AcceptVpcPeeringConnection", Fault::Denied, FaultTiming::Before);
        let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
        assert!(world.deliver() > 0);
        let (first, _) = world.peering(&a, &b).unwrap();
        if rejected {
            world.reject_peering(&b.scope, &first).unwrap();
        } else {
            world.executor.advance(world.now() + 8 * 24 * HOUR);
        }
        world.rest();
        assert_connected(&world, &[&a, &b]);
        assert_ne!(world.peering(&a, &b).unwrap().0, first);
    }
}

/// A VPC whose tag names no declared mesh gets the status `refused`, and peerd creates no mesh.
#[test]
fn a_typo_creates_no_mesh_and_is_reported_in_the_status() {
    let (mut world, a, ..) = prod();
    let d = world.vpc("d", scope(1, 0), "10.4.0.0/16", "prdo");
    world.rest();
    assert_eq!(world.status(&d).as_deref(), Some("refused prdo: mesh is not declared"));
    world.tag(&d, "prod").unwrap();
    world.rest();
    assert_connected(&world, &[&a, &d]);
    assert_eq!(world.status(&d).as_deref(), Some("joined prod"));
}

#[test]
fn an_invalid_mesh_name_stays_in_the_status_until_the_tag_is_removed() {
    let (mut world, ..) = prod();
    let d = world.vpc("d", scope(1, 0), "10.4.0.0/16", "pröd!");
    world.rest();
    assert_eq!(world.status(&d).as_deref(), Some("refused pröd!: not a mesh name"));
    world.tag(&d, "").unwrap();
    world.rest();
    assert_eq!(world.status(&d), None);
}

/// peerd does not use a foreign peering between two members, and connects them after it is deleted.
#[test]
fn a_foreign_peering_is_not_changed_and_its_pair_connects_after_its_deletion() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let hand = world.request_peering(&a, &b, &Tags::new()).unwrap();
    world.accept_peering(&b.scope, &hand).unwrap();
    world.tag(&a, "prod").unwrap();
    world.rest();
    assert_eq!(world.peering(&a, &b).unwrap().0, hand);
    assert!(world.status(&a).unwrap().contains(&format!("foreign peering {hand}")));
    world.delete_peering(&a.scope, &hand).unwrap();
    world.rest();
    assert_connected(&world, &[&a, &b]);
}

/// An account that cannot be read loses nothing and delays no other account.
#[test]
fn an_unreadable_account_loses_nothing_and_delays_no_other_account() {
    let (mut world, a, b, c) = prod();
    world.set_denied(&account(3), true);
    world.untag(&c).unwrap();
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod");
    world.sweep();
    world.rest();
    assert_connected(&world, &[&a, &b, &d]);
    assert!(world.peering(&a, &c).is_some());
    assert_eq!(world.target("a", "10.3.0.0/16"), world.peering(&a, &c).map(|(id, _)| id.to_string()));
    world.set_denied(&account(3), false);
    world.sweep();
    world.rest();
    assert_eq!(world.traces(&c), Vec::<String>::new());
}

/// If all events are lost, sweeps alone lead every mesh to the same state.
#[test]
fn sweeps_alone_converge_when_every_event_is_lost() {
    let mut world = World::default();
    world.events_lost = true;
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 1), "10.3.0.0/16", "nosuch");
    world.sweep();
    world.rest();
    assert_connected(&world, &[&a, &b]);
    assert_eq!(world.status(&c).as_deref(), Some("refused nosuch: mesh is not declared"));
    world.pass(MINUTE);
    world.untag(&c).unwrap();
    world.untag(&a).unwrap();
    world.sweep();
    world.rest();
    assert_eq!((world.traces(&a), world.traces(&c)), (Vec::new(), Vec::new()));
    assert_eq!(world.store.everybody().len(), 1);
    cloud_calls(&world);
    world.sweep();
    world.rest();
    assert_eq!(cloud_calls(&world).len(), 6 * 5, "each of the six scopes is read with five calls");
}

/// A sweep that finds nothing wrong makes no write calls to EC2.
#[test]
fn a_clean_sweep_writes_nothing_and_reads_each_scope_once_for_all_meshes() {
    let (mut world, ..) = prod();
    world.sweep();
    world.rest();
    cloud_calls(&world);
    world.sweep();
    world.rest();
    let calls = cloud_calls(&world);
    assert!(calls.iter().all(|call| call.name.starts_with("Describe")), "{calls:?}");
    assert_eq!(calls.len(), 6 * 5, "each of the six scopes is read with five calls");
}

#[test]
fn a_read_that_contradicts_its_event_is_stale_and_repeated() {
    let (mut world, a, b, c) = prod();
    world.cloud.aws().freeze(&c);
    world.untag(&c).unwrap();
    assert_eq!(world.deliver(), 0);
    assert_connected(&world, &[&a, &b, &c]);
    world.cloud.aws().thaw();
    world.rest();
    assert_eq!(world.traces(&c), Vec::<String>::new());
}

#[test]
fn a_provisioning_peering_is_waited_for_and_not_routed() {
    let behavior = AwsBehavior { provisioning: MINUTE..=MINUTE, ..AwsBehavior::default() };
    let mut world = World::new(&SimConfig { behavior, ..SimConfig::default() });
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    assert_eq!(world.deliver(), 0);
    assert_eq!(world.target("a", "10.2.0.0/16"), None);
    assert_eq!(world.status(&a).as_deref(), Some("waiting prod with vpc-b: peering is provisioning"));
    assert!(!world.queue.is_empty());
    world.rest();
    assert_connected(&world, &[&a, &b]);
}

#[test]
fn a_transient_failure_is_retried_by_a_follow_up() {
    for call in [
        "CreateVpcPeeringConnection",
        "AcceptVpcPeeringConnection",
        "CreateTags",
        "CreateRoute",
        "DescribeVpcs",
        "DescribeRouteTables",
    ] {
        let mut world = World::default();
        world.transport.inject_fault(call, Fault::Throttled, FaultTiming::Before);
        let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
        world.rest();
        assert_connected(&world, &[&a, &b]);
        assert_eq!(world.status(&b).as_deref(), Some("joined prod"), "after {call} failed once");
    }
}

#[test]
fn a_denied_call_stops_nothing_else_and_the_message_is_retried() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.transport.inject_fault("CreateVpcPeeringConnection", Fault::Denied, FaultTiming::Before);
    assert!(world.deliver() > 0);
    let connected = [(&a, &b), (&a, &c), (&b, &c)].into_iter().filter(|(x, y)| world.connected(x, y)).count();
    assert_eq!(connected, 2);
    world.rest();
    assert_connected(&world, &[&a, &b, &c]);
}

#[test]
fn an_index_write_whose_response_is_lost_loses_no_cleanup() {
    let (mut world, _, _, c) = prod();
    world.tag(&c, "staging").unwrap();
    world.transport.inject_fault("TransactWriteItems", Fault::Timeout, FaultTiming::After);
    assert!(world.deliver() > 0);
    world.rest();
    assert_eq!(world.traces(&c), ["joined staging"]);
}

/// Two workers that reconcile a pair at the same time create one peering.
#[test]
fn two_concurrent_workers_create_one_peering() {
    let faults = FaultProfile { lease: 1000, ..FaultProfile::default() };
    let mut world = World::new(&SimConfig { batch: Some(1), faults, ..SimConfig::default() });
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "");
    world.rest();
    cloud_calls(&world);
    world.tag(&a, "prod").unwrap();
    world.tag(&b, "prod").unwrap();
    world.ask(&mesh("prod"), [scope(1, 0), scope(2, 0)].into());
    world.rest();
    assert_connected(&world, &[&a, &b]);
    let outcomes: Vec<Outcome> = world.store.take_runs().into_iter().map(|run| run.outcome).collect();
    assert!(outcomes.contains(&Outcome::Busy), "{outcomes:?}");
    let created = cloud_calls(&world).into_iter().filter(|call| call.name == "CreateVpcPeeringConnection");
    assert_eq!(created.count(), 1);
}

#[test]
fn an_invalid_message_is_dropped() {
    let (mut world, ..) = prod();
    for event in [
        serde_json::json!({"detail-type": "Faults Report"}),
        serde_json::json!({"peerd": 9, "work": {}}),
        serde_json::json!([1, 2]),
    ] {
        world.deliver_event(&event);
    }
    assert_eq!(world.deliver(), 0);
    assert!(world.queue.is_empty());
}
