//! How `plan` and `apply` end, for people and for scripts: what could not be read, what is held back, and the exit code.

use std::collections::BTreeSet;

use peerd_core::operator::Operator;
use peerd_core::plural::counted;
use peerd_core::{Finding, FindingKind, MeshName, Rendered, Scope};
use peerd_engine::dry_run::DryRun;
use peerd_engine::{Outcome, Run};

use super::render::aws_text;
use crate::errors::{HELD_BACK, NOT_READ};

/// `peerd plan --detailed-exitcode`: changes are pending.
const PENDING: u8 = 2;
/// Some changes failed.
const FAILED: u8 = 7;

/// What keeps meshes from being as they are declared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The findings about what could not be read.
    unreadable: BTreeSet<Finding>,
    /// What is held back, and why, one line each.
    pub held_back: BTreeSet<String>,
    scopes: BTreeSet<Scope>,
    unread_scopes: BTreeSet<Scope>,
    pending: bool,
    failed: bool,
}

impl Verdict {
    /// The verdict on a plan.
    pub fn of_plan(previews: &[DryRun]) -> Self {
        let mut verdict = Self::default();
        for preview in previews {
            verdict.add_preview(preview);
            verdict.pending |= !preview.paused && !preview.forecast.steps.is_empty();
        }
        verdict
    }

    /// The verdict on what was applied: on the runs, and on the meshes of the plan that needed none.
    pub fn of_runs(previews: &[DryRun], runs: &[Run]) -> Self {
        let mut verdict = Self::default();
        let has_run = |mesh: &MeshName| runs.iter().any(|run| run.mesh == *mesh);
        for preview in previews.iter().filter(|preview| !has_run(&preview.mesh)) {
            verdict.add_preview(preview);
        }
        for run in runs {
            verdict.add_findings(&run.mesh, &run.report.findings);
            verdict.scopes.extend(run.read_scopes.iter().cloned());
            match run.outcome {
                Outcome::Partial => verdict.failed = true,
                Outcome::Waiting | Outcome::Busy => {
                    let waits: Vec<String> = run.report.waits.iter().map(ToString::to_string).collect();
                    let why =
                        if waits.is_empty() { "another run has not finished".to_owned() } else { waits.join("; ") };
                    verdict.held_back.insert(format!("{}: {why}", run.mesh));
                }
                Outcome::Unchanged | Outcome::Applied | Outcome::Blocked | Outcome::Paused => {}
            }
        }
        verdict
    }

    fn add_preview(&mut self, DryRun { mesh, forecast, paused, read_scopes, names: _, undeclared: _ }: &DryRun) {
        self.scopes.extend(read_scopes.iter().cloned());
        self.add_findings(mesh, &forecast.report.findings);
        if *paused && !forecast.steps.is_empty() {
            self.held_back.insert(format!("{mesh}: paused, with {} pending", counted(forecast.steps.len(), "change")));
        }
    }

    fn add_findings<'a>(&mut self, mesh: &MeshName, findings: impl IntoIterator<Item = &'a Finding>) {
        for finding in findings {
            if finding.kind() == FindingKind::Unreadable {
                self.unread_scopes.extend(finding.unreadable_scope().cloned());
                self.unreadable.insert(finding.clone());
            } else if finding.holds_changes_back() {
                self.held_back.insert(held_back(mesh, finding));
            }
        }
    }

    /// The exit code. Without `detailed`, pending and held back changes are no failure of a plan.
    pub fn code(&self, detailed: bool) -> u8 {
        match self {
            Self { failed: true, .. } => FAILED,
            Self { unreadable, .. } if !unreadable.is_empty() => NOT_READ,
            Self { pending: true, .. } if detailed => PENDING,
            Self { held_back, .. } if detailed && !held_back.is_empty() => HELD_BACK,
            _ => 0,
        }
    }

    /// Whether something could not be read.
    pub fn is_incomplete(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// What could not be read, and why, one line each.
    pub fn not_read(&self) -> BTreeSet<String> {
        self.unreadable.iter().map(not_read).collect()
    }

    /// The last lines of the output; empty if everything could be read and nothing is held back.
    pub fn lines(&self, operator: &Operator, verbose: bool) -> String {
        let mut text = String::new();
        if self.is_incomplete() {
            text += &format!("Not read: {} of {} scopes\n", self.unread_scopes.len(), self.scopes.len());
        }
        for finding in &self.unreadable {
            let Rendered { remedy, .. } = Rendered::new(finding, operator);
            text += &format!("  {}\n    fix: {remedy}\n{}", not_read(finding), aws_text(finding, verbose));
        }
        if !self.held_back.is_empty() {
            text += "Held back:\n";
            text.extend(self.held_back.iter().map(|item| format!("  {item}\n")));
        }
        text
    }
}

fn not_read(finding: &Finding) -> String {
    format!("{}: {}", finding.subject(), finding.message())
}

fn held_back(mesh: &MeshName, finding: &Finding) -> String {
    match finding.subject() {
        subject if subject == mesh.as_str() => format!("{mesh}: {}", finding.message()),
        subject => format!("{mesh}: {subject}: {}", finding.message()),
    }
}

#[cfg(test)]
mod tests {
    use peerd_core::{PlannedRun, Report};

    use super::*;

    fn preview(findings: &[Finding]) -> DryRun {
        let report = Report { findings: findings.iter().cloned().collect(), ..Report::default() };
        let read_scopes = ["111111111111/us-east-1", "222222222222/us-east-1"].map(|it| it.parse().unwrap()).into();
        let forecast = PlannedRun { steps: Vec::new(), report };
        DryRun {
            mesh: "prod".parse().unwrap(),
            forecast,
            paused: false,
            read_scopes,
            names: [].into(),
            undeclared: BTreeSet::new(),
        }
    }

    fn lines(verdict: &Verdict) -> String {
        verdict.lines(&Operator::default(), false)
    }

    fn unreadable(error: &str) -> Finding {
        let scope: Scope = "222222222222/us-east-1".parse().unwrap();
        Finding::UnreadableScope { scope, role: "operator".to_owned(), error: error.to_owned() }
    }

    #[test]
    fn what_could_not_be_read_is_one_line_with_the_role_and_never_counts_as_fine() {
        let error =
            "DescribeVpcs in 222222222222/us-east-1: its role cannot be assumed (AccessDenied: User: x): denied";
        let verdict = Verdict::of_plan(&[preview(&[unreadable(error)]), preview(&[unreadable(error)])]);
        assert_eq!(
            lines(&verdict),
            "Not read: 1 of 2 scopes\n  222222222222/us-east-1: the role operator cannot be assumed (AccessDenied)\n    \
             fix: make the role operator of that account assumable and readable\n"
        );
        assert_eq!((verdict.code(false), verdict.code(true)), (NOT_READ, NOT_READ));
        assert_eq!(Verdict::of_runs(&[preview(&[unreadable(error)])], &[]).code(true), NOT_READ);
        let plain = Verdict::of_plan(&[preview(&[unreadable("timed out")])]);
        assert!(lines(&plain).contains("222222222222/us-east-1: timed out, with the role operator\n"));
    }

    #[test]
    fn what_is_held_back_is_listed_and_has_its_own_code() {
        let limits = peerd_core::DeleteLimits::default();
        let blocked = Finding::DeleteLimit { mesh: "prod".parse().unwrap(), deletes: 15, live: 15, limits };
        let verdict = Verdict::of_plan(&[preview(&[blocked])]);
        assert!(lines(&verdict).starts_with("Held back:\n  prod: this run would delete 15 of 15"), "{verdict:?}");
        assert_eq!((verdict.code(false), verdict.code(true)), (0, HELD_BACK));
        let fine = Verdict::of_plan(&[preview(&[])]);
        assert_eq!((fine.code(true), lines(&fine).as_str()), (0, ""));
    }
}
