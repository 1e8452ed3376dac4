//! Where a plan is made and applied: a deployment's table, or nothing but a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use clap::Args;
use peerd_aws::{AwsCloud, AwsDirectory, Sessions, Stack, SystemClock, configuration};
use peerd_core::finding_text::DEFAULT_STACK;
use peerd_engine::memory_store::MemoryStore;
use peerd_engine::{
    Bus, Clock, Directory, Engine, InfraError, Message, Notification, Observer, Queue, Settings, Store, role_name,
};

use super::config::{self, Config};
use crate::input;

/// The file that is read if nothing else is said.
const FILE: &str = "peerd.toml";

/// What says which meshes and accounts there are.
#[derive(Args)]
pub struct Source {
    /// File with accounts, Regions and meshes, instead of a deployment [default: peerd.toml, if it exists and --stack is not given]
    #[arg(long, value_name = "FILE", conflicts_with = "role")]
    file: Option<PathBuf>,
    /// With --stack: role to assume in each account; it must trust you (the spoke role trusts only the functions)
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
}

impl Source {
    /// The file to read, if none is a stack's.
    pub fn file(&self, stack: Option<&str>) -> Option<PathBuf> {
        let no_stack = stack.is_none() && self.role.is_none();
        self.file.clone().or_else(|| (no_stack && Path::new(FILE).exists()).then(|| FILE.into()))
    }

    /// The role to assume from here.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
}

/// The ports of the engine, from here.
pub struct Backend {
    settings: Settings,
    /// EC2, in every account.
    pub cloud: AwsCloud,
    directory: AwsDirectory,
    store: Box<dyn Store>,
    queue: Box<dyn Queue>,
    bus: Box<dyn Bus>,
    worker: String,
}

impl Backend {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// When there is neither a file nor a stack that could be read, or the organisation that the file names cannot be listed.
    pub async fn open(source: Source, stack: Option<&str>) -> Result<Self> {
        let site = match source.file(stack) {
            Some(file) => Self::of_file(&file).await?,
            None => Self::of_stack(stack, source.role).await?,
        };
        if !site.settings.units.is_empty() {
            site.engine().discover().await.context("the organisational units cannot be listed")?;
        }
        Ok(site)
    }

    async fn of_file(file: &Path) -> Result<Self> {
        let config =
            config::read(&input::read(file)?).with_context(|| format!("{} is no peerd.toml", input::name(file)))?;
        let Config { deployment, accounts, units, regions, role, external_id, meshes } = config;
        let sessions = Sessions::load(config::role_arn(&role), external_id).await;
        let settings = Settings {
            deployment,
            meshes: [].into(),
            accounts,
            units,
            regions,
            role: role_name(&role).to_owned(),
            stack: DEFAULT_STACK.to_owned(),
        };
        let store = Box::new(MemoryStore::of(meshes));
        Ok(Self::new(settings, sessions, store, Box::new(Nobody), Box::new(Nobody)))
    }

    async fn of_stack(stack: Option<&str>, role: Option<String>) -> Result<Self> {
        let stack = stack.unwrap_or(DEFAULT_STACK);
        let Some(role) = role else {
            bail!("there is no {FILE} here; for the stack {stack}, name the role to assume in each account by --role");
        };
        let deployed = Stack::of_stack(&configuration().await, stack).await?;
        let Stack { name, store, queue, bus, meshes, accounts, regions, letters: _, hub: _, stack } = deployed;
        let sessions = Sessions::load(config::role_arn(&role), None).await;
        let settings = Settings {
            deployment: name,
            meshes,
            accounts,
            units: [].into(),
            regions,
            role: role_name(&role).to_owned(),
            stack,
        };
        Ok(Self::new(settings, sessions, Box::new(store), Box::new(queue), Box::new(bus)))
    }

    fn new(
        settings: Settings,
        sessions: Sessions,
        store: Box<dyn Store>,
        queue: Box<dyn Queue>,
        bus: Box<dyn Bus>,
    ) -> Self {
        let directory = AwsDirectory::new(sessions.base());
        let worker = format!("cli#{}@{}", std::process::id(), SystemClock.now());
        Self { settings, cloud: AwsCloud::new(sessions), directory, store, queue, bus, worker }
    }

    /// The name of the hub's stack, for the commands in remedies.
    pub fn stack(&self) -> &str {
        &self.settings.stack
    }

    /// What only reads, over these ports.
    pub fn observer(&self) -> Observer<'_> {
        Observer { cloud: &self.cloud, store: &*self.store, clock: &SystemClock, settings: &self.settings }
    }

    /// The engine over these ports.
    pub fn engine(&self) -> Engine<'_> {
        let directory: &dyn Directory = &self.directory;
        Engine {
            cloud: &self.cloud,
            directory,
            store: &*self.store,
            queue: &*self.queue,
            bus: &*self.bus,
            clock: &SystemClock,
            settings: &self.settings,
            worker: &self.worker,
        }
    }
}

/// Whoever listens where there is no hub. Nothing is left for later either: what is not done is told.
struct Nobody;

#[async_trait]
impl Bus for Nobody {
    async fn publish(&self, _: &[Notification]) -> Result<(), InfraError> {
        Ok(())
    }
}

#[async_trait]
impl Queue for Nobody {
    async fn send(&self, _: &Message, _: u32) -> Result<(), InfraError> {
        Ok(())
    }
}
