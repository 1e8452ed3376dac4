//! What the loop needs of the world: a cloud to read and to write, a store, a queue, a clock.
//!
//! Reading and writing the cloud are separate traits, so that what only looks cannot change anything.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    AccountId, DnsSupport, IngressRule, Member, MeshName, Organization, OrganizationalUnitId, Pair, PeeringId,
    PeeringStatus, PeeringView, Permission, Placement, Policy, PrefixListId, Quotas, Region, RouteTable, RouteTableId,
    RunChanges, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, Vpc, VpcId, VpcRef,
};
use serde::Deserialize;

use crate::error::{CloudError, InfraError};
use crate::message::Message;
use crate::notifications::{MeshFindings, Notification};

/// Milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// The reading half of the cloud. Every answer is complete: all pages, or an error.
#[async_trait]
pub trait CloudRead: Send + Sync {
    /// The VPCs that the scope's account owns there.
    async fn vpcs(&self, scope: &Scope) -> Result<Vec<Vpc>, CloudError>;
    /// Those of the named VPCs that exist.
    async fn vpcs_by_id(&self, scope: &Scope, ids: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError>;
    /// The peerings that the scope sees, dead ones included.
    async fn peerings(&self, scope: &Scope) -> Result<Vec<PeeringView>, CloudError>;
    /// One peering, if the scope sees it.
    async fn peering(&self, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError>;
    /// The route tables of the VPCs that the scope's account owns there.
    async fn route_tables(&self, scope: &Scope) -> Result<Vec<RouteTable>, CloudError>;
    /// One route table, if it exists.
    async fn route_table(&self, scope: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError>;
    /// The ingress rules of the scope that wear a deployment's mark.
    async fn ingress_rules(&self, scope: &Scope) -> Result<Vec<IngressRule>, CloudError>;
    /// The security groups of the scope that wear `peerd:allow`.
    async fn security_groups(&self, scope: &Scope) -> Result<Vec<SecurityGroup>, CloudError>;
    /// The VPC of a security group, if the group exists.
    async fn vpc_of_group(&self, scope: &Scope, id: &SecurityGroupId) -> Result<Option<VpcRef>, CloudError>;
    /// The blocks of a prefix list that a route table of the scope refers to.
    async fn prefix_list(&self, scope: &Scope, id: &PrefixListId) -> Result<BTreeSet<IpNet>, CloudError>;
    /// What the scope's account is granted there of what peerd needs to know.
    async fn quotas(&self, scope: &Scope) -> Result<Quotas, CloudError>;
    /// The DNS attributes of a VPC.
    async fn dns_support(&self, vpc: &VpcRef) -> Result<DnsSupport, CloudError>;
    /// Whether the scope's account has the Region switched off
    /// (<https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>).
    async fn is_region_off(&self, scope: &Scope) -> Result<bool, CloudError>;
}

/// The organisation. Every answer is complete: all pages, or an error.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The accounts that are directly in a unit.
    async fn accounts_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeMap<AccountId, Placement>, CloudError>;
    /// The units that are directly in a unit.
    async fn units_in(&self, unit: &OrganizationalUnitId) -> Result<BTreeSet<OrganizationalUnitId>, CloudError>;
}

/// The writing half of the cloud: one call of EC2 each, with EC2's answers. [`crate::ensure`] makes them safe to repeat.
#[async_trait]
pub trait CloudWrite: Send + Sync {
    /// Requests a peering with tags on the requester's side. AWS answers a repeated request with the peering that stands.
    async fn create_peering(&self, pair: &Pair, tags: &Tags) -> Result<PeeringView, CloudError>;
    /// Accepts a request in the accepter's scope and tells the state that follows.
    async fn accept_peering(&self, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError>;
    /// Deletes a peering.
    async fn delete_peering(&self, scope: &Scope, id: &PeeringId) -> Result<(), CloudError>;
    /// Sets tags on this scope's side of a peering.
    async fn tag_peering(&self, scope: &Scope, id: &PeeringId, tags: &Tags) -> Result<(), CloudError>;
    /// Removes tags from this scope's side of a peering.
    async fn untag_peering(&self, scope: &Scope, id: &PeeringId, keys: &[&str]) -> Result<(), CloudError>;
    /// Switches the DNS option of one end of an active peering, in that end's own scope.
    async fn set_dns(&self, vpc: &VpcRef, id: &PeeringId, requester: bool, on: bool) -> Result<(), CloudError>;
    /// Routes a block to a peering. A route to the block that stands already is an error, wherever it leads.
    async fn create_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError>;
    /// Points the route to a block at another peering.
    async fn replace_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError>;
    /// Takes a route out, wherever it leads.
    async fn delete_route(&self, scope: &Scope, table: &RouteTableId, destination: &IpNet) -> Result<(), CloudError>;
    /// Lets a block into a security group, by a rule with these tags. What is let in already, by whatever rule, is an error.
    async fn authorize_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        permission: &Permission,
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError>;
    /// Takes a rule out of a security group.
    async fn revoke_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
    ) -> Result<(), CloudError>;
    /// Sets a tag without a value on a rule, or removes it.
    async fn mark_rule(&self, scope: &Scope, rule: &SecurityGroupRuleId, key: &str, on: bool)
    -> Result<(), CloudError>;
    /// Sets, or with no value removes, one tag of a VPC.
    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError>;
}

/// A cloud to read and to write.
pub trait Cloud: CloudRead + CloudWrite {}

impl<C: CloudRead + CloudWrite> Cloud for C {}

/// The right, for a while, to request the peering of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose peering.
    pub pair: Pair,
    /// The run that claims.
    pub owner: String,
    /// The time of the claim.
    pub now: Timestamp,
    /// When it lapses.
    pub until: Timestamp,
    /// Dead peerings of the pair: a standing claim that led to one of them is void.
    pub dead: Vec<PeeringId>,
}

/// What was said of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Where members may be.
    pub regions: BTreeSet<Region>,
    /// Whether an operator said that the account is gone for good, with all that was in it.
    pub gone: bool,
}

/// The membership index, the policies, the accounts and the claims.
#[async_trait]
pub trait Store: Send + Sync {
    /// Every mesh that was declared in the store or that a VPC ever asked for, with its policy if it is declared there.
    async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, InfraError>;
    /// The remembered members of a mesh, read consistently.
    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError>;
    /// What is remembered of a VPC.
    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError>;
    /// Remembers a VPC as it is now, if `before` is still what is remembered, and tells whether it was. A member of no
    /// mesh is forgotten.
    async fn remember(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError>;
    /// Forgets a mesh that nobody asks for. One that is declared in the store stays, and so does one of which something is
    /// open or still to be told: nobody would come back to it.
    async fn forget_mesh(&self, mesh: &MeshName) -> Result<(), InfraError>;
    /// What was said of accounts, by operators and by their first events.
    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError>;
    /// Registers a scope, of whose account it then no longer holds that it is gone.
    async fn register(&self, scope: &Scope) -> Result<(), InfraError>;
    /// The organisation as it was last listed; an empty one if it never was.
    async fn organization(&self) -> Result<Organization, InfraError>;
    /// Keeps it, if `before` is still the version that is kept (0 for none), and tells whether it was.
    async fn keep_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError>;
    /// Notes when a sweep was begun.
    async fn note_sweep(&self, at: Timestamp) -> Result<(), InfraError>;
    /// When the last sweep was begun, if there was one.
    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError>;
    /// Takes a claim: false if another run holds it.
    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError>;
    /// Notes in the claim which peering came of it.
    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError>;
    /// Gives a claim up before it lapses; one that another run holds by now stays.
    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError>;
    /// Keeps how a run ended, for a while.
    async fn record_run(&self, run: &crate::Run, now: Timestamp) -> Result<(), InfraError>;
    /// What the runs of a mesh did that were kept from a time on, the oldest first.
    async fn past(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError>;
    /// What is known of a mesh's findings.
    async fn tidings(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError>;
    /// Keeps it, if `before` is still the version that is kept, and tells whether it was. The mesh is known from then on.
    async fn keep_tidings(&self, mesh: &MeshName, before: Option<u64>, now: &MeshFindings) -> Result<bool, InfraError>;
}

/// Where follow-up messages go.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends a message that arrives no sooner than `delay` seconds from now (0 to 900).
    async fn send(&self, message: &Message, delay: u32) -> Result<(), InfraError>;
}

/// Where the deployment tells what it did and found.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Puts all of the notices on the bus, or fails.
    async fn publish(&self, notices: &[Notification]) -> Result<(), InfraError>;
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
