//! The engine and its ports. [`Engine::reconcile`] makes the changes in AWS; the [`Observer`] only reads.

use crate::observer::Observer;
use crate::ports::{Bus, Clock, Cloud, OrganizationsClient, Queue, Store};
use crate::settings::Settings;

/// The reconcile loop and its ports.
pub struct Engine<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The client of AWS Organizations.
    pub organizations: &'a dyn OrganizationsClient,
    /// The store.
    pub store: &'a dyn Store,
    /// The queue for follow-up messages.
    pub queue: &'a dyn Queue,
    /// The event bus for notifications of changes and findings.
    pub bus: &'a dyn Bus,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The configuration of the deployment.
    pub settings: &'a Settings,
    /// The name of this worker in claims. Concurrent workers have different names.
    pub worker: &'a str,
}

impl Engine<'_> {
    /// Returns the part of the engine that only reads.
    pub fn observer(&self) -> Observer<'_> {
        Observer { cloud: self.cloud, store: self.store, clock: self.clock, settings: self.settings }
    }
}
