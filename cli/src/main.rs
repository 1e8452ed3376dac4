//! The command line of peerd: data on stdout, talk on stderr.

mod account;
mod import;
mod mesh;
mod status;
mod table;

use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use peerd_aws::{Deployed, configuration};

/// Meshes of VPC peerings on AWS.
#[derive(Parser)]
#[command(name = "peerd", version, arg_required_else_help = true)]
struct Cli {
    /// The stack of peerd's hub; its Region, account and credentials are those of the AWS CLI
    #[arg(long, global = true, env = "PEERD_STACK", default_value = "peerd", value_name = "NAME")]
    stack: String,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    /// Give a peering to somebody else: it loses peerd's mark, and it and its routes stay as they are
    Release(mesh::Handover),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Carries a command out and answers what is to be printed.
async fn run(Cli { stack, json, command }: Cli) -> anyhow::Result<String> {
    let deployed = Deployed::of_stack(&configuration().await, &stack).await?;
    match command {
        Command::Mesh(command) => mesh::run(command, &deployed, json).await,
        Command::Account(command) => account::run(command, &deployed, json).await,
        Command::Status(what) => status::status(what, &deployed, json).await,
        Command::History(what) => status::history(what, &deployed, json).await,
        Command::Adopt(handover) => mesh::hand_over(handover, true, &deployed).await,
        Command::Import(arguments) => import::run(arguments, &deployed, json).await,
        Command::Release(handover) => mesh::hand_over(handover, false, &deployed).await,
    }
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
