//! A plan as a file: the pending changes of each mesh.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use peerd_core::{MeshName, Rendered};
use peerd_engine::dry_run::DryRun;
use serde::{Deserialize, Serialize};

/// The version of the format. A version may get additional fields; no field changes its meaning.
const FORMAT: u8 = 1;

/// A plan, as `peerd plan --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    version: u8,
    meshes: BTreeMap<MeshName, Mesh>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mesh {
    /// Whether the mesh is paused, so that none of its steps is applied.
    paused: bool,
    steps: Vec<Line>,
    findings: Vec<Rendered>,
    /// What AWS or another run has not finished yet.
    waits: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Line {
    /// `+` creates, `*` updates, `-` deletes.
    action: String,
    /// The pair of VPCs, if the change belongs to a pair.
    pair: Option<String>,
}

impl SavedPlan {
    /// A plan from forecasts.
    pub fn of(previews: &[DryRun], stack: &str) -> Self {
        let mesh = |preview: &DryRun| {
            let step = |step: &peerd_core::Step| Line {
                action: step.action.to_string(),
                pair: step.pair.as_ref().map(ToString::to_string),
            };
            let report = &preview.forecast.report;
            Mesh {
                paused: preview.paused,
                steps: preview.forecast.steps.iter().map(step).collect(),
                findings: report.findings.iter().map(|finding| Rendered::new(finding, stack)).collect(),
                waits: report.waits.iter().map(ToString::to_string).collect(),
            }
        };
        let meshes = previews.iter().map(|preview| (preview.mesh.clone(), mesh(preview))).collect();
        Self { version: FORMAT, meshes }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is not a plan, or a plan of another version.
    pub fn read(text: &str) -> Result<Self> {
        let plan: Self = serde_json::from_str(text).context("this is not a plan that `peerd plan --out` wrote")?;
        if plan.version != FORMAT {
            bail!(
                "the plan has version {}, and this peerd reads version {FORMAT}; run `peerd plan` again",
                plan.version
            );
        }
        Ok(plan)
    }

    /// The content of the file.
    ///
    /// # Errors
    /// Never, for this type.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Its meshes.
    pub fn meshes(&self) -> Vec<MeshName> {
        self.meshes.keys().cloned().collect()
    }

    /// Whether no changes are pending, except those that a pause suppresses.
    pub fn is_empty(&self) -> bool {
        self.meshes.values().all(|mesh| mesh.paused || mesh.steps.is_empty())
    }

    /// Checks that the current plan has the same steps.
    ///
    /// # Errors
    /// When the plans differ. The error lists the new steps, and those that are no longer planned.
    pub fn still_holds(&self, now: &Self) -> Result<()> {
        let mut differences = Vec::new();
        for (name, mesh) in &self.meshes {
            let (then, now) = (lines(Some(mesh)), lines(now.meshes.get(name)));
            differences.extend(now.iter().filter(|line| !then.contains(line)).map(|line| format!("new: {line}")));
            differences.extend(then.iter().filter(|line| !now.contains(line)).map(|line| format!("no longer: {line}")));
        }
        if !differences.is_empty() {
            bail!("the saved plan is out of date; the current plan differs:\n  {}", differences.join("\n  "));
        }
        Ok(())
    }
}

fn lines(mesh: Option<&Mesh>) -> Vec<&str> {
    let mesh = mesh.filter(|mesh| !mesh.paused);
    mesh.into_iter().flat_map(|mesh| &mesh.steps).map(|line| line.action.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(actions: &[&str], paused: bool) -> SavedPlan {
        let steps = actions.iter().map(|action| Line { action: (*action).to_owned(), pair: None }).collect();
        let mesh = Mesh { paused, steps, findings: Vec::new(), waits: Vec::new() };
        SavedPlan { version: FORMAT, meshes: [("prod".parse().unwrap(), mesh)].into() }
    }

    #[test]
    fn a_saved_plan_is_valid_while_the_current_plan_is_equal() {
        let kept = SavedPlan::read(&plan(&["+ a", "+ b"], false).to_json().unwrap()).unwrap();
        assert!(kept.still_holds(&plan(&["+ a", "+ b"], false)).is_ok());
        let said = kept.still_holds(&plan(&["+ a", "- c"], false)).unwrap_err().to_string();
        assert!(said.ends_with("differs:\n  new: - c\n  no longer: + b"), "{said}");
        assert!(kept.still_holds(&plan(&["+ a", "+ b"], true)).is_err(), "it was paused meanwhile");
    }

    #[test]
    fn an_invalid_plan_file_is_rejected() {
        assert!(SavedPlan::read("{}").unwrap_err().to_string().contains("not a plan"));
        let newer = plan(&[], false).to_json().unwrap().replace("\"version\": 1", "\"version\": 2");
        assert!(SavedPlan::read(&newer).unwrap_err().to_string().contains("version 2"));
    }
}
