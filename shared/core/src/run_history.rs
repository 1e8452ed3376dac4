//! The run history: what earlier runs of a mesh created and removed, and which calls triggered them.

use std::fmt;

use crate::time::Timestamp;

/// A call of another principal that triggered a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Cause {
    /// The name of the call, such as `DeleteRoute`.
    pub call: String,
    /// The id of the VPC, peering, table or group that the call changed.
    pub on: String,
    /// The caller: the ARN in the CloudTrail record.
    pub by: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} by {}", self.call, self.on, self.by)
    }
}

/// What an earlier run created and removed, by the names of the [`ManagedResource`](crate::ManagedResource)s, and what triggered it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunChanges {
    /// When it ended.
    pub at: Timestamp,
    /// The resources that it created.
    pub created: Vec<String>,
    /// The resources that it removed.
    pub removed: Vec<String>,
    /// The calls that triggered it.
    pub causes: Vec<Cause>,
}

/// What the runs of the last [`WINDOW`](crate::contention::WINDOW) changed, read at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunHistory {
    /// The time of the read.
    pub now: Timestamp,
    /// The runs, the oldest first.
    pub runs: Vec<RunChanges>,
}
