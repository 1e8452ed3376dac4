//! A value and what it was before, for describes that are behind.

use peerd_engine::Timestamp;

/// A value that changes in time.
#[derive(Debug, Clone)]
pub struct History<T> {
    steps: Vec<(Timestamp, T)>,
}

impl<T> History<T> {
    /// A value that begins now.
    pub fn new(at: Timestamp, value: T) -> Self {
        Self { steps: vec![(at, value)] }
    }

    /// The value as it really is.
    pub fn now(&self) -> &T {
        &self.steps[self.steps.len() - 1].1
    }

    /// The value as it was; nothing if it was not yet.
    pub fn as_of(&self, time: Timestamp) -> Option<&T> {
        self.steps.iter().rev().find(|(since, _)| *since <= time).map(|(_, value)| value)
    }

    /// Changes the value. What nobody can see any more, `memory` milliseconds later, is forgotten.
    pub fn set(&mut self, at: Timestamp, value: T, memory: u64) {
        self.steps.push((at, value));
        let horizon = at.saturating_sub(memory);
        let visible = self.steps.iter().rposition(|(since, _)| *since <= horizon).unwrap_or(0);
        self.steps.drain(..visible);
    }
}
