//! A value with its history, for stale describe calls.

use peerd_engine::Timestamp;

/// A value with its earlier values.
#[derive(Debug, Clone)]
pub struct History<T> {
    steps: Vec<(Timestamp, T)>,
}

impl<T> History<T> {
    /// Creates a value that exists from `at` on.
    pub fn new(at: Timestamp, value: T) -> Self {
        Self { steps: vec![(at, value)] }
    }

    /// Returns the current value.
    pub fn now(&self) -> &T {
        &self.steps[self.steps.len() - 1].1
    }

    /// Returns the value at `time`; none if it did not exist yet.
    pub fn as_of(&self, time: Timestamp) -> Option<&T> {
        self.steps.iter().rev().find(|(since, _)| *since <= time).map(|(_, value)| value)
    }

    /// Changes the value. Drops the values that were replaced more than `memory` milliseconds ago.
    pub fn set(&mut self, at: Timestamp, value: T, memory: u64) {
        self.steps.push((at, value));
        let horizon = at.saturating_sub(memory);
        let visible = self.steps.iter().rposition(|(since, _)| *since <= horizon).unwrap_or(0);
        self.steps.drain(..visible);
    }
}
