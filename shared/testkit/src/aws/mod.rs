//! AWS in memory: two-sided peerings with tags per side, VPCs, route tables, and the answers that EC2 gives when a call
//! comes too early, twice, from the wrong side, or too often.
//!
//! What it does is what AWS's documentation and its users' reports say; each behaviour has a test in `tests`, with the
//! source. It knows nothing of peerd but the engine's ports.

mod groups;
mod history;
mod names;
mod nature;
mod networks;
mod organization;
mod peerings;
mod port;
mod routes;
mod state;

pub use groups::{Group, GroupRule};
pub use nature::{DAY, HOUR, MINUTE, Nature, SECOND};
pub use peerings::Peering;
pub use port::SimCloud;
pub use state::{Aws, refuse};
