//! The terminal of the process: colors, questions, and the progress of a command on stderr, after the first second.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peerd_engine::SystemClock;
use terminal_size::Width;
use tokio::sync::Notify;

use crate::color;
use crate::shell::{Terminal, Timer};
use crate::wrap::wrap;

/// How long a command runs before its progress is shown.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// The exit code of a process that Ctrl-C ends: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;
const TICK: Duration = Duration::from_millis(120);

/// The terminal of the process.
pub struct Console {
    bar: ProgressBar,
}

impl Default for Console {
    /// A terminal that shows the progress, beginning in a second. Nothing is shown if stderr is not a terminal.
    fn default() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message("calling AWS");
        bar.set_style(style("{spinner} {elapsed} {msg}"));
        let shown = bar.clone();
        drop(tokio::spawn(async move {
            tokio::time::sleep(SHOW_AFTER).await;
            if !shown.is_finished() && shown.is_hidden() {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        }));
        Self { bar }
    }
}

#[async_trait]
impl Terminal for Console {
    fn print(&self, text: &str, is_data: bool) -> Result<()> {
        let written = self.bar.suspend(|| match is_data {
            true => stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()),
            false => color::to_stdout(&wrapped(text, stdout())),
        });
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| color::to_stderr(&wrapped(line, stderr())));
    }

    fn ask(&self, text: &str, question: &str) -> Result<Option<String>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let mut answer = String::new();
        self.bar
            .suspend(|| {
                color::to_stderr(&wrapped(text, stderr()));
                drop(write!(stderr(), "{question}"));
                stdin().read_line(&mut answer)
            })
            .context("no answer")?;
        Ok(Some(answer))
    }

    fn stage(&self, name: &'static str, steps: usize) {
        self.bar.set_style(style("{spinner} {elapsed} {msg} {wide_bar} {pos}/{len}"));
        self.bar.set_message(name);
        self.bar.set_position(0);
        self.bar.set_length(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    fn step(&self) {
        self.bar.inc(1);
    }

    fn is_live(&self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        stdout().is_terminal() && stderr().is_terminal() && !is_dumb
    }

    fn picture(&self, lines: &str) {
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_style(style("\n{msg}"));
        self.bar.set_message(lines.trim_end().to_owned());
        self.bar.tick();
    }

    async fn interrupted(&self) {
        let pressed = Arc::new(Notify::new());
        let (heard, mut again) = (pressed.clone(), false);
        let handler = move || {
            if std::mem::replace(&mut again, true) {
                std::process::exit(INTERRUPTED);
            }
            heard.notify_one();
        };
        match ctrlc::set_handler(handler) {
            Ok(()) => pressed.notified().await,
            Err(_) => std::future::pending().await, // Ctrl-C ends the process, as usual
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The text as a stream shows it: wrapped if the stream is a terminal.
fn wrapped(text: &str, stream: impl AsFd) -> String {
    match terminal_size::terminal_size_of(stream) {
        Some((Width(width), _)) => wrap(text, width.into()),
        None => text.to_owned(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[async_trait]
impl Timer for SystemClock {
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
