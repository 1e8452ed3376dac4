//! Route tables and their routes, as the scope of a table shows them.

use std::fmt;

use crate::cidr::IpNet;
use crate::ids::{PeeringId, PrefixListId, RouteTableId, VpcRef};
use crate::tags::Tags;

/// The target of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteTarget {
    /// The VPC itself.
    Local,
    /// A peering.
    Peering(PeeringId),
    /// A gateway, an interface or an instance, by its id.
    Other(String),
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.pad("local"),
            Self::Peering(id) => id.fmt(f),
            Self::Other(id) => f.pad(id),
        }
    }
}

impl RouteTarget {
    /// Whether the target is a gateway endpoint.
    pub fn is_endpoint(&self) -> bool {
        matches!(self, Self::Other(id) if id.starts_with("vpce-"))
    }

    /// Whether the target is a gateway that leads to another private network: a virtual private gateway, a transit gateway,
    /// a local gateway or a core network.
    pub fn is_private_gateway(&self) -> bool {
        let prefixes = ["vgw-", "tgw-", "lgw-", "arn:"];
        matches!(self, Self::Other(id) if prefixes.iter().any(|prefix| id.starts_with(prefix)))
    }
}

/// A route to a CIDR block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The canonical destination.
    pub destination: IpNet,
    /// The target of the route.
    pub target: RouteTarget,
    /// Whether a principal created it with CreateRoute. Only such a route can be owned. The others are the local routes,
    /// and those that a gateway propagates: a static route to the same destination takes precedence over these
    /// (<https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html>).
    pub is_static: bool,
    /// Whether AWS reports it as a blackhole: before its peering is active, or after the peering is deleted.
    pub blackhole: bool,
}

impl Route {
    /// Whether a gateway propagates it.
    pub fn is_propagated(&self) -> bool {
        !self.is_static && self.target != RouteTarget::Local
    }
}

/// A route to all CIDR blocks of a prefix list. A static route to exactly one of these CIDR blocks takes precedence
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixListRoute {
    /// The prefix list.
    pub list: PrefixListId,
    /// The target of the route.
    pub target: RouteTarget,
}

/// A route table as its own scope shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    /// The id of the table.
    pub id: RouteTableId,
    /// The VPC of the table.
    pub vpc: VpcRef,
    /// Whether it is associated with a gateway: AWS allows no peering routes in such a table
    /// (<https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html>).
    pub is_edge_associated: bool,
    /// Whether it is the VPC's main table, which applies to subnets without a table of their own.
    pub main: bool,
    /// All its tags.
    pub tags: Tags,
    /// Its routes to CIDR blocks.
    pub routes: Vec<Route>,
    /// Its routes to prefix lists.
    pub prefix_list_routes: Vec<PrefixListRoute>,
}

impl RouteTable {
    /// The static route to exactly this destination.
    pub fn created_route(&self, destination: &IpNet) -> Option<&Route> {
        self.routes.iter().find(|route| route.is_static && route.destination == *destination)
    }

    /// The propagated route to exactly this destination.
    pub fn propagated_route(&self, destination: &IpNet) -> Option<&Route> {
        self.routes.iter().find(|route| route.is_propagated() && route.destination == *destination)
    }
}
