//! Handles a batch of messages: decodes each, and runs one reconcile per affected mesh.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use peerd_core::{MeshName, Timestamp};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::chain;
use crate::event;
use crate::event_impact::BatchReads;
use crate::event_target::EventTarget;
use crate::follow_up::delay;
use crate::membership_index::ScanError;
use crate::message::{Message, Work};
use crate::reconcile::ReconcileRequest;

/// Stale reads of one event before peerd accepts the read, over 15 seconds: a later change may have superseded the
/// event.
const MAX_STALE_READS: u32 = 4;

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
        let mut reads = self.read_vpcs(targets).await;
        for message in messages {
            let place = message.place;
            if let Err(error) = self.dispatch(message, &mut reads, &mut batch).await {
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

    async fn dispatch(
        &self,
        message: QueuedMessage,
        reads: &mut BatchReads,
        batch: &mut Batch,
    ) -> Result<(), ScanError> {
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
