//! The report of a run: what an operator should know, and what the run waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::action::Action;
use crate::finding::{Finding, FindingKind};
use crate::ids::{MeshName, PrefixListId, Scope, VpcRef};

/// Something that AWS or another worker has not finished yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// The resource or pair that it concerns.
    pub subject: String,
    /// What the run waits for.
    pub text: String,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~ {}: {}", self.subject, self.text)
    }
}

/// A request for data that only some plans need. The caller reads the data, or why it is unreadable, and plans again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputRequest {
    /// The DNS attributes of a VPC, for [`crate::PlannerInputs::dns`].
    Dns(VpcRef),
    /// The CIDR blocks of a prefix list in a scope, for [`crate::PlannerInputs::prefix_lists`].
    List(Scope, PrefixListId),
    /// What recent runs of the mesh created and removed, for [`crate::PlannerInputs::run_histories`].
    RunHistory(MeshName),
    /// The quotas of a scope, for [`crate::PlannerInputs::quotas`].
    Quotas(Scope),
}

/// Why a plan contains what it contains, and why not more.
#[must_use = "an unread report is not actionable"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the operator should know.
    pub findings: BTreeSet<Finding>,
    /// What the next run may find done.
    pub waits: BTreeSet<Wait>,
    /// The actions that a pause suppresses.
    pub suppressed: BTreeSet<Action>,
    /// The deletes that wait for a confirmation.
    pub held: BTreeSet<Action>,
    /// The number of pairs in each state: AWS's word for the state, or why there is no peering; or `leaving`, if the pair has a
    /// peering that no mesh wants.
    pub pairs: BTreeMap<String, usize>,
    /// The members that are not connected with all of their peers yet.
    pub waiting: BTreeSet<VpcRef>,
    /// The data that the plan lacks.
    pub questions: BTreeSet<InputRequest>,
}

impl Report {
    /// Adds a finding.
    pub fn add_finding(&mut self, finding: Finding) {
        self.findings.insert(finding);
    }

    /// Whether a finding reports that peerd waits for a decision of an operator.
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind() == FindingKind::Blocked)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { findings, waits, suppressed, held, pairs: _, waiting: _, questions: _ } = self;
        findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        waits.iter().try_for_each(|wait| writeln!(f, "{wait}"))?;
        suppressed.iter().try_for_each(|action| writeln!(f, "paused: {action}"))?;
        held.iter().try_for_each(|action| writeln!(f, "held: {action}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_blocked_only_by_a_finding_that_needs_an_operator() {
        let mut report = Report::default();
        let (mesh, error) = ("prod".parse().unwrap(), "denied".to_owned());
        let scope = "111111111111/us-east-1".parse().unwrap();
        report.add_finding(Finding::UnreadableSecurityGroups { scope, error: error.clone() });
        assert!(!report.is_blocked());
        report.add_finding(Finding::UnreadablePolicy { mesh, error });
        assert!(report.is_blocked());
    }
}
