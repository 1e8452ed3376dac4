//! The limits of a mass delete.

use serde::{Deserialize, Serialize};

/// A run that would delete more of a mesh's peerings than both limits deletes none of them, and reports `blocked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeleteLimits {
    /// The number of peerings.
    pub count: usize,
    /// The percentage of the mesh's live managed peerings.
    pub percent: usize,
}

impl Default for DeleteLimits {
    /// Ten: a VPC that leaves a mesh of eleven needs no confirmation. 30 %: nor does one that leaves a large mesh, but
    /// a lost tag policy or a wrong index, which would remove half of the mesh, does.
    fn default() -> Self {
        Self { count: 10, percent: 30 }
    }
}

impl DeleteLimits {
    /// Whether to delete `deletes` of `live` peerings needs a confirmation.
    pub fn exceeded_by(&self, deletes: usize, live: usize) -> bool {
        deletes > self.count && deletes.saturating_mul(100) > live.saturating_mul(self.percent)
    }
}
