//! Checks as text: one line each, with the remedy of each check that does not pass.

use peerd_core::Check;

use crate::declarations::word;

/// The lines of all checks.
pub fn lines(checks: &[Check]) -> String {
    let line = |Check { result, text, remedy }: &Check| {
        let remedy = remedy.iter().map(|remedy| format!("          fix: {remedy}\n"));
        format!("  {:6}  {text}\n{}", word(*result), remedy.collect::<String>())
    };
    checks.iter().map(line).collect()
}
