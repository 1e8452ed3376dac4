//! Follow-up messages: a run that changed something, waits for something or may have had stale reads is followed by
//! another one, after a delay.

use peerd_core::DeleteApproval;

use crate::engine::Engine;
use crate::error::InfraError;
use crate::outcome::{Outcome, Run};
use crate::reconcile_request::ReconcileRequest;

/// The retry budget: follow-up messages of one cause, over about ten minutes with the delays below. Then the next sweep
/// continues.
const MAX_ATTEMPTS: u32 = 14;
/// The attempt that verifies an unchanged mesh for the last time, 8 seconds after the previous read: reads mostly lag
/// by less than a second, and seldom by that much.
const LAST_VERIFICATION: u32 = 4;
/// The longest delay of a follow-up message, in seconds.
const MAX_DELAY: u32 = 60;

impl Engine<'_> {
    /// Sends a follow-up message if the run needs one and the retry budget is not spent.
    ///
    /// # Errors
    /// When the queue fails.
    pub(crate) async fn send_follow_up(&self, run: &Run, request: &ReconcileRequest) -> Result<(), InfraError> {
        let mesh = &run.mesh;
        let Some(attempt) = next_attempt(run, request) else { return Ok(()) };
        if attempt > MAX_ATTEMPTS {
            tracing::warn!(%mesh, outcome = %run.outcome, "the retry budget is spent; the next sweep continues");
            return Ok(());
        }
        // A confirmation applies until the confirmed deletes are done, and not to later ones.
        let goes_on = matches!(run.outcome, Outcome::Waiting | Outcome::Busy);
        let delete_approval = if goes_on { request.delete_approval } else { DeleteApproval::WithinLimits };
        let follow_up = ReconcileRequest {
            // The same scopes: a VPC that was peered on a stale read may have left the index by then.
            scopes: run.scopes.clone(),
            delete_approval,
            attempt: Some(attempt),
            ..ReconcileRequest::default()
        };
        self.queue.send(&follow_up.to_message(mesh), delay(attempt)).await
    }
}

/// Returns the attempt of the follow-up message that a run needs, if it needs one. A follow-up verifies what was
/// applied. It also verifies a new event that seemed to require nothing, after a second and once more, because its
/// reads may have been stale.
fn next_attempt(run: &Run, request: &ReconcileRequest) -> Option<u32> {
    let attempt = request.attempt.unwrap_or_default();
    match run.outcome {
        Outcome::Waiting | Outcome::Busy if run.changed_the_network() => Some(1),
        Outcome::Waiting | Outcome::Busy | Outcome::Applied => Some(attempt + 1),
        Outcome::Unchanged | Outcome::Paused if attempt == 0 => request.verify.then_some(1),
        Outcome::Unchanged | Outcome::Paused => (attempt < LAST_VERIFICATION).then_some(LAST_VERIFICATION),
        Outcome::Partial | Outcome::Blocked => None,
    }
}

/// Returns the delay of a follow-up message in seconds: 1, 2, 4, 8 and so on, up to `MAX_DELAY`.
pub(crate) fn delay(attempt: u32) -> u32 {
    1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(MAX_DELAY).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use peerd_core::{Action, Scope};

    use super::*;

    fn next(outcome: Outcome, attempt: u32, verify: bool, applied: Vec<Action>) -> Option<u32> {
        let (failed, report, read_scopes, scopes) = Default::default();
        let (mesh, causes) = ("prod".parse().unwrap(), BTreeSet::new());
        let run = Run { mesh, outcome, applied, failed, report, read_scopes, scopes, causes };
        next_attempt(&run, &ReconcileRequest { attempt: Some(attempt), verify, ..ReconcileRequest::default() })
    }

    #[test]
    fn progress_renews_the_retry_budget_and_waiting_spends_it() {
        let scope: Scope = "111111111111/us-east-1".parse().unwrap();
        let accept = Action::AcceptPeering { peering: "pcx-1".parse().unwrap(), scope };
        for outcome in [Outcome::Waiting, Outcome::Busy] {
            assert_eq!(next(outcome, 6, false, Vec::new()), Some(7));
            assert_eq!(next(outcome, 6, false, vec![accept.clone()]), Some(1));
        }
        assert_eq!(next(Outcome::Applied, 0, false, vec![accept]), Some(1));
        assert_eq!(next(Outcome::Partial, 0, true, Vec::new()), None);
        assert_eq!(next(Outcome::Blocked, 0, true, Vec::new()), None);
    }

    #[test]
    fn a_converged_mesh_is_verified_twice_more_after_an_event() {
        for outcome in [Outcome::Unchanged, Outcome::Paused] {
            assert_eq!(next(outcome, 0, false, Vec::new()), None);
            assert_eq!(next(outcome, 0, true, Vec::new()), Some(1));
            assert_eq!(next(outcome, 1, false, Vec::new()), Some(LAST_VERIFICATION));
            assert_eq!(next(outcome, LAST_VERIFICATION, false, Vec::new()), None);
        }
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        assert_eq!([0, 1, 2, 3, 4, 7, 14, 99].map(delay), [1, 1, 2, 4, 8, 60, 60, 60]);
    }
}
