//! Whether the route tables of one end of a path lead to the other.

use std::collections::BTreeSet;

use super::path::{Link, Path, any_mesh};
use crate::cidr::{CidrSet, IpNet};
use crate::finding::Finding;
use crate::observed::{RouteTable, RouteTarget};
use crate::path_check::PathCheck;
use crate::path_query::{Host, PathEnd};
use crate::route_table::{AppliedRoute, PrefixLists};

/// Checks the tables of an end, towards its peer.
pub fn check(path: &Path<'_>, end: &PathEnd, peer: &PathEnd) -> Vec<PathCheck> {
    let Some(link) = path.link else { return Vec::new() };
    let towards = Towards {
        path,
        link,
        end,
        peer,
        cidrs: path.cidrs(peer),
        target: RouteTarget::Peering(link.peering.id.clone()),
    };
    let mut checks = check_admitted_cidrs(path, peer, &towards.cidrs);
    if towards.cidrs.is_empty() {
        checks.push(PathCheck::NothingAdvertised { peer: peer.vpc.id.clone() });
        return checks;
    }
    if let Some(Err(error)) = path.inputs.filters.subnets.get(&end.vpc) {
        checks.push(PathCheck::UnreadableSubnets { vpc: end.vpc.id.clone(), error: error.clone() });
    }
    let mut complete = 0;
    let tables = towards.tables();
    for table in &tables {
        checks.extend(towards.unreadable_lists(table));
        let failed = towards.check_table(table);
        complete += usize::from(failed.is_empty());
        if failed.is_empty() || towards.applies(table) {
            checks.extend(failed);
        } else {
            checks.push(PathCheck::UnusedTable { table: table.id.clone(), vpc: table.vpc.id.clone() });
        }
    }
    match &peer.host {
        Some(host) => checks.extend(tables.iter().filter_map(|table| towards.address_routed(table, host))),
        None if complete > 0 => {
            let (vpc, peer, tables) = (end.vpc.id.clone(), peer.vpc.id.clone(), tables.len());
            checks.push(PathCheck::CompleteTables { vpc, peer, complete, tables });
        }
        None => {}
    }
    checks
}

/// One direction of a path.
struct Towards<'a> {
    path: &'a Path<'a>,
    link: &'a Link<'a>,
    end: &'a PathEnd,
    peer: &'a PathEnd,
    /// The CIDR blocks of the peer that are routed.
    cidrs: CidrSet,
    /// The peering.
    target: RouteTarget,
}

impl<'a> Towards<'a> {
    fn lists(&self) -> &'a PrefixLists {
        &self.path.inputs.context.observed.inputs.prefix_lists
    }

    /// The table of the subnet of the address; all tables of a VPC.
    fn tables(&self) -> Vec<&'a RouteTable> {
        let tables: Vec<&RouteTable> = self.path.inputs.context.tables_of(&self.end.vpc).collect();
        let Some(subnet) = self.path.inputs.filters.subnet_of(self.end) else { return tables };
        let own = tables.iter().find(|table| table.subnets.contains(subnet));
        match own.or_else(|| tables.iter().find(|table| table.main)) {
            Some(table) => vec![table],
            None => tables,
        }
    }

    /// Whether the table applies to a subnet. It counts as if it did in a VPC without subnets, or if these are not known.
    fn applies(&self, table: &RouteTable) -> bool {
        match self.path.inputs.filters.subnets.get(&self.end.vpc) {
            Some(Ok(subnets)) if !subnets.is_empty() => {
                let of_vpc = self.path.inputs.context.all_tables_of(&self.end.vpc);
                let associated: BTreeSet<&String> = of_vpc.flat_map(|table| &table.subnets).collect();
                let uses_main = subnets.iter().any(|subnet| !associated.contains(&subnet.id));
                !table.subnets.is_empty() || (table.main && uses_main)
            }
            _ => true,
        }
    }

    /// What keeps a table from leading to the peer.
    fn check_table(&self, table: &RouteTable) -> Vec<PathCheck> {
        match &self.peer.host {
            Some(host) => self.check_address(table, host).into_iter().collect(),
            None => self.check_cidrs(table),
        }
    }

    fn check_address(&self, table: &RouteTable, host: &Host) -> Option<PathCheck> {
        let found = table.longest_route(&host.cidr(), self.lists());
        if found.is_some_and(|route| *route.target == self.target) {
            return None;
        }
        let Some(cidr) = self.cidrs.iter().find(|cidr| cidr.contains(&host.cidr())) else {
            return Some(PathCheck::AddressNotAdvertised { peer: self.peer.vpc.id.clone(), address: host.address });
        };
        let within = found.filter(|route| cidr.contains(&route.destination));
        match within {
            None if self.is_unmanaged(table) => Some(self.unmanaged(table, true)),
            Some(route) if route.destination != *cidr => Some(self.diverted(table, cidr, route, true)),
            route => Some(self.missing(table, cidr, route)),
        }
    }

    fn check_cidrs(&self, table: &RouteTable) -> Vec<PathCheck> {
        let leads_there =
            |cidr: &&IpNet| table.longest_route(cidr, self.lists()).is_some_and(|route| *route.target == self.target);
        let wrong: Vec<&IpNet> = self.cidrs.iter().filter(|cidr| !leads_there(cidr)).collect();
        if !wrong.is_empty() && self.is_unmanaged(table) {
            return vec![self.unmanaged(table, false)];
        }
        let instead = |cidr: &IpNet| table.longest_route(cidr, self.lists()).filter(|route| route.destination == *cidr);
        let missing = wrong.into_iter().map(|cidr| self.missing(table, cidr, instead(cidr)));
        let elsewhere = table.applied_routes(self.lists()).filter(|route| *route.target != self.target);
        let of_part = |route: AppliedRoute<'_>| {
            let part_of = |cidr: &&IpNet| cidr.contains(&route.destination) && **cidr != route.destination;
            Some(self.diverted(table, self.cidrs.iter().find(part_of)?, route, false))
        };
        missing.chain(elsewhere.filter_map(of_part)).collect()
    }

    fn is_unmanaged(&self, table: &RouteTable) -> bool {
        self.link.managed.is_some_and(|wanted| !self.path.inputs.context.is_managed_table(table, &wanted.meshes))
    }

    fn unmanaged(&self, table: &RouteTable, decisive: bool) -> PathCheck {
        PathCheck::UnmanagedTable { table: table.id.clone(), vpc: table.vpc.id.clone(), decisive }
    }

    /// A table without the route to a CIDR block; `route` is what it has instead.
    fn missing(&self, table: &RouteTable, cidr: &IpNet, route: Option<AppliedRoute<'_>>) -> PathCheck {
        let (id, vpc, cidr) = (table.id.clone(), table.vpc.id.clone(), *cidr);
        let inputs = self.path.inputs;
        match (self.link.managed, route) {
            (Some(wanted), route) => {
                let why = inputs.why_no_route(table, &cidr, &wanted.pair);
                PathCheck::of_route(id, vpc, cidr, route, any_mesh(wanted, inputs.context), why)
            }
            (None, Some(route)) => self.diverted(table, &cidr, route, true),
            (None, None) => {
                let peering = self.link.peering.id.clone();
                PathCheck::NoRouteOverForeign { table: id, vpc, cidr, peering }
            }
        }
    }

    /// A table that leads addresses of the peer elsewhere, whatever created the route: EC2 uses the longest prefix.
    fn diverted(&self, table: &RouteTable, cidr: &IpNet, route: AppliedRoute<'_>, decisive: bool) -> PathCheck {
        PathCheck::PartRoutedElsewhere {
            table: table.id.clone(),
            vpc: table.vpc.id.clone(),
            part: route.destination,
            cidr: *cidr,
            target: route.target.to_string(),
            decisive,
        }
    }

    fn address_routed(&self, table: &RouteTable, host: &Host) -> Option<PathCheck> {
        let route = table.longest_route(&host.cidr(), self.lists()).filter(|route| *route.target == self.target)?;
        Some(PathCheck::AddressRouted {
            table: table.id.clone(),
            vpc: table.vpc.id.clone(),
            address: host.address,
            destination: route.destination,
            peering: self.link.peering.id.clone(),
        })
    }

    /// The prefix lists that may divert traffic, and cannot be read.
    fn unreadable_lists(&self, table: &RouteTable) -> Vec<PathCheck> {
        let unreadable = |list| match self.lists().get(list) {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        };
        let elsewhere = table.prefix_list_routes.iter().filter(|route| route.target != self.target);
        let check = |(list, error)| PathCheck::UnreadablePrefixList { table: table.id.clone(), list, error };
        elsewhere.filter_map(|route| Some((route.list.clone(), unreadable(&route.list)?))).map(check).collect()
    }
}

/// The CIDR blocks of a peer that none of the meshes admits.
fn check_admitted_cidrs(path: &Path<'_>, peer: &PathEnd, admitted: &CidrSet) -> Vec<PathCheck> {
    let meshes = path.meshes.into_iter().flatten();
    let rejected = meshes.flat_map(|mesh| path.inputs.context.rejected_advertisements(&peer.vpc, mesh));
    let rejected: BTreeSet<IpNet> = rejected
        .filter_map(|finding| match finding {
            Finding::CidrNotAdmitted { cidr, .. } if !admitted.covers(&cidr) => Some(cidr),
            _ => None,
        })
        .collect();
    rejected.into_iter().map(|cidr| PathCheck::CidrNotAdmitted { peer: peer.vpc.id.clone(), cidr }).collect()
}
