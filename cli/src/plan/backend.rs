//! The ports with which a plan is made and applied: those of a deployment, or a file alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use clap::Args;
use peerd_core::operator::DEFAULT_STACK;
use peerd_core::operator::Operator;
use peerd_core::plural::counted;
use peerd_core::{SealKeys, Seals};
use peerd_engine::memory_store::MemoryStore;
use peerd_engine::{
    Bus, Caller, Engine, InfraError, Message, Notification, Observer, Queue, Settings, Store, role_name,
};

use super::config::{self, Config};
use super::saved::Origin;
use crate::shell::{Accounts, AccountsCloud, Deployed, Shell};
use crate::{input, warnings};
use sha2::{Digest, Sha256};

/// The file that is read by default.
const FILE: &str = "peerd.toml";

/// How many accounts or Regions the first line of the output names.
const MAX_LISTED: usize = 5;

/// The source of the meshes and accounts.
#[derive(Args)]
pub struct Source {
    /// File with accounts, Regions and meshes, instead of a deployment [default, except for apply: peerd.toml, if it exists and --stack is not given]
    #[arg(long, value_name = "FILE", conflicts_with = "role")]
    file: Option<PathBuf>,
    /// With --stack: role to assume in each account; it must trust you (the spoke role trusts only the functions)
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
}

impl Source {
    /// The file to read, unless a stack is the source.
    pub fn file(&self, stack: Option<&str>) -> Option<PathBuf> {
        let no_stack = stack.is_none() && self.role.is_none();
        self.file.clone().or_else(|| (no_stack && Path::new(FILE).exists()).then(|| FILE.into()))
    }

    /// Refuses a choice between a file of this directory and a deployment that the arguments name.
    fn check(&self, stack: Option<&str>) -> Result<()> {
        let names_deployment = stack.is_some() || self.role.is_some();
        if self.file.is_none() && names_deployment && Path::new(FILE).exists() {
            bail!(
                "there is a {FILE} here, and --stack (or PEERD_STACK) or --role names a deployment: pass --file {FILE} without \
                 them, or run this in another directory"
            );
        }
        Ok(())
    }

    /// Whether a file is used that the arguments do not name.
    pub fn is_implicit(&self, stack: Option<&str>) -> bool {
        self.file.is_none() && self.file(stack).is_some()
    }

    /// The role to assume from this machine.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
}

/// The ports of the engine, on this machine.
pub struct Backend<'a> {
    shell: Shell<'a>,
    /// What defines the meshes and accounts, as the user knows it.
    source_name: String,
    /// The same, as a saved plan recognizes it.
    source: String,
    /// The same, as arguments of the command line.
    arguments: String,
    caller: Caller,
    settings: Settings,
    accounts: Accounts,
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    bus: Arc<dyn Bus>,
    worker: String,
}

impl<'a> Backend<'a> {
    /// Opens the source that the arguments name.
    ///
    /// # Errors
    /// When neither a file nor a stack can be read, or the organizational units that the file names cannot be listed.
    pub async fn open(source: Source, shell: &Shell<'a>) -> Result<Self> {
        source.check(shell.stack)?;
        let file = source.file(shell.stack);
        let is_file = file.is_some();
        let site = match file {
            Some(file) => Self::of_file(&file, shell).await?,
            None => Self::of_stack(source.role, shell).await?,
        };
        if !site.settings.units.is_empty() {
            site.engine().refresh_organization().await.context("the organizational units cannot be listed")?;
        }
        shell.say(&site.summary().await?);
        if is_file {
            site.warn().await?;
        }
        Ok(site)
    }

    async fn of_file(file: &Path, shell: &Shell<'a>) -> Result<Self> {
        let text = input::read(file)?;
        let config = config::read(&text).with_context(|| format!("{} is not a valid peerd.toml", input::name(file)))?;
        let Config { deployment, accounts, units, regions, role, external_id, seal_key_file, meshes } = config;
        let keys = read_seal_keys(&file.parent().unwrap_or(Path::new("")).join(seal_key_file))?;
        let caller = shell.aws.caller().await?;
        let role_arn = config::role_arn(&role, &caller.arn)?;
        let in_accounts = shell.aws.accounts(role_arn, external_id).await?;
        let settings = Settings {
            seals: Seals::new(deployment.clone(), keys),
            deployment,
            meshes: [].into(),
            accounts,
            units,
            regions,
            role: role_name(&role).to_owned(),
            operator: Operator::File(input::name(file).into_owned()),
        };
        let store = Arc::new(MemoryStore::of(meshes));
        let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = input::name(file).into_owned();
        let source = (name.clone(), format!("file with SHA-256 {digest}"), format!("--file {name}"));
        Ok(Self::new(source, caller, settings, in_accounts, (store, Arc::new(Noop), Arc::new(Noop)), shell))
    }

    async fn of_stack(role: Option<String>, shell: &Shell<'a>) -> Result<Self> {
        let stack = shell.stack.unwrap_or(DEFAULT_STACK);
        let Some(role) = role else {
            bail!(
                "there is no {FILE} here; for the stack {stack}, name the role to assume in each account with --role"
            );
        };
        let deployed = shell.deployed().await?;
        let caller = shell.aws.caller().await?;
        let keys = shell.aws.seal_keys(&deployed.seal_secret).await?;
        let in_accounts = shell.aws.accounts(config::role_arn(&role, &deployed.stack_arn)?, None).await?;
        let Deployed { name, store, queue, bus, meshes, accounts, regions, stack, stack_arn, .. } = deployed;
        let settings = Settings {
            seals: Seals::new(name.clone(), keys),
            deployment: name,
            meshes,
            accounts,
            units: [].into(),
            regions,
            role: role_name(&role).to_owned(),
            operator: Operator::Stack(stack.clone()),
        };
        let source = (format!("stack {stack}"), stack_arn, format!("--stack {stack} --role '{role}'"));
        Ok(Self::new(source, caller, settings, in_accounts, (store, queue, bus), shell))
    }

    fn new(
        (source_name, source, arguments): (String, String, String),
        caller: Caller,
        settings: Settings,
        accounts: Accounts,
        (store, queue, bus): (Arc<dyn Store>, Arc<dyn Queue>, Arc<dyn Bus>),
        shell: &Shell<'a>,
    ) -> Self {
        let worker = format!("cli#{}@{}", std::process::id(), shell.now());
        let shell = *shell;
        Self { shell, source_name, source, arguments, caller, settings, accounts, store, queue, bus, worker }
    }

    /// EC2, in every account.
    pub fn cloud(&self) -> &dyn AccountsCloud {
        &*self.accounts.cloud
    }

    /// Where the operator makes decisions, for remedies.
    pub fn operator(&self) -> &Operator {
        &self.settings.operator
    }

    /// The arguments with which a command opens the same source.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// Where a plan comes from: the deployment, the source of its policies, the caller's account and the declared meshes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn origin(&self) -> Result<Origin> {
        let declared = self.observer().declared().await?.into_keys().collect();
        let (deployment, source) = (self.settings.deployment.clone(), self.source.clone());
        Ok(Origin {
            deployment,
            source,
            account: self.caller.account.clone(),
            declared,
            created_at_ms: self.shell.now(),
        })
    }

    /// One line: from what, by which principal, and in which accounts and Regions changes are made.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn summary(&self) -> Result<String> {
        let scopes = self.observer().scopes().await?;
        let accounts: BTreeSet<String> = scopes.iter().map(|scope| scope.account.to_string()).collect();
        let regions: BTreeSet<String> = scopes.iter().map(|scope| scope.region.to_string()).collect();
        let list = |items: BTreeSet<String>| match items.len() {
            0..=MAX_LISTED => items.into_iter().collect::<Vec<_>>().join(", "),
            many => format!(
                "{} and {}",
                items.into_iter().take(MAX_LISTED).collect::<Vec<_>>().join(", "),
                counted(many - MAX_LISTED, "other")
            ),
        };
        Ok(format!(
            "from {}, as {}, with the role {} in the accounts {} and the Regions {}",
            self.source_name,
            self.caller.arn,
            self.settings.role,
            list(accounts),
            list(regions)
        ))
    }

    /// Warns about what a file names and no account or Region has.
    async fn warn(&self) -> Result<()> {
        self.shell.warn(warnings::of_regions(&self.settings.regions));
        let scopes = self.observer().scopes().await?;
        let declared = self.observer().declared().await?;
        if declared.is_empty() {
            self.shell.warn([format!("{} declares no mesh: `[meshes.prod]` declares the mesh prod", self.source_name)]);
        }
        for (mesh, policy) in declared {
            self.shell.warn(warnings::of_policy(&mesh, &policy, &scopes));
        }
        Ok(())
    }

    /// An observer with these ports; it only reads.
    pub fn observer(&self) -> Observer<'_> {
        Observer { cloud: self.cloud(), store: &*self.store, clock: self.shell.timer, settings: &self.settings }
    }

    /// An engine with these ports.
    pub fn engine(&self) -> Engine<'_> {
        Engine {
            cloud: self.cloud(),
            organizations: &*self.accounts.organizations,
            store: &*self.store,
            queue: &*self.queue,
            bus: &*self.bus,
            clock: self.shell.timer,
            settings: &self.settings,
            worker: &self.worker,
        }
    }
}

/// Reads the keys of the seals from a file.
fn read_seal_keys(file: &Path) -> Result<SealKeys> {
    let name = input::name(file);
    let remedy = || {
        format!(
            "without the key that sealed them, peerd does not recognize its peerings; for a new deployment, create a key \
             with `openssl rand -hex 32 > {name}`, and keep it secret and safe"
        )
    };
    let text = input::read(file).with_context(remedy)?;
    SealKeys::parse(&text).with_context(|| format!("{name} is not a valid key file"))
}

/// A bus and a queue that do nothing, without a hub: there are no follow-up messages, and the output reports what is
/// not done.
struct Noop;

#[async_trait]
impl Bus for Noop {
    async fn publish(&self, _: &[Notification]) -> Result<(), InfraError> {
        Ok(())
    }
}

#[async_trait]
impl Queue for Noop {
    async fn send(&self, _: &Message, _: u32) -> Result<(), InfraError> {
        Ok(())
    }
}
