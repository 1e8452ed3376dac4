//! The run history of a mesh, in the table.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{Cause, MeshName, RunChanges};
use peerd_engine::{InfraError, Run, Timestamp};
use serde::{Deserialize, Serialize};

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

/// A run with an outcome other than `unchanged`, as the table stores it for 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// When it ended, in UTC (RFC 3339).
    #[serde(rename(deserialize = "sk"), deserialize_with = "time_of_key")]
    pub at: String,
    /// The outcome.
    pub outcome: String,
    /// The applied actions, one line each.
    pub applied: Vec<String>,
    /// The failed actions, one line each.
    pub failed: Vec<String>,
    /// The findings, one line each.
    pub findings: Vec<String>,
    /// The API calls that triggered it, as far as events reported them.
    #[serde(default)]
    pub causes: Vec<Cause>,
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
            let at = sk.trim_start_matches(PREFIX).parse().unwrap_or_default();
            changes.push(RunChanges { at, created, removed, causes });
        }
        Ok(changes)
    }

    /// Returns the latest runs of a mesh, newest first.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, InfraError> {
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
            runs.push(read(&pk, item.map_err(|error| errors::port(format!("Query of the runs of {mesh}"), error))?)?);
        }
        Ok(runs)
    }
}

/// Parses the time in `run#<milliseconds since the Unix epoch>`. The result always has milliseconds, so that times sort
/// as text.
fn time_of_key<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let key = String::deserialize(from)?;
    let milliseconds = key.strip_prefix("run#").and_then(|digits| digits.parse::<Timestamp>().ok());
    let text = milliseconds.and_then(|ms| {
        let seconds = DateTime::from_secs(i64::try_from(ms / 1000).ok()?).fmt(DateTimeFormat::DateTime).ok()?;
        Some(format!("{}.{:03}Z", seconds.strip_suffix('Z')?, ms % 1000))
    });
    text.ok_or_else(|| serde::de::Error::custom(format!("`{key}` is not the time of a run")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_run_has_the_time_of_its_sort_key() {
        let item = serde_json::json!({
            "sk": "run#1795000000123", "pk": "mesh#prod", "expires": 1, "outcome": "applied",
            "applied": ["+ peering"], "failed": [], "findings": []
        });
        let run: PastRun = serde_json::from_value(item.clone()).unwrap();
        assert_eq!((run.at.as_str(), run.applied.len()), ("2026-11-18T11:06:40.123Z", 1));
        let mut wrong = item;
        wrong["sk"] = "run#1795000000990".into();
        let run: PastRun = serde_json::from_value(wrong.clone()).unwrap();
        assert_eq!(run.at, "2026-11-18T11:06:40.990Z", "trailing zeros are kept");
        wrong["sk"] = "run#x".into();
        assert!(serde_json::from_value::<PastRun>(wrong).unwrap_err().to_string().contains("`run#x` is not the time"));
    }
}
