//! A plan as a file: the pending changes of each mesh.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use peerd_core::operator::Operator;
use peerd_core::{AccountId, Deployment, Map, MeshName, Rendered, Timestamp};
use peerd_engine::dry_run::DryRun;
use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// The version of the format. A version may get additional fields; no field changes its meaning.
const FORMAT: u8 = 4;
/// How long a saved plan may be applied, in milliseconds: a day.
const MAX_AGE_MS: Timestamp = 24 * 60 * 60 * 1000;

/// A plan, as `peerd plan --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    version: u8,
    origin: Origin,
    meshes: BTreeMap<MeshName, Mesh>,
    /// What could not be read, and why, one line each.
    not_read: BTreeSet<String>,
    /// What is held back, and why, one line each.
    held_back: BTreeSet<String>,
    /// The meshes as the plan leaves them, for `peerd map --from`; only in a file.
    #[serde(default)]
    map: Option<Map>,
}

/// Where a plan comes from. A plan of another origin is not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// What defines the meshes and accounts: a file with the digest of its content, or a stack by its ARN.
    pub source: String,
    /// The account of the caller.
    pub account: AccountId,
    /// The declared meshes.
    pub declared: BTreeSet<MeshName>,
    /// When the plan was made, in milliseconds since the Unix epoch.
    pub created_at_ms: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mesh {
    /// Whether the mesh is paused, so that none of its steps is applied.
    paused: bool,
    steps: Vec<Line>,
    findings: Vec<Rendered>,
    /// What AWS or another run has not finished yet.
    waits: Vec<String>,
    /// The deletes that wait for a confirmation.
    held: Vec<String>,
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
    pub fn of(previews: &[DryRun], operator: &Operator, origin: Origin) -> Self {
        let mesh = |preview: &DryRun| {
            let step = |step: &peerd_core::Step| Line {
                action: step.action.to_string(),
                pair: step.pair.as_ref().map(ToString::to_string),
            };
            let report = &preview.forecast.report;
            Mesh {
                paused: preview.paused,
                steps: preview.forecast.steps.iter().map(step).collect(),
                findings: report.findings.iter().map(|finding| Rendered::new(finding, operator)).collect(),
                waits: report.waits.iter().map(ToString::to_string).collect(),
                held: report.held.iter().map(ToString::to_string).collect(),
            }
        };
        let meshes = previews.iter().map(|preview| (preview.mesh.clone(), mesh(preview))).collect();
        let verdict = Verdict::of_plan(previews);
        let (not_read, held_back) = (verdict.not_read(), verdict.held_back);
        Self { version: FORMAT, origin, meshes, not_read, held_back, map: None }
    }

    /// The plan with the map of what it changes.
    pub fn with_map(self, map: Map) -> Self {
        Self { map: Some(map), ..self }
    }

    /// The map of what the plan changes.
    ///
    /// # Errors
    /// When the plan has none: `peerd plan --json` prints none.
    pub fn into_map(self) -> Result<Map> {
        self.map.context("the plan has no map; `peerd plan --out FILE` saves one that has")
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

    /// Checks that the current plan has the same origin and the same steps, and that this one is less than a day old.
    ///
    /// # Errors
    /// When the plans differ. The error lists the differences.
    pub fn still_holds(&self, now: &Self) -> Result<()> {
        let (then, current) = (&self.origin, &now.origin);
        let join = |meshes: &BTreeSet<MeshName>| meshes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for (what, then, now) in [
            ("deployment", then.deployment.to_string(), current.deployment.to_string()),
            ("source", then.source.clone(), current.source.clone()),
            ("account of the caller", then.account.to_string(), current.account.to_string()),
            ("set of declared meshes", join(&then.declared), join(&current.declared)),
        ] {
            if then != now {
                bail!("the saved plan has another {what}: {then}, and now {now}; run `peerd plan` again");
            }
        }
        if current.created_at_ms.abs_diff(then.created_at_ms) > MAX_AGE_MS {
            bail!("the saved plan is older than a day; run `peerd plan` again");
        }
        if now.is_empty() && !self.is_empty() {
            bail!("nothing is left to do: the changes of the saved plan were made, or are no longer wanted");
        }
        let mut differences = Vec::new();
        for name in self.meshes.keys().chain(now.meshes.keys()).collect::<BTreeSet<_>>() {
            let (then, now) = (lines(self.meshes.get(name)), lines(now.meshes.get(name)));
            differences.extend(now.iter().filter(|line| !then.contains(line)).map(|line| format!("new: {line}")));
            differences.extend(then.iter().filter(|line| !now.contains(line)).map(|line| format!("no longer: {line}")));
        }
        let hidden = differences.len().saturating_sub(MAX_DIFFERENCES);
        if !differences.is_empty() {
            let shown = differences.iter().take(MAX_DIFFERENCES).cloned().collect::<Vec<_>>().join("\n  ");
            let more = if hidden == 0 { String::new() } else { format!("\n  and {hidden} more") };
            bail!(
                "the saved plan is out of date: run `peerd plan --out FILE` again; the current plan differs:\n  {shown}{more}"
            );
        }
        Ok(())
    }
}

/// The most differences that are listed.
const MAX_DIFFERENCES: usize = 20;

/// The steps of a mesh as text, with the pair that each belongs to.
fn lines(mesh: Option<&Mesh>) -> Vec<String> {
    let mesh = mesh.filter(|mesh| !mesh.paused);
    let line = |Line { action, pair }: &Line| match pair {
        Some(pair) if !action.contains(pair.as_str()) => format!("{action} ({pair})"),
        _ => action.clone(),
    };
    mesh.into_iter().flat_map(|mesh| &mesh.steps).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(actions: &[&str], paused: bool) -> SavedPlan {
        let steps = actions.iter().map(|action| Line { action: (*action).to_owned(), pair: None }).collect();
        let mesh = Mesh { paused, steps, findings: Vec::new(), waits: Vec::new(), held: Vec::new() };
        let (not_read, held_back) = Default::default();
        let meshes = [("prod".parse().unwrap(), mesh)].into();
        SavedPlan { version: FORMAT, origin: origin(), meshes, not_read, held_back, map: None }
    }

    fn origin() -> Origin {
        Origin {
            deployment: "peerd".parse().unwrap(),
            source: "stack arn:aws:cloudformation:us-east-1:111111111111:stack/peerd/1".to_owned(),
            account: "111111111111".parse().unwrap(),
            declared: ["prod".parse().unwrap()].into(),
            created_at_ms: 1_795_000_000_000,
        }
    }

    #[test]
    fn a_saved_plan_of_another_origin_or_age_is_refused() {
        let kept = plan(&["+ a"], false);
        let refused = |change: fn(&mut Origin)| {
            let mut now = plan(&["+ a"], false);
            change(&mut now.origin);
            kept.still_holds(&now).unwrap_err().to_string()
        };
        assert!(refused(|origin| origin.source += "/2").contains("another source"));
        assert!(refused(|origin| origin.account = "222222222222".parse().unwrap()).contains("account of the caller"));
        assert!(refused(|origin| origin.deployment = "acme".parse().unwrap()).contains("another deployment"));
        assert!(refused(|origin| origin.declared.clear()).contains("set of declared meshes: prod, and now"));
        assert!(refused(|origin| origin.created_at_ms += MAX_AGE_MS + 1).contains("older than a day"));
    }

    #[test]
    fn a_plan_without_meshes_permits_no_change() {
        let emptied = SavedPlan { meshes: BTreeMap::new(), ..plan(&["+ a"], false) };
        assert_eq!(emptied.meshes(), []);
        let said = emptied.still_holds(&plan(&["+ a"], false)).unwrap_err().to_string();
        assert!(said.ends_with("differs:\n  new: + a"), "{said}");
    }

    #[test]
    fn a_plan_that_is_done_says_so_and_of_many_differences_some_are_listed() {
        let kept = plan(&["+ a"], false);
        let said = kept.still_holds(&plan(&[], false)).unwrap_err().to_string();
        assert!(said.starts_with("nothing is left to do"), "{said}");
        let many: Vec<String> = (0..30).map(|n| format!("+ {n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = kept.still_holds(&plan(&many, false)).unwrap_err().to_string();
        assert!(said.ends_with("and 11 more") && said.contains("run `peerd plan --out FILE` again"), "{said}");
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
    fn a_saved_plan_keeps_its_map_and_is_compared_without_it() {
        let kept = plan(&["+ a"], false).with_map(Map { changes: Some(1), ..Map::default() });
        let read = SavedPlan::read(&kept.to_json().unwrap()).unwrap();
        assert!(read.still_holds(&plan(&["+ a"], false)).is_ok());
        assert_eq!(read.into_map().unwrap().changes, Some(1));
        let said = plan(&["+ a"], false).into_map().unwrap_err().to_string();
        assert!(said.contains("`peerd plan --out FILE`"), "{said}");
    }

    #[test]
    fn an_invalid_plan_file_is_rejected() {
        assert!(SavedPlan::read("{}").unwrap_err().to_string().contains("not a plan"));
        let newer = plan(&[], false).to_json().unwrap().replace("\"version\": 4", "\"version\": 5");
        assert!(SavedPlan::read(&newer).unwrap_err().to_string().contains("version 5"));
    }
}
