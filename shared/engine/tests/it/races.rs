//! Races: a user changes a route during a run. The change is tried at every millisecond of the run.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::RouteTarget;
use peerd_core::cidr::{self, IpNet};
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, scope};

/// The maximum number of milliseconds at which a change may be lost. The round trip of a call takes two milliseconds
/// here, and a change can happen between a read and the write that follows it.
const BLIND: usize = 3;

fn cidr() -> IpNet {
    cidr::parse("10.3.0.0/16").unwrap()
}

/// Returns the final target of a route that a user replaces `after` milliseconds after `happens`; none if the route was
/// already deleted.
fn pointed_elsewhere(after: u64, happens: fn(&mut World)) -> Option<String> {
    let mut world = World::default();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.rest();
    world.pass(MINUTE);
    happens(&mut world);
    world.pass(after);
    world.target("a", "10.3.0.0/16")?;
    world.put_route(&table("a"), &cidr(), &RouteTarget::Other("tgw-1".to_owned())).unwrap();
    world.rest();
    Some(world.target("a", "10.3.0.0/16").unwrap_or_default())
}

fn assert_kept(happens: fn(&mut World)) {
    let fates: Vec<String> = (0..60).map_while(|after| pointed_elsewhere(after, happens)).collect();
    let lost = fates.iter().filter(|target| *target != "tgw-1").count();
    assert!(fates.len() > 10, "the run was over after {} ms", fates.len());
    assert!(lost <= BLIND, "of {} changes, {lost} were lost: {fates:?}", fates.len());
}

#[test]
fn a_route_redirected_during_its_removal_is_kept() {
    assert_kept(|world| {
        let leaver = world.cloud.aws().vpcs().find(|vpc| vpc.vpc_ref.scope == scope(3, 0)).unwrap().vpc_ref.clone();
        world.untag(&leaver).unwrap();
    });
}

#[test]
fn a_route_redirected_during_its_replacement_is_kept() {
    assert_kept(|world| {
        let ours = world.cloud.aws().peerings().next().map(|peering| peering.id.clone()).unwrap();
        world.delete_peering(&scope(1, 0), &ours).unwrap();
    });
}
