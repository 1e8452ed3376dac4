//! A simulated environment for peerd: an in-memory AWS with the delays, quotas and inconsistencies of AWS; a deployment
//! of peerd in it; user actions; and, in [`sim`], the simulator, which generates thousands of scenarios, runs them in
//! virtual time and checks every change with an oracle that shares no code with the planner.
//!
//! One seed determines everything, so every failure is reproducible.

pub mod assertions;
pub mod aws;
pub mod bus;
pub mod change_log;
pub mod converged;
pub mod decisions;
mod executor;
pub mod faults;

pub mod queue;
pub mod rng;
pub mod samples;
pub mod sim;
pub mod store;
mod test_binary;
pub mod transport;
pub mod user_actions;
pub mod world;

pub use aws::{AwsBehavior, DAY, HOUR, MINUTE, SECOND, SimCloud};
pub use executor::VirtualExecutor;
pub use faults::{Fault, FaultProfile, FaultTiming};
pub use store::MemoryStore;
pub use test_binary::files_without_a_module;
pub use transport::Call;
pub use world::{SimConfig, World, account, mesh, scope};
