//! Plans and the results of runs, as text.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::operator::Operator;
use peerd_core::plural::counted;
use peerd_core::{Action, Finding, FindingKind, Rendered, api_rate_limits};
use peerd_engine::Run;
use peerd_engine::dry_run::DryRun;
use peerd_engine::observe::READS_PER_SCOPE;
use serde_json::json;

use super::verdict::Verdict;
use crate::names::{with_name, with_names};

/// The pending changes by mesh and pair, the findings, and the number of calls.
pub fn plans(previews: &[DryRun], operator: &Operator, verbose: bool) -> String {
    let mut text = String::new();
    for preview in previews {
        text += &mesh(preview, operator, verbose);
        text.push('\n');
    }
    let due = previews.iter().filter(|preview| !preview.paused).flat_map(|preview| &preview.forecast.steps);
    let due = distinct(due.map(|step| &step.action));
    let [created, updated, deleted] = count(&due);
    let scopes: BTreeSet<_> = previews.iter().flat_map(|preview| &preview.read_scopes).collect();
    let reads = READS_PER_SCOPE * scopes.len();
    let seconds = api_rate_limits::seconds(due.iter().copied());
    text += &format!(
        "Plan: {created} to create, {updated} to update, {deleted} to delete. {} and {}, \
         at least {seconds} s at EC2's API rate limits\n",
        counted(reads, "read"),
        counted(due.len(), "write"),
    );
    let names = previews.iter().flat_map(|preview| preview.names.clone()).collect();
    text + &with_names(&Verdict::of_plan(previews).lines(operator, verbose), &names)
}

/// The actions, with each update of a status tag once: every mesh that a VPC left plans to remove its entry.
fn distinct<'a>(actions: impl Iterator<Item = &'a Action>) -> Vec<&'a Action> {
    let mut statuses = BTreeSet::new();
    actions.filter(|action| !matches!(action, Action::SetStatus { .. }) || statuses.insert(*action)).collect()
}

/// How many actions create, update and delete.
fn count(actions: &[&Action]) -> [usize; 3] {
    let signs: Vec<Option<char>> = actions.iter().map(|action| action.to_string().chars().next()).collect();
    ['+', '*', '-'].map(|sign| signs.iter().filter(|it| **it == Some(sign)).count())
}

fn mesh(preview: &DryRun, operator: &Operator, verbose: bool) -> String {
    let DryRun { mesh, forecast, paused, names, .. } = preview;
    let mut groups: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for step in &forecast.steps {
        let pair = step.pair.as_ref().map(|pair| pair.ends().map(|vpc| with_name(vpc, names)).join(" - "));
        groups.entry(pair).or_default().push(step.action.to_string());
    }
    let verdict = Verdict::of_plan(std::slice::from_ref(preview));
    let state = match (forecast.steps.is_empty(), paused) {
        (true, _) if verdict.is_incomplete() => "unknown: not everything could be read",
        (true, _) if !verdict.held_back.is_empty() => "changes are held back",
        (true, _) => "no changes",
        (false, true) => "paused; pending changes",
        (false, false) if verdict.is_incomplete() => "changes pending, as far as could be read",
        (false, false) => "changes pending",
    };
    let mut text = format!("{mesh}: {state}\n");
    let of_mesh = groups.remove(&None);
    let pairs = groups.into_iter().filter_map(|(pair, lines)| Some((pair?, lines)));
    for (heading, lines) in pairs.chain(of_mesh.map(|lines| ("the mesh".to_owned(), lines))) {
        text += &format!("  {heading}\n");
        text.extend(lines.iter().map(|line| format!("    {line}\n")));
    }
    for finding in of_mesh_alone(&forecast.report.findings) {
        let Rendered { kind, subject, text: what, remedy, .. } = Rendered::new(finding, operator);
        text += &with_names(&format!("  ! {kind} {subject}: {what}\n    fix: {remedy}\n"), names);
        text += &aws_text(finding, verbose);
    }
    text.extend(forecast.report.waits.iter().map(|wait| format!("  {wait}\n")));
    if !forecast.report.held.is_empty() {
        text += "  held back until a confirmation\n";
        text.extend(forecast.report.held.iter().map(|action| format!("    {action}\n")));
    }
    text
}

/// The findings except those about what could not be read, which the last lines list once for all meshes.
fn of_mesh_alone(findings: &BTreeSet<Finding>) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.kind() != FindingKind::Unreadable)
}

/// With `verbose`, AWS's own text of the error that a finding is about, as a line; else nothing.
pub fn aws_text(finding: &Finding, verbose: bool) -> String {
    let error = finding.aws_error().filter(|_| verbose);
    error.map(|error| format!("    aws: {error}\n")).unwrap_or_default()
}

/// The outcomes of runs, with failed changes, open findings and waits.
pub fn runs(runs: &[Run], verdict: &Verdict, operator: &Operator, verbose: bool) -> String {
    let run = |run: &Run| {
        let mut text = format!("{}: {}, {}\n", run.mesh, run.outcome, counted(run.applied.len(), "change"));
        text.extend(run.failed.iter().map(|line| format!("  failed: {line}\n")));
        for finding in of_mesh_alone(&run.report.findings) {
            text += &format!("  {}\n{}", Rendered::new(finding, operator), aws_text(finding, verbose));
        }
        text.extend(run.report.waits.iter().map(|wait| format!("  {wait}\n")));
        text
    };
    let text: String = runs.iter().map(run).collect();
    let [created, updated, deleted] = count(&distinct(runs.iter().flat_map(|run| &run.applied)));
    format!(
        "{text}Applied: {created} created, {updated} updated, {deleted} deleted\n{}",
        verdict.lines(operator, verbose)
    )
}

/// The same as JSON.
pub fn runs_as_json(runs: &[Run], verdict: &Verdict, operator: &Operator) -> String {
    let run = |run: &Run| {
        let applied: Vec<String> = run.applied.iter().map(ToString::to_string).collect();
        let findings: Vec<_> = run.report.findings.iter().map(|finding| Rendered::new(finding, operator)).collect();
        json!({
            "mesh": run.mesh, "outcome": run.outcome, "applied": applied, "failed": run.failed, "findings": findings
        })
    };
    let runs: Vec<_> = runs.iter().map(run).collect();
    format!("{}\n", json!({"runs": runs, "not_read": verdict.not_read(), "held_back": verdict.held_back}))
}

#[cfg(test)]
mod tests {
    use peerd_core::VpcRef;

    use super::*;

    #[test]
    fn an_update_of_a_status_tag_that_several_meshes_plan_counts_once() {
        let vpc = VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap());
        let removed = Action::SetStatus { vpc: vpc.clone(), line: None };
        let joined = Action::SetStatus { vpc, line: Some("joined prod".to_owned()) };
        assert_eq!(count(&distinct([&removed, &removed, &joined].into_iter())), [0, 1, 1]);
    }
}
