//! Checks: one line each with a result, and a remedy if the result is not a pass. `peerd explain`, `peerd doctor` and the map
//! print them.

use serde::{Deserialize, Serialize};

use crate::ids::Scope;

/// The version of peerd, which all its parts have in common.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// The condition is met.
    Pass,
    /// The condition is not met.
    Fail,
    /// The condition is met in part, will be met soon, or could not be determined.
    Warn,
}

/// A check as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The result.
    pub result: CheckResult,
    /// What was found.
    pub text: String,
    /// What to do about it; none if the check passed.
    pub remedy: Option<String>,
}

impl Check {
    /// A check that passed.
    pub fn pass(text: impl Into<String>) -> Self {
        Self { result: CheckResult::Pass, text: text.into(), remedy: None }
    }

    /// A check that failed.
    pub fn fail(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: CheckResult::Fail, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// A check with a warning.
    pub fn warn(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: CheckResult::Warn, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// A failed check if a part of peerd has another version than this program, which is `here`, or has none.
    pub fn other_version(part: &str, version: Option<&str>, here: &str, remedy: impl Into<String>) -> Option<Self> {
        let text = match version {
            Some(version) if version == VERSION => return None,
            Some(version) => format!("{part} has version {version}, {here} {VERSION}"),
            None => format!("{part} has no version: it is older than {VERSION}"),
        };
        Some(Self::fail(text, remedy))
    }
}

/// What the function drift-repair examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// The version of the function.
    pub version: String,
    /// The checks that only the function can make for the hub: those of the organization.
    pub hub: Vec<Check>,
    /// The checks of every scope.
    pub scopes: Vec<Examined>,
}

/// The checks of one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The scope.
    pub scope: Scope,
    /// The results of the checks.
    pub checks: Vec<Check>,
}
