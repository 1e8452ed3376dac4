//! Checks, each told in a line, with what to do where it does not hold.

use peerd_core::{Check, CheckResult};

use crate::mesh::word;

/// All of them.
pub fn lines(checks: &[Check]) -> String {
    let line = |Check { holds, text, remedy }: &Check| {
        let remedy = remedy.iter().map(|remedy| format!("          what to do: {remedy}\n"));
        format!("  {:6}  {text}\n{}", word(*holds), remedy.collect::<String>())
    };
    checks.iter().map(line).collect()
}

/// Whether one of them says no.
pub fn fail(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.holds == CheckResult::No)
}
