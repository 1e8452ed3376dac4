//! Plans and the results of runs, as text.

use std::collections::BTreeMap;

use peerd_core::{Action, Rendered, api_rate_limits};
use peerd_engine::Run;
use peerd_engine::dry_run::DryRun;
use peerd_engine::observe::READS_PER_SCOPE;
use serde_json::json;

use super::has_gaps;

/// The pending changes by mesh and pair, the findings, and the number of calls.
pub fn plans(previews: &[DryRun], stack: &str) -> String {
    let mut text = String::new();
    for preview in previews {
        text += &mesh(preview, stack);
        text.push('\n');
    }
    let due = previews.iter().filter(|preview| !preview.paused).flat_map(|preview| &preview.forecast.steps);
    let due: Vec<&Action> = due.map(|step| &step.action).collect();
    let count = |sign: char| due.iter().filter(|action| action.to_string().starts_with(sign)).count();
    let reads: usize = previews.iter().map(|preview| READS_PER_SCOPE * preview.read_scopes.len()).sum();
    let seconds = api_rate_limits::seconds(due.iter().copied());
    text += &format!(
        "Plan: {} to create, {} to update, {} to delete. {reads} reads and {} writes, \
         at least {seconds} s at EC2's API rate limits\n",
        count('+'),
        count('*'),
        count('-'),
        due.len(),
    );
    text
}

fn mesh(preview: &DryRun, stack: &str) -> String {
    let DryRun { mesh, forecast, paused, .. } = preview;
    let mut groups: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for step in &forecast.steps {
        let pair = step.pair.as_ref().map(ToString::to_string);
        groups.entry(pair).or_default().push(step.action.to_string());
    }
    let state = match (forecast.steps.is_empty(), paused) {
        (true, _) if has_gaps(preview) => "no changes, as far as could be read",
        (true, _) => "no changes",
        (false, true) => "paused; pending changes",
        (false, false) => "changes pending",
    };
    let mut text = format!("{mesh}: {state}\n");
    let of_mesh = groups.remove(&None);
    let pairs = groups.into_iter().filter_map(|(pair, lines)| Some((pair?, lines)));
    for (heading, lines) in pairs.chain(of_mesh.map(|lines| ("the mesh".to_owned(), lines))) {
        text += &format!("  {heading}\n");
        text.extend(lines.iter().map(|line| format!("    {line}\n")));
    }
    for finding in &forecast.report.findings {
        let Rendered { kind, subject, text: what, remedy, .. } = Rendered::new(finding, stack);
        text += &format!("  ! {kind} {subject}: {what}\n    fix: {remedy}\n");
    }
    text.extend(forecast.report.waits.iter().map(|wait| format!("  {wait}\n")));
    text
}

/// The outcomes of runs, with failed changes, open findings and waits.
pub fn runs(runs: &[Run], stack: &str) -> String {
    let run = |run: &Run| {
        let mut text = format!("{}: {}, {} changes\n", run.mesh, run.outcome, run.changes().count());
        text.extend(run.failed.iter().map(|line| format!("  failed: {line}\n")));
        text.extend(run.report.findings.iter().map(|finding| format!("  {}\n", Rendered::new(finding, stack))));
        text.extend(run.report.waits.iter().map(|wait| format!("  {wait}\n")));
        text
    };
    if runs.is_empty() { "no changes\n".to_owned() } else { runs.iter().map(run).collect() }
}

/// The same as JSON.
pub fn runs_as_json(runs: &[Run], stack: &str) -> String {
    let run = |run: &Run| {
        let applied: Vec<String> = run.applied.iter().map(ToString::to_string).collect();
        let findings: Vec<_> = run.report.findings.iter().map(|finding| Rendered::new(finding, stack)).collect();
        json!({
            "mesh": run.mesh, "outcome": run.outcome, "applied": applied, "failed": run.failed, "findings": findings
        })
    };
    format!("{}\n", json!({"runs": runs.iter().map(run).collect::<Vec<_>>()}))
}
