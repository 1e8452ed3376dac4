//! What an operator should know of a run: findings with what to do about them, and what the run waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::ids::{PrefixListId, Scope, VpcRef};

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// A VPC asks for a mesh that does not take it.
    Refused,
    /// Blocks of two VPCs share addresses.
    Overlap,
    /// Something foreign stands where peerd would put its own.
    Conflict,
    /// A limit of AWS leaves no room.
    Quota,
    /// A scope could not be read; nothing there is concluded or deleted.
    Gap,
    /// peerd holds back on purpose until somebody acts.
    Blocked,
    /// A pause keeps peerd from doing what is due.
    Paused,
    /// Names of a member cannot resolve to private addresses for its peers.
    Dns,
    /// An account that peerd does not know asks a member for a peering.
    Stranger,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Overlap => "overlap",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Gap => "gap",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Dns => "dns",
            Self::Stranger => "stranger",
        })
    }
}

/// Something that the operator should know, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Its kind.
    pub kind: FindingKind,
    /// What it is about: a VPC, a pair, a table, a scope.
    pub subject: String,
    /// What is the case.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "! {} {}: {}; {}", self.kind, self.subject, self.text, self.remedy)
    }
}

/// Something that AWS or another worker is still busy with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// What it is about.
    pub subject: String,
    /// What is waited for.
    pub text: String,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~ {}: {}", self.subject, self.text)
    }
}

/// Something that only some plans need to know. Whoever gets questions reads the answers, which may be that there is none,
/// and plans again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The DNS attributes of a VPC, for [`crate::Observed::dns`].
    Dns(VpcRef),
    /// The blocks of a prefix list in a scope, for [`crate::Observed::lists`].
    List(Scope, PrefixListId),
    /// What earlier runs of the mesh did lately, for [`crate::Observed::past`].
    Past,
    /// The quotas of a scope, for [`crate::Observed::quotas`].
    Quotas(Scope),
}

/// Why a plan is what it is, and why it is not more.
#[must_use = "an unread report is not actionable"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the operator should know.
    pub findings: BTreeSet<Finding>,
    /// What the next run may find done.
    pub waits: BTreeSet<Wait>,
    /// What would have been done, were it not for a pause.
    pub withheld: BTreeSet<Action>,
    /// How many of the pairs that the mesh wants are in which state: AWS's word for it, or why there is no peering.
    pub pairs: BTreeMap<String, usize>,
    /// What the plan should have known.
    pub questions: BTreeSet<Question>,
}

impl Report {
    /// Adds a finding.
    pub fn find(
        &mut self,
        kind: FindingKind,
        subject: impl fmt::Display,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (subject, text, remedy) = (subject.to_string(), text.into(), remedy.into());
        self.findings.insert(Finding { kind, subject, text, remedy });
    }

    /// Adds a wait.
    pub fn wait(&mut self, subject: impl fmt::Display, text: impl Into<String>) {
        self.waits.insert(Wait { subject: subject.to_string(), text: text.into() });
    }

    /// Whether some finding says that peerd holds back until somebody acts.
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == FindingKind::Blocked)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { findings, waits, withheld, pairs: _, questions: _ } = self;
        findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        waits.iter().try_for_each(|wait| writeln!(f, "{wait}"))?;
        withheld.iter().try_for_each(|action| writeln!(f, "paused: {action}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finding_of_that_kind_says_that_peerd_holds_back() {
        let mut report = Report::default();
        report.find(FindingKind::Gap, "x", "y", "z");
        assert!(!report.is_blocked());
        report.find(FindingKind::Blocked, "x", "y", "z");
        assert!(report.is_blocked());
    }
}
