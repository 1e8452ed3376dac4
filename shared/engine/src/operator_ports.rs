//! The ports of the command line, besides those of the engine: what an operator decides, reads and has the hub compute.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    AccountId, Action, Cause, Check, Deployment, Examination, Examined, GroupRules, InterfaceAddress, MeshName,
    NetworkAcl, Policy, Region, Scope, Subnet, Tags, Timestamp, Vpc, VpcRef, rfc3339,
};
use serde::Serialize;

use crate::error::{CloudError, InfraError};
use crate::observer::KnownAccounts;
use crate::outcome::Run;
use crate::ports::{CloudRead, Store};
use crate::what_if::{Consequences, Decision};

/// A store in which operators declare meshes and register accounts.
#[async_trait]
pub trait OperatorStore: Store {
    /// Declares a mesh, or replaces its policy.
    async fn declare(&self, mesh: &MeshName, policy: &Policy) -> Result<(), InfraError>;
    /// Removes the policy of a mesh. Its members stay in the index, and existing peerings and routes stay. If the
    /// deployment's parameters declare the mesh, it has the default policy again.
    async fn undeclare(&self, mesh: &MeshName) -> Result<(), InfraError>;
    /// Registers an account in some Regions, and clears the record that it was removed. Returns false, and changes
    /// nothing, if the account is blocked.
    async fn add_account(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<bool, InfraError>;
    /// Blocks an account, or ends the block.
    async fn set_blocked(&self, account: &AccountId, blocked: bool) -> Result<(), InfraError>;
    /// Removes some Regions from the registration of an account.
    async fn unregister(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<(), InfraError>;
    /// Records that an account was permanently removed, with all its resources.
    async fn mark_removed(&self, account: &AccountId) -> Result<(), InfraError>;
    /// The latest runs of a mesh that did something, newest first.
    async fn past_runs(&self, mesh: &MeshName, most: usize) -> Result<Vec<PastRun>, InfraError>;
}

/// A run with an outcome other than `unchanged`, as the run history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastRun {
    /// When it ended, in UTC (RFC 3339).
    pub at: String,
    /// The outcome.
    pub outcome: String,
    /// The applied actions, one line each.
    pub applied: Vec<String>,
    /// The failed actions, one line each.
    pub failed: Vec<String>,
    /// The findings, one line each.
    pub findings: Vec<String>,
    /// The API calls that triggered it, as far as events reported them.
    pub causes: Vec<Cause>,
}

impl PastRun {
    /// A run that ended at a time.
    pub fn new(at: Timestamp, run: &Run) -> Self {
        let lines = |items: &[Action]| items.iter().map(ToString::to_string).collect();
        Self {
            at: rfc3339(at),
            outcome: run.outcome.to_string(),
            applied: lines(&run.applied),
            failed: run.failed.clone(),
            findings: run.report.findings.iter().map(ToString::to_string).collect(),
            causes: run.causes.iter().cloned().collect(),
        }
    }
}

/// The reads of `peerd explain`: what is in front of the network interfaces of a VPC.
#[async_trait]
pub trait NetworkRead: CloudRead {
    /// All VPCs of a scope's own account, or those with a value of the tag `Name`.
    async fn vpcs_named(&self, scope: &Scope, name: Option<&str>) -> Result<Vec<Vpc>, CloudError>;
    /// The network interfaces of a VPC that have an address.
    async fn interfaces_with(&self, vpc: &VpcRef, address: IpAddr) -> Result<Vec<InterfaceAddress>, CloudError>;
    /// A network interface by its id.
    async fn interface(&self, scope: &Scope, id: &str) -> Result<Option<InterfaceAddress>, CloudError>;
    /// The subnets of a VPC.
    async fn subnets(&self, vpc: &VpcRef) -> Result<Vec<Subnet>, CloudError>;
    /// The network ACLs of a VPC.
    async fn acls(&self, vpc: &VpcRef) -> Result<Vec<NetworkAcl>, CloudError>;
    /// The security groups of a VPC with their rules. A rule for a prefix list is one for each of its CIDR blocks.
    async fn group_rules(&self, vpc: &VpcRef) -> Result<Vec<GroupRules>, CloudError>;
}

/// The principal whose credentials the process has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its account.
    pub account: AccountId,
    /// Its ARN.
    pub arn: String,
}

/// The checks of `peerd doctor` in the scopes that a role reads.
#[async_trait]
pub trait Examine: Send + Sync {
    /// Checks all scopes. `bus` is the ARN of the hub's bus, to which each scope must forward its events; none without
    /// a hub, which needs no events.
    async fn examine_all(&self, scopes: BTreeSet<Scope>, deployment: &Deployment, bus: Option<&str>) -> Vec<Examined>;
}

/// The VPCs of `peerd doctor --live`, which it creates, tags and deletes as a user does.
#[async_trait]
pub trait UserVpcs: Send + Sync {
    /// Creates a VPC with tags.
    async fn create_vpc(&self, scope: &Scope, cidr: &IpNet, tags: &Tags) -> Result<VpcRef, CloudError>;
    /// Sets a tag of a VPC, or removes it if there is no value.
    async fn set_vpc_tag(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError>;
    /// Deletes a VPC.
    async fn delete_vpc(&self, vpc: &VpcRef) -> Result<(), CloudError>;
}

/// A deployed hub: its stack, and its function, which acts with the deployment's own roles.
#[async_trait]
pub trait HubControl: Send + Sync {
    /// Computes what would follow from a decision.
    async fn foresee(&self, decision: &Decision) -> Result<BTreeMap<MeshName, Consequences>, InfraError>;
    /// Checks the scopes of these accounts, or of all accounts if there are none.
    async fn examine_spokes(&self, accounts: &BTreeSet<AccountId>) -> Result<Examination, InfraError>;
    /// Checks the stack, and whether each of its parts works and is as the template made it. `known` are the accounts
    /// that the deployment scans.
    async fn check(&self, known: &KnownAccounts) -> Vec<Check>;
    /// The ARN of the bus.
    fn bus(&self) -> &str;
    /// The schedule of the sweeps: an expression of EventBridge Scheduler.
    fn schedule(&self) -> Option<&str>;
}

/// A queue with its dead-letter queue.
#[async_trait]
pub trait RedriveQueue: Send + Sync {
    /// The name of the function that receives from it.
    fn name(&self) -> &str;
    /// Its state.
    async fn state(&self) -> Result<QueueState, InfraError>;
    /// The command that makes the dead-letter queue receive what the function cannot handle.
    fn restore_dead_letters(&self) -> String;
    /// Moves some dead letters back to the queue, and returns how many. None is lost; one may be delivered twice.
    async fn redrive(&self) -> Result<usize, InfraError>;
}

/// The state of a queue with its dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// The number of waiting messages, as SQS estimates it.
    pub waiting: u64,
    /// The number of dead letters, as SQS estimates it.
    pub dead: u64,
    /// Whether messages that the function cannot handle go to the dead-letter queue.
    pub has_dead_letters: bool,
}
