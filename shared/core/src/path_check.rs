//! The conditions for two VPCs to reach each other, as data. `path_check_text.rs` words them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::admission::Denial;
use crate::check::{Check, CheckResult};
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::ids::{MeshName, PeeringId, PrefixListId, RouteTableId, Scope, VpcId, VpcRef};
use crate::observed::PeeringStatus;
use crate::operator::Operator;
use crate::permission::Traffic;
use crate::route_table::AppliedRoute;

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
    /// The VPC's scope was read, and has no such VPC with a mesh tag. `decisive` if no other peering connects the VPCs.
    VpcNotTagged { vpc: VpcRef, decisive: bool },
    /// The VPC's scope cannot be read. `role` is the role that is assumed there.
    UnreadableScope { scope: Scope, role: String, error: String },
    /// peerd does not scan the VPC's scope.
    UnknownScope { scope: Scope },
    /// Meshes that both VPCs request.
    CommonMeshes { meshes: BTreeSet<MeshName> },
    /// The mesh tag of a VPC contains something that is not a mesh name.
    InvalidMeshName { vpc: VpcId, name: String, decisive: bool },
    /// The VPCs request no mesh in common. `decisive` if no other peering connects them.
    NoCommonMesh { vpcs: [VpcId; 2], requested: [BTreeSet<MeshName>; 2], decisive: bool },
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
    /// They have no peering; `why` is what keeps peerd from requesting it.
    NoPeering { mesh: MeshName, why: Option<Box<Finding>> },
    /// A peering that peerd owns connects them, and no mesh does.
    UnwantedPeering { peering: PeeringId },
    /// CIDR blocks of the two overlap.
    CidrOverlap { ours: IpNet, theirs: IpNet },
    /// A peering that peerd does not own connects them. `mesh` if a mesh wants to.
    ForeignPeering { peering: PeeringId, mesh: Option<MeshName>, is_active: bool },
    /// AWS failed their peering.
    FailedPeering { peering: PeeringId, error: String },
    /// The peer advertises no CIDR block to the meshes.
    NothingAdvertised { peer: VpcId },
    /// The meshes do not admit a CIDR block that the peer advertises, so it is not routed.
    CidrNotAdmitted { peer: VpcId, cidr: IpNet },
    /// A network interface with an address that the query names.
    InterfaceFound { vpc: VpcId, address: IpAddr, interface: String, subnet: String },
    /// No network interface has an address that the query names.
    NoInterface { vpc: VpcId, address: IpAddr },
    /// The subnets of a VPC cannot be read.
    UnreadableSubnets { vpc: VpcId, error: String },
    /// The peer does not advertise the CIDR block of its address to the meshes.
    AddressNotAdvertised { peer: VpcId, address: IpAddr },
    /// A route table that the meshes do not manage. `decisive` if it is the table of the address.
    UnmanagedTable { table: RouteTableId, vpc: VpcId, decisive: bool },
    /// A route table without all routes to the peer, which applies to no subnet.
    UnusedTable { table: RouteTableId, vpc: VpcId },
    /// A prefix list in a route table cannot be read.
    UnreadablePrefixList { table: RouteTableId, list: PrefixListId, error: String },
    /// The route table of an address routes the peer's address over the peering.
    AddressRouted { table: RouteTableId, vpc: VpcId, address: IpAddr, destination: IpNet, peering: PeeringId },
    /// A route table without a route to a CIDR block of the peer; `why` is what keeps peerd from adding it.
    NoRoute { table: RouteTableId, vpc: VpcId, cidr: IpNet, mesh: MeshName, why: Option<Box<Finding>> },
    /// A route table without a route over a peering that peerd does not own.
    NoRouteOverForeign { table: RouteTableId, vpc: VpcId, cidr: IpNet, peering: PeeringId },
    /// A route table that routes a part of a CIDR block of the peer to something else: the longest prefix applies.
    /// `decisive` if the part contains the address.
    PartRoutedElsewhere { table: RouteTableId, vpc: VpcId, part: IpNet, cidr: IpNet, target: String, decisive: bool },
    /// A route table that routes a CIDR block of the peer to something else.
    RoutedElsewhere { table: RouteTableId, vpc: VpcId, cidr: IpNet, target: String, propagated: bool, mesh: MeshName },
    /// How many route tables of a VPC have all routes to the peer.
    CompleteTables { vpc: VpcId, peer: VpcId, complete: usize, tables: usize },
    /// The network ACLs of a VPC cannot be read.
    UnreadableNetworkAcls { vpc: VpcId, error: String },
    /// A rule of a network ACL denies traffic of a CIDR block, all of it or only some.
    NetworkAclDenies {
        acl: String,
        rule: i32,
        subnets: usize,
        vpc: VpcId,
        peer: VpcId,
        traffic: Option<Traffic>,
        cidr: IpNet,
        egress: bool,
        all: bool,
    },
    /// The security groups of a VPC cannot be read.
    UnreadableSecurityGroups { vpc: VpcId, error: String },
    /// How many security groups of a VPC allow traffic from the peer.
    SecurityGroupsAllow {
        vpc: VpcId,
        peer: VpcId,
        traffic: Option<Traffic>,
        allowing: usize,
        groups: usize,
        mesh: Option<MeshName>,
    },
    /// Whether the security groups of a network interface allow traffic from the peer or, with `egress`, to it: `by` does.
    InterfaceGroups {
        interface: String,
        groups: BTreeSet<String>,
        traffic: Option<Traffic>,
        peer: String,
        egress: bool,
        by: Option<String>,
        mesh: Option<MeshName>,
    },
    /// A security group may allow the traffic: a prefix list in it cannot be read.
    UnreadableGroupList { group: String },
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
        route: Option<AppliedRoute<'_>>,
        mesh: MeshName,
        why: Option<Box<Finding>>,
    ) -> Self {
        let Some(route) = route else { return Self::NoRoute { table, vpc, cidr, mesh, why } };
        let (target, propagated) = (route.target.to_string(), route.propagated);
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
            | Self::InterfaceFound { .. }
            | Self::AddressRouted { .. }
            | Self::InterfaceGroups { by: Some(_), .. }
            | Self::CompleteTables { .. } => CheckResult::Pass,
            Self::SecurityGroupsAllow { allowing, .. } if *allowing > 0 => CheckResult::Pass,
            Self::VpcNotTagged { decisive: false, .. }
            | Self::NoCommonMesh { decisive: false, .. }
            | Self::InvalidMeshName { decisive: false, .. }
            | Self::NotAdmitted { decisive: false, .. }
            | Self::NoHub { decisive: false, .. }
            | Self::Paused { .. }
            | Self::CidrNotAdmitted { .. }
            | Self::UnreadableSubnets { .. }
            | Self::UnmanagedTable { decisive: false, .. }
            | Self::UnusedTable { .. }
            | Self::UnreadablePrefixList { .. }
            | Self::PartRoutedElsewhere { decisive: false, .. }
            | Self::UnreadableNetworkAcls { .. }
            | Self::NetworkAclDenies { all: false, .. }
            | Self::UnreadableSecurityGroups { .. }
            | Self::UnreadableGroupList { .. }
            | Self::UnwantedPeering { .. }
            | Self::InterfaceGroups { traffic: None, .. }
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
            | Self::NoInterface { .. }
            | Self::AddressNotAdvertised { .. }
            | Self::UnmanagedTable { .. }
            | Self::PartRoutedElsewhere { .. }
            | Self::InterfaceGroups { by: None, .. }
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
                | Self::UnreadableSubnets { .. }
                | Self::UnreadablePrefixList { .. }
                | Self::UnreadableNetworkAcls { .. }
                | Self::UnreadableSecurityGroups { .. }
                | Self::UnreadableGroupList { .. }
        )
    }

    /// Whether it prevents a part of the traffic, or traffic in one direction.
    pub fn is_restriction(&self) -> bool {
        let prevents = matches!(
            self,
            Self::CidrNotAdmitted { .. }
                | Self::UnmanagedTable { .. }
                | Self::PartRoutedElsewhere { .. }
                | Self::NetworkAclDenies { .. }
                | Self::SecurityGroupsAllow { allowing: 0, .. }
                | Self::InterfaceGroups { by: None, .. }
        );
        prevents && self.result() == CheckResult::Warn
    }

    /// The check as text, for an operator.
    pub fn render(&self, operator: &Operator) -> Check {
        Check { result: self.result(), text: self.message(), remedy: self.remedy(operator) }
    }
}
