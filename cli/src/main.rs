//! The command line of peerd: data on stdout, messages on stderr.

#[cfg(feature = "aws")]
mod account;
#[cfg(feature = "aws")]
mod checks;
mod color;
#[cfg(feature = "aws")]
mod confirm;
#[cfg(feature = "aws")]
mod consent;
mod demo;
#[cfg(feature = "aws")]
mod doctor;
#[cfg(feature = "aws")]
mod done;
mod errors;
#[cfg(feature = "aws")]
mod explain;
#[cfg(feature = "aws")]
mod history;
#[cfg(feature = "aws")]
mod import;
#[cfg(feature = "aws")]
mod input;
#[cfg(feature = "aws")]
mod map;
#[cfg(feature = "aws")]
mod mesh;
#[cfg(feature = "aws")]
mod online;
#[cfg(feature = "aws")]
mod path_ends;
#[cfg(feature = "aws")]
mod plan;
mod progress;
#[cfg(feature = "aws")]
mod redrive;
mod reference;
#[cfg(feature = "aws")]
mod status;
#[cfg(feature = "aws")]
mod table;
#[cfg(feature = "aws")]
mod warnings;

use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Manage meshes of VPC peerings on AWS.
#[derive(Parser)]
#[command(name = "peerd", version = env!("PEERD_VERSION"), arg_required_else_help = true, after_long_help = AFTER)]
struct Cli {
    #[cfg(feature = "aws")]
    /// Name of the hub's CloudFormation stack [default: peerd]
    #[arg(long, global = true, env = "PEERD_STACK", value_name = "NAME")]
    stack: Option<String>,
    #[cfg(feature = "aws")]
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// The exit code for an invalid command line, apart from that of pending changes: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

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
    Demo,
    #[cfg(feature = "aws")]
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let (is_data, is_json) = (cli.is_data(), cli.is_json());
    progress::begin();
    let answer = run(cli).await;
    progress::end();
    match answer.and_then(|Answer { text, code }| print(&text, is_data).map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            say(&if is_json { errors::as_json(&error) } else { errors::render(&error) });
            errors::code(&error).into()
        }
    }
}

impl Cli {
    /// Whether messages are for programs.
    fn is_json(&self) -> bool {
        #[cfg(feature = "aws")]
        return self.json;
        #[cfg(not(feature = "aws"))]
        false
    }

    /// Whether the output is for programs. Such output is printed without colors.
    fn is_data(&self) -> bool {
        #[cfg(feature = "aws")]
        if self.json || matches!(self.command, Command::Online(online::Command::Map(_))) {
            return true;
        }
        matches!(self.command, Command::Completions { .. } | Command::Man | Command::Reference)
    }
}

/// Runs a command.
async fn run(cli: Cli) -> anyhow::Result<Answer> {
    match cli.command {
        Command::Demo => Ok(demo::run().into()),
        #[cfg(feature = "aws")]
        Command::Online(command) => online::run(command, cli.stack.as_deref(), cli.json).await,
        Command::Completions { shell } => reference::completions(shell).map(Answer::from),
        Command::Man => reference::man().map(Answer::from),
        Command::Reference => Ok(reference::markdown().into()),
    }
}

/// Writes a message to stderr. An error while writing is ignored, because the action is already done.
fn say(line: &str) {
    progress::aside(|| color::to_stderr(line));
}

/// Writes warnings to stderr.
#[cfg(feature = "aws")]
fn warn(warnings: impl IntoIterator<Item = String>) {
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
}

/// Writes to stdout. A reader that closes the pipe early is not an error.
fn print(text: &str, is_data: bool) -> anyhow::Result<()> {
    let written = match is_data {
        true => stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()),
        false => color::to_stdout(text),
    };
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
