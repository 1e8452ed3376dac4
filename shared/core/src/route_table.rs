//! Route tables and their routes, as the scope of a table shows them.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The ids of the subnets that are associated with it; subnets without an association use the main table.
    pub subnets: BTreeSet<String>,
    /// All its tags.
    pub tags: Tags,
    /// Its routes to CIDR blocks.
    pub routes: Vec<Route>,
    /// Its routes to prefix lists.
    pub prefix_list_routes: Vec<PrefixListRoute>,
}

/// The CIDR blocks of prefix lists, or why they could not be read.
pub type PrefixLists = BTreeMap<PrefixListId, Result<BTreeSet<IpNet>, String>>;

/// A route as EC2 applies it: a route to a prefix list is one route for each CIDR block of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedRoute<'a> {
    /// The destination.
    pub destination: IpNet,
    /// The target.
    pub target: &'a RouteTarget,
    /// Whether a gateway propagates it.
    pub propagated: bool,
    /// Of routes to the same destination, EC2 uses the one with the least rank.
    rank: u8,
}

impl RouteTable {
    /// Its routes as EC2 applies them, without those to prefix lists that could not be read.
    pub fn applied_routes<'a>(&'a self, lists: &'a PrefixLists) -> impl Iterator<Item = AppliedRoute<'a>> {
        let routes = self.routes.iter().map(|route| AppliedRoute {
            destination: route.destination,
            target: &route.target,
            propagated: route.is_propagated(),
            rank: if route.is_propagated() { 2 } else { 0 },
        });
        let listed = self.prefix_list_routes.iter().flat_map(|route| {
            let cidrs = lists.get(&route.list).and_then(|list| list.as_ref().ok()).into_iter().flatten();
            let target = &route.target;
            cidrs.map(move |cidr| AppliedRoute { destination: *cidr, target, propagated: false, rank: 1 })
        });
        routes.chain(listed)
    }

    /// The route that EC2 uses for all addresses of a CIDR block that have no route of their own: the one with the longest
    /// prefix; of those, a static route, then one to a prefix list, then a propagated one
    /// (<https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html>).
    pub fn longest_route<'a>(&'a self, to: &IpNet, lists: &'a PrefixLists) -> Option<AppliedRoute<'a>> {
        let routes = self.applied_routes(lists).filter(|route| route.destination.contains(to));
        routes.min_by_key(|route| (u8::MAX - route.destination.prefix_len(), route.rank))
    }

    /// The static route to exactly this destination.
    pub fn created_route(&self, destination: &IpNet) -> Option<&Route> {
        self.routes.iter().find(|route| route.is_static && route.destination == *destination)
    }

    /// The propagated route to exactly this destination.
    pub fn propagated_route(&self, destination: &IpNet) -> Option<&Route> {
        self.routes.iter().find(|route| route.is_propagated() && route.destination == *destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_then_a_static_route_then_a_prefix_list_then_a_propagated_route() {
        let route = |cidr: &str, to: &str, is_static| Route {
            destination: cidr.parse().unwrap(),
            target: RouteTarget::Other(to.to_owned()),
            is_static,
            blackhole: false,
        };
        let list: PrefixListId = "pl-1".parse().unwrap();
        let mut table = RouteTable {
            id: "rtb-1".parse().unwrap(),
            vpc: VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap()),
            is_edge_associated: false,
            main: true,
            subnets: BTreeSet::new(),
            tags: Tags::new(),
            routes: vec![
                route("0.0.0.0/0", "igw", true),
                route("10.0.0.0/8", "static", true),
                route("10.0.0.0/8", "propagated", false),
                route("10.1.0.0/16", "propagated", false),
            ],
            prefix_list_routes: vec![PrefixListRoute {
                list: list.clone(),
                target: RouteTarget::Other("list".to_owned()),
            }],
        };
        let lists = [(list, Ok(["10.0.0.0/8", "10.1.0.0/16"].map(|cidr| cidr.parse().unwrap()).into()))].into();
        let target = |table: &RouteTable, to: &str| {
            table.longest_route(&to.parse().unwrap(), &lists).map(|route| route.target.to_string())
        };
        assert_eq!(target(&table, "10.2.0.1/32").unwrap(), "static");
        assert_eq!(target(&table, "10.1.0.1/32").unwrap(), "list");
        assert_eq!(target(&table, "10.0.0.0/7").unwrap(), "igw", "a route to a part of it is not its route");
        assert_eq!(target(&table, "2600::/56"), None);
        table.prefix_list_routes.clear();
        assert_eq!(target(&table, "10.1.0.1/32").unwrap(), "propagated");
    }
}
