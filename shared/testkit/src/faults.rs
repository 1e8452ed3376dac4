//! Injected faults and their rates.

use std::ops::RangeInclusive;

use peerd_engine::{CloudError, ErrorKind, InfraError};

/// A failure of a call that does not depend on its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `RequestLimitExceeded`.
    Throttled,
    /// `InternalError`, 500.
    ServerFault,
    /// No response.
    Timeout,
    /// `UnauthorizedOperation`.
    Denied,
    /// `RequestExpired`: the credentials expired.
    Expired,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 5] = [Self::Throttled, Self::ServerFault, Self::Timeout, Self::Denied, Self::Expired];

    /// Returns EC2's error code and HTTP status; both are empty for a timeout.
    pub fn code(self) -> (&'static str, u16) {
        match self {
            Self::Throttled => ("RequestLimitExceeded", 503),
            Self::ServerFault => ("InternalError", 500),
            Self::Timeout => ("", 0),
            Self::Denied => ("UnauthorizedOperation", 403),
            Self::Expired => ("RequestExpired", 400),
        }
    }

    /// Whether a call can take effect although it fails in this way.
    pub fn may_come_after(self) -> bool {
        matches!(self, Self::ServerFault | Self::Timeout)
    }
}

/// An error type of a port that can represent a fault.
pub trait Troubled {
    /// Creates the error of a call with an injected fault.
    fn troubled(call: &str, trouble: Fault) -> Self;
}

impl Troubled for CloudError {
    fn troubled(call: &str, trouble: Fault) -> Self {
        let (code, status) = trouble.code();
        let kind = match trouble {
            Fault::Timeout => ErrorKind::Unavailable,
            _ => ErrorKind::of(code, "", status),
        };
        Self { code: code.to_owned(), ..Self::new(kind, format!("{call} ({trouble:?})")) }
    }
}

impl Troubled for InfraError {
    fn troubled(call: &str, trouble: Fault) -> Self {
        Self::new(format!("{call} ({trouble:?})"))
    }
}

/// Whether a fault occurs before or after the call takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultTiming {
    /// The call has no effect.
    Before,
    /// The call takes effect, but its caller receives an error.
    After,
}

/// The rates of faults, in a thousand, and latencies, in milliseconds. The default has no faults.
#[derive(Debug, Clone)]
pub struct FaultProfile {
    /// The latency of a call in each direction.
    pub latency: RangeInclusive<u64>,
    /// The rate of calls with `slow_latency`: long enough for other calls to overtake them.
    pub slow: u32,
    /// The latency of a slow call in each direction.
    pub slow_latency: RangeInclusive<u64>,
    /// The maximum staleness of a describe call.
    pub staleness: u64,
    /// The rate of failing calls to EC2 and Service Quotas.
    pub trouble: u32,
    /// The rate of failing calls to the store, the queue, the bus and AWS Organizations.
    pub port_trouble: u32,
    /// The rate of calls at which the function crashes.
    pub death: u32,
    /// The rate of lost events.
    pub lost: u32,
    /// The rate of events that arrive twice.
    pub doubled: u32,
    /// The rate of events that arrive minutes late.
    pub late: u32,
}

impl Default for FaultProfile {
    fn default() -> Self {
        Self {
            latency: 1..=1,
            slow: 0,
            slow_latency: 1_000..=20_000,
            staleness: 0,
            trouble: 0,
            port_trouble: 0,
            death: 0,
            lost: 0,
            doubled: 0,
            late: 0,
        }
    }
}

impl FaultProfile {
    /// Returns a profile without faults and with the same staleness.
    pub fn calmed(&self) -> Self {
        Self { latency: 1..=100, staleness: self.staleness, ..Self::default() }
    }
}
