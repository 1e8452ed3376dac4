//! Worlds to try peerd in: an AWS in memory that behaves as AWS does, with its delays, quotas and contradictions; a
//! deployment of peerd in it; people who meddle; and, in [`sim`], the simulator, which makes up thousands of stories,
//! plays them in virtual time and judges every step by an oracle that knows nothing of the planner.
//!
//! One seed decides everything: what fails once fails again.

pub mod assertions;
pub mod aws;
pub mod bus;
pub mod change_log;
pub mod executor;
pub mod faults;
pub mod findings;
pub mod queue;
pub mod rng;
pub mod sim;
pub mod store;
mod test_binary;
pub mod transport;
pub mod user_actions;
pub mod world;

pub use aws::{AwsBehavior, DAY, HOUR, MINUTE, SECOND, SimCloud};
pub use faults::{Fault, FaultProfile, FaultTiming};
pub use store::MemoryStore;
pub use test_binary::files_without_a_module;
pub use transport::Call;
pub use world::{SimConfig, World, account, mesh, scope};
