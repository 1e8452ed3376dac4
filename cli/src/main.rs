//! The program peerd.

use std::process::ExitCode;

use clap::Parser;
use peerd_cli::Cli;
use peerd_cli::console::Console;
use peerd_engine::SystemClock;

/// The exit code for an invalid command line, apart from that of pending changes: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    #[cfg(feature = "aws")]
    let aws = &peerd_cli::aws::Aws;
    #[cfg(not(feature = "aws"))]
    let aws = &peerd_cli::shell::NoAws;
    peerd_cli::run(cli, aws, &Console::default(), &SystemClock).await.into()
}
