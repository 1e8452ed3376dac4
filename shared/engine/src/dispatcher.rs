//! Handles a batch of messages: decodes each, runs one reconcile per affected mesh, and sends follow-up messages.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use peerd_core::{Cause, DeleteApproval, MeshName, Rendered, Scope};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::chain;
use crate::event;
use crate::event_impact::VpcReads;
use crate::event_target::EventTarget;
use crate::membership_index::ScanError;
use crate::message::{Message, Work};
use crate::outcome::{Outcome, Run};
use crate::ports::Timestamp;

/// The retry budget: follow-up messages of one cause, over about ten minutes with the delays below. Then the next sweep
/// continues.
const MAX_ATTEMPTS: u32 = 14;
/// Stale reads of one event before peerd accepts the read, over 15 seconds: a later change may have superseded the
/// event.
const MAX_STALE_READS: u32 = 4;
/// The attempt that verifies an unchanged mesh for the last time, 8 seconds after the previous read: reads mostly lag
/// by less than a second, and seldom by that much.
const LAST_VERIFICATION: u32 = 4;
/// The longest delay of a follow-up message, in seconds.
const MAX_DELAY: u32 = 60;

/// One message as the queue delivered it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The id of the message in the queue.
    pub id: String,
    /// The body of the message.
    pub body: String,
}

/// A decoded message, and the position of its delivery in the batch.
struct QueuedMessage {
    place: usize,
    attempt: u32,
    payload: Payload,
}

enum Payload {
    Event { target: EventTarget, event: Value },
    Work(Work),
}

/// The reconcile of one mesh that a batch requests.
#[derive(Debug, Default)]
struct ReconcileRequest {
    scopes: BTreeSet<Scope>,
    everywhere: bool,
    delete_approval: DeleteApproval,
    /// The lowest attempt of the messages: a new event restores the retry budget.
    attempt: Option<u32>,
    /// Whether an event requested it. Its reads may be stale, so a follow-up message verifies the mesh.
    verify: bool,
    /// The API calls that triggered it, as far as events reported them.
    causes: BTreeSet<Cause>,
    deliveries: BTreeSet<usize>,
}

/// The state of a batch while it is processed.
#[derive(Default)]
struct Batch {
    requests: BTreeMap<MeshName, ReconcileRequest>,
    retry: BTreeSet<usize>,
}

impl Engine<'_> {
    /// Handles a batch and returns the ids of the deliveries that the queue must deliver again.
    ///
    /// No action starts after `deadline`; follow-up messages continue the work.
    pub async fn handle(&self, deliveries: &[Delivery], deadline: Timestamp) -> Vec<String> {
        let mut batch = Batch::default();
        let messages: Vec<QueuedMessage> =
            deliveries.iter().enumerate().filter_map(|(place, delivery)| decode(place, delivery)).collect();
        let targets = messages.iter().filter_map(|message| match &message.payload {
            Payload::Event { target, .. } => Some(target),
            Payload::Work(_) => None,
        });
        let reads = self.read_vpcs(targets).await;
        for message in messages {
            let place = message.place;
            if let Err(error) = self.dispatch(message, &reads, &mut batch).await {
                tracing::error!(delivery = deliveries[place].id, error = chain(&error), "message not handled");
                batch.retry.insert(place);
            }
        }
        let Batch { requests, mut retry } = batch;
        let answers = requests.iter().map(|(mesh, request)| self.reconcile_mesh(mesh, request, deadline));
        for (request, done) in requests.values().zip(join_all(answers).await) {
            if !done {
                retry.extend(&request.deliveries);
            }
        }
        retry.into_iter().map(|place| deliveries[place].id.clone()).collect()
    }

    async fn dispatch(&self, message: QueuedMessage, reads: &VpcReads, batch: &mut Batch) -> Result<(), ScanError> {
        let QueuedMessage { place, attempt, payload } = message;
        match payload {
            Payload::Event { target, event } => {
                let has_retries_left = attempt < MAX_STALE_READS;
                let impact = self.assess(&target, has_retries_left, reads).await?;
                for (mesh, scopes) in impact.meshes {
                    let request = batch.request(mesh, place, attempt);
                    request.verify = true;
                    request.scopes.extend(scopes);
                    request.causes.extend(target.causes.iter().cloned());
                }
                if impact.stale && has_retries_left {
                    let again = Message::new(attempt + 1, Work::Event { event });
                    self.queue.send(&again, delay(attempt + 1)).await?;
                }
                Ok(())
            }
            Payload::Work(Work::Sweep {}) => Ok(self.sweep().await?),
            Payload::Work(Work::ListOrganization {}) => self.refresh_organization().await,
            Payload::Work(Work::ScanAccount { account }) => self.scan_and_enqueue(&account).await,
            Payload::Work(Work::Reconcile { mesh, scopes, everywhere, delete_approval }) => {
                let request = batch.request(mesh, place, attempt);
                request.scopes.extend(scopes);
                request.everywhere |= everywhere;
                request.delete_approval = request.delete_approval.max(delete_approval);
                Ok(())
            }
            Payload::Work(Work::Publish { notification }) => Ok(self.bus.publish(&[notification]).await?),
            Payload::Work(Work::Event { .. }) => Ok(()), // decoded as the event itself
        }
    }

    /// Reconciles one mesh and sends a follow-up message if the run needs one. Returns false if the queue must deliver
    /// the requesting messages again.
    async fn reconcile_mesh(&self, mesh: &MeshName, request: &ReconcileRequest, deadline: Timestamp) -> bool {
        match self.try_reconcile_mesh(mesh, request, deadline).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%mesh, error = chain(error.as_ref()), "mesh not reconciled");
                false
            }
        }
    }

    async fn try_reconcile_mesh(
        &self,
        mesh: &MeshName,
        request: &ReconcileRequest,
        deadline: Timestamp,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let mut scopes = request.scopes.clone();
        if request.everywhere {
            scopes.extend(self.observer().scopes().await?);
        }
        let mut run = self.reconcile(mesh, &scopes, request.delete_approval, deadline).await?;
        run.causes.clone_from(&request.causes);
        log_run(&run, &self.settings.stack);
        if !matches!(run.outcome, Outcome::Unchanged) {
            self.store.record_run(&run, self.clock.now()).await?;
        }
        if let Some(attempt) = next_attempt(&run, request) {
            if attempt > MAX_ATTEMPTS {
                tracing::warn!(%mesh, outcome = %run.outcome, "the retry budget is spent; the next sweep continues");
            } else {
                // The follow-up reads the same scopes: a VPC that was peered on a stale read may have left the index by
                // then.
                let scopes = if request.everywhere { request.scopes.clone() } else { run.read_scopes };
                // A confirmation applies until the confirmed deletes are done, and not to later ones.
                let goes_on = matches!(run.outcome, Outcome::Waiting | Outcome::Busy);
                let delete_approval = if goes_on { request.delete_approval } else { DeleteApproval::WithinLimits };
                let work =
                    Work::Reconcile { mesh: mesh.clone(), scopes, everywhere: request.everywhere, delete_approval };
                self.queue.send(&Message::new(attempt, work), delay(attempt)).await?;
            }
        }
        Ok(run.outcome != Outcome::Partial)
    }
}

impl Batch {
    fn request(&mut self, mesh: MeshName, place: usize, attempt: u32) -> &mut ReconcileRequest {
        let request = self.requests.entry(mesh).or_default();
        request.deliveries.insert(place);
        request.attempt = Some(request.attempt.map_or(attempt, |least| least.min(attempt)));
        request
    }
}

/// Decodes a delivery. One that requests nothing is logged and dropped.
fn decode(place: usize, delivery: &Delivery) -> Option<QueuedMessage> {
    let dropped = |why: &str| {
        tracing::info!(delivery = delivery.id, why, "ignored");
        None
    };
    let body: Value = match serde_json::from_str(&delivery.body) {
        Ok(body) => body,
        Err(error) => return dropped(&format!("not JSON: {error}")),
    };
    let (attempt, event) = if Message::claims(&body) {
        match Message::parse(body) {
            Ok(Message { attempt, work: Work::Event { event }, .. }) => (attempt, event),
            Ok(Message { attempt, work, .. }) => {
                return Some(QueuedMessage { place, attempt, payload: Payload::Work(work) });
            }
            Err(why) => return dropped(&why),
        }
    } else {
        (0, body)
    };
    match event::target_of(&event) {
        Ok(target) => Some(QueuedMessage { place, attempt, payload: Payload::Event { target, event } }),
        Err(ignored) => dropped(&ignored.0),
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
fn delay(attempt: u32) -> u32 {
    1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(MAX_DELAY).min(MAX_DELAY)
}

fn log_run(run: &Run, stack: &str) {
    for finding in &run.report.findings {
        let Rendered { kind, subject, text, remedy, .. } = Rendered::new(finding, stack);
        tracing::warn!(mesh = %run.mesh, %kind, subject, text, remedy, "finding");
    }
    for wait in &run.report.waits {
        tracing::info!(mesh = %run.mesh, subject = wait.subject, text = wait.text, "waiting");
    }
    for action in &run.report.suppressed {
        tracing::info!(mesh = %run.mesh, %action, "paused");
    }
    let (applied, failed) = (run.applied.len(), run.failed.len());
    tracing::info!(mesh = %run.mesh, outcome = %run.outcome, applied, failed, "reconciled");
}

#[cfg(test)]
mod tests {
    use peerd_core::Action;

    use super::*;

    fn next(outcome: Outcome, attempt: u32, verify: bool, applied: Vec<Action>) -> Option<u32> {
        let (failed, report, read_scopes) = Default::default();
        let (mesh, causes) = ("prod".parse().unwrap(), BTreeSet::new());
        let run = Run { mesh, outcome, applied, failed, report, read_scopes, causes };
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
