//! The commands that speak to AWS.

use anyhow::Result;
use clap::Subcommand;
use peerd_aws::{Stack, configuration};

use crate::{Answer, account, doctor, explain, import, letting, map, mesh, plan, status};

/// The hub's stack if nothing else is said.
pub const STACK: &str = "peerd";

/// What they are.
#[derive(Subcommand)]
pub enum Command {
    /// Show all that peerd would do, from here, with a deployment or without; nothing is changed
    Plan(plan::PlanArguments),
    /// Do it, from here, with a deployment or without
    Apply(plan::ApplyArguments),
    /// Say why two VPCs reach each other or do not: meshes, peering, route tables, network ACLs and security groups
    Explain(explain::Arguments),
    /// Draw the meshes: accounts and Regions, VPCs, peerings and what is open
    Map(map::Arguments),
    /// Check that everything is in place: roles and what they may do, trails, rules, queues, sweeps; each with what to do
    Doctor(doctor::Arguments),
    #[command(flatten)]
    OfDeployment(OfDeployment),
}

/// What needs a deployment.
#[derive(Subcommand)]
pub enum OfDeployment {
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

/// Carries a command out.
pub async fn run(command: Command, stack: Option<&str>, json: bool) -> Result<Answer> {
    let command = match command {
        Command::Plan(arguments) => return plan::plan(arguments, stack, json).await,
        Command::Apply(arguments) => return plan::apply(arguments, stack, json).await,
        Command::Explain(arguments) => return explain::run(arguments, stack, json).await.map(Answer::from),
        Command::Map(arguments) => return map::run(arguments, stack, json).await.map(Answer::from),
        Command::Doctor(arguments) => return doctor::run(arguments, stack, json).await,
        Command::OfDeployment(command) => command,
    };
    let deployed = &Stack::of_stack(&configuration().await, stack.unwrap_or(STACK)).await?;
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
