//! `peerd redrive`: moves dead letters back to their queues.

use std::collections::BTreeMap;

use anyhow::Result;
use peerd_core::plural::counted;
use serde_json::json;

use crate::shell::Deployed;

/// `peerd redrive`: moves every dead letter back to its queue.
pub async fn redrive(deployed: &Deployed, json: bool) -> Result<String> {
    let mut counts = Vec::new();
    for queue in &deployed.queues {
        let mut count = 0;
        loop {
            match queue.redrive().await? {
                0 => break,
                some => count += some,
            }
        }
        counts.push((queue.name(), count));
    }
    let lines = counts.iter().map(|(name, count)| format!("{name}: {} redriven\n", counted(*count, "message")));
    let as_json = json!({"redriven": counts.iter().map(|(name, count)| (*name, *count)).collect::<BTreeMap<_, _>>()});
    Ok(if json { format!("{as_json}\n") } else { lines.collect() })
}
