//! The event bus of the hub, and a subscriber of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::{FindingKind, MeshName};
use peerd_engine::{Bus, InfraError, Notification, NotificationKind};

use crate::transport::Transport;

/// An event bus in memory.
pub struct MemoryBus {
    transport: Arc<Transport>,
    heard: Mutex<Heard>,
}

/// The notifications that the subscriber received.
#[derive(Default)]
struct Heard {
    notifications: Vec<Notification>,
    /// The latest notification of each finding: its serial number, and whether the finding is open.
    findings: BTreeMap<(MeshName, FindingKind, String), (u64, bool)>,
}

impl MemoryBus {
    /// Creates a bus without notifications.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport, heard: Mutex::default() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the findings that are open according to the notifications.
    pub fn open_findings(&self) -> BTreeSet<(MeshName, FindingKind, String)> {
        let heard = self.heard();
        heard.findings.iter().filter(|(_, (_, open))| *open).map(|(finding, _)| finding.clone()).collect()
    }

    /// Returns the notifications since the previous call.
    pub fn take_notices(&self) -> Vec<Notification> {
        std::mem::take(&mut self.heard().notifications)
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, notifications: &[Notification]) -> Result<(), InfraError> {
        let publish = || {
            let mut heard = self.heard();
            for notification in notifications {
                let (finding, open) = match &notification.kind {
                    NotificationKind::Changed { .. } => (None, false),
                    NotificationKind::Opened(finding) => (Some(finding), true),
                    NotificationKind::Resolved(finding) => (Some(finding), false),
                };
                if let Some(finding) = finding {
                    let key = (notification.mesh.clone(), finding.kind, finding.subject.clone());
                    let latest = heard.findings.entry(key).or_default();
                    *latest = (*latest).max((notification.serial, open));
                }
                heard.notifications.push(notification.clone());
            }
            Ok(())
        };
        self.transport.call("PutEvents", None, publish).await
    }
}
