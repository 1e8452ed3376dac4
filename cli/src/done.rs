//! What a command changed: one line on stderr, or JSON on stdout.

use std::fmt;

use serde_json::json;

use crate::say;

/// A change that a command made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The mesh, account or VPC that was changed.
    subject: String,
    /// What was done, and what follows.
    done: String,
}

impl Done {
    /// A change of a mesh or an account.
    pub fn new(subject: &impl fmt::Display, done: impl Into<String>) -> Self {
        Self { subject: subject.to_string(), done: done.into() }
    }

    /// The output of the command.
    pub fn answer(self, json: bool) -> String {
        let Self { subject, done } = self;
        if json {
            return format!("{}\n", json!({"subject": subject, "done": done}));
        }
        say(&format!("{subject}: {done}"));
        String::new()
    }
}
