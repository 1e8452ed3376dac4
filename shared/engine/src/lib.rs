//! The loop of peerd, over traits: an event becomes a [`Focus`], a survey writes the index, and a reconcile of each
//! touched mesh observes, plans, applies and says how it ended.
//!
//! An event only wakes the loop. The same code path serves events, the sweep and the tests; nothing here sleeps, and
//! what must wait is a follow-up message with a delay. This crate knows no AWS client.

pub mod apply;
pub mod batch;
pub mod discover;
pub mod engine;
pub mod ensure;
pub mod error;
pub mod event;
pub mod focus;
mod look;
pub mod memory;
pub mod message;
pub mod notices;
pub mod observe;
pub mod observer;
pub mod outcome;
pub mod ports;
pub mod preview;
pub mod reconcile;
pub mod survey;
pub mod sweep;

pub use batch::Delivery;
pub use engine::{Engine, Settings, role_name};
pub use error::{CloudError, ErrorKind, PortError};
pub use focus::{Expect, Focus};
pub use message::{Message, Work};
pub use notices::{News, Notice, Tidings};
pub use observer::{Observer, Roster};
pub use outcome::{Outcome, Run};
pub use ports::{Bus, Claim, Clock, Cloud, CloudRead, CloudWrite, Directory, Queue, Registration, Store, Timestamp};
