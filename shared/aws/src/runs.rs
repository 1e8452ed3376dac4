//! What is kept of past runs.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use peerd_core::MeshName;
use peerd_engine::{PortError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::store::{DynamoStore, of_mesh, read, text};

/// A run that was not idle, as the table keeps it for 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// When it ended, in UTC (RFC 3339).
    #[serde(rename(deserialize = "sk"), deserialize_with = "time_of_key")]
    pub at: String,
    /// How it ended.
    pub outcome: String,
    /// What was done, one line each.
    pub applied: Vec<String>,
    /// What failed, one line each.
    pub failed: Vec<String>,
    /// What was found, one line each.
    pub findings: Vec<String>,
}

impl DynamoStore {
    /// The latest runs of a mesh, the newest first.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, PortError> {
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

/// The time in `run#<milliseconds since the Unix epoch>`.
fn time_of_key<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let key = String::deserialize(from)?;
    let milliseconds = key.strip_prefix("run#").and_then(|digits| digits.parse::<Timestamp>().ok());
    let time = milliseconds.and_then(|ms| i64::try_from(ms).ok()).map(DateTime::from_millis);
    let text = time.and_then(|time| time.fmt(DateTimeFormat::DateTime).ok());
    text.ok_or_else(|| serde::de::Error::custom(format!("`{key}` is no time of a run")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back_with_the_time_at_which_it_ended() {
        let item = serde_json::json!({
            "sk": "run#1795000000123", "pk": "mesh#prod", "expires": 1, "outcome": "applied",
            "applied": ["+ peering"], "failed": [], "findings": []
        });
        let run: PastRun = serde_json::from_value(item.clone()).unwrap();
        assert_eq!((run.at.as_str(), run.applied.len()), ("2026-11-18T11:06:40.123Z", 1));
        let mut wrong = item;
        wrong["sk"] = "run#x".into();
        assert!(serde_json::from_value::<PastRun>(wrong).unwrap_err().to_string().contains("`run#x` is no time"));
    }
}
