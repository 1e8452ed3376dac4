//! The reconciles that a batch requests.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Cause, DeleteApproval, MeshName, Scope};

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
}

impl ReconcileRequest {
    /// Adds another request for the same mesh.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { scopes, everywhere, delete_approval, attempt, verify, causes, deliveries } = other;
        self.scopes.extend(scopes);
        self.everywhere |= everywhere;
        self.delete_approval = self.delete_approval.max(delete_approval);
        self.attempt = [self.attempt, attempt].into_iter().flatten().min();
        self.verify |= verify;
        self.causes.extend(causes);
        self.deliveries.extend(deliveries);
    }

    /// Adds the request of a message for the same mesh; other messages request nothing.
    pub(crate) fn add_message(&mut self, message: Message) {
        if let Work::Reconcile { mesh: _, scopes, everywhere, delete_approval, verify, causes } = message.work {
            let attempt = Some(message.attempt);
            self.add(Self { scopes, everywhere, delete_approval, attempt, verify, causes, ..Self::default() });
        }
    }

    /// Returns the request as a message.
    pub fn to_message(&self, mesh: &MeshName) -> Message {
        let Self { scopes, everywhere, delete_approval, attempt, verify, causes, deliveries: _ } = self.clone();
        let work = Work::Reconcile { mesh: mesh.clone(), scopes, everywhere, delete_approval, verify, causes };
        Message::new(attempt.unwrap_or_default(), work)
    }
}

/// The reconciles that a batch requests, by mesh.
pub type ReconcileRequests = BTreeMap<MeshName, ReconcileRequest>;
