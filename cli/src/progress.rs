//! What is under way, on a terminal's stderr, once it has taken a second.

use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a command may take before it tells that it is at work.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Begins to tell, in a second from now. Nothing is told where stderr is no terminal.
pub fn begin() {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message("AWS is asked");
    bar.set_style(style("{spinner} {elapsed} {msg}"));
    if BAR.set(bar.clone()).is_ok() {
        drop(tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if !bar.is_finished() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            }
        }));
    }
}

/// So many things are to be done now.
#[cfg(feature = "aws")]
pub fn count(what: &'static str, of: usize) {
    let Some(bar) = BAR.get() else { return };
    bar.set_style(style("{spinner} {elapsed} {msg} {wide_bar} {pos}/{len}"));
    bar.set_message(what);
    bar.set_position(0);
    bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
}

/// One of them is done.
#[cfg(feature = "aws")]
pub fn step() {
    if let Some(bar) = BAR.get() {
        bar.inc(1);
    }
}

/// Does something that writes to the terminal or asks there.
pub fn aside<T>(what: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) => bar.suspend(what),
        None => what(),
    }
}

/// Tells no more, and leaves no trace.
pub fn end() {
    if let Some(bar) = BAR.get() {
        bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
