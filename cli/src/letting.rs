//! `peerd confirm` and `peerd redrive`: an operator lets blocked work continue.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_aws::Stack;
use peerd_core::{DeleteApproval, Finding, MeshName};
use peerd_engine::{Message, Queue, Store, Work};
use serde_json::json;

use crate::say;

/// The arguments of `peerd confirm`.
#[derive(Args)]
pub struct Confirm {
    /// Name of the mesh
    mesh: MeshName,
}

/// `peerd confirm`: one run of the mesh deletes without the delete limits.
pub async fn confirm(Confirm { mesh }: Confirm, deployed: &Stack) -> Result<String> {
    let tidings = deployed.store.tidings(&mesh).await?.unwrap_or_default();
    let blocked = tidings.findings.iter().find(|finding| matches!(finding, Finding::DeleteLimit { .. }));
    let Some(blocked) = blocked else {
        bail!("no deletion of {mesh} waits for confirmation; `peerd status {mesh}` shows the open findings");
    };
    let work = Work::Reconcile {
        mesh: mesh.clone(),
        scopes: BTreeSet::new(),
        everywhere: true,
        leave: DeleteApproval::Confirmed,
    };
    let sent = deployed.queue.send(&Message::new(0, work), 0).await;
    sent.with_context(|| format!("{mesh}: not confirmed"))?;
    say(&format!("{mesh}: approved ({}); deletion queued", blocked.message()));
    Ok(String::new())
}

/// `peerd redrive`: moves every dead letter back to its queue.
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
    let lines = counts.iter().map(|(name, count)| format!("{name}: {count} messages redriven\n"));
    let as_json = json!({"redriven": counts.iter().map(|(name, count)| (*name, *count)).collect::<std::collections::BTreeMap<_, _>>()});
    Ok(if json { format!("{as_json}\n") } else { lines.collect() })
}
