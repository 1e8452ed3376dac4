//! A deployment in memory, as the commands reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use clap::Parser;
use peerd_cli::Cli;
use peerd_cli::shell::{Accounts, Connect, Deployed, Timer};
use peerd_core::{AccountId, Check, Examination, MeshName, SealKeys, Timestamp, VpcRef};
use peerd_engine::what_if::{Consequences, Decision};
use peerd_engine::{
    Caller, Clock, Examine, HubControl, InfraError, KnownAccounts, Observer, QueueState, RedriveQueue, Settings,
};
use peerd_testkit::{MemoryStore, SimCloud, VirtualExecutor, World, account, scope};

use crate::terminal::Transcript;

/// The name of the stack of the deployment.
const STACK: &str = "peerd";

/// A deployment with an operator at a terminal.
pub struct Site {
    pub world: World,
    /// What the operator answers to the next questions; none without a terminal.
    pub answers: Option<Vec<&'static str>>,
    /// Whether the operator interrupts each command that waits for it.
    pub interrupted: bool,
    /// Whether the terminal can be drawn on.
    pub live: bool,
    /// What is drawn last on it.
    pub picture: String,
    /// The messages in the dead-letter queue.
    pub dead_letters: Arc<AtomicUsize>,
    /// The commands so far with their output.
    pub session: String,
}

impl Site {
    pub fn new() -> Self {
        Self {
            world: World::default(),
            answers: None,
            interrupted: false,
            live: false,
            picture: String::new(),
            dead_letters: Arc::default(),
            session: String::new(),
        }
    }

    /// Two connected members of `prod`, in two accounts.
    pub fn with_pair() -> (Self, [VpcRef; 2]) {
        let mut site = Self::new();
        let vpcs = [(1, "web"), (2, "data")].map(|(n, name)| site.member(name, n));
        site.world.rest();
        (site, vpcs)
    }

    /// A VPC of an account that requests `prod`.
    pub fn member(&mut self, name: &str, account: u8) -> VpcRef {
        let vpc = self.world.vpc(name, scope(account, 0), &format!("10.{account}.0.0/16"), "prod");
        self.world.mark(&vpc, "Name", Some(&format!("{name} of {account}"))).unwrap();
        vpc
    }

    /// Runs a command and returns its exit code, stdout and stderr.
    pub fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.run_words(&words)
    }

    /// Runs a command, with arguments that may contain spaces.
    pub fn run_words(&mut self, words: &[&str]) -> String {
        let cli = Cli::try_parse_from(["peerd"].iter().chain(words)).unwrap_or_else(|error| panic!("{error}"));
        let transcript = Arc::new(Transcript::new(self.answers.as_deref(), self.interrupted, self.live));
        let World { cloud, store, queue, bus, executor, .. } = &self.world;
        let aws = SimulatedAws {
            cloud: cloud.clone(),
            store: store.clone(),
            queue: queue.clone(),
            bus: bus.clone(),
            executor: executor.clone(),
            settings: self.world.settings(),
            dead_letters: self.dead_letters.clone(),
        };
        let (terminal, timer) = (transcript.clone(), VirtualTimer(executor.clone()));
        let code = self.world.complete(async move { peerd_cli::run(cli, &aws, &*terminal, &timer).await });
        self.picture = transcript.last_picture();
        let output = transcript.text(code);
        self.session += &format!("$ peerd {}\n{output}\n", words.join(" "));
        output
    }

    /// Runs a command, then the deployment until it is idle.
    pub fn run_and_rest(&mut self, command: &str) -> String {
        let output = self.run(command);
        self.world.rest();
        output
    }
}

struct VirtualTimer(Arc<VirtualExecutor>);

impl Clock for VirtualTimer {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

#[async_trait]
impl Timer for VirtualTimer {
    async fn sleep(&self, time: Duration) {
        self.0.sleep(u64::try_from(time.as_millis()).unwrap()).await;
    }
}

struct SimulatedAws {
    cloud: Arc<SimCloud>,
    store: Arc<MemoryStore>,
    queue: Arc<peerd_testkit::queue::SimQueue>,
    bus: Arc<peerd_testkit::bus::MemoryBus>,
    executor: Arc<VirtualExecutor>,
    settings: Arc<Settings>,
    dead_letters: Arc<AtomicUsize>,
}

#[async_trait]
impl Connect for SimulatedAws {
    async fn deployed(&self, stack: &str) -> Result<Deployed> {
        if stack != STACK {
            bail!("stack {stack} not read; is it the hub's stack, in this Region and account?");
        }
        let Settings { deployment, meshes, accounts, regions, .. } = (*self.settings).clone();
        let hub = Hub {
            cloud: self.cloud.clone(),
            store: self.store.clone(),
            clock: self.executor.clone(),
            settings: self.settings.clone(),
        };
        Ok(Deployed {
            stack: stack.to_owned(),
            stack_arn: format!("arn:aws:cloudformation:us-east-1:{}:stack/{stack}/1", account(1)),
            name: deployment,
            seal_secret: "arn:aws:secretsmanager:us-east-1:111111111111:secret:peerd".to_owned(),
            store: self.store.clone(),
            bus: self.bus.clone(),
            queue: self.queue.clone(),
            queues: vec![Arc::new(DeadLetters(self.dead_letters.clone()))],
            hub: Arc::new(hub),
            meshes,
            accounts,
            regions,
        })
    }

    async fn caller(&self) -> Result<Caller> {
        Ok(Caller { account: account(1), arn: format!("arn:aws:iam::{}:user/operator", account(1)) })
    }

    async fn seal_keys(&self, _: &str) -> Result<SealKeys> {
        Ok(SealKeys::parse("the-key-of-the-simulated-deployment")?)
    }

    async fn accounts(&self, _: String, _: Option<String>) -> Result<Accounts> {
        Ok(Accounts { cloud: self.cloud.clone(), organizations: self.cloud.clone() })
    }
}

struct Hub {
    cloud: Arc<SimCloud>,
    store: Arc<MemoryStore>,
    clock: Arc<VirtualExecutor>,
    settings: Arc<Settings>,
}

impl Hub {
    fn observer(&self) -> Observer<'_> {
        Observer { cloud: &*self.cloud, store: &*self.store, clock: &*self.clock, settings: &self.settings }
    }
}

#[async_trait]
impl HubControl for Hub {
    async fn foresee(&self, decision: &Decision) -> Result<BTreeMap<MeshName, Consequences>, InfraError> {
        self.observer().foresee(decision).await.map_err(|error| InfraError::new(error.to_string()))
    }

    async fn examine_spokes(&self, accounts: &BTreeSet<AccountId>) -> Result<Examination, InfraError> {
        let mut scopes = self.observer().scopes().await?;
        scopes.retain(|scope| accounts.is_empty() || accounts.contains(&scope.account));
        let scopes = self.cloud.examine_all(scopes, &self.settings.deployment, Some(self.bus())).await;
        Ok(Examination { version: peerd_core::VERSION.to_owned(), hub: Vec::new(), scopes })
    }

    async fn check(&self, _: &KnownAccounts) -> Vec<Check> {
        vec![Check::pass("the stack peerd is CREATE_COMPLETE")]
    }

    fn bus(&self) -> &str {
        "arn:aws:events:us-east-1:111111111111:event-bus/peerd"
    }

    fn schedule(&self) -> Option<&str> {
        Some("rate(15 minutes)")
    }
}

/// A queue with dead letters, of which one at a time is received.
struct DeadLetters(Arc<AtomicUsize>);

#[async_trait]
impl RedriveQueue for DeadLetters {
    fn name(&self) -> &str {
        "vpc-events"
    }

    async fn state(&self) -> Result<QueueState, InfraError> {
        let dead = u64::try_from(self.0.load(Ordering::Relaxed)).unwrap();
        Ok(QueueState { waiting: 0, dead, has_dead_letters: true })
    }

    fn restore_dead_letters(&self) -> String {
        unreachable!("it has one")
    }

    async fn redrive(&self) -> Result<usize, InfraError> {
        let moves = |left: usize| left.checked_sub(1);
        Ok(usize::from(self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moves).is_ok()))
    }
}
