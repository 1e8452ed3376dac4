//! The command line of peerd: data on stdout, talk on stderr.

mod account;
mod explain;
mod hints;
mod import;
mod letting;
mod mesh;
mod plan;
mod reference;
mod status;
mod table;

use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use peerd_aws::{Deployed, configuration};

/// Meshes of VPC peerings on AWS.
#[derive(Parser)]
#[command(name = "peerd", version, arg_required_else_help = true, after_long_help = AFTER)]
struct Cli {
    /// The stack of peerd's hub, `peerd` if nothing is said; its Region, account and credentials are those of the AWS CLI
    #[arg(long, global = true, env = "PEERD_STACK", value_name = "NAME")]
    stack: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What is the same for all commands.
const AFTER: &str = "\
Data goes to stdout, everything else to stderr; nothing is coloured. Region, profile, credentials and endpoints are those of the \
AWS CLI: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and so on.

Exit codes: 0 done; 1 not done, and stderr says why and what to do; 2 the command line is wrong, or, of `peerd plan \
--detailed-exitcode`, something is to be done.";

/// The hub's stack if nothing else is said.
const STACK: &str = "peerd";

/// What a command prints, and the exit code that goes with it.
struct Answer {
    text: String,
    code: u8,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, code: 0 }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Show all that peerd would do, from here, with a deployment or without; nothing is changed
    Plan(plan::PlanArguments),
    /// Do it, from here, with a deployment or without
    Apply(plan::ApplyArguments),
    /// Say why two VPCs reach each other or do not: meshes, peering, route tables, network ACLs and security groups
    Explain(explain::Arguments),
    #[command(flatten)]
    OfDeployment(OfDeployment),
    /// Print completions for a shell: `peerd completions bash > /etc/bash_completion.d/peerd`
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Print the page for `man`: `peerd man | man -l -`
    Man,
    /// Print docs/cli.md
    #[command(hide = true)]
    Reference,
}

/// What needs a deployment.
#[derive(Subcommand)]
enum OfDeployment {
    /// Declare meshes and say how far peerd may go with them
    #[command(subcommand)]
    Mesh(mesh::Command),
    /// Say in which accounts members may be
    #[command(subcommand)]
    Account(account::Command),
    /// Show the meshes: who is in them and what is open; with a mesh, all of it and what to do
    Status(status::Status),
    /// Show what the latest runs of a mesh did, failed and found
    History(status::History),
    /// Have a mesh manage an active peering that somebody else made between two of its members, as it is
    Adopt(mesh::Handover),
    /// Take over what the Python peerd keeps: its file becomes policies, VPC tags and adoptions, as a plan first
    Import(import::Arguments),
    /// Let a run delete all that is due of a mesh, which was held back because it is more than the policy lets go unasked
    Confirm(letting::Confirm),
    /// Put the messages that the functions gave up on back into their queues
    Redrive,
    /// Give a peering to somebody else: it loses peerd's mark, and it and its routes stay as they are
    Release(mesh::Handover),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await.and_then(|Answer { text, code }| print(&text).map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            let error = format!("{error:#}");
            say(&format!("error: {error}"));
            hints::hint(&error).into_iter().for_each(|hint| say(&format!("hint: {hint}")));
            ExitCode::FAILURE
        }
    }
}

/// Carries a command out.
async fn run(Cli { stack, json, command }: Cli) -> anyhow::Result<Answer> {
    let command = match command {
        Command::Plan(arguments) => return plan::plan(arguments, stack.as_deref(), json).await,
        Command::Apply(arguments) => return plan::apply(arguments, stack.as_deref(), json).await,
        Command::Explain(arguments) => return explain::run(arguments, stack.as_deref(), json).await.map(Answer::from),
        Command::Completions { shell } => return reference::completions(shell).map(Answer::from),
        Command::Man => return reference::man().map(Answer::from),
        Command::Reference => return Ok(reference::markdown().into()),
        Command::OfDeployment(command) => command,
    };
    let deployed = &Deployed::of_stack(&configuration().await, stack.as_deref().unwrap_or(STACK)).await?;
    let text = match command {
        OfDeployment::Mesh(command) => mesh::run(command, deployed, json).await?,
        OfDeployment::Account(command) => account::run(command, deployed, json).await?,
        OfDeployment::Status(what) => status::status(what, deployed, json).await?,
        OfDeployment::History(what) => status::history(what, deployed, json).await?,
        OfDeployment::Adopt(handover) => mesh::hand_over(handover, true, deployed).await?,
        OfDeployment::Import(arguments) => import::run(arguments, deployed, json).await?,
        OfDeployment::Confirm(what) => letting::confirm(what, deployed).await?,
        OfDeployment::Redrive => letting::redrive(deployed, json).await?,
        OfDeployment::Release(handover) => mesh::hand_over(handover, false, deployed).await?,
    };
    Ok(text.into())
}

/// Tells on stderr what was done. It is done, whether or not anybody hears of it.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Writes to stdout; a reader that has seen enough is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
