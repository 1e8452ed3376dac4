//! The commands that call AWS.

use anyhow::Result;
use clap::Subcommand;

use crate::shell::Shell;
use crate::{Answer, account, confirm, doctor, explain, history, import, map, mesh, plan, redrive, status};

/// What they are.
#[derive(Subcommand)]
pub enum Command {
    /// Show the changes that peerd would make, without making them
    Plan(plan::PlanArguments),
    /// Apply the planned changes
    Apply(plan::ApplyArguments),
    /// Explain why two VPCs can or cannot reach each other
    Explain(explain::Arguments),
    /// Draw the meshes as a web page, SVG, Graphviz, Mermaid or JSON
    Map(map::Arguments),
    /// Check the installation: roles, permissions, trails, rules, queues
    Doctor(doctor::Arguments),
    #[command(flatten)]
    OfDeployment(OfDeployment),
}

/// What needs a deployment.
#[derive(Subcommand)]
pub enum OfDeployment {
    /// Manage meshes and their policies
    #[command(subcommand)]
    Mesh(mesh::Command),
    /// Manage registered accounts
    #[command(subcommand)]
    Account(account::Command),
    /// Show meshes, members and open findings
    Status(status::Status),
    /// Show the latest runs of a mesh
    History(history::History),
    /// Adopt an active peering between two members, in place
    Adopt(mesh::Handover),
    /// Import the configuration file of the Python peerd
    Import(import::Arguments),
    /// Approve, once, a deletion that exceeds the mesh's delete limits
    Confirm(confirm::Confirm),
    /// Redrive the dead-letter queues
    Redrive,
    /// Stop managing a peering; leave it and its routes in place
    Release(mesh::Handover),
}

/// Runs a command.
pub async fn run(command: Command, shell: &Shell<'_>) -> Result<Answer> {
    let command = match command {
        Command::Plan(arguments) => return plan::plan(arguments, shell).await,
        Command::Apply(arguments) => return plan::apply(arguments, shell).await,
        Command::Explain(arguments) => return explain::run(arguments, shell).await,
        Command::Map(arguments) => return map::run(arguments, shell).await.map(Answer::from),
        Command::Doctor(arguments) => return doctor::run(arguments, shell).await,
        Command::OfDeployment(command) => command,
    };
    let deployed = &shell.deployed().await?;
    let text = match command {
        OfDeployment::Mesh(command) => mesh::run(command, shell, deployed).await?,
        OfDeployment::Account(command) => account::run(command, shell, deployed).await?,
        OfDeployment::Status(what) => return status::status(what, shell, deployed).await,
        OfDeployment::History(what) => history::history(what, deployed, shell.json).await?,
        OfDeployment::Adopt(handover) => mesh::set_adoption(handover, true, shell, deployed).await?.answer(shell),
        OfDeployment::Import(arguments) => import::run(arguments, shell, deployed).await?,
        OfDeployment::Confirm(what) => confirm::confirm(what, shell, deployed).await?.answer(shell),
        OfDeployment::Redrive => redrive::redrive(deployed, shell.json).await?,
        OfDeployment::Release(handover) => mesh::set_adoption(handover, false, shell, deployed).await?.answer(shell),
    };
    Ok(text.into())
}
