//! The oracle: checks the safety of every change, and the convergence of the meshes.
//!
//! It reads the change log of the simulated AWS, and shares no code with the planner or the engine. A worker acts on
//! earlier reads. Therefore a change is allowed if it was right at some time since the worker started, or before that
//! within the staleness of describe calls.

mod contention;
mod convergence;
mod expected_state;
mod model;
mod safety;
mod security_groups;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use peerd_core::{
    AccountId, MeshName, Organization, OrganizationalUnitId, PeeringId, PeeringStatus, Placement, Policy, Quotas,
    Region, Scope, Tags, VpcRef,
};

pub use model::Facts;

use crate::change_log::{Actor, Change, Entry};
use crate::faults::FaultProfile;

/// A violation of a promise of peerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// The change or state that violates it.
    pub by: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.by)
    }
}

fn defaults(declared: &BTreeSet<MeshName>) -> BTreeMap<String, Policy> {
    declared.iter().map(|mesh| (mesh.to_string(), Policy::default())).collect()
}

/// The checker of all changes, with a model of the simulated AWS.
pub struct Oracle {
    facts: Facts,
    /// The accounts whose VPCs can be members.
    accounts: BTreeSet<AccountId>,
    staleness: u64,
    /// The longest time between a read and the resulting call.
    flight: u64,
    /// The creations of each resource.
    pub creations: contention::CreationCounts,
    /// Quotas that may leave a pair unconnected.
    pub quotas: Quotas,
    /// The last time at which a scope was unreadable, or reads failed. For workers that started by then, a VPC counts
    /// with any of its earlier states.
    pub blind_until: u64,
    /// Whether an operator has confirmed mass deletes.
    pub confirmed: bool,
    /// Peerings that each worker deleted, by mesh.
    deleted: BTreeMap<(u32, String), usize>,
    /// The time and the mesh of every delete by peerd.
    deletes: Vec<(u64, String)>,
}

/// The current outages.
#[derive(Debug, Clone, Default)]
pub struct Outages {
    /// Unreachable accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Unreachable Regions.
    pub regions: BTreeSet<Region>,
    /// Disabled Regions of single accounts.
    pub scopes: BTreeSet<Scope>,
}

impl Outages {
    /// Whether there is an outage.
    pub fn is_any(&self) -> bool {
        !self.accounts.is_empty() || !self.regions.is_empty() || !self.scopes.is_empty()
    }

    fn hides(&self, vpc: &VpcRef) -> bool {
        let scope = &vpc.scope;
        self.accounts.contains(&scope.account) || self.regions.contains(&scope.region) || self.scopes.contains(scope)
    }
}

impl Oracle {
    /// Creates the oracle of a deployment without changes.
    pub fn new(
        declared: &BTreeSet<MeshName>,
        accounts: BTreeSet<AccountId>,
        faults: &FaultProfile,
        quotas: Quotas,
    ) -> Self {
        let slow = if faults.slow > 0 { faults.slow_latency.end() } else { faults.latency.end() };
        let (staleness, flight) = (faults.staleness, 4 * slow.max(faults.without_faults().latency.end()));
        let facts = Facts::new(expected_state::Policies {
            of_meshes: defaults(declared),
            units: BTreeMap::new(),
            gone: BTreeSet::new(),
        });
        Self {
            facts,
            accounts,
            staleness,
            flight,
            creations: contention::CreationCounts::default(),
            quotas,
            blind_until: 0,
            confirmed: false,
            deleted: BTreeMap::new(),
            deletes: Vec::new(),
        }
    }

    /// Records that an operator declared a mesh.
    pub fn declare(&mut self, at: u64, mesh: &MeshName, policy: Policy) {
        self.give_up_the_released();
        let mut policies = self.facts.policies.now().clone();
        policies.of_meshes.insert(mesh.to_string(), policy);
        self.facts.policies.set(at, policies);
    }

    /// Records that the table was lost with the policies: only the meshes that the stack declares are left.
    pub fn lose_policies(&mut self, at: u64, declared: &BTreeSet<MeshName>) {
        self.give_up_the_released();
        let policies = expected_state::Policies { of_meshes: defaults(declared), ..self.facts.policies.now().clone() };
        self.facts.policies.set(at, policies);
        self.creations.prune();
    }

    /// Records what peerd knows of the organization, and which accounts an operator removed. The loss of the
    /// organization listing is no reason to remove a member.
    pub fn learn(&mut self, at: u64, Organization { accounts, units, .. }: &Organization, gone: BTreeSet<AccountId>) {
        let over = |account: &Placement| {
            let of = |unit: &OrganizationalUnitId| units.get(unit).into_iter().flatten().cloned();
            [account.unit.clone()].into_iter().chain(of(&account.unit)).collect()
        };
        let listed: expected_state::Units =
            accounts.iter().map(|(account, unit)| (account.clone(), over(unit))).collect();
        let policies = self.facts.policies.now();
        let units = if listed.is_empty() { &policies.units } else { &listed };
        if (units, &gone) != (&policies.units, &policies.gone) {
            let policies =
                expected_state::Policies { units: units.clone(), gone, of_meshes: policies.of_meshes.clone() };
            self.facts.policies.set(at, policies);
        }
    }

    /// Records the dead peerings that a policy releases: peerd cannot determine later whose their routes are.
    fn give_up_the_released(&mut self) {
        let Facts { policies, peerings, given_up, .. } = &mut self.facts;
        let is_dead = |id: &&PeeringId| peerings.get(*id).is_some_and(|peering| !peering.is_live());
        let released = policies.now().values().flat_map(|policy| &policy.release);
        given_up.extend(released.filter(is_dead).cloned());
    }

    /// Returns the policy of a mesh.
    pub fn policy(&self, mesh: &MeshName) -> Policy {
        self.facts.policies.now().get(mesh.as_str()).cloned().unwrap_or_default()
    }

    /// Checks and records a change; `since` returns the time when a worker started.
    ///
    /// # Errors
    /// Returns the violation of a promise.
    pub fn check(&mut self, entry: &Entry, since: impl Fn(u32) -> u64) -> Result<(), Violation> {
        let judged = match entry.by {
            Actor::Worker(worker) => self.judge(entry, worker, since(worker)),
            Actor::Aws | Actor::User => Ok(()),
        };
        self.creations.note(&self.facts, entry);
        self.note(entry);
        judged.and_then(|()| self.judge_contests())
    }

    /// Whether AWS failed a request of peerd because an overlapping CIDR block was added in the meantime.
    pub fn saw_a_request_fail(&self) -> bool {
        let failed = |peering: &model::Peering| {
            peering.made_by_peerd && peering.status.since(0).any(|status| *status == PeeringStatus::Failed)
        };
        self.facts.peerings.values().any(failed)
    }

    fn note(&mut self, Entry { at, by, change }: &Entry) {
        let facts = &mut self.facts;
        match change.clone() {
            Change::Vpc { vpc, .. } if !self.accounts.contains(&vpc.scope.account) => {}
            Change::Vpc { vpc, blocks, tags } => {
                let now = Some(model::Vpc { blocks: blocks.iter().copied().collect(), tags });
                match facts.vpcs.get_mut(&vpc) {
                    Some(past) => past.set(*at, now),
                    None => drop(facts.vpcs.insert(vpc, model::Timeline::new(*at, now))),
                }
            }
            Change::VpcGone { vpc } => facts.vpcs.get_mut(&vpc).into_iter().for_each(|past| past.set(*at, None)),
            Change::Table { table, vpc, is_edge_associated, main } => {
                let (tags, routes, gone) = (model::Timeline::new(*at, Tags::new()), BTreeMap::new(), Vec::new());
                let listed = BTreeMap::new();
                facts.tables.insert(table, model::Table { vpc, is_edge_associated, main, tags, routes, gone, listed });
            }
            Change::TableTags { table, tags } => {
                facts.tables.get_mut(&table).into_iter().for_each(|table| table.tags.set(*at, tags.clone()));
            }
            Change::TableGone { table } => drop(facts.tables.remove(&table)),
            Change::Peering { id, requester, accepter } => {
                let peering = model::Peering {
                    requester,
                    accepter,
                    made_at: *at,
                    made_by_peerd: matches!(by, Actor::Worker(_)),
                    status: model::Timeline::new(*at, PeeringStatus::InitiatingRequest),
                    tags: BTreeMap::new(),
                    managed: model::Timeline::new(*at, false),
                    dns: BTreeMap::new(),
                };
                facts.peerings.insert(id, peering);
            }
            Change::Status { id, status } => {
                facts.peerings.get_mut(&id).into_iter().for_each(|peering| peering.status.set(*at, status.clone()));
            }
            // No one else can read the tags that an unknown account writes on its side.
            Change::Tags { scope, .. } if !self.accounts.contains(&scope.account) => {}
            Change::Tags { id, scope, tags } => {
                if let Some(peering) = facts.peerings.get_mut(&id) {
                    match peering.tags.get_mut(&scope) {
                        Some(past) => past.set(*at, tags),
                        None => drop(peering.tags.insert(scope, model::Timeline::new(*at, tags))),
                    }
                    let managed = peering.tags.values().any(|tags| model::has_ownership_tag(tags.now()));
                    peering.managed.set(*at, managed);
                }
            }
            Change::Dns { vpc, has } => {
                let has = has.hostnames && has.support;
                facts.names.entry(vpc).or_insert_with(|| model::Timeline::new(0, false)).set(*at, has);
            }
            Change::Option { id, vpc, on } => {
                let options = facts.peerings.get_mut(&id).map(|peering| &mut peering.dns);
                options.into_iter().for_each(|options| options.extend([(vpc.clone(), on)]));
            }
            Change::Group { vpc, .. } if !self.accounts.contains(&vpc.scope.account) => {}
            Change::Group { group, vpc, tags } => match facts.groups.get_mut(&group) {
                Some(known) => known.tags.set(*at, tags),
                None => {
                    let (tags, (rules, gone, changed_by_user)) = (model::Timeline::new(*at, tags), Default::default());
                    facts.groups.insert(group, model::Group { vpc, tags, rules, gone, changed_by_user });
                }
            },
            Change::GroupGone { group } => drop(facts.groups.remove(&group)),
            Change::Rule { group, rule, was, now } => {
                if let Some(group) = facts.groups.get_mut(&group) {
                    if *by == Actor::User {
                        group.changed_by_user.insert(rule.clone(), *at);
                    }
                    match now {
                        Some(now) => drop(group.rules.insert(rule, now)),
                        None => drop(group.rules.remove(&rule)),
                    }
                    group.gone.extend(was.map(|was| (was.permission, *at)));
                }
            }
            Change::List { table, block } => {
                if let Some(table) = facts.tables.get_mut(&table) {
                    table.listed.entry(block).or_insert(*at);
                }
            }
            Change::Route { table, block, was, now } => {
                if let Some(table) = facts.tables.get_mut(&table) {
                    match now {
                        Some(target) => drop(table.routes.insert(block, model::Route { target, since: *at })),
                        None => drop(table.routes.remove(&block)),
                    }
                    let gone = |target| model::GoneRoute { block, target, until: *at, by: *by };
                    table.gone.extend(was.map(gone));
                }
            }
        }
    }
}
