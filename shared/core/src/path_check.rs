//! The conditions for two VPCs to reach each other, as data. `message` and `remedy` are the only places that word them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::admission::Denial;
use crate::check::{Check, CheckResult};
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::finding_text::command;
use crate::ids::{MeshName, PeeringId, RouteTableId, Scope, VpcId, VpcRef};
use crate::observed::{PeeringStatus, Route};
use crate::tags;

/// One condition on the path between two VPCs, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[strum_discriminants(name(PathCheckVariant), derive(strum::VariantArray), doc = "The variants of [`PathCheck`].")]
#[serde(tag = "check", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names and types say")]
pub enum PathCheck {
    /// Both arguments are the same VPC.
    SameVpc,
    /// The VPC was read.
    VpcRead { vpc: VpcRef },
    /// The VPC's scope was read, and has no such VPC with a mesh tag.
    VpcNotTagged { vpc: VpcRef },
    /// The VPC's scope cannot be read. `role` is the role that is assumed there.
    UnreadableScope { scope: Scope, role: String, error: String },
    /// peerd does not scan the VPC's scope.
    UnknownScope { scope: Scope },
    /// Meshes that both VPCs request.
    CommonMeshes { meshes: BTreeSet<MeshName> },
    /// The mesh tag of a VPC contains something that is not a mesh name.
    InvalidMeshName { vpc: VpcId, name: String },
    /// The VPCs request no mesh in common.
    NoCommonMesh { vpcs: [VpcId; 2], requested: [BTreeSet<MeshName>; 2] },
    /// Meshes that connect the VPCs.
    ConnectedBy { meshes: BTreeSet<MeshName> },
    /// A mesh that both request does not admit one of them. `decisive` if no other mesh connects them.
    NotAdmitted { mesh: MeshName, vpc: VpcId, denial: Denial, decisive: bool },
    /// A hub-and-spoke mesh, and neither VPC is a hub. `decisive` if no other mesh connects them.
    NoHub { mesh: MeshName, decisive: bool },
    /// A mesh that connects them is paused.
    Paused { mesh: MeshName },
    /// Their managed peering is active.
    ActivePeering { peering: PeeringId },
    /// Their managed peering is in another state, in AWS's word.
    InactivePeering { peering: PeeringId, state: String },
    /// They have no peering.
    NoPeering { mesh: MeshName },
    /// CIDR blocks of the two overlap.
    CidrOverlap { ours: IpNet, theirs: IpNet },
    /// A peering that peerd does not own connects them.
    ForeignPeering { peering: PeeringId, mesh: MeshName, is_active: bool },
    /// AWS failed their peering.
    FailedPeering { peering: PeeringId, error: String },
    /// The peer advertises no CIDR block to the meshes.
    NothingAdvertised { peer: VpcId },
    /// The meshes do not admit a CIDR block that the peer advertises, so it is not routed.
    CidrNotAdmitted { peer: VpcId, cidr: IpNet },
    /// A route table that the meshes do not manage.
    UnmanagedTable { table: RouteTableId, vpc: VpcId },
    /// A route table without a route to a CIDR block of the peer; `why` is what keeps peerd from adding it.
    NoRoute { table: RouteTableId, vpc: VpcId, cidr: IpNet, mesh: MeshName, why: Option<Box<Finding>> },
    /// A route table without a route over a peering that peerd does not own.
    NoRouteOverForeign { table: RouteTableId, vpc: VpcId, cidr: IpNet, peering: PeeringId },
    /// A route table that routes a part of a CIDR block of the peer to something else: the longest prefix applies.
    PartRoutedElsewhere { table: RouteTableId, vpc: VpcId, part: IpNet, cidr: IpNet, target: String },
    /// A route table that routes a CIDR block of the peer to something else.
    RoutedElsewhere { table: RouteTableId, vpc: VpcId, cidr: IpNet, target: String, propagated: bool, mesh: MeshName },
    /// How many route tables of a VPC have all routes to the peer.
    CompleteTables { vpc: VpcId, peer: VpcId, complete: usize, tables: usize },
    /// The network ACLs of a VPC cannot be read.
    UnreadableNetworkAcls { vpc: VpcId, error: String },
    /// A network ACL denies traffic of a CIDR block, all of it or only some.
    NetworkAclDenies { acl: String, subnets: usize, vpc: VpcId, peer: VpcId, cidr: IpNet, egress: bool, all: bool },
    /// The security groups of a VPC cannot be read.
    UnreadableSecurityGroups { vpc: VpcId, error: String },
    /// How many security groups of a VPC allow traffic from the peer.
    SecurityGroupsAllow { vpc: VpcId, peer: VpcId, allowing: usize, groups: usize },
}

impl PathCheck {
    /// The check for the state of a managed peering.
    pub fn of_peering(peering: &PeeringId, status: &PeeringStatus, is_owned: bool) -> Self {
        let peering = peering.clone();
        match status {
            PeeringStatus::Active if is_owned => Self::ActivePeering { peering },
            other => Self::InactivePeering { peering, state: other.to_string() },
        }
    }

    /// The check for a route table that does not route a CIDR block to the peering; `route` is what it has instead.
    pub fn of_route(
        table: RouteTableId,
        vpc: VpcId,
        cidr: IpNet,
        route: Option<&Route>,
        mesh: MeshName,
        why: Option<Box<Finding>>,
    ) -> Self {
        let Some(route) = route else { return Self::NoRoute { table, vpc, cidr, mesh, why } };
        let (target, propagated) = (route.target.to_string(), route.is_propagated());
        Self::RoutedElsewhere { table, vpc, cidr, target, propagated, mesh }
    }

    /// Whether the condition is met.
    pub fn result(&self) -> CheckResult {
        match self {
            Self::VpcRead { .. }
            | Self::CommonMeshes { .. }
            | Self::ConnectedBy { .. }
            | Self::ActivePeering { .. }
            | Self::ForeignPeering { is_active: true, .. }
            | Self::CompleteTables { .. } => CheckResult::Pass,
            Self::SecurityGroupsAllow { allowing, .. } if *allowing > 0 => CheckResult::Pass,
            Self::NotAdmitted { decisive: false, .. }
            | Self::NoHub { decisive: false, .. }
            | Self::Paused { .. }
            | Self::CidrNotAdmitted { .. }
            | Self::UnmanagedTable { .. }
            | Self::PartRoutedElsewhere { .. }
            | Self::UnreadableNetworkAcls { .. }
            | Self::NetworkAclDenies { all: false, .. }
            | Self::UnreadableSecurityGroups { .. }
            | Self::SecurityGroupsAllow { .. } => CheckResult::Warn,
            Self::SameVpc
            | Self::VpcNotTagged { .. }
            | Self::UnreadableScope { .. }
            | Self::UnknownScope { .. }
            | Self::InvalidMeshName { .. }
            | Self::NoCommonMesh { .. }
            | Self::NotAdmitted { .. }
            | Self::NoHub { .. }
            | Self::InactivePeering { .. }
            | Self::NoPeering { .. }
            | Self::CidrOverlap { .. }
            | Self::ForeignPeering { .. }
            | Self::FailedPeering { .. }
            | Self::NothingAdvertised { .. }
            | Self::NoRoute { .. }
            | Self::NoRouteOverForeign { .. }
            | Self::RoutedElsewhere { .. }
            | Self::NetworkAclDenies { .. } => CheckResult::Fail,
        }
    }

    /// Whether something could not be read, so that the condition may or may not be met.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::UnreadableScope { .. }
                | Self::UnknownScope { .. }
                | Self::UnreadableNetworkAcls { .. }
                | Self::UnreadableSecurityGroups { .. }
        )
    }

    /// What was found.
    pub fn message(&self) -> String {
        let requests = |vpc: &VpcId, meshes: &BTreeSet<MeshName>| match meshes.is_empty() {
            true => format!("{vpc} requests no mesh"),
            false => format!("{vpc} requests {}", tags::join_meshes(meshes)),
        };
        match self {
            Self::SameVpc => "both arguments are the same VPC".to_owned(),
            Self::VpcRead { vpc } => format!("{vpc} can be read"),
            Self::VpcNotTagged { vpc } => format!("{vpc} has no {} tag, or does not exist", tags::ENV),
            Self::UnreadableScope { scope, error, .. } => format!("{scope} cannot be read: {error}"),
            Self::UnknownScope { scope } => format!("peerd does not know {scope}"),
            Self::CommonMeshes { meshes } => format!("both request {}", tags::join_meshes(meshes)),
            Self::InvalidMeshName { vpc, name } => format!("`{name}` in {} of {vpc} is not a mesh name", tags::ENV),
            Self::NoCommonMesh { vpcs: [a, b], requested: [of_a, of_b] } => {
                format!("{}, and {}", requests(a, of_a), requests(b, of_b))
            }
            Self::ConnectedBy { meshes } => format!("{} connects them", tags::join_meshes(meshes)),
            Self::NotAdmitted { mesh, vpc, denial, .. } => format!("{mesh} does not admit {vpc}: {denial}"),
            Self::NoHub { mesh, .. } => format!("{mesh} is hub-and-spoke, and neither VPC is a hub"),
            Self::Paused { mesh } => format!("{mesh} is paused: peerd changes nothing of it"),
            Self::ActivePeering { peering } => format!("{peering} is active"),
            Self::InactivePeering { peering, state } => format!("{peering} is {state}"),
            Self::NoPeering { .. } => "they have no peering".to_owned(),
            Self::CidrOverlap { ours, theirs } => format!("{ours} overlaps {theirs}, so AWS does not peer them"),
            Self::ForeignPeering { peering, is_active: true, .. } => {
                format!("{peering} is active; peerd does not own it")
            }
            Self::ForeignPeering { peering, .. } => format!("{peering} connects them, and peerd does not own it"),
            Self::FailedPeering { peering, error } => format!("AWS failed {peering}: {error}"),
            Self::NothingAdvertised { peer } => format!("{peer} advertises no CIDR block to the mesh"),
            Self::CidrNotAdmitted { peer, cidr } => {
                format!("{cidr} of {peer} is not in the ranges that the mesh admits, so it is not routed")
            }
            Self::UnmanagedTable { table, vpc } => format!("{table} of {vpc} gets no routes of the mesh"),
            Self::NoRoute { table, vpc, cidr, why: Some(why), .. } => {
                format!("{table} of {vpc} has no route to {cidr}: {}", why.message())
            }
            Self::NoRoute { table, vpc, cidr, .. } | Self::NoRouteOverForeign { table, vpc, cidr, .. } => {
                format!("{table} of {vpc} has no route to {cidr}")
            }
            Self::PartRoutedElsewhere { table, vpc, part, cidr, target } => {
                format!("{table} of {vpc} routes {part}, a part of {cidr}, to {target}")
            }
            Self::RoutedElsewhere { table, vpc, cidr, target, .. } => {
                format!("{table} of {vpc} routes {cidr} to {target}")
            }
            Self::CompleteTables { vpc, peer, complete, tables } => {
                format!("{complete} of {tables} route tables of {vpc} have all routes to {peer}")
            }
            Self::UnreadableNetworkAcls { vpc, error } => {
                format!("the network ACLs of {vpc} cannot be read: {error}")
            }
            Self::NetworkAclDenies { acl, subnets, vpc, peer, cidr, egress, all } => {
                let (what, way) = (if *all { "denies" } else { "denies some" }, if *egress { "to" } else { "from" });
                format!("{acl} of {subnets} subnets of {vpc} {what} traffic {way} {cidr} of {peer}")
            }
            Self::UnreadableSecurityGroups { vpc, error } => {
                format!("the security groups of {vpc} cannot be read: {error}")
            }
            Self::SecurityGroupsAllow { vpc, peer, allowing: 0, .. } => {
                format!("no security group of {vpc} allows {peer}")
            }
            Self::SecurityGroupsAllow { vpc, peer, allowing, groups } => {
                format!("{allowing} of {groups} security groups of {vpc} allow {peer}")
            }
        }
    }

    /// What to do, with commands that run as printed for the operator of a stack; none if the condition is met.
    pub fn remedy(&self, stack: &str) -> Option<String> {
        let peerd = |line: String| command(stack, &line);
        let remedy = match self {
            Self::SameVpc => "pass two different VPC ids".to_owned(),
            Self::VpcNotTagged { .. } | Self::NoCommonMesh { .. } => format!("tag both VPCs {}=<mesh>", tags::ENV),
            Self::UnreadableScope { role, .. } => format!("allow peerd to assume the role {role} there"),
            Self::UnknownScope { scope } => format!("register it: {}", peerd(format!("account add {}", scope.account))),
            Self::InvalidMeshName { .. } => {
                "correct the tag: a mesh name has 1 to 64 letters, digits, `-`, `_` or `.`".to_owned()
            }
            Self::NotAdmitted { mesh, denial: Denial::NotDeclared, .. } => {
                format!("declare it: {}", peerd(format!("mesh declare {mesh}")))
            }
            Self::NotAdmitted { denial: Denial::UnknownAccount(account), .. } => {
                format!("register it: {}", peerd(format!("account add {account}")))
            }
            Self::NotAdmitted { mesh, .. } => format!("see the policy: {}", peerd(format!("mesh show {mesh}"))),
            Self::NoHub { mesh, .. } => format!("name one of them in `hubs` of the policy of {mesh}"),
            Self::Paused { mesh } => format!("to resume it, run {}", peerd(format!("mesh resume {mesh}"))),
            Self::InactivePeering { .. } => "wait: the next runs continue".to_owned(),
            Self::NoPeering { mesh } => {
                format!("wait: the next run requests it; see {}", peerd(format!("history {mesh}")))
            }
            Self::CidrOverlap { .. } => {
                "disassociate one of the two CIDR blocks, or remove one VPC from the mesh".to_owned()
            }
            Self::ForeignPeering { peering, mesh, is_active: false } => {
                format!("take it over with {}, or delete it", peerd(format!("adopt --mesh {mesh} {peering}")))
            }
            Self::FailedPeering { .. } => {
                "fix the cause that AWS reports; peerd requests it again in 2 hours".to_owned()
            }
            Self::NothingAdvertised { .. } => {
                format!("check its tag {}, and `admit.cidrs` and `routes.exclude` of the mesh", tags::CIDRS)
            }
            Self::CidrNotAdmitted { .. } => "if it may be routed, list it in `admit.cidrs` of the policy".to_owned(),
            Self::UnmanagedTable { .. } => format!("tag it {}=manage, or change `routes.tables`", tags::ROUTES),
            Self::NoRoute { why: Some(why), .. } => why.remedy(stack),
            Self::NoRouteOverForeign { peering, .. } => {
                format!("add the route yourself: peerd adds no route over {peering}, which it does not own")
            }
            Self::PartRoutedElsewhere { part, .. } => {
                format!("delete the route to {part} if that traffic is for the peer; peerd does not change it")
            }
            Self::NoRoute { mesh, .. } => {
                format!("wait: the next run adds the route; if it does not, see {}", peerd(format!("status {mesh}")))
            }
            Self::RoutedElsewhere { target, propagated: true, .. } => {
                format!("stop {target} from propagating that route to the table, and peerd adds its own")
            }
            Self::RoutedElsewhere { mesh, .. } => {
                format!("delete that route, and peerd adds its own; see {}", peerd(format!("status {mesh}")))
            }
            Self::UnreadableNetworkAcls { .. } | Self::UnreadableSecurityGroups { .. } => {
                "grant your role ec2:DescribeNetworkAcls and ec2:DescribeSecurityGroups there".to_owned()
            }
            Self::NetworkAclDenies { .. } => {
                "network ACLs are stateless: allow the traffic in both directions".to_owned()
            }
            Self::SecurityGroupsAllow { allowing: 0, .. } => {
                format!(
                    "add a rule; or tag the right one {}=<mesh>, if the policy of the mesh has `security_groups`",
                    tags::ALLOW
                )
            }
            Self::VpcRead { .. }
            | Self::CommonMeshes { .. }
            | Self::ConnectedBy { .. }
            | Self::ActivePeering { .. }
            | Self::ForeignPeering { is_active: true, .. }
            | Self::CompleteTables { .. }
            | Self::SecurityGroupsAllow { .. } => return None,
        };
        Some(remedy)
    }

    /// The check as text, for the operator of a stack.
    pub fn render(&self, stack: &str) -> Check {
        Check { result: self.result(), text: self.message(), remedy: self.remedy(stack) }
    }
}
