//! Findings: what an operator should know, as data. Only [`crate::finding_text`] words them, and no code matches on the
//! text.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cidr::{CidrSet, IpNet};
use crate::ids::{
    AccountId, MeshName, Pair, PeeringId, PrefixListId, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId,
    VpcRef,
};
use crate::permission::Traffic;
use crate::policy::{DeleteLimits, Denial};
use crate::quotas::Quota;

/// A problem that the operator should know. The variants are in the order of severity, so that a list of findings that
/// is cut off loses those that matter least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::EnumDiscriminants)]
#[strum_discriminants(name(FindingVariant), derive(strum::VariantArray), doc = "The variants of [`Finding`].")]
#[serde(tag = "reason", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names and types say")]
pub enum Finding {
    /// A run would delete more peerings of the mesh than its policy allows without a confirmation.
    DeleteLimit { mesh: MeshName, deletes: usize, live: usize, limits: DeleteLimits },
    /// The stored policy of the mesh cannot be read.
    UnreadablePolicy { mesh: MeshName, error: String },
    /// A scope could not be read. `role` is the role that peerd assumes there.
    UnreadableScope { scope: Scope, role: String, error: String },
    /// A scope could not be read; its account is suspended, closed or the like.
    InactiveAccount { scope: Scope, state: String, error: String },
    /// A scope with indexed members could not be read; its account has disabled the Region.
    DisabledRegion { scope: Scope, error: String },
    /// The security groups of a scope could not be read.
    UnreadableSecurityGroups { scope: Scope, error: String },
    /// The DNS attributes of a VPC could not be read.
    UnreadableDnsAttributes { vpc: VpcRef, role: String, error: String },
    /// A prefix list that may contain a CIDR block could not be read.
    UnreadablePrefixList {
        table: RouteTableId,
        vpc: VpcRef,
        list: PrefixListId,
        cidr: IpNet,
        target: String,
        role: String,
        error: String,
    },
    /// A peering seems unwanted, but the tags that were read do not prove it.
    UnprovenPeering { pair: Pair, peering: PeeringId },
    /// A peering is unwanted, but route tables that may route to it could not be read.
    UnreadableRoutes { pair: Pair, peering: PeeringId, vpc: VpcRef },
    /// A peering that this deployment does not own connects two members.
    ForeignPeering { pair: Pair, peering: PeeringId, mesh: MeshName, deployment: String },
    /// A peering has the ownership tag of this deployment, in these scopes, but no seal: peerd did not make it, or a principal
    /// removed the seal.
    UnsealedPeering { pair: Pair, peering: PeeringId, mesh: MeshName, scopes: BTreeSet<Scope> },
    /// Peerings have the ownership tag of this deployment, and none has a seal of its key: the key is another one.
    NoValidSeal { mesh: MeshName, peerings: usize },
    /// One side of an owned peering has the ownership tag of another deployment.
    OtherOwnershipTag { pair: Pair, peering: PeeringId, scope: Scope, deployment: String },
    /// An ingress rule has the ownership tag of this deployment, but no seal: peerd did not make it, or a principal changed its
    /// description.
    UnsealedRule { scope: Scope, group: SecurityGroupId, rule: SecurityGroupRuleId },
    /// An owned ingress rule has the ownership tag of another deployment.
    OtherRuleOwner { scope: Scope, group: SecurityGroupId, rule: SecurityGroupRuleId, deployment: String },
    /// AWS failed an earlier request for the pair.
    FailedPeering { pair: Pair, peering: PeeringId, error: String },
    /// A route to a member's CIDR block has a target that peerd does not own.
    /// `propagated`: a gateway propagates it.
    ForeignRoute { table: RouteTableId, vpc: VpcRef, cidr: IpNet, target: String, propagated: bool, peering: PeeringId },
    /// A prefix list in a route table routes a member's CIDR block elsewhere.
    PrefixListRoute { table: RouteTableId, vpc: VpcRef, list: PrefixListId, cidr: IpNet, target: String },
    /// Another principal keeps reverting a change; peerd backs off until `retry_at_ms` (since the Unix epoch).
    Contention { resource: String, times: usize, principal: Option<String>, retry_at_ms: u64 },
    /// Another principal keeps rewriting the status tag of a VPC; peerd backs off until `retry_at_ms` (since the Unix epoch).
    StatusContention { vpc: VpcRef, times: usize, principal: Option<String>, retry_at_ms: u64 },
    /// An account that peerd does not know requests a peering with a member.
    UnknownRequester { peering: PeeringId, requester: VpcRef, accepter: VpcRef },
    /// A VPC of an account that peerd does not know requests a mesh.
    UnknownAccount { account: AccountId },
    /// CIDR blocks of two members overlap, so AWS does not peer them.
    CidrOverlap { pair: Pair, ours: IpNet, theirs: IpNet },
    /// A CIDR block of a peer overlaps the table's own VPC.
    OverlapsOwnVpc { table: RouteTableId, vpc: VpcRef, cidr: IpNet, peer: VpcRef },
    /// A CIDR block of a peer overlaps one that the table routes to another peer.
    RouteOverlap {
        table: RouteTableId,
        vpc: VpcRef,
        cidr: IpNet,
        peer: VpcRef,
        routed_cidr: IpNet,
        routed_peer: VpcRef,
    },
    /// A quota is used up. `left_out` names some of what exceeds it, and `more` counts the rest.
    QuotaExceeded { subject: String, scope: Scope, quota: Quota, limit: Limit, left_out: Vec<String>, more: usize },
    /// AWS refused a call because of a quota.
    QuotaRefused { pair: Pair, error: String },
    /// A VPC requests membership of a mesh that does not admit it.
    NotAdmitted { vpc: VpcRef, mesh: MeshName, denial: Denial },
    /// A VPC advertises a CIDR block that the mesh does not admit.
    CidrNotAdmitted { vpc: VpcRef, mesh: MeshName, cidr: IpNet },
    /// A VPC has the tag `peerd:role=hub`, and the policy of the mesh does not name it as a hub.
    NotAHub { vpc: VpcRef, mesh: MeshName },
    /// A word in a tag is invalid; `expected` is what the tag may contain.
    InvalidTag { resource: String, key: String, word: String, expected: Expected },
    /// A security group allows a mesh, and its VPC is not a member of that mesh.
    GroupOfNonMember { group: SecurityGroupId, vpc: VpcRef, mesh: MeshName },
    /// A security group allows a mesh, and the policy of that mesh allows no security group rules.
    SecurityGroupsOff { group: SecurityGroupId, vpc: VpcRef, mesh: MeshName },
    /// A security group requests traffic that the policy of the mesh does not allow in full.
    PortsNotAdmitted { group: SecurityGroupId, vpc: VpcRef, mesh: MeshName, ports: BTreeSet<Traffic> },
    /// A peering stays because both VPCs request meshes that are no longer declared.
    UndeclaredMeshes { pair: Pair, peering: PeeringId, meshes: BTreeSet<MeshName> },
    /// A VPC lacks DNS attributes that the mesh's `dns` needs.
    DnsAttributesOff { vpc: VpcRef, hostnames: bool, support: bool },
    /// The policies of meshes that connect a pair disagree; `about` is the subject, with what peerd does.
    PoliciesDisagree { pair: Pair, meshes: BTreeSet<MeshName>, about: Disagreement },
    /// Routes over peerings (`by`) take precedence over a route to a gateway: a wider one, or a propagated one.
    OverriddenRoute { table: RouteTableId, vpc: VpcRef, cidr: IpNet, target: String, by: CidrSet },
    /// A quota is nearly used up.
    QuotaNearLimit { subject: String, scope: Scope, quota: Quota, limit: Limit },
    /// A mesh connects no VPCs, or fewer than its topology suggests.
    IncompleteMesh { mesh: MeshName, members: usize, lacks: MissingRole },
    /// A pause suppresses changes.
    Paused { mesh: MeshName, pending: usize, paused: BTreeSet<MeshName> },
}

/// What a mesh lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingRole {
    /// A second member.
    Peer,
    /// A hub.
    Hub,
    /// A spoke.
    Spoke,
}

/// Where the value of a quota comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The value that Service Quotas reports.
    Applied(usize),
    /// AWS's default, because the quotas could not be read.
    Default(usize),
    /// AWS refused more with this message.
    Refused(String),
}

/// What a tag may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Names of meshes.
    MeshNames,
    /// Protocols with ports.
    Ports,
    /// `manage` or `ignore`.
    ManageOrIgnore,
    /// `hub` or `spoke`.
    HubOrSpoke,
    /// Parts of the VPC's own CIDR blocks.
    OwnCidrs,
}

/// The subject of a disagreement between policies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names and types say")]
pub enum Disagreement {
    /// The value of a tag of the peering; peerd sets this one.
    Tag { key: String, value: String },
    /// Which CIDR blocks of a VPC are routed; peerd routes these.
    Cidrs { vpc: VpcRef, cidrs: CidrSet },
    /// DNS resolution; peerd enables it.
    Dns,
    /// A peering that one policy adopts and another one releases; peerd releases it.
    Adoption { peering: PeeringId },
}

/// The kind of a finding (docs/operations.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A VPC requests a mesh that does not admit it, or a tag is invalid.
    Refused,
    /// CIDR blocks of two VPCs overlap.
    Overlap,
    /// Something that peerd does not own is in the way of what peerd would create.
    Conflict,
    /// An AWS quota is used up, or nearly.
    Quota,
    /// A scope could not be read; peerd draws no conclusion from it and deletes nothing there.
    Unreadable,
    /// peerd waits for a decision of an operator.
    Blocked,
    /// A mesh has one member, or lacks a hub or a spoke.
    Incomplete,
    /// A pause suppresses changes.
    Paused,
    /// Names of a member cannot resolve to private addresses for its peers.
    Dns,
    /// An account that peerd does not know requests a peering with a member, or membership.
    UnknownRequester,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// peerd cannot do its work until an operator or a user acts.
    Error,
    /// Some members cannot reach each other, or something is not as the operator may expect.
    Warning,
    /// For information.
    Info,
}

impl Finding {
    /// The finding for an invalid word in the tag `key` of a resource.
    pub fn invalid_tag(resource: impl fmt::Display, key: &str, word: impl Into<String>, expected: Expected) -> Self {
        Self::InvalidTag { resource: resource.to_string(), key: key.to_owned(), word: word.into(), expected }
    }

    /// The kind of the finding.
    pub fn kind(&self) -> FindingKind {
        match self {
            Self::DeleteLimit { .. } | Self::UnreadablePolicy { .. } => FindingKind::Blocked,
            Self::UnreadableScope { .. }
            | Self::InactiveAccount { .. }
            | Self::DisabledRegion { .. }
            | Self::UnreadableSecurityGroups { .. }
            | Self::UnreadableDnsAttributes { .. }
            | Self::UnreadablePrefixList { .. }
            | Self::UnprovenPeering { .. }
            | Self::UnreadableRoutes { .. } => FindingKind::Unreadable,
            Self::ForeignPeering { .. }
            | Self::UnsealedPeering { .. }
            | Self::NoValidSeal { .. }
            | Self::OtherOwnershipTag { .. }
            | Self::UnsealedRule { .. }
            | Self::OtherRuleOwner { .. }
            | Self::FailedPeering { .. }
            | Self::ForeignRoute { .. }
            | Self::PrefixListRoute { .. }
            | Self::Contention { .. }
            | Self::StatusContention { .. }
            | Self::OverriddenRoute { .. }
            | Self::PoliciesDisagree { .. } => FindingKind::Conflict,
            Self::UnknownRequester { .. } | Self::UnknownAccount { .. } => FindingKind::UnknownRequester,
            Self::CidrOverlap { .. } | Self::OverlapsOwnVpc { .. } | Self::RouteOverlap { .. } => FindingKind::Overlap,
            Self::QuotaExceeded { .. } | Self::QuotaRefused { .. } | Self::QuotaNearLimit { .. } => FindingKind::Quota,
            Self::NotAdmitted { .. }
            | Self::CidrNotAdmitted { .. }
            | Self::NotAHub { .. }
            | Self::InvalidTag { .. }
            | Self::GroupOfNonMember { .. }
            | Self::SecurityGroupsOff { .. }
            | Self::PortsNotAdmitted { .. }
            | Self::UndeclaredMeshes { .. } => FindingKind::Refused,
            Self::DnsAttributesOff { .. } => FindingKind::Dns,
            Self::IncompleteMesh { .. } => FindingKind::Incomplete,
            Self::Paused { .. } => FindingKind::Paused,
        }
    }

    /// The severity of the finding.
    pub fn severity(&self) -> Severity {
        match self {
            Self::PoliciesDisagree { .. }
            | Self::OverriddenRoute { .. }
            | Self::QuotaNearLimit { .. }
            | Self::IncompleteMesh { .. }
            | Self::Paused { .. } => Severity::Info,
            _ => match self.kind() {
                FindingKind::Blocked | FindingKind::Unreadable => Severity::Error,
                _ => Severity::Warning,
            },
        }
    }

    /// The subject: a mesh, a VPC, a pair, a peering, a route table, a security group, a scope. Two findings of one
    /// mesh with the same kind and subject are the same finding.
    pub fn subject(&self) -> String {
        match self {
            Self::DeleteLimit { mesh, .. }
            | Self::UnreadablePolicy { mesh, .. }
            | Self::IncompleteMesh { mesh, .. }
            | Self::NoValidSeal { mesh, .. }
            | Self::Paused { mesh, .. } => mesh.to_string(),
            Self::UnreadableScope { scope, .. }
            | Self::InactiveAccount { scope, .. }
            | Self::DisabledRegion { scope, .. }
            | Self::UnreadableSecurityGroups { scope, .. } => scope.to_string(),
            Self::UnreadableDnsAttributes { vpc, .. }
            | Self::NotAdmitted { vpc, .. }
            | Self::CidrNotAdmitted { vpc, .. }
            | Self::NotAHub { vpc, .. }
            | Self::StatusContention { vpc, .. }
            | Self::DnsAttributesOff { vpc, .. } => vpc.to_string(),
            Self::UnreadablePrefixList { table, vpc, .. }
            | Self::ForeignRoute { table, vpc, .. }
            | Self::PrefixListRoute { table, vpc, .. }
            | Self::OverlapsOwnVpc { table, vpc, .. }
            | Self::RouteOverlap { table, vpc, .. } => format!("{table} of {vpc}"),
            // Apart from conflicts of the table, which are more severe.
            Self::OverriddenRoute { table, vpc, cidr, .. } => format!("{cidr} in {table} of {vpc}"),
            Self::UnprovenPeering { pair, .. }
            | Self::UnreadableRoutes { pair, .. }
            | Self::ForeignPeering { pair, .. }
            | Self::UnsealedPeering { pair, .. }
            | Self::OtherOwnershipTag { pair, .. }
            | Self::FailedPeering { pair, .. }
            | Self::CidrOverlap { pair, .. }
            | Self::QuotaRefused { pair, .. }
            | Self::UndeclaredMeshes { pair, .. }
            | Self::PoliciesDisagree { pair, .. } => pair.to_string(),
            Self::Contention { resource, .. } | Self::InvalidTag { resource, .. } => resource.clone(),
            Self::UnknownRequester { peering, .. } => peering.to_string(),
            Self::UnknownAccount { account } => account.to_string(),
            Self::QuotaExceeded { subject, scope, .. } | Self::QuotaNearLimit { subject, scope, .. } => {
                let is_complete = subject.contains(&scope.to_string());
                if is_complete { subject.clone() } else { format!("{subject} in {scope}") }
            }
            Self::UnsealedRule { rule, scope, .. } | Self::OtherRuleOwner { rule, scope, .. } => {
                format!("{rule} in {scope}")
            }
            Self::GroupOfNonMember { group, vpc, .. }
            | Self::SecurityGroupsOff { group, vpc, .. }
            | Self::PortsNotAdmitted { group, vpc, .. } => format!("{group} of {vpc}"),
        }
    }

    /// Whether the finding says why changes that the tags request are not made for now.
    pub fn holds_changes_back(&self) -> bool {
        matches!(
            self,
            Self::DeleteLimit { .. }
                | Self::UnreadablePolicy { .. }
                | Self::Contention { .. }
                | Self::QuotaExceeded { .. }
                | Self::QuotaRefused { .. }
                | Self::Paused { .. }
        )
    }

    /// AWS's own text of the error that the finding is about.
    pub fn aws_error(&self) -> Option<&str> {
        match self {
            Self::UnreadableScope { error, .. }
            | Self::InactiveAccount { error, .. }
            | Self::DisabledRegion { error, .. }
            | Self::UnreadableSecurityGroups { error, .. }
            | Self::UnreadableDnsAttributes { error, .. }
            | Self::UnreadablePrefixList { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The scope that could not be read, if the finding is about one.
    pub fn unreadable_scope(&self) -> Option<&Scope> {
        match self {
            Self::UnreadableScope { scope, .. }
            | Self::InactiveAccount { scope, .. }
            | Self::DisabledRegion { scope, .. }
            | Self::UnreadableSecurityGroups { scope, .. } => Some(scope),
            _ => None,
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Overlap => "overlap",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Unreadable => "unreadable",
            Self::Blocked => "blocked",
            Self::Incomplete => "incomplete",
            Self::Paused => "paused",
            Self::Dns => "dns",
            Self::UnknownRequester => "unknown-requester",
        })
    }
}
