//! The run history of a mesh, in the table.

use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{Cause, MeshName, RunChanges, rfc3339};
use peerd_engine::{InfraError, PastRun, Run, Timestamp};
use serde::Deserialize;

use crate::errors;
use crate::table::{DynamoStore, key, number, of_mesh, read, text, unreadable};

/// How long a run is stored, in seconds.
const KEPT: u64 = 30 * 24 * 3600;
/// The maximum numbers of lines of each kind for operators and of resources for later runs in one item, which keep it
/// below DynamoDB's 400 KB.
const LINES: usize = 200;
const THINGS: usize = 1000;
/// The prefix of the sort keys of runs.
const PREFIX: &str = "run#";

fn sort_key(at: Timestamp) -> String {
    format!("{PREFIX}{at:013}")
}

/// A run for operators, as an item stores it for 30 days.
#[derive(Deserialize)]
struct KeptLines {
    sk: String,
    outcome: String,
    applied: Vec<String>,
    failed: Vec<String>,
    findings: Vec<String>,
    #[serde(default)]
    causes: Vec<Cause>,
}

impl KeptLines {
    fn run(self) -> PastRun {
        let Self { sk, outcome, applied, failed, findings, causes } = self;
        PastRun { at: rfc3339(time_of(&sk)), outcome, applied, failed, findings, causes }
    }
}

/// The created and removed resources of a run, as an item stores them.
#[derive(Deserialize)]
struct Kept {
    sk: String,
    #[serde(default)]
    created: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
    #[serde(default)]
    causes: Vec<Cause>,
}

impl DynamoStore {
    pub(crate) async fn keep_run(&self, run: &Run, now: Timestamp) -> Result<(), InfraError> {
        let pk = of_mesh(&run.mesh);
        let RunChanges { created, removed, causes, .. } = run.record_changes(now);
        let lines = |lines: Vec<String>, most: usize| {
            AttributeValue::L(lines.into_iter().take(most).map(AttributeValue::S).collect())
        };
        let causes: Vec<Cause> = causes.into_iter().take(LINES).collect();
        let causes = serde_dynamo::to_attribute_value(causes).map_err(|error| unreadable(&pk, error))?;
        let request = self
            .dynamo
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(pk.clone(), sort_key(now))))
            .item("outcome", text(&run.outcome.to_string()))
            .item("applied", lines(run.applied.iter().map(ToString::to_string).collect(), LINES))
            .item("failed", lines(run.failed.clone(), LINES))
            .item("findings", lines(run.report.findings.iter().map(ToString::to_string).collect(), LINES))
            .item("created", lines(created, THINGS))
            .item("removed", lines(removed, THINGS))
            .item("causes", causes)
            .item("expires", number(now / 1000 + KEPT));
        request.send().await.map(drop).map_err(|error| errors::port(format!("PutItem of a run of {pk}"), error))
    }

    pub(crate) async fn changes(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError> {
        let pk = of_mesh(mesh);
        let request = self
            .dynamo
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":from", text(&sort_key(from)))
            .expression_attribute_values(":to", text("run#~"))
            .projection_expression("sk, created, removed, causes");
        let mut items = request.into_paginator().items().send();
        let mut changes = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| errors::port(format!("Query of the runs of {mesh}"), error))?;
            let Kept { sk, created, removed, causes } = read(&pk, item)?;
            changes.push(RunChanges { at: time_of(&sk), created, removed, causes });
        }
        Ok(changes)
    }

    pub(crate) async fn latest_runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, InfraError> {
        let pk = of_mesh(mesh);
        let request = self.dynamo.query().table_name(&self.table).scan_index_forward(false);
        let request = request.key_condition_expression("pk = :pk AND begins_with(sk, :run)");
        let request =
            request.expression_attribute_values(":pk", text(&pk)).expression_attribute_values(":run", text("run#"));
        let mut items = request.into_paginator().items().send();
        let mut runs = Vec::new();
        while runs.len() < most
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| errors::port(format!("Query of the runs of {mesh}"), error))?;
            runs.push(read::<KeptLines>(&pk, item)?.run());
        }
        Ok(runs)
    }
}

/// The time in the sort key `run#<milliseconds since the Unix epoch>`.
fn time_of(sort_key: &str) -> Timestamp {
    sort_key.trim_start_matches(PREFIX).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_run_has_the_time_of_its_sort_key() {
        let item = serde_json::json!({
            "sk": sort_key(1_795_000_000_990), "pk": "mesh#prod", "expires": 1, "outcome": "applied",
            "applied": ["+ peering"], "failed": [], "findings": []
        });
        let run = serde_json::from_value::<KeptLines>(item).unwrap().run();
        assert_eq!((run.at.as_str(), run.applied.len()), ("2026-11-18T11:06:40.990Z", 1));
    }
}
