//! Single flight: at most one worker reconciles a mesh at a time. A worker that finds a mesh taken leaves its request with the
//! one that holds the lease, which reconciles the mesh again before it ends.
//!
//! No safety rule depends on it: a lease can lapse while its holder works, and two workers then do the same work. If the holder
//! crashes, the queue delivers its messages again, and the worker that gets them also gets the requests that were left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, stream};
use peerd_core::{MeshName, PeeringId, Timestamp};

use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::message::Message;
use crate::ports::Lease;
use crate::reconcile_request::{ReconcileRequest, ReconcileRequests};

/// How long a lease lasts without being renewed, in milliseconds: longer than a worker is busy between two renewals, short enough
/// that a crash delays a mesh only a little.
const LEASE_MS: Timestamp = 60_000;
/// The time after which a worker renews its leases, in milliseconds.
const RENEWAL_MS: Timestamp = 20_000;
/// Attempts to take a lease or to leave a request with its holder, while the lease changes hands.
const MAX_TRIES: usize = 4;
/// The delay of a request that could neither be left with a worker nor be handled, in seconds.
const CONTENDED_DELAY: u32 = 5;
/// The number of leases that are taken or ended concurrently.
const CONCURRENCY: usize = 32;

/// The leases that a batch holds.
pub(crate) struct Leases<'a> {
    engine: &'a Engine<'a>,
    /// The meshes, each with the number of requests that were left with the lease and that this batch handles.
    held: BTreeMap<MeshName, usize>,
    /// The peerings that earlier runs of the batch have deleted: they count towards the delete limits.
    pub deleted: BTreeSet<PeeringId>,
    renew_at: AtomicU64,
}

/// The requests of a batch after it has taken the leases of their meshes.
pub(crate) struct Taken<'a> {
    /// The leases.
    pub leases: Leases<'a>,
    /// The requests of the meshes whose leases were taken, with those that were left with earlier holders.
    pub requests: ReconcileRequests,
    /// The deliveries of each mesh whose lease could neither be taken nor found taken, and why.
    pub failed: Vec<(BTreeSet<usize>, InfraError)>,
}

/// What is left after the leases of a batch have ended.
pub(crate) struct Ended {
    /// The requests that other workers have left in the meantime. The leases of their meshes have not ended.
    pub more: ReconcileRequests,
    /// The meshes whose leases were not ended. They lapse, and the worker that takes them next gets the requests that were left.
    pub kept: BTreeSet<MeshName>,
}

impl Engine<'_> {
    fn lease(&self, mesh: &MeshName) -> Lease {
        let now = self.clock.now();
        Lease { mesh: mesh.clone(), holder: self.worker.to_owned(), now, until: now + LEASE_MS }
    }

    /// Takes the leases of the requested meshes. The request of a mesh that another worker holds is left with that worker.
    pub(crate) async fn take_leases(&self, requests: ReconcileRequests) -> Taken<'_> {
        let leases = Leases { renew_at: AtomicU64::new(self.clock.now() + RENEWAL_MS), ..Leases::none(self) };
        let mut taken = Taken { leases, requests: BTreeMap::new(), failed: Vec::new() };
        let takes = requests.into_iter().map(|(mesh, request)| async move {
            let left = self.take_or_leave(&mesh, &request).await;
            (mesh, request, left)
        });
        let takes: Vec<_> = stream::iter(takes).buffer_unordered(CONCURRENCY).collect().await;
        for (mesh, mut request, left) in takes {
            match left {
                Ok(Some(left)) => {
                    taken.leases.held.insert(mesh.clone(), left.len());
                    left.into_iter().for_each(|message| request.add_message(message));
                    taken.requests.insert(mesh, request);
                }
                Ok(None) => tracing::info!(%mesh, "another worker reconciles the mesh, and does so again"),
                Err(error) => taken.failed.push((request.deliveries, error)),
            }
        }
        taken
    }

    /// Takes the lease of a mesh and returns the requests that were left with it; none if the request was left with another
    /// worker.
    async fn take_or_leave(
        &self,
        mesh: &MeshName,
        request: &ReconcileRequest,
    ) -> Result<Option<Vec<Message>>, InfraError> {
        let message = request.to_message(mesh);
        for _ in 0..MAX_TRIES {
            let lease = self.lease(mesh);
            if let Some(left) = self.store.take_lease(&lease).await? {
                return Ok(Some(left));
            }
            if self.store.leave_request(&lease, &message).await? {
                return Ok(None);
            }
        }
        self.queue.send(&message, CONTENDED_DELAY).await?;
        Ok(None)
    }
}

impl Leases<'_> {
    /// Leases of no mesh, for runs outside of a batch.
    pub(crate) fn none<'a>(engine: &'a Engine<'a>) -> Leases<'a> {
        let (held, deleted) = (BTreeMap::new(), BTreeSet::new());
        Leases { engine, held, deleted, renew_at: AtomicU64::new(Timestamp::MAX) }
    }

    /// Whether the batch handles requests that other workers left with the lease of a mesh.
    pub(crate) fn has_requests(&self, mesh: &MeshName) -> bool {
        self.held.get(mesh).is_some_and(|handled| *handled > 0)
    }

    /// Renews the leases if it is time. A worker calls it whenever it has finished something.
    pub(crate) async fn keep_alive(&self) {
        let now = self.engine.clock.now();
        let renew_at = self.renew_at.load(Ordering::Relaxed);
        let is_due = now >= renew_at
            && self.renew_at.compare_exchange(renew_at, now + RENEWAL_MS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_due {
            return;
        }
        let renewals = self.held.keys().cloned().map(|mesh| async move {
            if let Err(error) = self.engine.store.take_lease(&self.engine.lease(&mesh)).await {
                tracing::warn!(%mesh, error = chain(&error), "lease not renewed");
            }
        });
        stream::iter(renewals).buffer_unordered(CONCURRENCY).collect::<Vec<()>>().await;
    }

    /// Ends the leases, except those of `unsent` meshes.
    pub(crate) async fn end(&mut self, unsent: BTreeSet<MeshName>) -> Ended {
        let engine = self.engine;
        let mut ended = Ended { more: BTreeMap::new(), kept: unsent };
        self.held.retain(|mesh, _| !ended.kept.contains(mesh));
        let ends = std::mem::take(&mut self.held).into_iter().map(|(mesh, handled)| async move {
            let left = engine.end_or_continue(&mesh, handled).await;
            (mesh, handled, left)
        });
        let ends: Vec<_> = stream::iter(ends).buffer_unordered(CONCURRENCY).collect().await;
        for (mesh, handled, left) in ends {
            match left {
                Ok(left) if left.is_empty() => {}
                Ok(left) => {
                    self.held.insert(mesh.clone(), handled + left.len());
                    let request = ended.more.entry(mesh).or_default();
                    left.into_iter().for_each(|message| request.add_message(message));
                }
                Err(error) => {
                    tracing::warn!(%mesh, error = chain(&error), "lease not ended");
                    ended.kept.insert(mesh);
                }
            }
        }
        ended
    }
}

impl Engine<'_> {
    /// Ends the lease of a mesh, unless more requests were left with it than were handled. Returns those.
    async fn end_or_continue(&self, mesh: &MeshName, handled: usize) -> Result<Vec<Message>, InfraError> {
        for _ in 0..MAX_TRIES {
            let lease = self.lease(mesh);
            if self.store.end_lease(&lease, handled).await? {
                break;
            }
            match self.store.take_lease(&lease).await? {
                None => break, // it has lapsed, and another worker has taken it
                Some(mut left) if left.len() > handled => return Ok(left.split_off(handled)),
                Some(_) => {}
            }
        }
        Ok(Vec::new())
    }
}
