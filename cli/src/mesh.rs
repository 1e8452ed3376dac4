//! `peerd mesh`: the policies that operators declare.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use peerd_core::policy::Mode;
use peerd_core::widening::widening;
use peerd_core::{MeshName, PeeringId, Policy};
use peerd_engine::reconcile_request::ReconcileRequest;
use peerd_engine::what_if::Decision;

use crate::account::known_accounts;
use crate::consent::{Confirms, Consent};
use crate::declarations::{Declaration, declarations, list, list_as_json, word};
use crate::done::Done;
use crate::shell::{Deployed, Shell};
use crate::{input, warnings};

#[derive(Subcommand)]
pub enum Command {
    /// List the declared meshes
    List,
    /// Print the policy of a mesh
    Show {
        /// Name of the mesh
        mesh: MeshName,
    },
    /// Declare a mesh, or replace its policy, and reconcile it
    Declare {
        /// Name of the mesh
        mesh: MeshName,
        /// JSON file with the policy (docs/policies.md), or - for stdin [default: a full mesh of every registered account]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Declare it paused: `peerd status` shows the pending changes, and `peerd mesh resume` applies them
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Pause a mesh: observe and report, and change nothing
    Pause {
        /// Name of the mesh
        mesh: MeshName,
    },
    /// Resume a paused or draining mesh
    Resume {
        /// Name of the mesh
        mesh: MeshName,
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete the routes and peerings of a mesh; members keep their tags
    Drain {
        /// Name of the mesh
        mesh: MeshName,
        #[command(flatten)]
        consent: Consent,
    },
    /// Remove a mesh's policy; a mesh of the stack gets the default one
    Undeclare {
        /// Name of the mesh
        mesh: MeshName,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Args)]
pub struct Handover {
    /// Id of the peering
    peering: PeeringId,
    /// Mesh whose members it connects
    #[arg(long)]
    mesh: MeshName,
    #[command(flatten)]
    consent: Consent,
}

/// `peerd adopt` and `peerd release`.
pub async fn set_adoption(handover: Handover, adopt: bool, shell: &Shell<'_>, deployed: &Deployed) -> Result<Done> {
    let Handover { peering, mesh, consent } = handover;
    let mut policy = policy_of(deployed, &mesh).await?;
    policy.set_adoption(peering.clone(), adopt);
    check_size(&mesh, &policy)?;
    let decision = match adopt {
        true => Decision::Adopt { mesh: mesh.clone(), peering: peering.clone() },
        false => Decision::Release { mesh: mesh.clone(), peering: peering.clone() },
    };
    consent.ask(&decision, Confirms::Deletes, "", shell, deployed).await?;
    let (call, does) = if adopt { ("adopt", "adopts") } else { ("release", "releases") };
    let done = format!("{does} {peering}");
    let others = meshes_with(deployed, &peering).await?.into_iter().filter(|other| *other != mesh);
    let declared = declare(shell, deployed, &mesh, &policy, (call, &done)).await?;
    for other in others {
        reconcile(shell, deployed, &other, call, &done).await?;
    }
    Ok(declared)
}

/// The meshes whose policies adopt or release a peering.
async fn meshes_with(deployed: &Deployed, peering: &PeeringId) -> Result<Vec<MeshName>> {
    let names = |policy: &Policy| policy.adopt.contains(peering) || policy.release.contains(peering);
    let declared = declarations(deployed).await?.into_iter();
    Ok(declared.filter(|(_, declaration)| declaration.policy().is_some_and(names)).map(|(mesh, _)| mesh).collect())
}

/// Runs a command and returns its output.
pub async fn run(command: Command, shell: &Shell<'_>, deployed: &Deployed) -> Result<String> {
    let done = match command {
        Command::List => {
            let declared = declarations(deployed).await?;
            return Ok(if shell.json { list_as_json(&declared) } else { list(&declared) });
        }
        Command::Show { mesh } => return pretty(&policy_of(deployed, &mesh).await?),
        Command::Declare { mesh, policy, paused, consent } => {
            let given = policy.map_or_else(|| Ok(Given::default()), |file| read(&file))?;
            replace(shell, deployed, mesh, given, paused, &consent).await
        }
        Command::Pause { mesh } => {
            let policy = Policy { mode: Mode::Paused, ..policy_of(deployed, &mesh).await? };
            declare(shell, deployed, &mesh, &policy, ("mesh pause", "paused")).await
        }
        Command::Resume { mesh, consent } => {
            change_mode(shell, deployed, mesh, Mode::Active, ("mesh resume", "resumed"), &consent).await
        }
        Command::Drain { mesh, consent } => {
            change_mode(shell, deployed, mesh, Mode::Draining, ("mesh drain", "draining"), &consent).await
        }
        Command::Undeclare { mesh, consent } => undeclare(shell, deployed, mesh, &consent).await,
    };
    Ok(done?.answer(shell))
}

/// Declares a mesh. A mesh that is declared already keeps its mode, unless one is given: who pauses a mesh and who changes its policy
/// may be two people.
async fn replace(
    shell: &Shell<'_>,
    deployed: &Deployed,
    mesh: MeshName,
    given: Given,
    paused: bool,
    consent: &Consent,
) -> Result<Done> {
    let Given { mut policy, has_mode } = given;
    check_size(&mesh, &policy)?;
    shell.warn(warnings::of_policy(&mesh, &policy, &known_accounts(deployed).await?.scopes));
    let current = declarations(deployed).await?.remove(&mesh).and_then(|declared| declared.policy().cloned());
    let mode = current.as_ref().map(|policy| policy.mode.clone()).filter(|mode| !matches!(mode, Mode::Unreadable(_)));
    let mut done = "declared".to_owned();
    if paused {
        policy.mode = Mode::Paused;
    } else if let Some(mode) = mode.filter(|mode| !has_mode && *mode != policy.mode) {
        done = format!("declared; it stays {}, and `peerd mesh resume {mesh}` ends that", word(&mode));
        policy.mode = mode;
    }
    let (confirms, note) = match &current {
        Some(current) => (Confirms::Everything, opens(&mesh, current, &policy)),
        None => (Confirms::Deletes, String::new()),
    };
    declare_with_consent(shell, deployed, mesh, policy, ("mesh declare", &done), (confirms, &note), consent).await
}

/// What a policy lets in that the current one does not, also if no VPC uses it yet.
fn opens(mesh: &MeshName, current: &Policy, policy: &Policy) -> String {
    let wider = widening(current, policy);
    if wider.is_empty() {
        return String::new();
    }
    format!("{mesh} opens:\n  {}\n", wider.join("\n  "))
}

/// DynamoDB stores items of up to 400 KB, which a policy that lists ten thousands of VPCs exceeds
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
fn check_size(mesh: &MeshName, policy: &Policy) -> Result<()> {
    let size = serde_json::to_vec(policy)?.len();
    if size > MAX_POLICY {
        bail!(
            "the policy of {mesh} has {} KB, and {} KB fit in the table: admit accounts or organizational units instead of VPCs",
            size / 1024,
            MAX_POLICY / 1024
        );
    }
    Ok(())
}

/// The largest policy, in bytes of its JSON, which has more of them than its item in the table.
const MAX_POLICY: usize = 380 * 1024;

async fn change_mode(
    shell: &Shell<'_>,
    deployed: &Deployed,
    mesh: MeshName,
    mode: Mode,
    done: (&str, &str),
    consent: &Consent,
) -> Result<Done> {
    let policy = Policy { mode, ..policy_of(deployed, &mesh).await? };
    if !deployed.meshes.contains(&mesh) || policy != Policy::default() {
        return declare_with_consent(shell, deployed, mesh, policy, done, (Confirms::Deletes, ""), consent).await;
    }
    // The default policy of a mesh of the stack needs no record.
    undeclare_with_consent(shell, deployed, mesh, done, (Confirms::Deletes, ""), consent).await
}

async fn declare_with_consent(
    shell: &Shell<'_>,
    deployed: &Deployed,
    mesh: MeshName,
    policy: Policy,
    done: (&str, &str),
    (confirms, note): (Confirms, &str),
    consent: &Consent,
) -> Result<Done> {
    let decision = Decision::Declare { mesh: mesh.clone(), policy: Box::new(policy.clone()) };
    consent.ask(&decision, confirms, note, shell, deployed).await?;
    declare(shell, deployed, &mesh, &policy, done).await
}

async fn undeclare(shell: &Shell<'_>, deployed: &Deployed, mesh: MeshName, consent: &Consent) -> Result<Done> {
    let Some(Declaration::Policy(current)) = declarations(deployed).await?.remove(&mesh) else {
        bail!("no operator declared {mesh}; `peerd mesh list` shows who declares which mesh");
    };
    let by_stack = deployed.meshes.contains(&mesh);
    let note = match by_stack {
        true => format!(
            "{mesh} is in the stack parameter Meshes: without its policy it is a full mesh of all known accounts; remove it there \
             first to keep it as it is\n{}",
            opens(&mesh, &current, &Policy::default())
        ),
        false => String::new(),
    };
    let done = if by_stack { "its policy is the stack's default again" } else { "no longer declared" };
    undeclare_with_consent(shell, deployed, mesh, ("mesh undeclare", done), (Confirms::Everything, &note), consent)
        .await
}

async fn undeclare_with_consent(
    shell: &Shell<'_>,
    deployed: &Deployed,
    mesh: MeshName,
    (call, done): (&str, &str),
    (confirms, note): (Confirms, &str),
    consent: &Consent,
) -> Result<Done> {
    consent.ask(&Decision::Undeclare { mesh: mesh.clone() }, confirms, note, shell, deployed).await?;
    deployed.store.undeclare(&mesh).await?;
    reconcile(shell, deployed, &mesh, call, done).await
}

async fn policy_of(deployed: &Deployed, mesh: &MeshName) -> Result<Policy> {
    match declarations(deployed).await?.remove(mesh).and_then(|declared| declared.policy().cloned()) {
        Some(Policy { mode: Mode::Unreadable(why), .. }) => {
            bail!("the stored policy of {mesh} cannot be read: {why}; declare {mesh} again")
        }
        Some(policy) => Ok(policy),
        None => bail!("{mesh} is not declared; `peerd mesh declare {mesh}` declares it"),
    }
}

/// Stores a policy, with the command and what it did.
async fn declare(
    shell: &Shell<'_>,
    deployed: &Deployed,
    mesh: &MeshName,
    policy: &Policy,
    (call, done): (&str, &str),
) -> Result<Done> {
    deployed.store.declare(mesh, policy).await?;
    reconcile(shell, deployed, mesh, call, done).await
}

/// Requests an immediate reconcile of the mesh for a command, and reports what was done.
async fn reconcile(shell: &Shell<'_>, deployed: &Deployed, mesh: &MeshName, call: &str, done: &str) -> Result<Done> {
    let late = || format!("{mesh}: {done}, but that takes effect only with the next sweep");
    let request = ReconcileRequest {
        everywhere: true, // VPCs that requested the mesh before it was declared are not in the index
        causes: [shell.cause(call, mesh).await.with_context(late)?].into(),
        ..ReconcileRequest::default()
    };
    deployed.queue.send(&request.to_message(mesh), 0).await.with_context(late)?;
    Ok(Done::new(mesh, format!("{done}; it is being reconciled")))
}

/// A policy as it was given.
#[derive(Debug, Default, PartialEq, Eq)]
struct Given {
    policy: Policy,
    /// Whether it sets the mode.
    has_mode: bool,
}

fn read(file: &Path) -> Result<Given> {
    let (name, text) = (input::name(file), input::read(file)?);
    let mut json = serde_json::Deserializer::from_str(&text);
    let policy = Policy::read(&mut json).with_context(|| format!("{name} is not a valid policy"))?;
    json.end().with_context(|| format!("{name} contains more than one policy"))?;
    let has_mode = serde_json::from_str::<serde_json::Value>(&text)?.get("mode").is_some();
    Ok(Given { policy, has_mode })
}

fn pretty(policy: &Policy) -> Result<String> {
    Ok(serde_json::to_string_pretty(policy)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_policy_file_is_rejected_with_the_field() {
        let file = std::env::temp_dir().join(format!("peerd-policy-{}.json", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            super::read(&file).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(read("{}").unwrap(), Given::default());
        assert!(read(r#"{"mode":"active"}"#).unwrap().has_mode);
        assert!(
            read(" [\"paused\"]").unwrap_err().contains("is not a valid policy: the policy: invalid type: sequence")
        );
        assert!(
            read(r#"{"topology":"ring"}"#)
                .unwrap_err()
                .contains("is not a valid policy: policy field `topology`: unknown variant `ring`")
        );
        assert!(read("{} {}").unwrap_err().contains("contains more than one policy"));
        std::fs::remove_file(&file).unwrap();
        assert!(super::read(&file).unwrap_err().to_string().ends_with("not read"));
    }
}
