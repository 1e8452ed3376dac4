//! All that there is, and what will happen to it by itself.

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

/// An AWS.
pub struct Aws {
    pub(super) stage: Arc<VirtualExecutor>,
    pub(super) chance: SimRng,
    /// How it behaves.
    pub nature: AwsBehavior,
    pub(super) vpcs: BTreeMap<VpcRef, History<Option<Vpc>>>,
    pub(super) tables: BTreeMap<RouteTableId, History<Option<RouteTable>>>,
    pub(super) peerings: BTreeMap<PeeringId, Peering>,
    pub(super) groups: BTreeMap<SecurityGroupId, History<Option<Group>>>,
    pub(super) dns: BTreeMap<VpcRef, History<DnsSupport>>,
    /// Blocks that are associating.
    pub(super) joining: BTreeMap<VpcRef, IpNet>,
    /// What happens by itself, when.
    agenda: BTreeMap<(Timestamp, u64), Turn>,
    planned: u64,
    pub(super) made: u32,
    /// Accounts whose role cannot be assumed, and Regions that do not answer.
    pub(super) dark_accounts: BTreeSet<AccountId>,
    pub(super) dark_regions: BTreeSet<Region>,
    /// Regions that accounts have switched off.
    pub(super) off: BTreeSet<Scope>,
    pub(super) organization: Organization,
    pub(super) missed: BTreeSet<AccountId>,
    /// The blocks of prefix lists.
    pub(super) lists: BTreeMap<PrefixListId, BTreeSet<IpNet>>,
    /// VPCs that describes show as they were.
    pub(super) frozen: BTreeMap<VpcRef, Option<Vpc>>,
    /// Tokens left in the buckets of (scope, API), and since when.
    pub(super) buckets: BTreeMap<(Scope, &'static str), (f64, Timestamp)>,
    ledger: Vec<Entry>,
}

/// Something that happens by itself.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// A request reaches its accepter, or fails.
    Arrive(PeeringId),
    /// An accepted peering becomes active.
    Activate(PeeringId),
    /// A request was not accepted in time.
    Expire(PeeringId),
    /// A peering that was deleting is deleted.
    Vanish(PeeringId),
    /// A block that was associating or disassociating has settled.
    Settle(VpcRef),
}

/// EC2's refusal of a call.
pub fn refuse(code: &str, message: impl std::fmt::Display) -> CloudError {
    let message = message.to_string();
    let kind = ErrorKind::of(code, &message, 400);
    CloudError { code: code.to_owned(), ..CloudError::new(kind, format!("{code}: {message}")) }
}

impl Aws {
    /// An AWS in which there is nothing.
    pub fn new(stage: Arc<VirtualExecutor>, nature: AwsBehavior, chance: SimRng) -> Self {
        Self {
            stage,
            chance,
            nature,
            vpcs: BTreeMap::new(),
            tables: BTreeMap::new(),
            peerings: BTreeMap::new(),
            groups: BTreeMap::new(),
            lists: BTreeMap::new(),
            dns: BTreeMap::new(),
            joining: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            made: 0,
            dark_accounts: BTreeSet::new(),
            dark_regions: BTreeSet::new(),
            off: BTreeSet::new(),
            organization: Organization::default(),
            missed: BTreeSet::new(),
            frozen: BTreeMap::new(),
            buckets: BTreeMap::new(),
            ledger: Vec::new(),
        }
    }

    /// Lets all happen that was to happen by now.
    pub fn catch_up(&mut self) {
        let now = self.stage.now();
        while let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 <= now) {
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

    /// When the next thing happens by itself.
    pub fn next_turn(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn later(&mut self, at: Timestamp, turn: Turn) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), turn);
    }

    pub(super) fn enter(&mut self, at: Timestamp, by: Actor, deed: Change) {
        self.ledger.push(Entry { at, by, deed });
    }

    /// What happened since the last time this was asked.
    pub fn take_ledger(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.ledger)
    }

    /// The VPCs that there are.
    pub fn vpcs(&self) -> impl Iterator<Item = &Vpc> {
        self.vpcs.values().filter_map(|vpc| vpc.now().as_ref())
    }

    /// A VPC as it is.
    pub fn vpc(&self, vpc: &VpcRef) -> Option<&Vpc> {
        self.vpcs.get(vpc)?.now().as_ref()
    }

    /// The route tables that there are.
    pub fn tables(&self) -> impl Iterator<Item = &RouteTable> {
        self.tables.values().filter_map(|table| table.now().as_ref())
    }

    /// A route table as it is.
    pub fn table(&self, id: &RouteTableId) -> Option<&RouteTable> {
        self.tables.get(id)?.now().as_ref()
    }

    /// All peerings that some describe may still show, and their ends.
    pub fn peerings(&self) -> impl Iterator<Item = &Peering> {
        self.peerings.values()
    }

    /// The role of an account can no longer, or again, be assumed.
    pub fn set_account_dark(&mut self, account: &AccountId, dark: bool) {
        match dark {
            true => drop(self.dark_accounts.insert(account.clone())),
            false => drop(self.dark_accounts.remove(account)),
        }
    }

    /// A Region no longer, or again, answers.
    pub fn set_region_dark(&mut self, region: &Region, dark: bool) {
        match dark {
            true => drop(self.dark_regions.insert(region.clone())),
            false => drop(self.dark_regions.remove(region)),
        }
    }

    /// Describes show a VPC as it is now until [`Aws::thaw`].
    pub fn freeze(&mut self, vpc: &VpcRef) {
        self.frozen.insert(vpc.clone(), self.vpc(vpc).cloned());
    }

    /// Describes show everything as it is.
    pub fn thaw(&mut self) {
        self.frozen.clear();
    }
}
