//! The oracle: checks the safety of every change, and the convergence of the meshes.
//!
//! It reads the change log of the simulated AWS, and shares no code with the planner or the engine. A worker acts on
//! earlier reads. Therefore a change is allowed if it was right at some time since the worker started, or before that
//! within the staleness of describe calls.

mod contention;
mod convergence;
mod expected_state;
mod facts;
mod model;
mod record;
mod safety;
mod security_groups;
mod violation;

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{
    AccountId, MeshName, Organization, OrganizationalUnitId, PeeringId, PeeringStatus, Placement, Policy, Quotas,
    Region, Scope, VpcRef,
};

pub use facts::Facts;
pub use violation::Violation;

use crate::change_log::{Actor, Entry};
use crate::faults::FaultProfile;

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
            removed_accounts: BTreeSet::new(),
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
    pub fn learn(
        &mut self,
        at: u64,
        Organization { accounts, units, .. }: &Organization,
        removed_accounts: BTreeSet<AccountId>,
    ) {
        let over = |account: &Placement| {
            let of = |unit: &OrganizationalUnitId| units.get(unit).into_iter().flatten().cloned();
            [account.unit.clone()].into_iter().chain(of(&account.unit)).collect()
        };
        let listed: expected_state::Units =
            accounts.iter().map(|(account, unit)| (account.clone(), over(unit))).collect();
        let policies = self.facts.policies.now();
        let units = if listed.is_empty() { &policies.units } else { &listed };
        if (units, &removed_accounts) != (&policies.units, &policies.removed_accounts) {
            let policies = expected_state::Policies {
                units: units.clone(),
                removed_accounts,
                of_meshes: policies.of_meshes.clone(),
            };
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
        self.facts.record(entry, &self.accounts);
        judged.and_then(|()| self.judge_contests())
    }

    /// Whether AWS failed a request of peerd because an overlapping CIDR block was added in the meantime.
    pub fn saw_a_request_fail(&self) -> bool {
        let failed = |peering: &model::Peering| {
            peering.made_by_peerd && peering.status.since(0).any(|status| *status == PeeringStatus::Failed)
        };
        self.facts.peerings.values().any(failed)
    }
}
