//! Notifications on the hub's bus, and the findings record of a mesh in the store.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Deployment, Finding, FindingKind, MeshName, Rendered, Timestamp, VpcRef};
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// The version of the notification format. Fields may be added within a version; no field changes its meaning.
const FORMAT: u8 = 1;

/// One notification (docs/events.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    version: u8,
    /// Increases with each notification: of two about the same finding, the one with the greater number is current.
    pub serial: u64,
    /// The deployment that publishes it.
    pub deployment: Deployment,
    /// The mesh that it is about.
    pub mesh: MeshName,
    /// The content.
    #[serde(flatten)]
    pub kind: NotificationKind,
}

/// Kinds of notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// A run changed something other than status tags.
    Changed {
        /// The outcome of the run.
        outcome: Outcome,
        /// The changes, one line each.
        changes: Vec<String>,
        /// The number of changes beyond these.
        more: usize,
    },
    /// A finding is new.
    Opened(Rendered),
    /// A finding no longer applies.
    Resolved(Rendered),
}

impl NotificationKind {
    /// The finding that it is about.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Changed { .. } => None,
            Self::Opened(finding) | Self::Resolved(finding) => Some(&finding.data),
        }
    }
}

impl Notification {
    /// Returns a notification in the current format.
    pub(crate) fn new(deployment: Deployment, mesh: MeshName, serial: u64, kind: NotificationKind) -> Self {
        Self { version: FORMAT, serial, deployment, mesh, kind }
    }

    /// The event's `detail-type`.
    pub fn detail_type(&self) -> &'static str {
        match self.kind {
            NotificationKind::Changed { .. } => "peerd Mesh Changed",
            NotificationKind::Opened(_) => "peerd Finding Opened",
            NotificationKind::Resolved(_) => "peerd Finding Resolved",
        }
    }
}

/// The findings record of a mesh: its open findings and the unsent notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshFindings {
    /// Increases with every write, so that one of two concurrent writers fails.
    pub version: u64,
    /// The open findings, most severe first. If there are too many to store, the least severe are only counted.
    pub findings: BTreeSet<Finding>,
    /// The number of open findings beyond these, by kind.
    #[serde(default)]
    pub more: BTreeMap<FindingKind, usize>,
    /// When each finding opened, by kind and subject.
    #[serde(default)]
    pub(crate) opened: BTreeMap<String, Timestamp>,
    /// The changes that a pause suppresses, one line each.
    #[serde(default)]
    pub suppressed: Vec<String>,
    /// The number of pairs in each state, as of the last run.
    #[serde(default)]
    pub pairs: BTreeMap<String, usize>,
    /// The members that are not connected with all of their peers, as of the last run.
    #[serde(default)]
    pub waiting: BTreeSet<VpcRef>,
    /// Notifications whose publication is not confirmed yet.
    pub unsent: Vec<Notification>,
}

impl MeshFindings {
    /// When a finding opened, if that is known. Its text may have changed since.
    pub fn open_since(&self, finding: &Finding) -> Option<Timestamp> {
        self.opened.get(&identity(finding)).copied()
    }
}

/// The identity of a finding. Its text may change over time.
pub(crate) fn identity(finding: &Finding) -> String {
    format!("{} {}", finding.kind(), finding.subject())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn notification(kind: NotificationKind) -> Notification {
        let (deployment, mesh) = ("peerd".parse().unwrap(), "prod".parse().unwrap());
        Notification::new(deployment, mesh, 1_795_000_000_000, kind)
    }

    pub(crate) fn finding(mesh: &str, error: &str) -> Rendered {
        let finding = Finding::UnreadablePolicy { mesh: mesh.parse().unwrap(), error: error.to_owned() };
        Rendered::new(&finding, &peerd_core::Operator::default())
    }

    #[test]
    fn notifications_have_the_documented_format() {
        let changes = vec!["+ peering a - b for prod".to_owned()];
        let changed = notification(NotificationKind::Changed { outcome: Outcome::Applied, changes, more: 0 });
        let found = || finding("prod", "policy field `topology`: unknown variant `ring`");
        let notifications = [
            changed,
            notification(NotificationKind::Opened(found())),
            notification(NotificationKind::Resolved(found())),
        ];
        let types = notifications.each_ref().map(Notification::detail_type);
        assert_eq!(types, ["peerd Mesh Changed", "peerd Finding Opened", "peerd Finding Resolved"]);
        let documented = include_str!("../../../docs/events.md");
        for notification in notifications {
            let text = serde_json::to_string(&notification).unwrap();
            assert!(documented.contains(&text), "{text} is not in docs/events.md");
            assert!(documented.contains(&format!("`{}`", notification.detail_type())));
            assert_eq!(serde_json::from_str::<Notification>(&text).unwrap(), notification);
        }
    }
}
