//! Somebody acts while a run is at work: at every millisecond of it, one after another.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

use peerd_core::RouteTarget;
use peerd_core::cidr::{self, IpNet};
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, scope};

/// Calls take two milliseconds here, there and back: as long as that a change may come between a look and what follows.
const BLIND: usize = 3;

fn block() -> IpNet {
    cidr::parse("10.3.0.0/16").unwrap()
}

/// What became of a route that somebody pointed elsewhere so long after `happens`; nothing if it was gone by then.
fn pointed_elsewhere(after: u64, happens: fn(&mut World)) -> Option<String> {
    let mut world = World::default();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.rest();
    world.pass(MINUTE);
    happens(&mut world);
    world.pass(after);
    world.target("a", "10.3.0.0/16")?;
    world.put_route(&table("a"), &block(), &RouteTarget::Other("tgw-1".to_owned())).unwrap();
    world.rest();
    Some(world.target("a", "10.3.0.0/16").unwrap_or_default())
}

fn assert_kept(happens: fn(&mut World)) {
    let fates: Vec<String> = (0..60).map_while(|after| pointed_elsewhere(after, happens)).collect();
    let lost = fates.iter().filter(|target| *target != "tgw-1").count();
    assert!(fates.len() > 10, "the run was over after {} ms", fates.len());
    assert!(lost <= BLIND, "of {} lost {lost}: {fates:?}", fates.len());
}

#[test]
fn a_route_that_somebody_points_elsewhere_while_it_is_about_to_go_is_his() {
    assert_kept(|world| {
        let leaver = world.cloud.aws().vpcs().find(|vpc| vpc.at.scope == scope(3, 0)).unwrap().at.clone();
        world.untag(&leaver).unwrap();
    });
}

#[test]
fn a_route_that_somebody_points_elsewhere_while_it_is_about_to_be_moved_is_his() {
    assert_kept(|world| {
        let ours = world.cloud.aws().peerings().next().map(|peering| peering.id.clone()).unwrap();
        world.delete_peering(&scope(1, 0), &ours).unwrap();
    });
}
