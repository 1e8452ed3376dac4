//! What goes wrong by itself, and how often.

use std::ops::RangeInclusive;

use peerd_engine::{CloudError, ErrorKind, InfraError};

/// A way in which a call fails that has nothing to do with what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `RequestLimitExceeded`.
    Throttled,
    /// `InternalError`, 500.
    ServerFault,
    /// No answer.
    Timeout,
    /// `UnauthorizedOperation`.
    Denied,
    /// `RequestExpired`: the credentials ran out.
    Expired,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Throttled, Self::ServerFault, Self::Timeout, Self::Denied, Self::Expired];

    /// What the caller is told: EC2's code and HTTP status. A timeout tells nothing.
    pub fn code(self) -> (&'static str, u16) {
        match self {
            Self::Throttled => ("RequestLimitExceeded", 503),
            Self::ServerFault => ("InternalError", 500),
            Self::Timeout => ("", 0),
            Self::Denied => ("UnauthorizedOperation", 403),
            Self::Expired => ("RequestExpired", 400),
        }
    }

    /// Whether a call may have taken effect although it ended so.
    pub fn may_come_after(self) -> bool {
        matches!(self, Self::ServerFault | Self::Timeout)
    }
}

/// An error of a port that can be made of trouble.
pub trait Troubled {
    /// The error of a call that met trouble.
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

/// Whether trouble strikes before a call takes effect or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultTiming {
    /// Nothing happened.
    Before,
    /// It happened, and nobody was told.
    After,
}

/// How often things go wrong, in a thousand, and how long they take, in milliseconds. The default is a fine day.
#[derive(Debug, Clone)]
pub struct FaultProfile {
    /// One way of a call.
    pub latency: RangeInclusive<u64>,
    /// Calls that take as long as this instead: long enough to be overtaken by others.
    pub slow: u32,
    /// The latency of such a call.
    pub slow_latency: RangeInclusive<u64>,
    /// How far behind a describe may be.
    pub staleness: u64,
    /// Calls to the cloud that meet trouble.
    pub trouble: u32,
    /// Calls to the store and the queue that meet trouble.
    pub port_trouble: u32,
    /// Calls at which the function dies.
    pub death: u32,
    /// Events that never come.
    pub lost: u32,
    /// Events that come twice.
    pub doubled: u32,
    /// Events that come minutes late.
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
    /// A fine day with describes that are as far behind.
    pub fn calmed(&self) -> Self {
        Self { latency: 1..=100, staleness: self.staleness, ..Self::default() }
    }
}
