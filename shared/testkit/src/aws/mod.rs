//! AWS in memory: two-sided peerings with tags per side, VPCs, route tables, and the answers that EC2 gives when a call
//! comes too early, twice, from the wrong side, or too often.
//!
//! What it does is what AWS's documentation and its users' reports say; each behaviour has a test in `tests`, with the
//! source. It knows nothing of peerd but the engine's ports.

mod behavior;
mod cloud;
mod dns;
mod groups;
mod history;
mod networks;
mod organization;
mod peerings;
mod routes;
mod state;

pub use behavior::{AwsBehavior, DAY, HOUR, MINUTE, SECOND};
pub use cloud::SimCloud;
pub use groups::{Group, GroupRule};
pub use peerings::Peering;
pub use state::{Aws, refuse};
