//! The progress of a command, on stderr if it is a terminal, after the first second.

use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a command runs before its progress is shown.
const SHOW_AFTER: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Shows the progress, beginning in a second. Nothing is shown if stderr is not a terminal.
pub fn begin() {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message("calling AWS");
    bar.set_style(style("{spinner} {elapsed} {msg}"));
    if BAR.set(bar.clone()).is_ok() {
        drop(tokio::spawn(async move {
            tokio::time::sleep(SHOW_AFTER).await;
            if !bar.is_finished() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            }
        }));
    }
}

/// Begins a stage with this number of steps.
#[cfg(feature = "aws")]
pub fn count(what: &'static str, of: usize) {
    let Some(bar) = BAR.get() else { return };
    bar.set_style(style("{spinner} {elapsed} {msg} {wide_bar} {pos}/{len}"));
    bar.set_message(what);
    bar.set_position(0);
    bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
}

/// Counts one step as done.
#[cfg(feature = "aws")]
pub fn step() {
    if let Some(bar) = BAR.get() {
        bar.inc(1);
    }
}

/// Runs something that writes to the terminal or prompts there.
pub fn aside<T>(what: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) => bar.suspend(what),
        None => what(),
    }
}

/// Removes the progress from the terminal.
pub fn end() {
    if let Some(bar) = BAR.get() {
        bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
