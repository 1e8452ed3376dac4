//! `peerd import`: imports the configuration of the Python peerd, as a plan first.

mod adoption;
mod cidr_overrides;
mod legacy_config;
mod mesh;
mod peering_tags;
mod plan;
mod render;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use futures::{StreamExt, stream};
use peerd_core::{AccountId, Deployment, MeshName, ObservedState, Policy, Region, Scope, SealKeys, Seals, VpcId};
use peerd_engine::error::chain;
use peerd_engine::{Message, Work};

use crate::account::known_accounts;
use crate::input;
use crate::plan::role_arn;
use crate::shell::{AccountsCloud, Deployed, Shell};
use plan::{Import, Known};

/// How many scopes are read concurrently.
const CONCURRENCY: usize = 16;

/// The arguments of `peerd import`.
#[derive(Args)]
pub struct Arguments {
    /// YAML file of the Python peerd, or - for stdin
    file: PathBuf,
    /// Role to assume in each account [default: the role that the file names]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Mesh name for an environment whose name is not a valid mesh name; repeatable
    #[arg(long = "rename", value_name = "ENVIRONMENT=MESH", value_parser = rename)]
    renames: Vec<(String, MeshName)>,
    /// Register the accounts, declare the meshes (paused) and tag the VPCs
    #[arg(long)]
    apply: bool,
}

/// Something that is not imported as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The subject.
    pub about: String,
    /// What differs, and why.
    pub text: String,
}

impl Note {
    fn new(about: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { about: about.to_string(), text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

fn rename(text: &str) -> Result<(String, MeshName), String> {
    let (old, new) = text.split_once('=').ok_or("expected ENVIRONMENT=MESH")?;
    Ok((old.to_owned(), new.parse().map_err(|error: peerd_core::ids::IdError| error.to_string())?))
}

/// Runs the command and returns its output.
pub async fn run(arguments: Arguments, shell: &Shell<'_>, deployed: &Deployed) -> Result<String> {
    let Arguments { file, role, renames, apply } = arguments;
    let name = input::name(&file);
    let old = legacy_config::read(&input::read(&file)?)
        .with_context(|| format!("{name} is not a file of the Python peerd"))?;
    let Some(role) = role.or_else(|| old.role.clone()) else {
        bail!("{name} has no common_principal_name; name the role to assume in each account with --role");
    };
    let cloud = shell.aws.accounts(role_arn(&role, &deployed.stack_arn)?, None).await?.cloud;
    let observed = observe(&*cloud, old.vpcs(), &deployed.name).await;
    let (declared, scopes) = (policies(deployed).await?, known_accounts(deployed).await?.scopes);
    let known = Known { observed: &observed, declared: &declared, scopes: &scopes };
    let import = plan::plan(&old, &renames.into_iter().collect(), &known)
        .map_err(|problems| anyhow!("{name} cannot be imported:\n  {}", problems.join("\n  ")))?;
    let text = if shell.json { render::as_json(&import) } else { render::plan(&import) };
    if apply {
        make(&import, &*cloud, shell, deployed)
            .await
            .with_context(|| format!("partly applied; the plan was:\n{text}"))?;
    } else {
        shell.say("this is a plan, and nothing was changed; to make the changes, add --apply");
    }
    Ok(text)
}

/// Reads VPCs and the peerings of their scopes. Records the scopes that cannot be read.
///
/// It verifies no seal: a peering with an ownership tag is not imported, whichever principal wrote the tag.
async fn observe(
    cloud: &dyn AccountsCloud,
    vpcs: BTreeMap<Scope, BTreeSet<VpcId>>,
    deployment: &Deployment,
) -> ObservedState {
    let seals = Seals::new(deployment.clone(), SealKeys::default());
    let read = |(scope, ids): (Scope, BTreeSet<VpcId>)| async move {
        let (vpcs, peerings) = futures::join!(cloud.vpcs_by_id(&scope, &ids), cloud.peerings(&scope));
        (scope, vpcs.and_then(|vpcs| Ok((vpcs, peerings?))))
    };
    let mut observed = ObservedState::default();
    let mut answers = stream::iter(vpcs).map(read).buffer_unordered(CONCURRENCY);
    while let Some((scope, answer)) = answers.next().await {
        match answer {
            Ok((vpcs, peerings)) => {
                observed.vpcs.extend(vpcs.into_iter().map(|vpc| (vpc.vpc_ref.clone(), vpc)));
                peerings.into_iter().for_each(|view| observed.add_peering(&scope, view, &seals));
                observed.scopes.insert(scope, Ok(()));
            }
            Err(error) => drop(observed.scopes.insert(scope, Err(chain(&error)))),
        }
    }
    observed
}

async fn policies(deployed: &Deployed) -> Result<BTreeMap<MeshName, Policy>> {
    let stored = deployed.store.meshes().await?.into_iter();
    Ok(stored.filter_map(|(mesh, record)| Some((mesh, record.policy()?))).collect())
}

/// Registers accounts, declares meshes and tags VPCs, in this order: the mesh of a tagged VPC exists and is paused.
async fn make(import: &Import, cloud: &dyn AccountsCloud, shell: &Shell<'_>, deployed: &Deployed) -> Result<()> {
    let mut accounts: BTreeMap<&AccountId, BTreeSet<Region>> = BTreeMap::new();
    for Scope { account, region } in &import.register {
        accounts.entry(account).or_default().insert(region.clone());
    }
    for (account, regions) in accounts {
        if !deployed.store.add_account(account, &regions).await? {
            bail!("{account} is blocked; `peerd account unblock {account}` ends that");
        }
    }
    for (mesh, policy) in &import.meshes {
        deployed.store.declare(mesh, policy).await?;
        shell.say(&format!("{mesh}: declared, paused"));
    }
    let mut untagged = Vec::new();
    for (vpc, tags) in &import.tags {
        for (key, value) in tags {
            if let Err(error) = cloud.tag_vpc(vpc, key, Some(value)).await {
                untagged.push(format!("{}\n    {}", chain(&error), render::tag_command(vpc, tags)));
                break;
            }
        }
    }
    deployed.queue.send(&Message::new(0, Work::Sweep {}), 0).await.context("the next sweep finds the new tags")?;
    if !untagged.is_empty() {
        bail!("{} of {} VPCs are not tagged:\n  {}", untagged.len(), import.tags.len(), untagged.join("\n  "));
    }
    shell.say("`peerd status MESH` shows the pending changes; `peerd mesh resume MESH` applies them");
    Ok(())
}
