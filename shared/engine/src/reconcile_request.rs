//! The reconciles that a batch requests.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Cause, DeleteApproval, MeshName, PeeringId, Scope};

use crate::message::{Message, Work};

/// The reconcile of one mesh that a batch requests.
#[derive(Debug, Clone, Default)]
pub struct ReconcileRequest {
    /// The scopes to read, besides those of the members.
    pub scopes: BTreeSet<Scope>,
    /// Whether to read every known scope.
    pub everywhere: bool,
    /// How many peerings the run may delete.
    pub delete_approval: DeleteApproval,
    /// The lowest attempt of the messages: a new event restores the retry budget.
    pub attempt: Option<u32>,
    /// Whether an event requested it. Its reads may be stale, so a follow-up message verifies the mesh.
    pub verify: bool,
    /// The API calls that triggered it, as far as events reported them.
    pub causes: BTreeSet<Cause>,
    /// The positions of the requesting deliveries in the batch.
    pub deliveries: BTreeSet<usize>,
    /// The peerings that earlier runs of the batch have deleted: they count towards the delete limits.
    pub deleted: BTreeSet<PeeringId>,
}

impl ReconcileRequest {
    /// Adds the request of a message with this attempt.
    pub(crate) fn add(&mut self, attempt: u32, other: Self) {
        let Self { scopes, everywhere, delete_approval, attempt: _, verify, causes, deliveries, deleted } = other;
        self.scopes.extend(scopes);
        self.everywhere |= everywhere;
        self.delete_approval = self.delete_approval.max(delete_approval);
        self.attempt = Some(self.attempt.map_or(attempt, |least| least.min(attempt)));
        self.verify |= verify;
        self.causes.extend(causes);
        self.deliveries.extend(deliveries);
        self.deleted.extend(deleted);
    }

    /// Returns the request as a message.
    pub(crate) fn to_message(&self, mesh: &MeshName) -> Message {
        let Self { scopes, everywhere, delete_approval, attempt, verify, causes, .. } = self.clone();
        let work = Work::Reconcile { mesh: mesh.clone(), scopes, everywhere, delete_approval, verify, causes };
        Message::new(attempt.unwrap_or_default(), work)
    }

    /// Adds the requests of messages for this mesh.
    pub(crate) fn add_messages(&mut self, messages: Vec<Message>) {
        for message in messages {
            if let Work::Reconcile { mesh: _, scopes, everywhere, delete_approval, verify, causes } = message.work {
                let request = Self { scopes, everywhere, delete_approval, verify, causes, ..Self::default() };
                self.add(message.attempt, request);
            }
        }
    }
}

/// The reconciles that a batch requests, by mesh.
pub type ReconcileRequests = BTreeMap<MeshName, ReconcileRequest>;
