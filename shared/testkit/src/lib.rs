//! Worlds to try peerd in: an AWS in memory that behaves as AWS does, with its delays, quotas and contradictions; a
//! deployment of peerd in it; people who meddle; and, in [`sim`], the simulator, which makes up thousands of stories,
//! plays them in virtual time and judges every step by an oracle that knows nothing of the planner.
//!
//! One seed decides everything: what fails once fails again.

pub mod aws;
pub mod bus;
pub mod chance;
pub mod findings;
pub mod ledger;
pub mod looks;
pub mod mail;
pub mod people;
pub mod sim;
pub mod stage;
pub mod store;
mod test_binary;
pub mod weather;
pub mod wire;
pub mod world;

pub use aws::{DAY, HOUR, MINUTE, Nature, SECOND, SimCloud};
pub use store::MemoryStore;
pub use test_binary::files_without_a_module;
pub use weather::{Moment, Trouble, Weather};
pub use wire::Call;
pub use world::{Climate, World, account, mesh, scope};
