//! `peerd plan` and `peerd apply`: run the engine of the functions on this machine.

mod backend;
mod config;
mod render;
mod saved;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_core::{Map, MeshName};
use peerd_engine::dry_run::DryRun;
use peerd_engine::observe::Observation;
use peerd_engine::reconcile_request::{ReconcileRequest, ReconcileRequests};
use peerd_engine::{Engine, Observer, Outcome, Run, Timestamp, observe};

use crate::shell::Shell;
use crate::{Answer, consent, input};
pub use backend::{Backend, Source};
pub use config::role_arn;
pub use render::aws_text;
pub use saved::SavedPlan;
use verdict::Verdict;

/// How long a run may start new calls.
const RUN: Timestamp = 10 * 60 * 1000;
/// Runs of one mesh: with the pauses below they span some ten minutes, longer than AWS takes for a peering.
const MAX_RUNS: u32 = 25;
/// The longest pause between two runs.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The arguments of `peerd plan`.
#[derive(Args)]
pub struct PlanArguments {
    /// Meshes to plan [default: all]
    meshes: Vec<MeshName>,
    #[command(flatten)]
    source: Source,
    /// Save the plan to a file, for `peerd apply FILE`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 if changes are pending, and with 6 if changes are held back
    #[arg(long)]
    detailed_exitcode: bool,
}

/// The arguments of `peerd apply`.
#[derive(Args)]
pub struct ApplyArguments {
    /// Saved plan (`peerd plan --out`); it is applied only while it is current
    plan: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Apply without asking
    #[arg(long)]
    yes: bool,
}

/// `peerd plan`.
pub async fn plan(arguments: PlanArguments, shell: &Shell<'_>) -> Result<Answer> {
    let PlanArguments { meshes, source, out, detailed_exitcode } = arguments;
    let site = Backend::open(source, shell).await?;
    let only = (!meshes.is_empty()).then_some(meshes);
    let (previews, map) = previews(&site.observer(), only, out.is_some(), shell).await?;
    let (plan, verdict) =
        (SavedPlan::of(&previews, site.operator(), site.origin().await?), Verdict::of_plan(&previews));
    if let (Some(out), Some(map)) = (out, map) {
        let text = plan.clone().with_map(map).to_json()?;
        std::fs::write(&out, text).with_context(|| format!("{} not written", out.display()))?;
        shell.say(&format!(
            "saved to {0}; run `peerd apply {0} {1}` to apply it, `peerd map --from {0} --out map.html` to draw it",
            out.display(),
            site.arguments()
        ));
    }
    let text = if shell.json { plan.to_json()? } else { render::plans(&previews, site.operator(), shell.verbose) };
    Ok(Answer { text, code: verdict.code(detailed_exitcode) })
}

fn read_plan(file: &Path) -> Result<SavedPlan> {
    let name = input::name(file);
    if !file.exists() && name != "stdin" && name.parse::<MeshName>().is_ok() {
        bail!(
            "there is no file {name}: `peerd apply` takes a saved plan, and no mesh; `peerd plan {name} --out plan.json` saves one"
        );
    }
    SavedPlan::read(&input::read(file)?).with_context(|| name.into_owned())
}

/// `peerd apply`.
pub async fn apply(arguments: ApplyArguments, shell: &Shell<'_>) -> Result<Answer> {
    let ApplyArguments { plan, source, yes } = arguments;
    let kept = plan.as_deref().map(read_plan).transpose()?;
    if source.is_implicit(shell.stack) {
        bail!(
            "`peerd apply` uses no file that it is not given: pass --file peerd.toml, or a deployment with --stack and --role"
        );
    }
    let site = Backend::open(source, shell).await?;
    let engine = site.engine();
    let (previews, _) = previews(&site.observer(), kept.as_ref().map(SavedPlan::meshes), false, shell).await?;
    let now = SavedPlan::of(&previews, site.operator(), site.origin().await?);
    match kept {
        Some(kept) => kept.still_holds(&now)?,
        None if now.is_empty() || yes => {}
        None => consent::ask(&render::plans(&previews, site.operator(), shell.verbose), "Apply these changes?", shell)?,
    }
    let due: Vec<&DryRun> =
        previews.iter().filter(|preview| !preview.paused && !preview.forecast.steps.is_empty()).collect();
    shell.terminal.stage("making changes", due.iter().map(|preview| preview.forecast.steps.len()).sum());
    let runs = work(&engine, &due, shell).await?;
    let verdict = Verdict::of_runs(&previews, &runs);
    let text = match shell.json {
        true => render::runs_as_json(&runs, &verdict, site.operator()),
        false => render::runs(&runs, &verdict, site.operator(), shell.verbose),
    };
    Ok(Answer { text, code: verdict.code(true) })
}

/// The given meshes, even if there are none; or all declared meshes.
pub async fn chosen(observer: &Observer<'_>, only: Option<Vec<MeshName>>) -> Result<BTreeSet<MeshName>> {
    let declared: BTreeSet<MeshName> = observer.declared().await?.into_keys().collect();
    if let Some(unknown) = only.iter().flatten().find(|mesh| !declared.contains(*mesh)) {
        bail!(
            "mesh {unknown} is not declared; `peerd mesh declare {unknown}`, or [meshes.{unknown}] in peerd.toml, declares it"
        );
    }
    Ok(only.map_or(declared, |only| only.into_iter().collect()))
}

/// Computes the forecasts of the given meshes, or of all declared meshes and of those whose peerings were left in place; and the
/// map of the declared ones, if it is wanted.
async fn previews(
    observer: &Observer<'_>,
    only: Option<Vec<MeshName>>,
    mapped: bool,
    shell: &Shell<'_>,
) -> Result<(Vec<DryRun>, Option<Map>)> {
    let is_all = only.is_none();
    let (meshes, scopes) = (chosen(observer, only).await?, observer.scopes().await?);
    if meshes.is_empty() {
        return Ok((Vec::new(), mapped.then(Map::default)));
    }
    shell.terminal.stage("reading meshes", meshes.len());
    let mut observation = observer.observe_all(&observe::meshes(&meshes), &scopes).await?;
    let mut previews = preview(observer, &meshes, &mut observation, shell).await?;
    let map = match mapped {
        true => Some(observer.planned_map(&meshes, &mut observation).await?),
        false => None,
    };
    if is_all {
        let undeclared: BTreeSet<MeshName> = previews.iter().flat_map(|preview| preview.undeclared.clone()).collect();
        if !undeclared.is_empty() {
            let mut observation = observer.observe_all(&observe::meshes(&undeclared), &scopes).await?;
            previews.extend(preview(observer, &undeclared, &mut observation, shell).await?);
        }
    }
    Ok((previews, map))
}

async fn preview(
    observer: &Observer<'_>,
    meshes: &BTreeSet<MeshName>,
    observation: &mut Observation,
    shell: &Shell<'_>,
) -> Result<Vec<DryRun>> {
    let mut previews = Vec::new();
    for mesh in meshes {
        let preview = observer.preview(mesh, observation).await;
        previews.push(preview.with_context(|| format!("mesh {mesh} cannot be planned"))?);
        shell.terminal.step();
    }
    Ok(previews)
}

/// Reconciles the meshes until nothing is left to do, and returns everything that was done.
async fn work(engine: &Engine<'_>, due: &[&DryRun], shell: &Shell<'_>) -> Result<Vec<Run>> {
    let request = |preview: &&DryRun| {
        let request = ReconcileRequest { scopes: preview.read_scopes.clone(), ..ReconcileRequest::default() };
        (preview.mesh.clone(), request)
    };
    let mut open: ReconcileRequests = due.iter().map(request).collect();
    let mut done: BTreeMap<MeshName, Run> = BTreeMap::new();
    let mut pause = Duration::from_secs(1);
    for round in 1.. {
        let mut progress = false;
        for (mesh, run) in engine.reconcile(&open, shell.now() + RUN).await? {
            let run = run.with_context(|| format!("mesh {mesh} not reconciled"))?;
            if run.outcome != Outcome::Unchanged {
                engine.store.record_run(&run, shell.now()).await?;
            }
            for action in &run.applied {
                shell.say(&format!("{mesh}: {action}"));
                shell.terminal.step();
            }
            progress |= !run.applied.is_empty();
            let goes_on = match run.outcome {
                Outcome::Waiting | Outcome::Busy | Outcome::Applied => round < MAX_RUNS,
                Outcome::Unchanged | Outcome::Partial | Outcome::Blocked | Outcome::Paused => false,
            };
            if !goes_on {
                open.remove(&mesh);
            }
            let so_far = done.remove(&mesh);
            done.insert(mesh, continued(so_far, run));
        }
        if open.is_empty() {
            break;
        }
        pause = if progress { Duration::from_secs(1) } else { (pause * 2).min(MAX_PAUSE) };
        shell.timer.sleep(pause).await;
    }
    Ok(done.into_values().collect())
}

/// A run with what earlier runs of the mesh applied. A run that changed nothing only verified that everything is done.
fn continued(so_far: Option<Run>, run: Run) -> Run {
    let mut applied = so_far.map(|run| run.applied).unwrap_or_default();
    let outcome = match run.outcome {
        Outcome::Unchanged if !applied.is_empty() => Outcome::Applied,
        outcome => outcome,
    };
    applied.extend(run.applied.iter().cloned());
    Run { applied, outcome, ..run }
}
