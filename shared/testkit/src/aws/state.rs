//! The state of the simulated AWS, and its scheduled state transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerd_core::cidr::IpNet;
use peerd_core::{
    AccountId, DnsSupport, Organization, PeeringId, PrefixListId, Region, RouteTable, RouteTableId, Scope,
    SecurityGroupId, Vpc, VpcRef,
};
use peerd_engine::{Clock, CloudError, ErrorKind, Timestamp};

use super::behavior::AwsBehavior;
use super::groups::Group;
use super::history::History;
use super::peerings::Peering;
use crate::change_log::{Actor, Change, Entry};
use crate::executor::VirtualExecutor;
use crate::rng::SimRng;

/// A simulated AWS.
pub struct Aws {
    pub(super) executor: Arc<VirtualExecutor>,
    pub(super) rng: SimRng,
    /// How it behaves.
    pub behavior: AwsBehavior,
    pub(super) vpcs: BTreeMap<VpcRef, History<Option<Vpc>>>,
    pub(super) tables: BTreeMap<RouteTableId, History<Option<RouteTable>>>,
    pub(super) peerings: BTreeMap<PeeringId, Peering>,
    pub(super) groups: BTreeMap<SecurityGroupId, History<Option<Group>>>,
    pub(super) dns: BTreeMap<VpcRef, History<DnsSupport>>,
    /// CIDR blocks that are associating.
    pub(super) joining: BTreeMap<VpcRef, IpNet>,
    /// The scheduled state transitions, by time.
    timers: BTreeMap<(Timestamp, u64), Turn>,
    planned: u64,
    pub(super) made: u32,
    /// Accounts whose role cannot be assumed, and Regions that do not respond.
    pub(super) dark_accounts: BTreeSet<AccountId>,
    pub(super) dark_regions: BTreeSet<Region>,
    /// Regions that accounts have disabled.
    pub(super) off: BTreeSet<Scope>,
    pub(super) organization: Organization,
    pub(super) missed: BTreeSet<AccountId>,
    /// The CIDR blocks of prefix lists.
    pub(super) lists: BTreeMap<PrefixListId, BTreeSet<IpNet>>,
    /// VPCs for which describe calls return an old state.
    pub(super) frozen: BTreeMap<VpcRef, Option<Vpc>>,
    /// The tokens in the bucket of each scope and API, and the time of that count.
    pub(super) buckets: BTreeMap<(Scope, &'static str), (f64, Timestamp)>,
    change_log: Vec<Entry>,
}

/// A state transition that AWS makes by itself.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// A request becomes pending, or fails.
    Arrive(PeeringId),
    /// An accepted peering becomes active.
    Activate(PeeringId),
    /// A request expires.
    Expire(PeeringId),
    /// A deleting peering is deleted.
    Vanish(PeeringId),
    /// The association of a CIDR block completes.
    Settle(VpcRef),
}

/// Creates the error with which EC2 refuses a call.
pub fn refuse(code: &str, message: impl std::fmt::Display) -> CloudError {
    let message = message.to_string();
    let kind = ErrorKind::of(code, &message, 400);
    CloudError { code: code.to_owned(), ..CloudError::new(kind, format!("{code}: {message}")) }
}

impl Aws {
    /// Creates an empty AWS.
    pub fn new(executor: Arc<VirtualExecutor>, behavior: AwsBehavior, rng: SimRng) -> Self {
        Self {
            executor,
            rng,
            behavior,
            vpcs: BTreeMap::new(),
            tables: BTreeMap::new(),
            peerings: BTreeMap::new(),
            groups: BTreeMap::new(),
            lists: BTreeMap::new(),
            dns: BTreeMap::new(),
            joining: BTreeMap::new(),
            timers: BTreeMap::new(),
            planned: 0,
            made: 0,
            dark_accounts: BTreeSet::new(),
            dark_regions: BTreeSet::new(),
            off: BTreeSet::new(),
            organization: Organization::default(),
            missed: BTreeSet::new(),
            frozen: BTreeMap::new(),
            buckets: BTreeMap::new(),
            change_log: Vec::new(),
        }
    }

    /// Makes all state transitions that are due.
    pub fn catch_up(&mut self) {
        let now = self.executor.now();
        while let Some(next) = self.timers.first_entry().filter(|next| next.key().0 <= now) {
            let ((due, _), turn) = next.remove_entry();
            match turn {
                Turn::Arrive(id) => self.arrive(due, &id),
                Turn::Activate(id) => self.activate(due, &id),
                Turn::Expire(id) => self.expire(due, &id),
                Turn::Vanish(id) => self.vanish(due, &id),
                Turn::Settle(vpc) => self.settle(due, &vpc),
            }
        }
    }

    /// Returns the time of the next state transition.
    pub fn next_turn(&self) -> Option<Timestamp> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn later(&mut self, at: Timestamp, turn: Turn) {
        self.planned += 1;
        self.timers.insert((at, self.planned), turn);
    }

    pub(super) fn enter(&mut self, at: Timestamp, by: Actor, change: Change) {
        self.change_log.push(Entry { at, by, change });
    }

    /// Returns the changes since the previous call.
    pub fn take_changes(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.change_log)
    }

    /// Returns the existing VPCs.
    pub fn vpcs(&self) -> impl Iterator<Item = &Vpc> {
        self.vpcs.values().filter_map(|vpc| vpc.now().as_ref())
    }

    /// Returns an existing VPC.
    pub fn vpc(&self, vpc: &VpcRef) -> Option<&Vpc> {
        self.vpcs.get(vpc)?.now().as_ref()
    }

    /// Returns the existing route tables.
    pub fn tables(&self) -> impl Iterator<Item = &RouteTable> {
        self.tables.values().filter_map(|table| table.now().as_ref())
    }

    /// Returns an existing route table.
    pub fn table(&self, id: &RouteTableId) -> Option<&RouteTable> {
        self.tables.get(id)?.now().as_ref()
    }

    /// Returns all peerings, including dead ones.
    pub fn peerings(&self) -> impl Iterator<Item = &Peering> {
        self.peerings.values()
    }

    /// Makes the role of an account unassumable, or assumable again.
    pub fn set_account_unreachable(&mut self, account: &AccountId, unreachable: bool) {
        match unreachable {
            true => drop(self.dark_accounts.insert(account.clone())),
            false => drop(self.dark_accounts.remove(account)),
        }
    }

    /// Starts or ends the outage of a Region.
    pub fn set_region_unreachable(&mut self, region: &Region, unreachable: bool) {
        match unreachable {
            true => drop(self.dark_regions.insert(region.clone())),
            false => drop(self.dark_regions.remove(region)),
        }
    }

    /// Makes describe calls return the current state of a VPC until [`Aws::thaw`].
    pub fn freeze(&mut self, vpc: &VpcRef) {
        self.frozen.insert(vpc.clone(), self.vpc(vpc).cloned());
    }

    /// Ends the effect of [`Aws::freeze`] for all VPCs.
    pub fn thaw(&mut self) {
        self.frozen.clear();
    }
}
