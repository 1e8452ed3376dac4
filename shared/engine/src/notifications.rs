//! Notifications on the hub's bus: what the deployment changed, and findings that open or are resolved.
//!
//! A run compares its findings with the findings record in the store, which also contains the unsent notifications. So
//! every notification is published at least once, even if a worker crashes. A late notification may arrive after a
//! newer one, so each has a serial number.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Deployment, Finding, FindingKind, MeshName, Rendered, Scope};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::message::{Message, Work};
use crate::outcome::{Outcome, Run};
use crate::ports::Timestamp;

/// The version of the notification format. Fields may be added within a version; no field changes its meaning.
const FORMAT: u8 = 1;
/// The maximum number of lines of one notification, so that it fits into an EventBridge event. Further lines are
/// counted.
const MAX_LINES: usize = 200;
/// The maximum number of findings of a mesh that are stored and published: a DynamoDB item holds at most 400 KB.
const MAX_FINDINGS: usize = 300;
/// Attempts to write the findings record while other workers write it.
const MAX_TRIES: usize = 8;
/// Seconds until a notification that the bus did not accept is published again.
const REPUBLISH_DELAY: u32 = 60;

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
    opened: BTreeMap<String, Timestamp>,
    /// The changes that a pause suppresses, one line each.
    #[serde(default)]
    pub suppressed: Vec<String>,
    /// The number of pairs in each state, as of the last run.
    #[serde(default)]
    pub pairs: BTreeMap<String, usize>,
    /// Notifications whose publication is not confirmed yet.
    pub unsent: Vec<Notification>,
}

impl MeshFindings {
    /// When a finding opened, if that is known. Its text may have changed since.
    pub fn open_since(&self, finding: &Finding) -> Option<Timestamp> {
        self.opened.get(&name(finding)).copied()
    }
}

/// The identity of a finding. Its text may change over time.
fn name(finding: &Finding) -> String {
    format!("{} {}", finding.kind(), finding.subject())
}

impl Engine<'_> {
    /// Publishes the changes and findings of a run, and writes the findings record. Returns whether everything was
    /// published. Call this before the mesh is removed from the index: no later run would publish the rest.
    ///
    /// # Errors
    /// When the store fails, or neither the bus nor the queue accepts the notification of the changes.
    pub(crate) async fn announce(&self, run: &Run) -> Result<bool, InfraError> {
        let changed = changed(run).map(|kind| self.notification(&run.mesh, self.clock.now(), kind));
        let findings_record = self.note_findings(run).await?;
        let notifications: Vec<Notification> = changed.iter().chain(&findings_record.unsent).cloned().collect();
        if notifications.is_empty() {
            return Ok(true);
        }
        if let Err(error) = self.bus.publish(&notifications).await {
            tracing::warn!(mesh = %run.mesh, error = chain(&error), "notifications not published yet");
            if let Some(notification) = changed {
                self.queue.send(&Message::new(0, Work::Publish { notification }), REPUBLISH_DELAY).await?;
            }
            return Ok(false); // the next run publishes the findings
        }
        if !findings_record.unsent.is_empty() {
            let published =
                MeshFindings { version: findings_record.version + 1, unsent: Vec::new(), ..findings_record.clone() };
            // A worker that has written the record since publishes the same notifications again.
            self.store.put_findings_record(&run.mesh, Some(findings_record.version), &published).await?;
        }
        Ok(true)
    }

    /// Writes the findings of a run and the notifications about them to the findings record.
    async fn note_findings(&self, run: &Run) -> Result<MeshFindings, InfraError> {
        for _ in 0..MAX_TRIES {
            let kept = self.store.findings_record(&run.mesh).await?;
            let version = kept.as_ref().map(|kept| kept.version);
            let before = kept.unwrap_or_default();
            let all = findings_now(run, &before.findings, &self.unasked_gaps(run, &before.findings).await?);
            let still: BTreeSet<_> = all.iter().map(name).collect();
            let (now, more) = cut(all, run);
            let suppressed: Vec<String> =
                run.report.suppressed.iter().take(MAX_LINES).map(ToString::to_string).collect();
            let pairs = run.report.pairs.clone();
            let had = (&before.findings, &before.more, &before.suppressed, &before.pairs);
            if (&now, &more, &suppressed, &pairs) == had {
                return Ok(before);
            }
            let serial = self.clock.now().max(before.version + 1);
            let were: BTreeSet<_> = before.findings.iter().map(name).collect();
            let rendered = |finding: &Finding| Rendered::new(finding, &self.settings.stack);
            let opened = now.iter().filter(|finding| !were.contains(&name(finding)));
            let opened = opened.map(|finding| NotificationKind::Opened(rendered(finding)));
            // A finding that still applies is not resolved, even if it is only counted from now on.
            let resolved = before.findings.iter().filter(|finding| !still.contains(&name(finding)));
            let resolved = resolved.map(|finding| NotificationKind::Resolved(rendered(finding)));
            let new = opened.chain(resolved).map(|kind| self.notification(&run.mesh, serial, kind));
            let since = |finding: &Finding| (name(finding), before.open_since(finding).unwrap_or(self.clock.now()));
            let (new, opened) = (new.collect(), now.iter().map(since).collect());
            let unsent = merge_unsent(before.unsent, new);
            let findings_record =
                MeshFindings { version: serial, findings: now, more, opened, suppressed, pairs, unsent };
            if self.store.put_findings_record(&run.mesh, version, &findings_record).await? {
                return Ok(findings_record);
            }
        }
        Err(InfraError::new(format!("concurrent workers keep changing the findings record of {}", run.mesh)))
    }

    /// The unreadable scopes of earlier findings that this run did not read and that the deployment still knows.
    async fn unasked_gaps(&self, run: &Run, before: &BTreeSet<Finding>) -> Result<BTreeSet<Scope>, InfraError> {
        let unread: BTreeSet<Scope> = before
            .iter()
            .filter_map(Finding::unreadable_scope)
            .filter(|scope| !run.read_scopes.contains(*scope))
            .cloned()
            .collect();
        if unread.is_empty() {
            return Ok(unread);
        }
        Ok(&unread & &self.observer().scopes().await?)
    }

    fn notification(&self, mesh: &MeshName, serial: u64, kind: NotificationKind) -> Notification {
        let deployment = self.settings.deployment.clone();
        Notification { version: FORMAT, serial, deployment, mesh: mesh.clone(), kind }
    }
}

/// The unsent notifications, of each finding only the latest.
fn merge_unsent(mut unsent: Vec<Notification>, new: Vec<Notification>) -> Vec<Notification> {
    let is_newer =
        |old: &Notification| new.iter().any(|new| new.kind.finding().map(name) == old.kind.finding().map(name));
    unsent.retain(|old| !is_newer(old));
    unsent.extend(new);
    unsent
}

/// The findings of a run, and the earlier ones about unreadable scopes that it did not read.
fn findings_now(run: &Run, before: &BTreeSet<Finding>, unasked: &BTreeSet<Scope>) -> BTreeSet<Finding> {
    let is_unasked = |old: &&Finding| old.unreadable_scope().is_some_and(|scope| unasked.contains(scope));
    run.report.findings.iter().chain(before.iter().filter(is_unasked)).cloned().collect()
}

/// The findings that can be stored, and the number of the others by kind.
fn cut(mut findings: BTreeSet<Finding>, run: &Run) -> (BTreeSet<Finding>, BTreeMap<FindingKind, usize>) {
    let mut more = BTreeMap::new();
    let found = findings.len();
    while findings.len() > MAX_FINDINGS {
        if let Some(least) = findings.pop_last() {
            *more.entry(least.kind()).or_default() += 1;
        }
    }
    if !more.is_empty() {
        tracing::warn!(mesh = %run.mesh, found, kept = MAX_FINDINGS, "too many findings to store; the log has all");
    }
    (findings, more)
}

fn changed(run: &Run) -> Option<NotificationKind> {
    let mut changes: Vec<String> = run.changes().map(ToString::to_string).collect();
    let more = changes.len().saturating_sub(MAX_LINES);
    changes.truncate(MAX_LINES);
    (!changes.is_empty()).then_some(NotificationKind::Changed { outcome: run.outcome, changes, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(kind: NotificationKind) -> Notification {
        let (deployment, mesh) = ("peerd".parse().unwrap(), "prod".parse().unwrap());
        Notification { version: FORMAT, serial: 1_795_000_000_000, deployment, mesh, kind }
    }

    fn finding(mesh: &str, error: &str) -> Rendered {
        let finding = Finding::UnreadablePolicy { mesh: mesh.parse().unwrap(), error: error.to_owned() };
        Rendered::new(&finding, "peerd")
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

    #[test]
    fn only_the_latest_unsent_notification_of_a_finding_is_kept() {
        let opened = |subject| notification(NotificationKind::Opened(finding(subject, "then")));
        let resolved = notification(NotificationKind::Resolved(finding("vpc-1", "now")));
        let unsent = merge_unsent(vec![opened("vpc-1"), opened("vpc-2")], vec![resolved.clone()]);
        assert_eq!(unsent, [opened("vpc-2"), resolved]);
    }
}
