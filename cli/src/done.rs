//! What a command changed: one line on stderr, or JSON on stdout.

use std::fmt;

use serde_json::json;

use crate::shell::Shell;

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
    pub fn answer(self, shell: &Shell<'_>) -> String {
        let Self { subject, done } = self;
        if shell.json {
            return format!("{}\n", json!({"subject": subject, "done": done}));
        }
        shell.say(&format!("{subject}: {done}"));
        String::new()
    }
}
