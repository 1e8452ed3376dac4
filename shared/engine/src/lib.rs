//! The reconcile loop of peerd, over traits: an event becomes an [`EventTarget`], a scan writes the membership index,
//! and a reconcile of each affected mesh observes, plans, applies and reports its outcome.
//!
//! An event only triggers the loop. Events, the sweep and the tests use the same code path. Nothing here sleeps: work
//! that must wait is a follow-up message with a delay. This crate contains no AWS client.

mod announce;
mod apply;
mod calls;
mod converge;
pub mod dispatcher;
pub mod dry_run;
pub mod engine;
pub mod ensure;
pub mod error;
pub mod event;
mod event_impact;
pub mod event_target;
mod follow_up;
mod handover;
mod lease;
pub mod membership_index;
pub mod memory_store;
pub mod message;
pub mod notification;
pub mod observe;
pub mod observer;
pub mod operator_ports;
pub mod organization;
pub mod outcome;
mod planner_inputs;
pub mod ports;
pub mod reconcile;
pub mod reconcile_request;
mod scope_reads;
pub mod settings;
pub mod sweep;
pub mod system_clock;
pub mod what_if;

pub use dispatcher::Delivery;
pub use engine::Engine;
pub use error::{CloudError, ErrorKind, InfraError};
pub use event_target::{EventTarget, ExpectedState};
pub use message::{Message, Work};
pub use notification::{MeshFindings, Notification, NotificationKind};
pub use observer::{KnownAccounts, Observer};
pub use operator_ports::{
    Caller, Examine, HubControl, NetworkRead, OperatorStore, PastRun, QueueState, RedriveQueue, UserVpcs,
};
pub use outcome::{Outcome, Run};
pub use peerd_core::Timestamp;
pub use ports::{
    AccountRegistry, Bus, Claim, ClaimStore, Clock, Cloud, CloudRead, CloudWrite, FindingStore, Lease, LeaseStore,
    MembershipIndex, MeshRecord, OrganizationsClient, Queue, Registration, RunLog, Store,
};
pub use settings::{Settings, role_name};
pub use system_clock::SystemClock;
