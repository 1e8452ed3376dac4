//! Violations of promises, and the age of the reads that a change is judged by.

use std::fmt;

/// A violation of a promise of peerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// The change or state that violates it.
    pub by: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.by)
    }
}

pub(super) fn violation<T>(promise: &'static str, by: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { promise, by: by.into() })
}

/// The worker that makes a change, and the age of its reads.
#[derive(Clone, Copy)]
pub(super) struct ReadAge {
    /// The worker.
    pub worker: u32,
    /// The earliest time whose state of AWS it can have read.
    pub from: u64,
    /// The earliest time whose policies and members it can have used.
    pub known: u64,
}
