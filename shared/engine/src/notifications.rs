//! What the deployment tells whoever listens on the hub's bus: what it changed, and findings that open or are resolved.
//!
//! Findings are compared with those of the runs before, which the store keeps together with what is still to be told of
//! them. So a notice is told at least once, whoever dies; and since late ones may come after newer ones, each has a serial
//! number.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{Deployment, Finding, FindingKind, MeshName, Rendered, Scope};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{InfraError, chain};
use crate::message::{Message, Work};
use crate::outcome::{Outcome, Run};
use crate::ports::Timestamp;

/// The version of the notices' form. A field may be added to a version; none changes its meaning.
const FORMAT: u8 = 1;
/// Lines of one notice: what does not fit into an event of EventBridge is counted.
const MOST_LINES: usize = 200;
/// Findings of a mesh that are kept and told: an item of DynamoDB holds 400 KB.
const MOST_FINDINGS: usize = 300;
/// Times to write what was found while others write it too.
const MOST_TRIES: usize = 8;
/// Seconds until what the bus did not take is tried again.
const TELL_AGAIN: u32 = 60;

/// One thing to tell (docs/events.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    version: u8,
    /// Rises from notice to notice: of two about the same finding, the one with the greater number is right.
    pub serial: u64,
    /// Which deployment tells.
    pub deployment: Deployment,
    /// Of which mesh.
    pub mesh: MeshName,
    /// What.
    #[serde(flatten)]
    pub news: NotificationKind,
}

/// Kinds of notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// A run changed peerings or routes.
    Changed {
        /// How it ended.
        outcome: Outcome,
        /// What was done, one line each.
        changes: Vec<String>,
        /// Changes for which there is no room here.
        more: usize,
    },
    /// There is something that the operator should know.
    Opened(Rendered),
    /// A finding is the case no more.
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
        match self.news {
            NotificationKind::Changed { .. } => "peerd Mesh Changed",
            NotificationKind::Opened(_) => "peerd Finding Opened",
            NotificationKind::Resolved(_) => "peerd Finding Resolved",
        }
    }
}

/// What is known of a mesh's findings, and what is still to be told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshFindings {
    /// Grows with every write, so that of two workers who write at once one notices.
    pub version: u64,
    /// What is open, the most severe first; of more than can be kept, the least severe are only counted.
    pub findings: BTreeSet<Finding>,
    /// How many more are open, by kind.
    #[serde(default)]
    pub more: BTreeMap<FindingKind, usize>,
    /// Since when, by kind and subject.
    #[serde(default)]
    opened: BTreeMap<String, Timestamp>,
    /// What a pause withholds, one line each.
    #[serde(default)]
    pub withheld: Vec<String>,
    /// How many of its pairs are in which state, as of the last run.
    #[serde(default)]
    pub pairs: BTreeMap<String, usize>,
    /// What was not told yet, or by somebody who may have died of it.
    pub untold: Vec<Notification>,
}

impl MeshFindings {
    /// Since when a finding is open, whatever its text was at first, if that is known.
    pub fn open_since(&self, finding: &Finding) -> Option<Timestamp> {
        self.opened.get(&name(finding)).copied()
    }
}

/// What makes two findings the same: a text may tell more of it as time goes by.
fn name(finding: &Finding) -> String {
    format!("{} {}", finding.kind(), finding.subject())
}

impl Engine<'_> {
    /// Tells what a run changed and found, keeps what it found, and answers whether all was told. To be called before a mesh
    /// is forgotten: nobody would come back to tell.
    ///
    /// # Errors
    /// When the store fails, or neither the bus nor the queue takes what was changed.
    pub(crate) async fn announce(&self, run: &Run) -> Result<bool, InfraError> {
        let changed = changed(run).map(|news| self.notice(&run.mesh, self.clock.now(), news));
        let tidings = self.note_findings(run).await?;
        let notices: Vec<Notification> = changed.iter().chain(&tidings.untold).cloned().collect();
        if notices.is_empty() {
            return Ok(true);
        }
        if let Err(error) = self.bus.publish(&notices).await {
            tracing::warn!(mesh = %run.mesh, error = chain(&error), "not told yet");
            if let Some(notice) = changed {
                self.queue.send(&Message::new(0, Work::Tell { notice }), TELL_AGAIN).await?;
            }
            return Ok(false); // findings are told by the next run
        }
        if !tidings.untold.is_empty() {
            let told = MeshFindings { version: tidings.version + 1, untold: Vec::new(), ..tidings.clone() };
            // Somebody who has written since will tell again what was told here.
            self.store.keep_tidings(&run.mesh, Some(tidings.version), &told).await?;
        }
        Ok(true)
    }

    /// Keeps what a run found, with what is to be told of it.
    async fn note_findings(&self, run: &Run) -> Result<MeshFindings, InfraError> {
        for _ in 0..MOST_TRIES {
            let kept = self.store.tidings(&run.mesh).await?;
            let version = kept.as_ref().map(|kept| kept.version);
            let before = kept.unwrap_or_default();
            let all = findings_now(run, &before.findings, &self.unasked_gaps(run, &before.findings).await?);
            let still: BTreeSet<_> = all.iter().map(name).collect();
            let (now, more) = cut(all, run);
            let withheld: Vec<String> = run.report.withheld.iter().take(MOST_LINES).map(ToString::to_string).collect();
            let pairs = run.report.pairs.clone();
            let had = (&before.findings, &before.more, &before.withheld, &before.pairs);
            if (&now, &more, &withheld, &pairs) == had {
                return Ok(before);
            }
            let serial = self.clock.now().max(before.version + 1);
            let were: BTreeSet<_> = before.findings.iter().map(name).collect();
            let rendered = |finding: &Finding| Rendered::new(finding, &self.settings.stack);
            let opened = now.iter().filter(|finding| !were.contains(&name(finding)));
            let opened = opened.map(|finding| NotificationKind::Opened(rendered(finding)));
            // What is still the case is not resolved, also if it is only counted from now on.
            let resolved = before.findings.iter().filter(|finding| !still.contains(&name(finding)));
            let resolved = resolved.map(|finding| NotificationKind::Resolved(rendered(finding)));
            let new = opened.chain(resolved).map(|news| self.notice(&run.mesh, serial, news));
            let since = |finding: &Finding| (name(finding), before.open_since(finding).unwrap_or(self.clock.now()));
            let (new, opened) = (new.collect(), now.iter().map(since).collect());
            let untold = with_news(before.untold, new);
            let tidings = MeshFindings { version: serial, findings: now, more, opened, withheld, pairs, untold };
            if self.store.keep_tidings(&run.mesh, version, &tidings).await? {
                return Ok(tidings);
            }
        }
        Err(InfraError::new(format!("others keep writing what was found of {}", run.mesh)))
    }

    /// The scopes of gaps that a run did not look at and that the deployment still knows.
    async fn unasked_gaps(&self, run: &Run, before: &BTreeSet<Finding>) -> Result<BTreeSet<Scope>, InfraError> {
        let gaps: BTreeSet<Scope> = before
            .iter()
            .filter_map(Finding::unreadable_scope)
            .filter(|scope| !run.asked.contains(*scope))
            .cloned()
            .collect();
        if gaps.is_empty() {
            return Ok(gaps);
        }
        Ok(&gaps & &self.observer().scopes().await?)
    }

    fn notice(&self, mesh: &MeshName, serial: u64, news: NotificationKind) -> Notification {
        let deployment = self.settings.deployment.clone();
        Notification { version: FORMAT, serial, deployment, mesh: mesh.clone(), news }
    }
}

/// What is still to be told, of each finding only the latest.
fn with_news(mut untold: Vec<Notification>, new: Vec<Notification>) -> Vec<Notification> {
    let is_newer =
        |old: &Notification| new.iter().any(|new| new.news.finding().map(name) == old.news.finding().map(name));
    untold.retain(|old| !is_newer(old));
    untold.extend(new);
    untold
}

/// What a run found, and the gaps of before in scopes that it did not ask.
fn findings_now(run: &Run, before: &BTreeSet<Finding>, unasked: &BTreeSet<Scope>) -> BTreeSet<Finding> {
    let is_unasked = |old: &&Finding| old.unreadable_scope().is_some_and(|scope| unasked.contains(scope));
    run.report.findings.iter().chain(before.iter().filter(is_unasked)).cloned().collect()
}

/// As many findings as can be kept, and how many of each kind are cut off.
fn cut(mut findings: BTreeSet<Finding>, run: &Run) -> (BTreeSet<Finding>, BTreeMap<FindingKind, usize>) {
    let mut more = BTreeMap::new();
    let found = findings.len();
    while findings.len() > MOST_FINDINGS {
        if let Some(least) = findings.pop_last() {
            *more.entry(least.kind()).or_default() += 1;
        }
    }
    if !more.is_empty() {
        tracing::warn!(mesh = %run.mesh, found, kept = MOST_FINDINGS, "too many findings to keep; the log has them all");
    }
    (findings, more)
}

fn changed(run: &Run) -> Option<NotificationKind> {
    let mut changes: Vec<String> = run.changes().map(ToString::to_string).collect();
    let more = changes.len().saturating_sub(MOST_LINES);
    changes.truncate(MOST_LINES);
    (!changes.is_empty()).then_some(NotificationKind::Changed { outcome: run.outcome, changes, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(news: NotificationKind) -> Notification {
        let (deployment, mesh) = ("peerd".parse().unwrap(), "prod".parse().unwrap());
        Notification { version: FORMAT, serial: 1_795_000_000_000, deployment, mesh, news }
    }

    fn finding(mesh: &str, error: &str) -> Rendered {
        let finding = Finding::UnreadablePolicy { mesh: mesh.parse().unwrap(), error: error.to_owned() };
        Rendered::new(&finding, "peerd")
    }

    #[test]
    fn notices_have_the_form_that_the_documentation_shows() {
        let changes = vec!["+ peering a - b for prod".to_owned()];
        let changed = notice(NotificationKind::Changed { outcome: Outcome::Applied, changes, more: 0 });
        let found = || finding("prod", "policy field `topology`: unknown variant `ring`");
        let notices = [changed, notice(NotificationKind::Opened(found())), notice(NotificationKind::Resolved(found()))];
        let types = notices.each_ref().map(Notification::detail_type);
        assert_eq!(types, ["peerd Mesh Changed", "peerd Finding Opened", "peerd Finding Resolved"]);
        let documented = include_str!("../../../docs/events.md");
        for notice in notices {
            let text = serde_json::to_string(&notice).unwrap();
            assert!(documented.contains(&text), "{text} is not in docs/events.md");
            assert!(documented.contains(&format!("`{}`", notice.detail_type())));
            assert_eq!(serde_json::from_str::<Notification>(&text).unwrap(), notice);
        }
    }

    #[test]
    fn of_a_finding_only_the_latest_is_still_to_be_told() {
        let opened = |subject| notice(NotificationKind::Opened(finding(subject, "then")));
        let resolved = notice(NotificationKind::Resolved(finding("vpc-1", "now")));
        let untold = with_news(vec![opened("vpc-1"), opened("vpc-2")], vec![resolved.clone()]);
        assert_eq!(untold, [opened("vpc-2"), resolved]);
    }
}
