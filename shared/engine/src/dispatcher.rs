//! Handles a batch of messages: decodes each, and reconciles the affected meshes together.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::reconcile::{ReconcileRequest, ReconcileRequests};

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

/// A decoded event, and the position of its delivery in the batch.
struct QueuedEvent {
    place: usize,
    attempt: u32,
    target: EventTarget,
    event: Value,
}

/// A decoded message of peerd's own, and the position of its delivery in the batch.
struct QueuedWork {
    place: usize,
    attempt: u32,
    work: Work,
}

enum Decoded {
    Event(QueuedEvent),
    Work(QueuedWork),
}

/// The state of a batch while it is processed.
struct Batch<'a> {
    deliveries: &'a [Delivery],
    requests: ReconcileRequests,
    /// The positions of sweeps.
    sweeps: BTreeSet<usize>,
    retry: BTreeSet<usize>,
}

impl Engine<'_> {
    /// Handles a batch and returns the ids of the deliveries that the queue must deliver again.
    ///
    /// No action starts after `deadline`; follow-up messages continue the work.
    pub async fn handle(&self, deliveries: &[Delivery], deadline: Timestamp) -> Vec<String> {
        let mut batch =
            Batch { deliveries, requests: BTreeMap::new(), sweeps: BTreeSet::new(), retry: BTreeSet::new() };
        let (mut events, mut works) = (Vec::new(), Vec::new());
        for (place, delivery) in deliveries.iter().enumerate() {
            match decode(place, delivery) {
                Some(Decoded::Event(event)) => events.push(event),
                Some(Decoded::Work(work)) => works.push(work),
                None => {}
            }
        }
        for work in works {
            let place = work.place;
            if let Err(error) = self.start(work, &mut batch).await {
                batch.retry_later(place, &error);
            }
        }
        if !events.is_empty() {
            self.assess_all(events, &mut batch).await;
        }
        self.reconcile_batch(&mut batch, deadline).await;
        batch.retry.into_iter().map(|place| deliveries[place].id.clone()).collect()
    }

    /// Reconciles the requested meshes. The messages of a mesh that failed are delivered again; instead of a sweep, only that
    /// mesh is requested again.
    async fn reconcile_batch(&self, batch: &mut Batch<'_>, deadline: Timestamp) {
        let requests = std::mem::take(&mut batch.requests);
        if requests.is_empty() {
            return;
        }
        let failed = match self.reconcile_meshes(&requests, !batch.sweeps.is_empty(), deadline).await {
            Ok(failed) => failed,
            Err(error) => {
                let places: BTreeSet<usize> =
                    requests.values().flat_map(|request| request.deliveries.clone()).collect();
                places.into_iter().for_each(|place| batch.retry_later(place, &error));
                return;
            }
        };
        for mesh in failed {
            let places = &requests[&mesh].deliveries;
            batch.retry.extend(places - &batch.sweeps);
            for sweep in places & &batch.sweeps {
                let work = Work::reconcile(mesh.clone(), BTreeSet::new(), true);
                if let Err(error) = self.queue.send(&Message::new(0, work), 0).await {
                    batch.retry_later(sweep, &error);
                }
            }
        }
    }

    /// Reads the resources of the events, and requests a reconcile of each mesh that they affect.
    async fn assess_all(&self, events: Vec<QueuedEvent>, batch: &mut Batch<'_>) {
        let targets: Vec<&EventTarget> = events.iter().map(|event| &event.target).collect();
        let mut reads = match self.read_vpcs(&targets).await {
            Ok(reads) => reads,
            Err(error) => {
                events.iter().for_each(|event| batch.retry_later(event.place, &error));
                return;
            }
        };
        for event in events {
            let place = event.place;
            if let Err(error) = self.assess_one(event, &mut reads, batch).await {
                batch.retry_later(place, &error);
            }
        }
    }

    async fn assess_one(
        &self,
        QueuedEvent { place, attempt, target, event }: QueuedEvent,
        reads: &mut BatchReads,
        batch: &mut Batch<'_>,
    ) -> Result<(), ScanError> {
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

    async fn start(
        &self,
        QueuedWork { place, attempt, work }: QueuedWork,
        batch: &mut Batch<'_>,
    ) -> Result<(), ScanError> {
        match work {
            Work::Sweep {} => {
                for mesh in self.begin_sweep().await? {
                    batch.request(mesh, place, attempt).everywhere = true;
                }
                batch.sweeps.insert(place);
                Ok(())
            }
            Work::ListOrganization {} => self.refresh_organization().await,
            Work::ScanAccount { account } => self.scan_and_enqueue(&account).await,
            Work::Reconcile { mesh, scopes, everywhere, delete_approval, requested_by } => {
                let request = batch.request(mesh, place, attempt);
                request.scopes.extend(scopes);
                request.everywhere |= everywhere;
                request.causes.extend(requested_by);
                request.delete_approval = request.delete_approval.max(delete_approval);
                Ok(())
            }
            Work::Publish { notification } => Ok(self.bus.publish(&[notification]).await?),
            Work::Event { .. } => Ok(()), // decoded as the event itself
        }
    }
}

impl Batch<'_> {
    /// Records that the queue must deliver a message again.
    fn retry_later(&mut self, place: usize, error: &dyn std::error::Error) {
        tracing::error!(delivery = self.deliveries[place].id, error = chain(error), "message not handled");
        self.retry.insert(place);
    }

    fn request(&mut self, mesh: MeshName, place: usize, attempt: u32) -> &mut ReconcileRequest {
        let request = self.requests.entry(mesh).or_default();
        request.deliveries.insert(place);
        request.attempt = Some(request.attempt.map_or(attempt, |least| least.min(attempt)));
        request
    }
}

/// Decodes a delivery. One that requests nothing is logged and dropped.
fn decode(place: usize, delivery: &Delivery) -> Option<Decoded> {
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
                return Some(Decoded::Work(QueuedWork { place, attempt, work }));
            }
            Err(why) => return dropped(&why),
        }
    } else {
        (0, body)
    };
    match event::target_of(&event) {
        Ok(target) => Some(Decoded::Event(QueuedEvent { place, attempt, target, event })),
        Err(ignored) => dropped(&ignored.0),
    }
}
