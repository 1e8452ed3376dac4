//! The loop of peerd, over traits: an event becomes a [`EventTarget`], a survey writes the index, and a reconcile of each
//! touched mesh observes, plans, applies and says how it ended.
//!
//! An event only wakes the loop. The same code path serves events, the sweep and the tests; nothing here sleeps, and
//! what must wait is a follow-up message with a delay. This crate knows no AWS client.

pub mod apply;
pub mod dispatcher;
pub mod dry_run;
pub mod engine;
pub mod ensure;
pub mod error;
pub mod event;
mod event_impact;
pub mod event_target;
pub mod membership_index;
pub mod memory_store;
pub mod message;
pub mod notifications;
pub mod observe;
pub mod observer;
pub mod organization;
pub mod outcome;
pub mod ports;
pub mod reconcile;
pub mod sweep;

pub use dispatcher::Delivery;
pub use engine::{Engine, Settings, role_name};
pub use error::{CloudError, ErrorKind, InfraError};
pub use event_target::{EventTarget, ExpectedState};
pub use message::{Message, Work};
pub use notifications::{MeshFindings, Notification, NotificationKind};
pub use observer::{KnownAccounts, Observer};
pub use outcome::{Outcome, Run};
pub use ports::{Bus, Claim, Clock, Cloud, CloudRead, CloudWrite, Directory, Queue, Registration, Store, Timestamp};
