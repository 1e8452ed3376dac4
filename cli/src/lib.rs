//! The command line of peerd: data on stdout, messages on stderr.
//!
//! The commands are a library over the ports of the engine; [`shell::Shell`] has everything else that they use.

mod account;
#[cfg(feature = "aws")]
pub mod aws;
mod checks;
mod color;
mod confirm;
mod consent;
pub mod console;
mod declarations;
mod demo;
mod doctor;
mod done;
mod errors;
mod explain;
mod history;
mod import;
mod input;
mod map;
mod mesh;
mod names;
mod online;
mod path_ends;
mod plan;
mod redrive;
mod reference;
pub mod shell;
mod status;
mod table;
mod warnings;
mod wrap;

use clap::{Parser, Subcommand};

use shell::{Connect, Shell, Terminal, Timer};

/// Manage meshes of VPC peerings on AWS.
#[derive(Parser)]
#[command(name = "peerd", version = env!("PEERD_VERSION"), arg_required_else_help = true, after_long_help = AFTER)]
pub struct Cli {
    /// Name of the hub's CloudFormation stack [default: peerd]
    #[arg(long, global = true, env = "PEERD_STACK", value_name = "NAME")]
    stack: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print AWS's own texts of errors too
    #[arg(long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

/// The help that applies to all commands.
const AFTER: &str = "\
Data goes to stdout, everything else to stderr. Color is used on terminals only, and never with NO_COLOR. Region, profile, \
credentials and endpoints are those of the AWS CLI (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ...), also of a profile of IAM Identity \
Center; for a profile with credential_process or login_session, first run `eval \"$(aws configure export-credentials --format env)\"` \
and unset AWS_PROFILE.

Exit codes: 0 success; 1 failure (stderr has the reason and the remedy), or a failed check of `peerd doctor`; 2 changes are \
pending (`plan --detailed-exitcode`); 3 AWS credentials are missing, expired or insufficient; 4 AWS is unreachable or throttles, so a \
retry may help; 5 not everything could be read (`plan`, `apply`, `explain`); 6 changes are held back by a pause, a confirmation, a back-off or a \
quota, or AWS has not finished (`apply`, `plan --detailed-exitcode`, `status --wait`); 7 some changes of `apply` failed; 8 two VPCs cannot reach each other (`explain --exit-code`, 5: unknown); 64 invalid command line.";

/// The output of a command and its exit code.
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
    /// Simulate a mesh that forms, heals and shrinks; needs no account
    Demo(demo::Arguments),
    #[command(flatten)]
    Online(online::Command),
    /// Print shell completions
    Completions {
        /// Shell to generate completions for
        shell: clap_complete::Shell,
    },
    /// Print the manual page; view it with `peerd man | man -l -`
    Man,
    /// Print docs/cli.md
    #[command(hide = true)]
    Reference,
}

/// Runs a command, and returns its exit code.
pub async fn run(cli: Cli, aws: &dyn Connect, terminal: &dyn Terminal, timer: &dyn Timer) -> u8 {
    let (is_data, json, verbose) = (cli.is_data(), cli.json, cli.verbose);
    let shell = Shell { aws, terminal, timer, stack: cli.stack.as_deref(), json, verbose };
    let answer = dispatch(cli.command, &shell).await;
    match answer.and_then(|Answer { text, code }| terminal.print(&text, is_data).map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            terminal.say(&if json { errors::as_json(&error) } else { errors::render(&error, verbose) });
            errors::code(&error)
        }
    }
}

impl Cli {
    /// Whether the output is for programs. Such output is printed without colors.
    fn is_data(&self) -> bool {
        let is_map = matches!(self.command, Command::Online(online::Command::Map(_)));
        self.json || is_map || matches!(self.command, Command::Completions { .. } | Command::Man | Command::Reference)
    }
}

async fn dispatch(command: Command, shell: &Shell<'_>) -> anyhow::Result<Answer> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, shell).await.map(Answer::from),
        Command::Online(command) => online::run(command, shell).await,
        Command::Completions { shell } => reference::completions(shell).map(Answer::from),
        Command::Man => reference::man().map(Answer::from),
        Command::Reference => Ok(reference::markdown().into()),
    }
}
