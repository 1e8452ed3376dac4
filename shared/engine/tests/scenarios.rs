//! What peerd does when people and AWS do what they do, on the in-memory cloud and virtual time.
//!
//! Every scenario ends at rest: no message is waiting, and none has to come again.

use peerd_core::{PeeringStatus, RouteTarget, VpcRef};
use peerd_engine::{ErrorKind, Outcome};
use peerd_testkit::{World, scope};

/// Three members of prod in three accounts and two Regions, at rest.
async fn prod() -> (World, VpcRef, VpcRef, VpcRef) {
    let world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.rest().await;
    (world, a, b, c)
}

fn assert_connected(world: &World, vpcs: &[&VpcRef]) {
    for (n, a) in vpcs.iter().enumerate() {
        for b in &vpcs[n + 1..] {
            assert!(world.connected(a, b), "{a} and {b} are not connected: {:?}", world.status(a));
        }
    }
}

#[tokio::test]
async fn tagged_vpcs_are_connected_with_every_other_member() {
    let (world, a, b, c) = prod().await;
    assert_connected(&world, &[&a, &b, &c]);
    assert_eq!(world.status(&a).as_deref(), Some("joined prod"));
}

#[tokio::test]
async fn a_vpc_that_is_tagged_later_joins_and_one_that_is_untagged_leaves_no_trace() {
    let (world, a, b, c) = prod().await;
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "");
    world.rest().await;
    assert_eq!(world.traces(&d), Vec::<String>::new());
    world.tag(&d, "prod");
    world.rest().await;
    assert_connected(&world, &[&a, &b, &c, &d]);
    world.untag(&d);
    world.rest().await;
    assert_eq!(world.traces(&d), Vec::<String>::new());
    assert_connected(&world, &[&a, &b, &c]);
    assert_eq!(world.store.everybody().len(), 3);
}

#[tokio::test]
async fn a_vpc_that_moves_to_another_mesh_lets_go_of_the_first() {
    let (world, a, b, c) = prod().await;
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "staging");
    world.tag(&a, "staging");
    world.rest().await;
    assert_connected(&world, &[&a, &d]);
    assert_connected(&world, &[&b, &c]);
    assert!(!world.connected(&a, &b));
    assert_eq!(world.status(&a).as_deref(), Some("joined staging"));
}

#[tokio::test]
async fn a_deleted_vpc_leaves_no_routes_behind() {
    let (world, a, b, c) = prod().await;
    world.delete_vpc(&b);
    world.rest().await;
    assert_eq!(world.target("rtb-a", "10.2.0.0/16"), None);
    assert_eq!(world.traces(&b), Vec::<String>::new());
    assert_connected(&world, &[&a, &c]);
    assert_eq!(world.store.everybody().len(), 2);
}

#[tokio::test]
async fn a_pair_in_two_meshes_keeps_its_peering_when_one_lets_go() {
    let world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod+staging");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "staging prod");
    world.rest().await;
    let before = world.peering(&a, &b).unwrap();
    assert_eq!(before.1, "prod+staging");
    assert_eq!(world.status(&a).as_deref(), Some("joined prod. joined staging"));
    world.tag(&b, "staging");
    world.rest().await;
    assert_eq!(world.peering(&a, &b).unwrap(), (before.0, "staging".to_owned()));
    assert_connected(&world, &[&a, &b]);
}

#[tokio::test]
async fn blocks_and_route_tables_that_come_later_are_routed() {
    let (world, a, b, c) = prod().await;
    world.set_blocks(&a, "10.1.0.0/16 10.9.0.0/16");
    world.table("b2", &b);
    world.rest().await;
    assert_connected(&world, &[&a, &b, &c]);
    world.set_blocks(&a, "10.1.0.0/16");
    world.rest().await;
    assert_eq!(world.target("rtb-b", "10.9.0.0/16"), None);
    assert_connected(&world, &[&a, &b, &c]);
}

#[tokio::test]
async fn a_route_that_somebody_deletes_comes_back_and_one_that_he_points_elsewhere_is_his() {
    let (world, a, b, c) = prod().await;
    world.set_route("rtb-a", "10.2.0.0/16", None);
    world.rest().await;
    assert_connected(&world, &[&a, &b, &c]);
    world.set_route("rtb-a", "10.2.0.0/16", Some(RouteTarget::Other("tgw-1".to_owned())));
    world.rest().await;
    assert_eq!(world.target("rtb-a", "10.2.0.0/16").as_deref(), Some("tgw-1"));
    assert!(world.status(&a).unwrap().contains("refused prod with vpc-b: rtb-a routes 10.2.0.0/16 to tgw-1"));
}

#[tokio::test]
async fn a_peering_that_dies_under_our_feet_is_made_anew() {
    for death in [PeeringStatus::Deleted, PeeringStatus::Rejected, PeeringStatus::Expired] {
        let (world, a, b, c) = prod().await;
        world.set_peering(&a, &b, death);
        world.rest().await;
        assert_connected(&world, &[&a, &b, &c]);
    }
}

#[tokio::test]
async fn a_typo_founds_no_mesh_and_is_told_to_the_vpc() {
    let (world, a, ..) = prod().await;
    let d = world.vpc("d", scope(1, 0), "10.4.0.0/16", "prdo");
    world.rest().await;
    assert_eq!(world.status(&d).as_deref(), Some("refused prdo: mesh is not declared"));
    world.tag(&d, "prod");
    world.rest().await;
    assert_connected(&world, &[&a, &d]);
    assert_eq!(world.status(&d).as_deref(), Some("joined prod"));
}

#[tokio::test]
async fn a_foreign_peering_is_left_alone_until_it_is_gone() {
    let world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.peer_by_hand("pcx-hand", &a, &b);
    world.tag(&a, "prod");
    world.rest().await;
    assert_eq!(world.peering(&a, &b).unwrap().0, "pcx-hand");
    assert!(world.status(&a).unwrap().contains("foreign peering pcx-hand"));
    world.set_peering(&a, &b, PeeringStatus::Deleted);
    world.rest().await;
    assert_connected(&world, &[&a, &b]);
}

#[tokio::test]
async fn an_account_that_cannot_be_read_loses_nothing_holds_nobody_up_and_heals() {
    let (world, a, b, c) = prod().await;
    world.set_denied(3, true);
    world.untag(&c);
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "prod");
    world.sweep();
    world.rest().await;
    assert_connected(&world, &[&a, &b, &d]);
    assert!(world.peering(&a, &c).is_some());
    assert_eq!(world.target("rtb-a", "10.3.0.0/16"), world.peering(&a, &c).map(|(id, _)| id));
    world.set_denied(3, false);
    world.sweep();
    world.rest().await;
    assert_eq!(world.traces(&c), Vec::<String>::new());
}

#[tokio::test]
async fn with_every_event_lost_a_sweep_alone_brings_the_same_end() {
    let mut world = World::default();
    world.events_lost = true;
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 1), "10.3.0.0/16", "nosuch");
    world.sweep();
    world.rest().await;
    assert_connected(&world, &[&a, &b]);
    assert_eq!(world.status(&c).as_deref(), Some("refused nosuch: mesh is not declared"));
    world.untag(&c);
    world.untag(&a);
    world.sweep();
    world.rest().await;
    assert_eq!((world.traces(&a), world.traces(&c)), (Vec::new(), Vec::new()));
    assert_eq!(world.store.everybody().len(), 1);
    world.cloud.take_calls();
    world.sweep();
    world.rest().await;
    let calls = world.cloud.take_calls().len();
    assert_eq!(calls, 6 + 6 * 3 * 2, "the mesh that nobody asks for any more is forgotten");
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_wrong_writes_nothing_and_reads_each_scope_three_times_a_mesh() {
    let (world, ..) = prod().await;
    world.sweep();
    world.rest().await;
    world.cloud.take_calls();
    world.sweep();
    world.rest().await;
    let calls = world.cloud.take_calls();
    assert!(calls.iter().all(|call| call.name.starts_with("Describe")), "{calls:?}");
    // six scopes, each surveyed once and read thrice for each of the two meshes
    assert_eq!(calls.len(), 6 + 6 * 3 * 2);
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_by_one_sweep_and_nothing_is_torn_down() {
    let (world, a, b, c) = prod().await;
    let before = world.peering(&a, &b);
    world.store.lose_everything();
    world.set_route("rtb-a", "10.2.0.0/16", None);
    world.sweep();
    world.rest().await;
    assert_connected(&world, &[&a, &b, &c]);
    assert_eq!(world.peering(&a, &b), before);
    assert_eq!(world.store.everybody().len(), 3);
}

#[tokio::test]
async fn a_read_that_contradicts_the_event_is_stale_and_nothing_is_concluded_from_it() {
    let (world, a, b, c) = prod().await;
    world.freeze(&c);
    world.untag(&c);
    assert_eq!(world.deliver().await, 0);
    assert_connected(&world, &[&a, &b, &c]);
    world.catch_up();
    world.rest().await;
    assert_eq!(world.traces(&c), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_provisioning_is_waited_for_and_never_routed_before() {
    let world = World::default();
    world.set_slow(true);
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.target("rtb-a", "10.2.0.0/16"), None);
    assert_eq!(world.status(&a).as_deref(), Some("waiting prod with vpc-b: peering is provisioning"));
    assert!(world.messages() > 0);
    world.cloud.provision();
    world.rest().await;
    assert_connected(&world, &[&a, &b]);
}

#[tokio::test]
async fn a_call_that_fails_in_passing_is_made_again_by_a_follow_up() {
    for call in [
        "CreateVpcPeeringConnection",
        "AcceptVpcPeeringConnection",
        "CreateTags",
        "CreateRoute",
        "DescribeVpcs",
        "DescribeRouteTables",
        "TagVpc",
    ] {
        let world = World::default();
        world.fail_next(call, ErrorKind::Throttled);
        let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
        world.rest().await;
        assert_connected(&world, &[&a, &b]);
        assert_eq!(world.status(&b).as_deref(), Some("joined prod"), "after {call} failed once");
    }
}

#[tokio::test]
async fn a_call_that_is_refused_for_good_stops_nothing_else_and_the_message_comes_again() {
    let world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.fail_next("CreateVpcPeeringConnection", ErrorKind::Invalid);
    assert!(world.deliver().await > 0);
    let connected = [(&a, &b), (&a, &c), (&b, &c)].into_iter().filter(|(x, y)| world.connected(x, y)).count();
    assert_eq!(connected, 2);
    world.rest().await;
    assert_connected(&world, &[&a, &b, &c]);
}

#[tokio::test]
async fn a_write_to_the_index_whose_answer_is_lost_loses_no_clean_up() {
    let (world, _, _, c) = prod().await;
    world.tag(&c, "staging");
    world.lose_next_answer_of_the_index();
    assert!(world.deliver().await > 0);
    world.rest().await;
    assert_eq!(world.traces(&c), ["joined staging"]);
}

#[tokio::test]
async fn two_workers_at_the_same_instant_make_one_peering() {
    let world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "");
    world.rest().await;
    world.tag(&a, "prod");
    world.tag(&b, "prod");
    let (first, second, mesh) = (world.engine("first"), world.engine("second"), "prod".parse().unwrap());
    let scopes = [scope(1, 0), scope(2, 0)].into();
    let runs = futures::join!(
        first.reconcile(&mesh, &scopes, u64::MAX),
        second.reconcile(&mesh, &scopes, u64::MAX),
        world.deliver()
    );
    let outcomes = [runs.0.unwrap().outcome, runs.1.unwrap().outcome];
    assert!(outcomes.contains(&Outcome::Busy), "{outcomes:?}");
    world.rest().await;
    assert_connected(&world, &[&a, &b]);
    let created = world.cloud.take_calls().into_iter().filter(|call| call.name == "CreateVpcPeeringConnection");
    assert_eq!(created.count(), 1);
}

#[tokio::test]
async fn an_account_is_registered_by_its_first_event_if_its_role_can_be_assumed() {
    let (world, a, ..) = prod().await;
    let stranger = world.vpc("s", scope(4, 0), "10.44.0.0/16", "prod");
    world.rest().await;
    assert_connected(&world, &[&a, &stranger]);
    world.sweep();
    world.rest().await;
    assert!(world.cloud.take_calls().iter().any(|call| call.scope == scope(4, 0)));
}

#[tokio::test]
async fn a_message_that_nobody_understands_is_told_and_dropped() {
    let (world, ..) = prod().await;
    for event in [
        serde_json::json!({"detail-type": "Weather Report"}),
        serde_json::json!({"peerd": 9, "work": {}}),
        serde_json::json!([1, 2]),
    ] {
        world.deliver_event(event);
    }
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.messages(), 0);
}
