//! Would the simulator notice? Each rule is broken on purpose, and the stories must tell.
#![expect(clippy::panic, clippy::print_stdout, reason = "a test fails where it panics, and tells what it found")]

use peerd_core::Invariant;
use peerd_testkit::sim::{self, Coverage};

/// Stories in which a breach must show.
const STORIES: u64 = 1000;

fn assert_noticed(rule: Invariant) {
    let noticed = rule.with_disabled(|| {
        (0..STORIES).find_map(|seed| sim::run(seed, &mut Coverage::default()).err().map(|broken| (seed, broken)))
    });
    let (seed, broken) = noticed.unwrap_or_else(|| panic!("{rule:?} was broken, and {STORIES} stories did not tell"));
    println!("{rule:?}: story {seed}: {broken}");
}

/// Rule 1: Peerings and routes are read before membership, so that a run never deletes what another has just made.
#[test]
fn a_run_that_reads_membership_first_is_noticed() {
    assert_noticed(Invariant::PeeringsBeforeMembership);
}

/// Rule 2: A delete needs proof: both members' tags read, or one's read without any mesh. A gap, a throttle, a denied
/// role, the index prove nothing.
#[test]
fn a_gap_that_is_taken_for_absence_is_noticed() {
    assert_noticed(Invariant::ProofBeforeDelete);
}

/// Rule 3: Only what this deployment made is changed; foreign peerings and routes are reported and left alone.
#[test]
fn a_foreign_thing_that_is_changed_is_noticed() {
    assert_noticed(Invariant::OnlyManaged);
}

/// Rule 4: A route goes in only when its peering is active, comes out before the peering is deleted, and is never
/// taken from another target.
#[test]
fn a_route_before_its_peering_is_active_is_noticed() {
    assert_noticed(Invariant::ActiveBeforeRoute);
}

/// Rule 5: Only a managed request between two VPCs whose own tags ask for a common mesh is accepted.
#[test]
fn an_accepted_request_that_nobody_wants_is_noticed() {
    assert_noticed(Invariant::OnlyWantedAccepted);
}

/// Rule 6: A pair has at most one live managed peering, requested by the lesser VPC after looking in both directions
/// and claiming the pair.
#[test]
fn a_second_request_for_a_pair_is_noticed() {
    assert_noticed(Invariant::OneRequester);
}

/// Rule 7: A pair that some mesh wants is never torn down because another mesh let go, and traffic between two VPCs
/// that stay members is not interrupted.
#[test]
fn a_pair_torn_down_that_another_mesh_wants_is_noticed() {
    assert_noticed(Invariant::AnyMeshKeepsAPair);
}

/// Rule 8: More deletes in one run than the policy allows stop as blocked until an operator confirms.
#[test]
fn a_mass_delete_that_nobody_confirmed_is_noticed() {
    assert_noticed(Invariant::MassDeletesWait);
}

/// Rule 9: A read that contradicts its event is stale: nothing is concluded from it, and it is made again.
#[test]
fn a_stale_read_that_is_believed_is_noticed() {
    assert_noticed(Invariant::StaleReadsAreReadAgain);
}

/// Rule 10: A failure in one pair, account or Region stops nothing elsewhere.
#[test]
fn a_failure_that_stops_the_rest_is_noticed() {
    assert_noticed(Invariant::FailuresStayAlone);
}
