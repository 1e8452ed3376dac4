//! What a command uses besides its arguments: AWS, a terminal and time. Tests replace each of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use peerd_core::operator::DEFAULT_STACK;
use peerd_core::{AccountId, Cause, Deployment, MeshName, Region, SealKeys, Timestamp};
use peerd_engine::{
    Bus, Caller, Clock, Cloud, Examine, HubControl, NetworkRead, OperatorStore, OrganizationsClient, Queue,
    RedriveQueue, UserVpcs,
};

/// What a command uses besides its arguments.
#[derive(Clone, Copy)]
pub struct Shell<'a> {
    /// The way to AWS.
    pub aws: &'a dyn Connect,
    /// The terminal.
    pub terminal: &'a dyn Terminal,
    /// The clock.
    pub timer: &'a dyn Timer,
    /// The stack that the command line names.
    pub stack: Option<&'a str>,
    /// Whether the output is JSON.
    pub json: bool,
    /// Whether AWS's own texts of errors are printed too.
    pub verbose: bool,
}

impl Shell<'_> {
    /// Writes a message to stderr.
    pub fn say(&self, line: &str) {
        self.terminal.say(line);
    }

    /// Writes warnings to stderr.
    pub fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        warnings.into_iter().for_each(|warning| self.say(&format!("warning: {warning}")));
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.timer.now()
    }

    /// The user's command, as the run history shows it.
    ///
    /// # Errors
    /// When STS does not answer.
    pub async fn cause(&self, call: &str, on: &impl std::fmt::Display) -> Result<Cause> {
        Ok(Cause { call: call.to_owned(), on: on.to_string(), by: self.aws.caller().await?.arn })
    }

    /// The deployment that the command line names, or the default one.
    ///
    /// # Errors
    /// When its stack cannot be read, or is not the hub's.
    pub async fn deployed(&self) -> Result<Deployed> {
        self.aws.deployed(self.stack.unwrap_or(DEFAULT_STACK)).await
    }
}

/// The terminal of a command, or the files and pipes in its place.
#[async_trait]
pub trait Terminal: Sync {
    /// Writes the output of a command, without colors if it is for programs.
    ///
    /// # Errors
    /// When it cannot be written. A reader that closes the pipe early is not an error.
    fn print(&self, text: &str, is_data: bool) -> Result<()>;
    /// Writes a message to stderr. An error while writing is ignored, because the action is already done.
    fn say(&self, line: &str);
    /// Shows a text and a question, and returns the line that the user answers; none if stdin is not a terminal.
    ///
    /// # Errors
    /// When stdin cannot be read.
    fn ask(&self, text: &str, question: &str) -> Result<Option<String>>;
    /// Begins a stage of the command that has this number of steps.
    fn stage(&self, name: &'static str, steps: usize);
    /// Counts one step of the stage as done.
    fn step(&self);
    /// Whether stdout is a terminal that can be drawn on.
    fn is_live(&self) -> bool {
        false
    }
    /// Shows some lines below the output, in place of those before.
    fn picture(&self, _: &str) {}
    /// Waits until the user interrupts the command with Ctrl-C, which from then on ends the process only the second time.
    async fn interrupted(&self) {
        std::future::pending().await
    }
}

/// The clock, which can wait.
#[async_trait]
pub trait Timer: Clock {
    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// The way to AWS, with the credentials of the user.
#[async_trait]
pub trait Connect: Sync {
    /// A deployment, by the name of its hub's stack.
    async fn deployed(&self, stack: &str) -> Result<Deployed>;
    /// The principal whose credentials are used.
    async fn caller(&self) -> Result<Caller>;
    /// The keys of the seals, from the secret with this ARN.
    async fn seal_keys(&self, secret: &str) -> Result<SealKeys>;
    /// The accounts in which a role can be assumed. `role` is its ARN, with `{account}` in place of the account id.
    async fn accounts(&self, role: String, external_id: Option<String>) -> Result<Accounts>;
}

/// EC2 in every account, as a role sees it.
pub trait AccountsCloud: Cloud + NetworkRead + Examine + UserVpcs {}

impl<C: Cloud + NetworkRead + Examine + UserVpcs> AccountsCloud for C {}

/// The accounts in which a role can be assumed.
pub struct Accounts {
    /// EC2 in every account.
    pub cloud: Arc<dyn AccountsCloud>,
    /// AWS Organizations, with the user's own credentials.
    pub organizations: Arc<dyn OrganizationsClient>,
}

/// A deployment, with the user's own credentials.
pub struct Deployed {
    /// The name of its stack.
    pub stack: String,
    /// The ARN of its stack.
    pub stack_arn: String,
    /// The name of the deployment, which is the value of its ownership tags.
    pub name: Deployment,
    /// The ARN of the secret with the keys of its seals.
    pub seal_secret: String,
    /// Its table.
    pub store: Arc<dyn OperatorStore>,
    /// Its bus.
    pub bus: Arc<dyn Bus>,
    /// The queue for work on all of its meshes.
    pub queue: Arc<dyn Queue>,
    /// Every queue with its dead-letter queue.
    pub queues: Vec<Arc<dyn RedriveQueue>>,
    /// Its stack and its function.
    pub hub: Arc<dyn HubControl>,
    /// The meshes that its parameter `Meshes` declares.
    pub meshes: BTreeSet<MeshName>,
    /// The accounts of its parameter `Accounts`.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions of its parameter `Regions`.
    pub regions: BTreeSet<Region>,
}

/// A program that is built without the AWS SDK.
#[derive(Debug, Clone, Copy)]
pub struct NoAws;

impl NoAws {
    fn refuse<T>() -> Result<T> {
        bail!("this program was built without the AWS SDK: `cargo install --path cli` builds it with the SDK")
    }
}

#[async_trait]
impl Connect for NoAws {
    async fn deployed(&self, _: &str) -> Result<Deployed> {
        Self::refuse()
    }

    async fn caller(&self) -> Result<Caller> {
        Self::refuse()
    }

    async fn seal_keys(&self, _: &str) -> Result<SealKeys> {
        Self::refuse()
    }

    async fn accounts(&self, _: String, _: Option<String>) -> Result<Accounts> {
        Self::refuse()
    }
}
