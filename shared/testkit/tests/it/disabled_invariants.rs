//! Checks that the simulator detects violations: each test disables an invariant, and a scenario must violate a
//! promise.
#![expect(clippy::panic, clippy::print_stdout, reason = "a panic fails the test, and the test prints what it found")]

use peerd_core::Invariant;
use peerd_testkit::sim::{self, Coverage};

/// The number of scenarios within which the simulator must detect a disabled invariant.
const STORIES: u64 = 1000;

fn assert_noticed(rule: Invariant) {
    let noticed = rule.with_disabled(|| {
        (0..STORIES).find_map(|seed| sim::run(seed, &mut Coverage::default()).err().map(|broken| (seed, broken)))
    });
    let (seed, broken) = noticed.unwrap_or_else(|| panic!("{rule:?} was disabled, and {STORIES} scenarios passed"));
    println!("{rule:?}: scenario {seed}: {broken}");
}

/// Rule 1: A run reads peerings and routes before membership, so that it never deletes what another run has just
/// created.
#[test]
fn a_run_that_reads_membership_first_is_noticed() {
    assert_noticed(Invariant::PeeringsBeforeMembership);
}

/// Rule 2: A delete needs proof: the tags of both members, or one member's tags without any mesh. An unreadable scope,
/// a throttled call, a denied role and the index prove nothing.
#[test]
fn a_gap_that_is_taken_for_absence_is_noticed() {
    assert_noticed(Invariant::ProofBeforeDelete);
}

/// Rule 3: peerd changes only what this deployment owns; it reports foreign peerings and routes, and does not change
/// them.
#[test]
fn a_foreign_thing_that_is_changed_is_noticed() {
    assert_noticed(Invariant::OnlyManaged);
}

/// Rule 4: peerd adds a route only when its peering is active, deletes it before it deletes the peering, and never
/// replaces a route to a foreign target.
#[test]
fn a_route_before_its_peering_is_active_is_noticed() {
    assert_noticed(Invariant::ActiveBeforeRoute);
}

/// Rule 5: peerd accepts only an owned request between two VPCs whose own tags request a common mesh.
#[test]
fn an_accepted_request_that_nobody_wants_is_noticed() {
    assert_noticed(Invariant::OnlyWantedAccepted);
}

/// Rule 6: A pair has at most one live owned peering; the lesser VPC requests it after peerd has read both directions
/// and claimed the pair.
#[test]
fn a_second_request_for_a_pair_is_noticed() {
    assert_noticed(Invariant::OneRequester);
}

/// Rule 7: peerd never tears down a pair that some mesh still wants, even if another mesh no longer wants it, and never
/// interrupts traffic between two VPCs that stay members.
#[test]
fn a_pair_torn_down_that_another_mesh_wants_is_noticed() {
    assert_noticed(Invariant::AnyMeshKeepsAPair);
}

/// Rule 8: If the deletes of a run exceed the limits of the policy, peerd blocks them until an operator confirms.
#[test]
fn a_mass_delete_that_nobody_confirmed_is_noticed() {
    assert_noticed(Invariant::MassDeletesWait);
}

/// Rule 9: A read that contradicts its event is stale: peerd draws no conclusion from it and reads again.
#[test]
fn a_stale_read_that_is_believed_is_noticed() {
    assert_noticed(Invariant::StaleReadsAreReadAgain);
}

/// Rule 10: A failure in one pair, account or Region stops nothing elsewhere.
#[test]
fn a_failure_that_stops_the_rest_is_noticed() {
    assert_noticed(Invariant::FailuresStayAlone);
}
