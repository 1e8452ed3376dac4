//! `peerd confirm` and `peerd redrive`: what waits for an operator goes on.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_aws::Stack;
use peerd_core::{DeleteApproval, Finding, MeshName};
use peerd_engine::{Message, Queue, Store, Work};
use serde_json::json;

use crate::say;

/// What `peerd confirm` asks for.
#[derive(Args)]
pub struct Confirm {
    /// Name of the mesh
    mesh: MeshName,
}

/// `peerd confirm`: one run of the mesh deletes all that is due.
pub async fn confirm(Confirm { mesh }: Confirm, deployed: &Stack) -> Result<String> {
    let tidings = deployed.store.tidings(&mesh).await?.unwrap_or_default();
    let blocked = tidings.findings.iter().find(|finding| matches!(finding, Finding::DeleteLimit { .. }));
    let Some(blocked) = blocked else {
        bail!("nothing of {mesh} waits for a confirmation; `peerd status {mesh}` shows what is open");
    };
    let work = Work::Reconcile {
        mesh: mesh.clone(),
        scopes: BTreeSet::new(),
        everywhere: true,
        leave: DeleteApproval::Confirmed,
    };
    let sent = deployed.queue.send(&Message::new(0, work), 0).await;
    sent.with_context(|| format!("{mesh}: not confirmed"))?;
    say(&format!("{mesh}: confirmed ({}); it is being done", blocked.message()));
    Ok(String::new())
}

/// `peerd redrive`: every dead letter goes back to where it came from.
pub async fn redrive(deployed: &Stack, json: bool) -> Result<String> {
    let mut counts = Vec::new();
    for letters in &deployed.letters {
        let mut count = 0;
        loop {
            match letters.redrive().await? {
                0 => break,
                some => count += some,
            }
        }
        counts.push((letters.name, count));
    }
    let lines = counts.iter().map(|(name, count)| format!("{name}: {count} messages are back\n"));
    let as_json = json!({"redriven": counts.iter().map(|(name, count)| (*name, *count)).collect::<std::collections::BTreeMap<_, _>>()});
    Ok(if json { format!("{as_json}\n") } else { lines.collect() })
}
