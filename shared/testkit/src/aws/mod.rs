//! An in-memory AWS: two-sided peerings with tags per side, VPCs, route tables, and the errors that EC2 returns when a
//! call comes too early, twice, from the wrong side, or too often.
//!
//! It follows AWS's documentation and user reports; each behavior has a test in `tests`, and the functions cite the
//! sources. It depends on nothing of peerd but the engine's ports.

mod behavior;
mod cloud;
mod dns;
mod groups;
mod history;
mod network_filters;
mod networks;
mod organization;
mod peerings;
mod routes;
mod state;
mod user_vpcs;

pub use behavior::{AwsBehavior, DAY, HOUR, MINUTE, SECOND};
pub use cloud::SimCloud;
pub use groups::{Group, GroupRule};
pub use peerings::Peering;
pub use state::{Aws, refuse};
