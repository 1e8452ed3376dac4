//! `peerd confirm`: an operator approves a blocked mass delete, once.

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_core::{DeleteApproval, Finding, MeshName};
use peerd_engine::reconcile_request::ReconcileRequest;
use peerd_engine::what_if::Decision;

use crate::consent::{Confirms, Consent};
use crate::done::Done;
use crate::shell::{Deployed, Shell};

/// The arguments of `peerd confirm`.
#[derive(Args)]
pub struct Confirm {
    /// Name of the mesh
    mesh: MeshName,
    #[command(flatten)]
    consent: Consent,
}

/// `peerd confirm`: one run of the mesh deletes as many peerings as the last run wanted to delete, whatever the limits.
pub async fn confirm(Confirm { mesh, consent }: Confirm, shell: &Shell<'_>, deployed: &Deployed) -> Result<Done> {
    let record = deployed.store.findings_record(&mesh).await?.unwrap_or_default();
    let deletes = |finding: &Finding| match finding {
        Finding::DeleteLimit { deletes, .. } => Some((finding.message(), *deletes)),
        _ => None,
    };
    let Some((blocked, deletes)) = record.findings.iter().find_map(deletes) else {
        bail!("no deletion of {mesh} waits for confirmation; `peerd status {mesh}` shows the open findings");
    };
    let decision = Decision::Confirm { mesh: mesh.clone(), deletes };
    consent.ask(&decision, Confirms::Deletes, "", shell, deployed).await?;
    let request = ReconcileRequest {
        everywhere: true,
        delete_approval: DeleteApproval::Confirmed { deletes },
        causes: [shell.cause("confirm", &mesh).await?].into(),
        ..ReconcileRequest::default()
    };
    let sent = deployed.queue.send(&request.to_message(&mesh), 0).await;
    sent.with_context(|| format!("{mesh}: not confirmed"))?;
    Ok(Done::new(&mesh, format!("approved ({blocked}); deletion queued")))
}
