//! Publishes what the deployment changed, and findings that open or are resolved.
//!
//! A run compares its findings with the findings record in the store, which also contains the unsent notifications. So
//! every notification is published at least once, even if a worker crashes. A late notification may arrive after a
//! newer one, so each has a serial number.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::operator::Operator;
use peerd_core::{Finding, FindingKind, MeshName, Rendered, Scope};

use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::message::{Message, Work};
use crate::notification::{MeshFindings, Notification, NotificationKind, identity};
use crate::outcome::Run;

/// The maximum number of lines of one notification, so that it fits into an EventBridge event. Further lines are
/// counted.
const MAX_LINES: usize = 200;
/// The maximum number of findings of a mesh that are stored and published.
const MAX_FINDINGS: usize = 300;
/// The maximum size of these findings, and of the notifications that open them, in bytes. A DynamoDB item holds at most 400 KB:
/// besides these, it has the notifications that resolve as many earlier findings, and the suppressed changes.
const MAX_BYTES: usize = 130_000;
/// Attempts to write the findings record while other workers write it.
const MAX_TRIES: usize = 8;
/// Seconds until a notification that the bus did not accept is published again.
const REPUBLISH_DELAY: u32 = 60;

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
            let still: BTreeSet<_> = all.iter().map(identity).collect();
            let (now, more) = cut(all, &self.settings.operator);
            if !more.is_empty() {
                tracing::warn!(mesh = %run.mesh, kept = now.len(), "too many findings to store; the log has all");
            }
            let suppressed: Vec<String> =
                run.report.suppressed.iter().take(MAX_LINES).map(ToString::to_string).collect();
            let (pairs, waiting) = (run.report.pairs.clone(), run.report.waiting.clone());
            let had = (&before.findings, &before.more, &before.suppressed, &before.pairs, &before.waiting);
            if (&now, &more, &suppressed, &pairs, &waiting) == had {
                return Ok(before);
            }
            let serial = self.clock.now().max(before.version + 1);
            let were: BTreeSet<_> = before.findings.iter().map(identity).collect();
            let rendered = |finding: &Finding| Rendered::new(finding, &self.settings.operator);
            let opened = now.iter().filter(|finding| !were.contains(&identity(finding)));
            let opened = opened.map(|finding| NotificationKind::Opened(rendered(finding)));
            // A finding that still applies is not resolved, even if it is only counted from now on.
            let resolved = before.findings.iter().filter(|finding| !still.contains(&identity(finding)));
            let resolved = resolved.map(|finding| NotificationKind::Resolved(rendered(finding)));
            let new = opened.chain(resolved).map(|kind| self.notification(&run.mesh, serial, kind));
            let since = |finding: &Finding| (identity(finding), before.open_since(finding).unwrap_or(self.clock.now()));
            let (new, opened) = (new.collect(), now.iter().map(since).collect());
            let unsent = merge_unsent(before.unsent, new);
            let findings_record =
                MeshFindings { version: serial, findings: now, more, opened, suppressed, pairs, waiting, unsent };
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
        Notification::new(self.settings.deployment.clone(), mesh.clone(), serial, kind)
    }
}

/// The unsent notifications, of each finding only the latest.
fn merge_unsent(mut unsent: Vec<Notification>, new: Vec<Notification>) -> Vec<Notification> {
    let is_newer =
        |old: &Notification| new.iter().any(|new| new.kind.finding().map(identity) == old.kind.finding().map(identity));
    unsent.retain(|old| !is_newer(old));
    unsent.extend(new);
    unsent
}

/// The findings of a run, and the earlier ones about unreadable scopes that it did not read.
fn findings_now(run: &Run, before: &BTreeSet<Finding>, unasked: &BTreeSet<Scope>) -> BTreeSet<Finding> {
    let is_unasked = |old: &&Finding| old.unreadable_scope().is_some_and(|scope| unasked.contains(scope));
    run.report.findings.iter().chain(before.iter().filter(is_unasked)).cloned().collect()
}

/// The findings that can be stored, most severe first, and the number of the others by kind.
fn cut(findings: BTreeSet<Finding>, operator: &Operator) -> (BTreeSet<Finding>, BTreeMap<FindingKind, usize>) {
    let (mut kept, mut more) = (BTreeSet::new(), BTreeMap::new());
    let mut bytes = 0;
    for finding in findings {
        let may_fit = more.is_empty() && kept.len() < MAX_FINDINGS;
        bytes += if may_fit { stored_bytes(&finding, operator) } else { 0 };
        if may_fit && bytes <= MAX_BYTES {
            kept.insert(finding);
        } else {
            *more.entry(finding.kind()).or_default() += 1;
        }
    }
    (kept, more)
}

/// About how many bytes of the item a finding needs: itself, its identity and time, and the notification that opens it.
fn stored_bytes(finding: &Finding, operator: &Operator) -> usize {
    let json = |value: serde_json::Result<String>| value.map_or(MAX_BYTES, |text| text.len());
    let envelope = 200 + 2 * identity(finding).len();
    envelope + json(serde_json::to_string(finding)) + json(serde_json::to_string(&Rendered::new(finding, operator)))
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
    use crate::notification::tests::{finding, notification};

    #[test]
    fn findings_with_long_texts_are_cut_before_they_exceed_an_item_and_the_severe_ones_are_kept() {
        use peerd_core::{Expected, Severity};
        let long = |n: usize| {
            let word = format!("{n}{}", "\u{88fd}".repeat(60));
            Finding::invalid_tag(format!("sg-{n}"), "peerd:ports", word, Expected::Ports)
        };
        let severe = Finding::UnreadablePolicy { mesh: "prod".parse().unwrap(), error: "x".repeat(2000) };
        let all: BTreeSet<Finding> = (0..400).map(long).chain([severe.clone()]).collect();
        let (kept, more) = cut(all, &Operator::default());
        assert_eq!(severe.severity(), Severity::Error);
        assert!(kept.contains(&severe) && kept.len() > 50, "{}", kept.len());
        assert_eq!(kept.len() + more.values().sum::<usize>(), 401);
        let opened = kept.iter().map(|f| (identity(f), 1_795_000_000_000)).collect();
        let both = |finding: &Finding| {
            let rendered = Rendered::new(finding, &Operator::default());
            [NotificationKind::Opened(rendered.clone()), NotificationKind::Resolved(rendered)].map(notification)
        };
        let unsent = kept.iter().flat_map(both).collect();
        let record = MeshFindings { findings: kept, more, opened, unsent, ..MeshFindings::default() };
        assert!(serde_json::to_string(&record).unwrap().len() < 350_000);
    }

    #[test]
    fn only_the_latest_unsent_notification_of_a_finding_is_kept() {
        let opened = |subject| notification(NotificationKind::Opened(finding(subject, "then")));
        let resolved = notification(NotificationKind::Resolved(finding("vpc-1", "now")));
        let unsent = merge_unsent(vec![opened("vpc-1"), opened("vpc-2")], vec![resolved.clone()]);
        assert_eq!(unsent, [opened("vpc-2"), resolved]);
    }
}
