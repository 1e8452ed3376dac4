//! The ports of the engine: a cloud to read and to change, AWS Organizations, a store, a queue, a bus and a clock.
//!
//! Reading and changing the cloud are separate traits, so that code that only reads cannot change anything.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    AccountId, DnsSupport, IngressRule, Member, MeshName, Organization, OrganizationalUnitId, Pair, PeeringId,
    PeeringStatus, PeeringView, Permission, Placement, Policy, PrefixListId, Quotas, Region, RouteTable, RouteTableId,
    RunChanges, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, Timestamp, Vpc, VpcId, VpcRef,
};
use serde::Deserialize;

use crate::error::{CloudError, InfraError};
use crate::message::Message;
use crate::notification::{MeshFindings, Notification};

/// The reads of the cloud. Every result is complete: all pages, or an error.
#[async_trait]
pub trait CloudRead: Send + Sync {
    /// The VPCs that the scope's account owns there. VPCs without a tag of peerd may be missing.
    async fn vpcs(&self, scope: &Scope) -> Result<Vec<Vpc>, CloudError>;
    /// The VPCs with these ids that exist and that the scope's account owns.
    async fn vpcs_by_id(&self, scope: &Scope, ids: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError>;
    /// The peerings that are visible in the scope, including dead ones.
    async fn peerings(&self, scope: &Scope) -> Result<Vec<PeeringView>, CloudError>;
    /// One peering, if it is visible in the scope.
    async fn peering(&self, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError>;
    /// The route tables of the VPCs that the scope's account owns there.
    async fn route_tables(&self, scope: &Scope) -> Result<Vec<RouteTable>, CloudError>;
    /// One route table, if it exists.
    async fn route_table(&self, scope: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError>;
    /// The ingress rules of the scope that have an ownership tag, of any deployment.
    async fn ingress_rules(&self, scope: &Scope) -> Result<Vec<IngressRule>, CloudError>;
    /// The ingress rules of these security groups of the scope, whatever their tags.
    async fn ingress_rules_of(
        &self,
        scope: &Scope,
        groups: &BTreeSet<SecurityGroupId>,
    ) -> Result<Vec<IngressRule>, CloudError>;
    /// The security groups of the scope that have the tag `peerd:allow`.
    async fn security_groups(&self, scope: &Scope) -> Result<Vec<SecurityGroup>, CloudError>;
    /// The VPC of a security group, if the group exists.
    async fn vpc_of_group(&self, scope: &Scope, id: &SecurityGroupId) -> Result<Option<VpcRef>, CloudError>;
    /// The CIDR blocks of a prefix list that a route table of the scope uses.
    async fn prefix_list(&self, scope: &Scope, id: &PrefixListId) -> Result<BTreeSet<IpNet>, CloudError>;
    /// The values of the scope's quotas that peerd uses.
    async fn quotas(&self, scope: &Scope) -> Result<Quotas, CloudError>;
    /// The DNS attributes of a VPC.
    async fn dns_support(&self, vpc: &VpcRef) -> Result<DnsSupport, CloudError>;
    /// Whether the Region is disabled in the scope's account
    /// (<https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>).
    async fn is_region_off(&self, scope: &Scope) -> Result<bool, CloudError>;
}

/// AWS Organizations. Every result is complete: all pages, or an error.
#[async_trait]
pub trait OrganizationsClient: Send + Sync {
    /// The accounts that are directly in a unit.
    async fn accounts_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeMap<AccountId, Placement>, CloudError>;
    /// The units that are directly in a unit.
    async fn units_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeSet<OrganizationalUnitId>, CloudError>;
}

/// The changes to the cloud. Each method makes one EC2 call and returns EC2's result. [`crate::ensure`] makes the calls
/// safe to repeat.
#[async_trait]
pub trait CloudWrite: Send + Sync {
    /// Requests a peering with tags on the requester's side. AWS answers a repeated request with the existing peering.
    async fn create_peering(&self, pair: &Pair, tags: &Tags) -> Result<PeeringView, CloudError>;
    /// Accepts a request in the accepter's scope and returns the new status.
    async fn accept_peering(&self, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError>;
    /// Deletes a peering.
    async fn delete_peering(&self, scope: &Scope, id: &PeeringId) -> Result<(), CloudError>;
    /// Sets tags on this scope's side of a peering.
    async fn tag_peering(&self, scope: &Scope, id: &PeeringId, tags: &Tags) -> Result<(), CloudError>;
    /// Removes tags from this scope's side of a peering.
    async fn untag_peering(&self, scope: &Scope, id: &PeeringId, keys: &[&str]) -> Result<(), CloudError>;
    /// Sets the DNS option of one end of an active peering, in that end's own scope.
    async fn set_dns(&self, vpc: &VpcRef, id: &PeeringId, requester: bool, on: bool) -> Result<(), CloudError>;
    /// Adds a route for a CIDR block to a peering. An existing route for the CIDR block is an error, whatever its
    /// target.
    async fn create_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError>;
    /// Changes the target of the route for a CIDR block to another peering.
    async fn replace_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError>;
    /// Deletes a route, whatever its target.
    async fn delete_route(&self, scope: &Scope, table: &RouteTableId, destination: &IpNet) -> Result<(), CloudError>;
    /// Adds an ingress rule with this description and these tags to a security group. An existing rule with the same permission is
    /// an error, whatever its description and tags.
    async fn authorize_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        permission: &Permission,
        description: &str,
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError>;
    /// Deletes a rule of a security group.
    async fn revoke_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
    ) -> Result<(), CloudError>;
    /// Sets one tag of a rule, or removes it if there is no value.
    async fn set_rule_tag(
        &self,
        scope: &Scope,
        rule: &SecurityGroupRuleId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), CloudError>;
    /// Sets one tag of a VPC, or removes it if there is no value.
    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError>;
}

/// A cloud to read and to change.
pub trait Cloud: CloudRead + CloudWrite {}

impl<C: CloudRead + CloudWrite> Cloud for C {}

/// The right of one run to request the peering of a pair, for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The pair.
    pub pair: Pair,
    /// The name of the run in claims.
    pub owner: String,
    /// The time of the claim.
    pub now: Timestamp,
    /// When the claim expires.
    pub until: Timestamp,
    /// Dead peerings of the pair. An existing claim that records one of them is void.
    pub dead: Vec<PeeringId>,
}

/// The right of one worker to reconcile a mesh, for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The mesh.
    pub mesh: MeshName,
    /// The name of the worker.
    pub holder: String,
    /// The time at which the lease is taken or renewed.
    pub now: Timestamp,
    /// When it lapses, unless it is renewed.
    pub until: Timestamp,
}

/// The registration of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// The Regions in which members may exist.
    pub regions: BTreeSet<Region>,
    /// Whether an operator registered the account.
    pub added: bool,
    /// Whether an operator recorded that the account was permanently removed, with all its resources.
    pub removed: bool,
    /// Whether an operator blocked the account.
    pub blocked: bool,
    /// Whether a VPC of the account requested a mesh while peerd did not know the account.
    pub asked: bool,
}

/// What the store records of a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are few meshes")]
pub enum MeshRecord {
    /// A VPC has requested it; nothing more.
    #[default]
    Requested,
    /// It has the default policy, if the deployment's parameters declare it.
    Default,
    /// An operator has declared it with this policy.
    Declared(Policy),
}

impl MeshRecord {
    /// The policy that an operator has declared.
    pub fn policy(self) -> Option<Policy> {
        match self {
            Self::Declared(policy) => Some(policy),
            Self::Requested | Self::Default => None,
        }
    }
}

/// Which VPC requested which mesh, and the policies of the meshes that are declared in the store.
#[async_trait]
pub trait MembershipIndex: Send + Sync {
    /// Every mesh that is declared in the store or that a VPC has requested.
    async fn meshes(&self) -> Result<BTreeMap<MeshName, MeshRecord>, InfraError>;
    /// Records that a mesh of the deployment's parameters has the default policy. A policy that an operator has declared stays.
    async fn record_default(&self, mesh: &MeshName) -> Result<(), InfraError>;
    /// The indexed members of a mesh, from a consistent read.
    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError>;
    /// The index item of a VPC.
    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError>;
    /// Writes the index item of a VPC if `before` is still the stored item, and returns whether it was. Removes the
    /// item of a member of no mesh.
    async fn update_member(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError>;
    /// Removes a mesh that no VPC requests. A mesh that is declared in the store stays, and so does one with open
    /// findings or unsent notifications, because no later run would process them.
    async fn remove_mesh(&self, mesh: &MeshName) -> Result<(), InfraError>;
}

/// The registered accounts, and the last listing of the organization.
#[async_trait]
pub trait AccountRegistry: Send + Sync {
    /// The registrations of accounts.
    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError>;
    /// Registers a Region of a known account after an event, and clears the record that the account was removed. A
    /// blocked account stays as it is.
    async fn register(&self, scope: &Scope) -> Result<(), InfraError>;
    /// Records whether a VPC of an unknown account requested a mesh.
    async fn record_unknown(&self, account: &AccountId, asked: bool) -> Result<(), InfraError>;
    /// The last listing of the organization; empty if there is none.
    async fn organization(&self) -> Result<Organization, InfraError>;
    /// Writes the listing if `before` is still the stored version (0 for none), and returns whether it was.
    async fn put_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError>;
}

/// Claims: the right of one run to request the peering of a pair, for a limited time.
#[async_trait]
pub trait ClaimStore: Send + Sync {
    /// Acquires a claim. Returns false if another run holds it.
    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError>;
    /// Records in the claim the peering that was requested.
    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError>;
    /// Releases a claim before it expires. A claim that another run holds by now stays.
    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError>;
}

/// The maximum number of requests that are left with one lease, so that its item stays small.
pub const MAX_REQUESTS: usize = 50;

/// Leases: the right of one worker to reconcile a mesh, and the requests that other workers leave with it.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease, or renews it. Returns the requests that were left with it and not removed yet; none if another worker
    /// holds it.
    async fn take_lease(&self, lease: &Lease) -> Result<Option<Vec<Message>>, InfraError>;
    /// Leaves a request with another worker that holds the lease, and returns whether it did. It does not if no other worker holds
    /// it, or if [`MAX_REQUESTS`] are left with it.
    async fn leave_request(&self, lease: &Lease, request: &Message) -> Result<bool, InfraError>;
    /// Ends the lease with the first `handled` requests, and returns whether it did. It does not if there are more, or if the
    /// worker does not hold it.
    async fn end_lease(&self, lease: &Lease, handled: usize) -> Result<bool, InfraError>;
}

/// What runs did, and when the last sweep started.
#[async_trait]
pub trait RunLog: Send + Sync {
    /// Records when a sweep started.
    async fn record_sweep(&self, at: Timestamp) -> Result<(), InfraError>;
    /// When the last sweep started, if there was one.
    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError>;
    /// Adds a run to the run history, for a limited time.
    async fn record_run(&self, run: &crate::Run, now: Timestamp) -> Result<(), InfraError>;
    /// The changes of the runs of a mesh that ended since `from`, oldest first.
    async fn run_history(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError>;
}

/// The findings record of each mesh: open findings and unsent notifications.
#[async_trait]
pub trait FindingStore: Send + Sync {
    /// The findings record of a mesh.
    async fn findings_record(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError>;
    /// Writes the findings record if `before` is still the stored version, and returns whether it was. The mesh is
    /// known from then on.
    async fn put_findings_record(
        &self,
        mesh: &MeshName,
        before: Option<u64>,
        now: &MeshFindings,
    ) -> Result<bool, InfraError>;
}

/// Everything that a run keeps between runs: the table of a deployment, or its equivalent in memory.
pub trait Store: MembershipIndex + AccountRegistry + ClaimStore + LeaseStore + RunLog + FindingStore {}

impl<S: MembershipIndex + AccountRegistry + ClaimStore + LeaseStore + RunLog + FindingStore> Store for S {}

/// The queue for follow-up messages.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends a message, which the queue delivers after `delay` seconds (0 to 900) at the earliest.
    async fn send(&self, message: &Message, delay: u32) -> Result<(), InfraError>;
}

/// The event bus for notifications of changes and findings.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes all notifications, or fails.
    async fn publish(&self, notifications: &[Notification]) -> Result<(), InfraError>;
}

/// The clock.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}
