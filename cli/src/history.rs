//! `peerd history`: the latest runs of a mesh.

use anyhow::Result;
use clap::Args;
use peerd_core::MeshName;
use peerd_engine::PastRun;
use serde_json::json;

use crate::declarations::declarations;
use crate::names::{self, with_names};
use crate::shell::Deployed;
use crate::status::unknown;

/// The arguments of `peerd history`.
#[derive(Args)]
pub struct History {
    /// Name of the mesh
    mesh: MeshName,
    /// Number of runs to show, newest first
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

/// `peerd history`.
pub async fn history(History { mesh, runs }: History, deployed: &Deployed, json: bool) -> Result<String> {
    let past = deployed.store.past_runs(&mesh, runs.into()).await?;
    if past.is_empty() {
        let declared = declarations(deployed).await?;
        if !declared.contains_key(&mesh) {
            return Err(unknown(&mesh, declared.keys()));
        }
    }
    if json {
        return Ok(format!("{}\n", json!({"mesh": mesh, "runs": past})));
    }
    let names = names::of_members(&deployed.store.members(&mesh).await?);
    Ok(with_names(&past.iter().map(render).collect::<String>(), &names))
}

fn render(run: &PastRun) -> String {
    let PastRun { at, outcome, applied, failed, findings, causes } = run;
    let causes = causes.iter().map(|cause| format!("triggered by {cause}"));
    let failed = failed.iter().map(|line| format!("failed: {line}"));
    let lines = causes.chain(applied.iter().cloned()).chain(failed).chain(findings.iter().cloned());
    let lines: String = lines.map(|line| format!("  {line}\n")).collect();
    format!("{at} {outcome}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shown_with_its_time_causes_and_lines() {
        let line = |text: &str| vec![text.to_owned()];
        let (at, outcome) = ("2026-11-23T07:00:00Z".to_owned(), "partial".to_owned());
        let cause = r#"{"call":"DeleteRoute","on":"rtb-1","by":"arn:aws:iam::1:user/x"}"#;
        let causes = vec![serde_json::from_str(cause).unwrap()];
        let run = PastRun { at, outcome, applied: line("+ a"), failed: line("b"), findings: line("! c"), causes };
        assert_eq!(
            render(&run),
            "2026-11-23T07:00:00Z partial\n  triggered by DeleteRoute of rtb-1 by arn:aws:iam::1:user/x\n  + a\n  failed: b\n  ! c\n"
        );
    }
}
