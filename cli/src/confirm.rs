//! `peerd confirm`: an operator approves a blocked mass delete, once.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_aws::Stack;
use peerd_core::{DeleteApproval, Finding, MeshName};
use peerd_engine::{FindingStore, Message, Queue, Work};

use crate::say;

/// The arguments of `peerd confirm`.
#[derive(Args)]
pub struct Confirm {
    /// Name of the mesh
    mesh: MeshName,
}

/// `peerd confirm`: one run of the mesh deletes without the delete limits.
pub async fn confirm(Confirm { mesh }: Confirm, deployed: &Stack) -> Result<String> {
    let record = deployed.store.findings_record(&mesh).await?.unwrap_or_default();
    let blocked = record.findings.iter().find(|finding| matches!(finding, Finding::DeleteLimit { .. }));
    let Some(blocked) = blocked else {
        bail!("no deletion of {mesh} waits for confirmation; `peerd status {mesh}` shows the open findings");
    };
    let work = Work::Reconcile {
        mesh: mesh.clone(),
        scopes: BTreeSet::new(),
        everywhere: true,
        delete_approval: DeleteApproval::Confirmed,
    };
    let sent = deployed.queue.send(&Message::new(0, work), 0).await;
    sent.with_context(|| format!("{mesh}: not confirmed"))?;
    say(&format!("{mesh}: approved ({}); deletion queued", blocked.message()));
    Ok(String::new())
}
