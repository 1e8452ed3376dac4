//! Time, as the index, the run history and the claims record it.

/// Milliseconds since the Unix epoch.
pub type Timestamp = u64;
