//! Back-off: what another principal reverts again and again.

use super::world::*;
use crate::contention::WINDOW;
use crate::finding::FindingKind;
use crate::report::InputRequest;
use crate::*;

const MINUTE: u64 = 60_000;
/// 13:00 UTC on some day.
const THEN: u64 = 13 * 60 * MINUTE;

/// Records runs that created a resource, one minute apart from 13:00 on, each triggered by the same call.
fn undone(world: &mut World, thing: &str, times: u64, cause: Option<Cause>) {
    let causes = Vec::from_iter(cause);
    let run = |nth: u64| {
        let (at, causes) = (THEN + nth * MINUTE, causes.clone());
        RunChanges { at, created: vec![thing.to_owned()], removed: Vec::new(), causes }
    };
    let past = RunHistory { now: THEN + times * MINUTE, runs: (0..times).map(run).collect() };
    world.observed.inputs.run_histories.insert(world.desired.mesh.clone(), past);
}

fn lose_route(world: &mut World) {
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.retain(|route| !route.is_static);
}

#[test]
fn a_repeatedly_deleted_route_backs_off_and_the_principal_is_reported() {
    let (mut world, a, _) = joined();
    lose_route(&mut world);
    let tool = Cause { call: "DeleteRoute".into(), on: "rtb-a".into(), by: "arn:aws:sts::1:assumed-role/tf/ci".into() };
    undone(&mut world, "route to 10.2.0.0/16 in rtb-a", 4, Some(tool));
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.contains("10.2.0.0/16")), "{done:?}");
    assert!(world.targets("rtb-a") == ["2600:1f18:2::/56 pcx-new1"], "peerd creates again what no one keeps reverting");
    let [finding] = &findings.into_iter().collect::<Vec<_>>()[..] else { panic!("one finding") };
    assert_eq!((finding.kind, &*finding.subject), (FindingKind::Conflict, "route to 10.2.0.0/16 in rtb-a"));
    let text = "reverted 4 times within 2 hours, most recently by arn:aws:sts::1:assumed-role/tf/ci";
    assert_eq!(finding.text, text);
    assert!(finding.remedy.ends_with("peerd tries again at 13:07 UTC"), "{}", finding.remedy);
    assert_eq!(world.status(&a), Some("waiting prod with vpc-b: backing off, another principal reverts it"));
    world.observed.inputs.run_histories.get_mut(&world.desired.mesh).unwrap().now += 4 * MINUTE;
    assert!(world.settle().1.is_empty());
    assert_eq!(world.targets("rtb-a").len(), 2);
}

#[test]
fn a_repeatedly_deleted_peering_backs_off_whatever_its_id() {
    let (mut world, ..) = joined();
    for peering in world.observed.peerings.values_mut() {
        peering.status = PeeringStatus::Deleted;
    }
    undone(&mut world, "peering of vpc-a (111111111111/us-east-1) - vpc-b (222222222222/eu-west-1)", 4, None);
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.starts_with("+ peering")), "{done:?}");
    let text = "reverted 4 times within 2 hours, most recently by an unknown principal (no CloudTrail event)";
    assert_eq!(findings.first().unwrap().text, text);
}

#[test]
fn the_run_history_is_read_only_if_something_is_to_be_created() {
    let (mut world, ..) = joined();
    world.observed.inputs.run_histories.clear();
    assert!(world.plan().1.questions.is_empty());
    lose_route(&mut world);
    assert_eq!(world.plan().1.questions, [InputRequest::RunHistory(world.desired.mesh.clone())].into());
}

#[test]
fn contention_expires_after_the_window() {
    let (mut world, ..) = joined();
    lose_route(&mut world);
    undone(&mut world, "route to 10.2.0.0/16 in rtb-a", 9, None);
    world.observed.inputs.run_histories.get_mut(&world.desired.mesh).unwrap().now = THEN + WINDOW + 9 * MINUTE;
    assert!(world.settle().1.is_empty());
}
