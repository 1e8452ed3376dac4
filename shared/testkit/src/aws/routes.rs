//! Route tables and routes.
//!
//! Sources: <https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html> for tables,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html> for the codes, and user reports where
//! the functions cite them.

use peerd_core::cidr::IpNet;
use peerd_core::{
    PeeringId, PrefixListId, PrefixListRoute, Quota, Route, RouteTable, RouteTableId, RouteTarget, Scope, VpcRef,
};
use peerd_engine::{Clock, CloudError};

use super::history::History;
use super::networks::is_v4;
use super::state::{Aws, refuse};
use crate::change_log::{Actor, Change};

impl Aws {
    /// CreateRouteTable, with or without an edge association. The first table of a VPC is its main table, as in
    /// CreateVpc.
    pub fn create_table(&mut self, by: Actor, id: &RouteTableId, vpc: &VpcRef, is_edge_associated: bool) {
        let now = self.executor.now();
        let main = !self.tables().any(|table| table.vpc == *vpc);
        let (subnets, tags, routes, prefix_list_routes) = Default::default();
        let table = RouteTable {
            id: id.clone(),
            vpc: vpc.clone(),
            is_edge_associated,
            main,
            subnets,
            tags,
            routes,
            prefix_list_routes,
        };
        self.tables.insert(id.clone(), History::new(now, Some(table)));
        self.enter(now, by, Change::Table { table: id.clone(), vpc: vpc.clone(), is_edge_associated, main });
    }

    /// CreateTags or DeleteTags on a route table.
    pub fn tag_table(&mut self, by: Actor, id: &RouteTableId, key: &str, value: Option<&str>) {
        self.change_table(id, |table| match value {
            Some(value) => drop(table.tags.insert(key.to_owned(), value.to_owned())),
            None => drop(table.tags.remove(key)),
        });
        if let Some(tags) = self.table(id).map(|table| table.tags.clone()) {
            self.enter(self.executor.now(), by, Change::TableTags { table: id.clone(), tags });
        }
    }

    /// DeleteRouteTable.
    pub fn drop_table(&mut self, by: Actor, id: &RouteTableId) {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        if let Some(history) = self.tables.get_mut(id).filter(|table| table.now().is_some()) {
            history.set(now, None, memory);
            self.enter(now, by, Change::TableGone { table: id.clone() });
        }
    }

    /// Returns a table as a describe call returns it: with local routes and blackholes.
    pub(super) fn described(&self, table: &RouteTable) -> RouteTable {
        let mut seen = table.clone();
        for route in &mut seen.routes {
            route.blackhole = self.is_blackhole(&route.target);
        }
        let local =
            |cidr: &IpNet| Route { destination: *cidr, target: RouteTarget::Local, is_static: false, blackhole: false };
        seen.routes.extend(self.vpc(&table.vpc).into_iter().flat_map(|vpc| vpc.cidrs.iter().map(local)));
        seen
    }

    /// CreateRoute to a new prefix list with one CIDR block.
    pub fn lead_list(&mut self, by: Actor, id: &RouteTableId, list: &PrefixListId, cidr: &IpNet) {
        self.lists.insert(list.clone(), [*cidr].into_iter().collect());
        let target = RouteTarget::Other("tgw-1".to_owned());
        self.change_table(id, |table| {
            table.prefix_list_routes.push(PrefixListRoute { list: list.clone(), target: target.clone() })
        });
        self.enter(self.executor.now(), by, Change::List { table: id.clone(), cidr: *cidr });
    }

    fn writable(&self, scope: &Scope, id: &RouteTableId) -> Result<&RouteTable, CloudError> {
        self.table(id)
            .filter(|table| table.vpc.scope == *scope)
            .ok_or_else(|| refuse("InvalidRouteTableID.NotFound", format!("the routeTable ID '{id}' does not exist")))
    }

    /// CreateRoute.
    ///
    /// # Errors
    /// `RouteAlreadyExists`, `InvalidParameterValue` for a destination within the VPC
    /// (<https://github.com/hashicorp/terraform/issues/26018>) or a peering of other VPCs (issue 2185 there),
    /// `RouteLimitExceeded`, and `NotFound` for a table or peering that does not exist or is not visible yet.
    pub fn create_route(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &RouteTableId,
        cidr: &IpNet,
        target: &RouteTarget,
    ) -> Result<(), CloudError> {
        let table = self.writable(scope, id)?;
        let own = self.vpc(&table.vpc).map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
        if let RouteTarget::Peering(peering) = target {
            self.check_target(table, peering)?;
            if own.iter().any(|own| own.contains(cidr)) {
                let text = "Route target is not supported. This route only supports interface and instance targets.";
                return Err(refuse("InvalidParameterValue", text));
            }
        }
        let standing = table.created_route(cidr).map(|route| &route.target);
        if standing == Some(target) && self.behavior.same_route_twice {
            return Ok(());
        }
        if standing.is_some() || own.has(cidr) {
            let text = format!("The route identified by {cidr} already exists.");
            return Err(refuse("RouteAlreadyExists", text));
        }
        let of_family = |route: &&Route| route.is_static && is_v4(&route.destination) == is_v4(cidr);
        let count = table.routes.iter().filter(of_family).count();
        if count >= self.behavior.quotas.value(Quota::Routes) {
            return Err(refuse("RouteLimitExceeded", format!("{id} has {count} routes")));
        }
        self.lead(by, id, cidr, Some(target.clone()));
        Ok(())
    }

    /// ReplaceRoute.
    ///
    /// # Errors
    /// `NotFound` and `InvalidParameterValue` as in [`Aws::create_route`], and `InvalidParameterValue` if no route
    /// exists.
    pub fn replace_route(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &RouteTableId,
        cidr: &IpNet,
        target: &RouteTarget,
    ) -> Result<(), CloudError> {
        let table = self.writable(scope, id)?;
        if let RouteTarget::Peering(peering) = target {
            self.check_target(table, peering)?;
        }
        if table.created_route(cidr).is_none() {
            let text = format!("There is no route defined for '{cidr}' in the route table. Use CreateRoute instead.");
            return Err(refuse("InvalidParameterValue", text));
        }
        self.lead(by, id, cidr, Some(target.clone()));
        Ok(())
    }

    /// DeleteRoute.
    ///
    /// # Errors
    /// `InvalidRoute.NotFound`, `InvalidRouteTableID.NotFound`.
    pub fn delete_route(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &RouteTableId,
        cidr: &IpNet,
    ) -> Result<(), CloudError> {
        if self.writable(scope, id)?.created_route(cidr).is_none() {
            return Err(refuse("InvalidRoute.NotFound", format!("no route with destination {cidr} in {id}")));
        }
        self.lead(by, id, cidr, None);
        Ok(())
    }

    /// Propagates a route, as a virtual private gateway does. A static route to the same destination takes precedence.
    pub fn propagate(&mut self, id: &RouteTableId, cidr: &IpNet) {
        let target = RouteTarget::Other("vgw-1".to_owned());
        let route = Route { destination: *cidr, target, is_static: false, blackhole: false };
        if self.table(id).is_none_or(|table| table.routes.contains(&route)) {
            return;
        }
        self.change_table(id, |table| table.routes.push(route));
        self.enter(self.executor.now(), Actor::User, Change::Propagated { table: id.clone(), cidr: *cidr });
    }

    fn check_target(&self, table: &RouteTable, id: &PeeringId) -> Result<(), CloudError> {
        let now = self.executor.now();
        let peering = self.peerings.get(id).filter(|peering| peering.view(&table.vpc.scope, now, now).is_some());
        let peering = peering.filter(|peering| peering.status().is_live());
        let Some(peering) = peering else {
            return Err(refuse("InvalidVpcPeeringConnectionID.NotFound", format!("{id} does not exist")));
        };
        if table.is_edge_associated || !peering.ends().contains(&&table.vpc) {
            let text = format!("route table {} and network gateway {id} belong to different networks", table.id);
            return Err(refuse("InvalidParameterValue", text));
        }
        Ok(())
    }

    fn lead(&mut self, by: Actor, id: &RouteTableId, cidr: &IpNet, target: Option<RouteTarget>) {
        let destination = cidr.trunc();
        let was = self.table(id).and_then(|table| table.created_route(&destination)).map(|route| route.target.clone());
        let route = target.clone().map(|target| Route { destination, target, is_static: true, blackhole: false });
        self.change_table(id, |table| {
            table.routes.retain(|route| !(route.is_static && route.destination == destination));
            table.routes.extend(route);
        });
        let change = Change::Route { table: id.clone(), cidr: destination, was, now: target };
        self.enter(self.executor.now(), by, change);
    }

    fn change_table(&mut self, id: &RouteTableId, change: impl FnOnce(&mut RouteTable)) {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        if let Some(history) = self.tables.get_mut(id) {
            let mut table = history.now().clone();
            if let Some(table) = &mut table {
                change(table);
            }
            history.set(now, table, memory);
        }
    }
}
