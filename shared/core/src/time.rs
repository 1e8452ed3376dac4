//! Time, as the index, the run history and the claims record it.

use chrono::{DateTime, SecondsFormat};

/// Milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// A time in UTC as RFC 3339 writes it. It always has milliseconds, so that times sort as text. A time after the year
/// 262142 is the epoch.
pub fn rfc3339(at: Timestamp) -> String {
    let time = i64::try_from(at).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_with_trailing_zeros() {
        assert_eq!(rfc3339(1_795_000_000_123), "2026-11-18T11:06:40.123Z");
        assert_eq!(rfc3339(1_795_000_000_990), "2026-11-18T11:06:40.990Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    }
}
