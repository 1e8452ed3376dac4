//! `peerd doctor --live`.

use insta::assert_snapshot;
use peerd_testkit::{account, mesh};

use crate::simulated_aws::Site;

const NOTHING: (usize, usize, bool) = (0, 0, false);
const SCOPES: [&str; 2] = ["111111111111/us-east-1", "222222222222/eu-west-1"];

fn live(site: &mut Site, more: &[&str]) -> String {
    let words = ["doctor", "--live", SCOPES[0], SCOPES[1], "--stack", "peerd"];
    site.run_words(&[&words, more].concat())
}

/// How many VPCs and live peerings the test left behind, and whether it left the mesh.
fn left(site: &mut Site) -> (usize, usize, bool) {
    site.world.rest();
    let vpcs = site.world.cloud.aws().vpcs().count();
    let live = site.world.cloud.aws().peerings().filter(|peering| peering.status().is_live()).count();
    let transcript = std::mem::take(&mut site.session);
    let is_declared = site.run("mesh list").contains("peerd-live-test");
    site.session = transcript;
    (vpcs, live, is_declared)
}

#[test]
fn a_live_test_connects_two_vpcs_of_its_own_and_leaves_nothing() {
    let mut site = Site::new();
    live(&mut site, &["--role", "operator"]);
    site.answers = Some(vec!["no"]);
    live(&mut site, &["--role", "operator"]);
    assert_eq!(left(&mut site), NOTHING, "nothing was created yet");
    site.answers = Some(vec!["yes"]);
    live(&mut site, &["--role", "operator"]);
    assert_eq!(left(&mut site), NOTHING);
    live(&mut site, &["--role", "operator", "--yes", "--json"]);
    assert_eq!(left(&mut site), NOTHING, "a second test is like the first");
    live(&mut site, &[]);
    site.run("doctor --live 111111111111/us-east-1 999999999999/us-east-1 --role operator");
    assert_snapshot!(site.session);
}

#[test]
fn a_live_test_without_events_fails_and_takes_everything_down() {
    let mut site = Site::new();
    site.world.cloud.lose_events(true);
    live(&mut site, &["--role", "operator", "--yes"]);
    assert_eq!(left(&mut site), NOTHING);
    assert_snapshot!(site.session);
}

#[test]
fn a_live_test_in_an_account_that_cannot_be_reached_deletes_what_it_created() {
    let mut site = Site::new();
    site.world.set_denied(&account(2), true);
    live(&mut site, &["--role", "operator", "--yes"]);
    assert_eq!(left(&mut site), NOTHING);
    assert_snapshot!(site.session);
}

#[test]
fn a_live_test_that_is_interrupted_takes_everything_down() {
    let mut site = Site::new();
    site.world.cloud.lose_events(true);
    site.interrupted = true;
    live(&mut site, &["--role", "operator", "--yes"]);
    assert_eq!(left(&mut site), NOTHING);
    assert_snapshot!(site.session);
}

#[test]
fn a_second_live_test_at_the_same_time_is_refused() {
    let mut site = Site::new();
    site.world.declare(&mesh("peerd-live-test"), peerd_core::Policy::default());
    let output = live(&mut site, &["--role", "operator", "--yes"]);
    assert!(output.contains("another test is running") && output.starts_with("exit 1"), "{output}");
}
