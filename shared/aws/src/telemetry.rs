//! Logs: one JSON object per line on standard output, constant text plus fields, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

/// Installs the subscriber; a second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter);
    // If there is a subscriber already, it is the caller's choice.
    let _already_set = subscriber.with_current_span(true).with_span_list(false).try_init();
}
