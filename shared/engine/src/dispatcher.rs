//! Handles a batch of messages: decodes each, and reconciles the affected meshes together.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::{MeshName, PeeringId, Timestamp, VpcRef};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::event;
use crate::event_impact::EventImpact;
use crate::event_target::EventTarget;
use crate::follow_up::delay;
use crate::lease::{Ended, Leases, Taken};
use crate::membership_index::ScanError;
use crate::message::{Message, Work};
use crate::reconcile::Reconciled;
use crate::reconcile_request::{ReconcileRequest, ReconcileRequests};

/// Stale reads of one event before peerd accepts the read, over 15 seconds: a later change may have superseded the
/// event.
const MAX_STALE_READS: u32 = 4;

/// The number of VPCs whose events are handled concurrently.
const CONCURRENCY: usize = 32;

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

impl QueuedEvent {
    fn has_retries_left(&self) -> bool {
        self.attempt < MAX_STALE_READS
    }
}

/// The events of each VPC in their order; an event without a VPC is on its own.
fn by_vpc(events: Vec<QueuedEvent>) -> Vec<Vec<QueuedEvent>> {
    let (mut by_vpc, mut others) = (BTreeMap::<VpcRef, Vec<QueuedEvent>>::new(), Vec::new());
    for event in events {
        match event.target.vpcs.keys().next().cloned() {
            Some(vpc) => by_vpc.entry(vpc).or_default().push(event),
            None => others.push(vec![event]),
        }
    }
    others.extend(by_vpc.into_values());
    others
}

enum Decoded {
    Event(QueuedEvent),
    Work(QueuedWork),
}

/// The result of one round of reconciles.
struct Round {
    /// The meshes that have to be requested again and could not be.
    unsent: BTreeSet<MeshName>,
    /// The peerings that were deleted.
    deleted: BTreeSet<PeeringId>,
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

    /// Reconciles the requested meshes whose leases are free, until no worker has left a request with them any more.
    async fn reconcile_batch(&self, batch: &mut Batch<'_>, deadline: Timestamp) {
        let Taken { mut leases, mut requests, failed } = self.take_leases(std::mem::take(&mut batch.requests)).await;
        for (places, error) in failed {
            places.into_iter().for_each(|place| batch.retry_later(place, &error));
        }
        let deliveries: BTreeMap<MeshName, BTreeSet<usize>> =
            requests.iter().map(|(mesh, request)| (mesh.clone(), request.deliveries.clone())).collect();
        while !requests.is_empty() {
            let unsent = if self.clock.now() < deadline {
                let Round { unsent, deleted } = self.reconcile_round(&requests, &leases, batch, deadline).await;
                leases.deleted.extend(deleted);
                unsent
            } else {
                self.send_all(requests.iter()).await
            };
            // The messages of a mesh whose lease does not end are delivered again, and lead to what other workers left with it.
            let Ended { more, kept } = leases.end(unsent).await;
            batch.retry.extend(kept.iter().filter_map(|mesh| deliveries.get(mesh)).flatten());
            requests = more;
        }
    }

    /// Reconciles meshes. The messages of a mesh that failed are delivered again. If others were reconciled, only that mesh is
    /// requested again instead of a sweep, and always instead of what other workers left.
    async fn reconcile_round(
        &self,
        requests: &ReconcileRequests,
        leases: &Leases<'_>,
        batch: &mut Batch<'_>,
        deadline: Timestamp,
    ) -> Round {
        let (Reconciled { failed, deleted }, sweeps) = match self.reconcile_meshes(requests, leases, deadline).await {
            Ok(reconciled) => (reconciled, batch.sweeps.clone()),
            Err(error) => {
                tracing::error!(error = chain(&error), "meshes not reconciled");
                let failed = requests.keys().cloned().collect();
                (Reconciled { failed, deleted: BTreeSet::new() }, BTreeSet::new())
            }
        };
        let failed: Vec<_> = requests.iter().filter(|(mesh, _)| failed.contains(*mesh)).collect();
        for (_, request) in &failed {
            batch.retry.extend(&request.deliveries - &sweeps);
        }
        let is_more = |(mesh, request): &(&MeshName, &ReconcileRequest)| {
            leases.has_requests(mesh) || !request.deliveries.is_disjoint(&sweeps)
        };
        let unsent = self.send_all(failed.into_iter().filter(is_more)).await;
        Round { unsent, deleted }
    }

    /// Sends requests as messages of their own, and returns the meshes for which that failed.
    async fn send_all<'r>(
        &self,
        requests: impl Iterator<Item = (&'r MeshName, &'r ReconcileRequest)>,
    ) -> BTreeSet<MeshName> {
        let mut unsent = BTreeSet::new();
        for (mesh, request) in requests {
            if let Err(error) = self.queue.send(&request.to_message(mesh), delay(1)).await {
                tracing::error!(%mesh, error = chain(&error), "mesh not requested again");
                unsent.insert(mesh.clone());
            }
        }
        unsent
    }

    /// Reads the resources of the events, and requests a reconcile of each mesh that they affect. The events of one VPC are
    /// handled in their order, and those of different VPCs concurrently.
    async fn assess_all(&self, events: Vec<QueuedEvent>, batch: &mut Batch<'_>) {
        let targets: Vec<&EventTarget> = events.iter().map(|event| &event.target).collect();
        let reads = match self.read_vpcs(&targets).await {
            Ok(reads) => reads,
            Err(error) => {
                events.iter().for_each(|event| batch.retry_later(event.place, &error));
                return;
            }
        };
        let reads = &reads;
        let assess = |events: Vec<QueuedEvent>| async move {
            let mut impacts = Vec::new();
            for event in events {
                let impact = self.assess(&event.target, event.has_retries_left(), reads).await;
                impacts.push((event, impact));
            }
            impacts
        };
        let chains = by_vpc(events).into_iter().map(assess);
        let impacts: Vec<_> = stream::iter(chains).buffer_unordered(CONCURRENCY).collect().await;
        for (event, impact) in impacts.into_iter().flatten() {
            let place = event.place;
            let noted = match impact {
                Ok(impact) => self.note(event, impact, batch).await.map_err(ScanError::from),
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                batch.retry_later(place, &error);
            }
        }
    }

    /// Requests a reconcile of the meshes that an event affects, and sends the event again if its reads were stale.
    async fn note(&self, event: QueuedEvent, impact: EventImpact, batch: &mut Batch<'_>) -> Result<(), InfraError> {
        let goes_on = impact.stale && event.has_retries_left();
        let QueuedEvent { place, attempt, target, event } = event;
        for (mesh, scopes) in impact.meshes {
            let request = batch.request(mesh, place, attempt);
            request.verify = true;
            request.scopes.extend(scopes);
            request.causes.extend(target.causes.iter().cloned());
        }
        if goes_on {
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
            Work::Reconcile { ref mesh, .. } => {
                batch.request(mesh.clone(), place, attempt).add_message(Message::new(attempt, work));
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
        let (attempt, deliveries) = (Some(attempt), [place].into());
        request.add(ReconcileRequest { attempt, deliveries, ..ReconcileRequest::default() });
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
