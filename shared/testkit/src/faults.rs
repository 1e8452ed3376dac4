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
pub trait FromFault {
    /// Creates the error of a call with an injected fault.
    fn from_fault(call: &str, fault: Fault) -> Self;
}

impl FromFault for CloudError {
    fn from_fault(call: &str, fault: Fault) -> Self {
        let (code, status) = fault.code();
        let kind = match fault {
            Fault::Timeout => ErrorKind::Unavailable,
            _ => ErrorKind::of(code, "", status),
        };
        Self { code: code.to_owned(), ..Self::new(kind, format!("{call} ({fault:?})")) }
    }
}

impl FromFault for InfraError {
    fn from_fault(call: &str, fault: Fault) -> Self {
        Self::new(format!("{call} ({fault:?})"))
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

/// A fault of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseFault {
    /// It is granted to a second worker.
    Doubled,
    /// It is lost, with the requests that were left with it.
    Lost,
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
    pub fault_rate: u32,
    /// The rate of failing calls to the store, the queue, the bus and AWS Organizations.
    pub port_fault_rate: u32,
    /// The rate of calls at which the function crashes.
    pub crash: u32,
    /// The rate of lease faults.
    pub lease: u32,
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
            fault_rate: 0,
            port_fault_rate: 0,
            crash: 0,
            lease: 0,
            lost: 0,
            doubled: 0,
            late: 0,
        }
    }
}

impl FaultProfile {
    /// Returns a profile without faults and with the same staleness.
    pub fn without_faults(&self) -> Self {
        Self { latency: 1..=100, staleness: self.staleness, ..Self::default() }
    }
}
