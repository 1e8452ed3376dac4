//! Checks that the simulator detects violations: each test disables an invariant, and a scenario must violate a
//! promise.
#![expect(clippy::panic, clippy::print_stdout, reason = "a panic fails the test, and the test prints what it found")]

use peerd_core::Invariant;
use peerd_testkit::sim::{self, Coverage};

/// The number of scenarios within which the simulator must detect a disabled invariant.
const SCENARIOS: u64 = 1000;

fn assert_noticed(rule: Invariant) {
    let noticed = rule.with_disabled(|| {
        (0..SCENARIOS).find_map(|seed| sim::run(seed, &mut Coverage::default()).err().map(|broken| (seed, broken)))
    });
    let (seed, broken) = noticed.unwrap_or_else(|| panic!("{rule:?} was disabled, and {SCENARIOS} scenarios passed"));
    println!("{rule:?}: scenario {seed}: {broken}");
}

/// Rule 1: A run reads peerings and routes before membership, so that it never deletes what another run has just
/// created.
#[test]
fn disabling_peerings_before_membership_is_detected() {
    assert_noticed(Invariant::PeeringsBeforeMembership);
}

/// Rule 2: A delete needs proof: the tags of both members, one member's tags without any mesh, or policies that exclude
/// the account of the other. An unreadable scope, a throttled call, a denied role and the index prove nothing.
#[test]
fn disabling_proof_before_delete_is_detected() {
    assert_noticed(Invariant::ProofBeforeDelete);
}

/// Rule 3: peerd changes only what this deployment owns; it reports foreign peerings and routes, and does not change
/// them.
#[test]
fn disabling_owned_resources_only_is_detected() {
    assert_noticed(Invariant::OnlyManaged);
}

/// Rule 4: peerd adds a route only when its peering is active, deletes it before it deletes the peering, and never
/// replaces a route to a foreign target.
#[test]
fn disabling_active_before_route_is_detected() {
    assert_noticed(Invariant::ActiveBeforeRoute);
}

/// Rule 5: peerd accepts only an owned request between two VPCs whose own tags request a common mesh.
#[test]
fn disabling_only_wanted_accepted_is_detected() {
    assert_noticed(Invariant::OnlyWantedAccepted);
}

/// Rule 6: A pair has at most one live owned peering; the lesser VPC requests it after peerd has read both directions
/// and claimed the pair.
#[test]
fn disabling_one_requester_is_detected() {
    assert_noticed(Invariant::OneRequester);
}

/// Rule 7: peerd never tears down a pair that some mesh still wants, even if another mesh no longer wants it, and never
/// interrupts traffic between two VPCs that stay members.
#[test]
fn disabling_any_mesh_keeps_a_pair_is_detected() {
    assert_noticed(Invariant::AnyMeshKeepsAPair);
}

/// Rule 8: If the deletes of a run exceed the limits of the policy, peerd blocks them until an operator confirms.
#[test]
fn disabling_mass_delete_confirmation_is_detected() {
    assert_noticed(Invariant::MassDeletesWait);
}

/// Rule 9: A read that contradicts its event is stale: peerd draws no conclusion from it and reads again.
#[test]
fn disabling_stale_read_detection_is_detected() {
    assert_noticed(Invariant::StaleReadsAreReadAgain);
}

/// Rule 10: A failure in one pair, account or Region stops nothing elsewhere.
#[test]
fn disabling_failure_isolation_is_detected() {
    assert_noticed(Invariant::FailuresStayAlone);
}
