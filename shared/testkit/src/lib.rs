//! What the engine's tests run against: an AWS in memory, a store, a queue and a clock, all under one virtual time.
//!
//! Nothing here sleeps or uses the network, and no production code depends on it.

mod cloud;
mod store;
mod world;

pub use cloud::{Call, SimCloud};
pub use store::MemoryStore;
pub use world::{World, account, mesh, scope};
