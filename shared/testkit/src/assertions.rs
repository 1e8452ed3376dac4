//! Queries about a simulated deployment, for assertions in tests.

use std::collections::BTreeSet;

use peerd_core::tags::{self, MeshTag};
use peerd_core::{Pair, PeeringId, PeeringStatus, RouteTarget, VpcRef, cidr};

use crate::aws::{Aws, MINUTE};
use crate::user_actions::table;
use crate::world::{World, scope};

fn is_between(peering: &crate::aws::Peering, a: &VpcRef, b: &VpcRef) -> bool {
    Pair::of(&peering.requester, &peering.accepter) == Pair::of(a, b)
}

impl World {
    /// Creates a deployment with two members of `prod` in two accounts, peered and routed, a minute after it became
    /// idle.
    pub fn of_two() -> (Self, VpcRef, VpcRef) {
        let mut world = Self::default();
        let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
        let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
        world.rest();
        world.pass(MINUTE);
        (world, a, b)
    }

    /// Whether two VPCs have exactly one live managed peering, it is active, and every table routes every CIDR block
    /// over it.
    pub fn connected(&self, a: &VpcRef, b: &VpcRef) -> bool {
        let aws = self.cloud.aws();
        let mut live = aws.peerings().filter(|peering| is_between(peering, a, b) && peering.status().is_live());
        let (Some(peering), None) = (live.next(), live.next()) else { return false };
        let managed = [a, b].into_iter().all(|vpc| peering.tags(&vpc.scope).contains_key(tags::MANAGED_BY));
        *peering.status() == PeeringStatus::Active
            && managed
            && is_routed(&aws, a, b, &peering.id)
            && is_routed(&aws, b, a, &peering.id)
    }

    /// Returns what peerd created for a VPC and has not removed: live managed peerings, routes to any of its peerings,
    /// its status.
    pub fn traces(&self, vpc: &VpcRef) -> Vec<String> {
        let aws = self.cloud.aws();
        let theirs: Vec<_> = aws.peerings().filter(|peering| peering.ends().contains(&vpc)).collect();
        let targets: BTreeSet<RouteTarget> =
            theirs.iter().map(|peering| RouteTarget::Peering(peering.id.clone())).collect();
        let managed = theirs.into_iter().filter(|peering| {
            let is_tagged = |end: &&VpcRef| peering.tags(&end.scope).contains_key(tags::MANAGED_BY);
            peering.status().is_live() && peering.ends().iter().any(is_tagged)
        });
        let mut left: Vec<String> = managed.map(|peering| peering.id.to_string()).collect();
        for table in aws.tables() {
            let routes = table.routes.iter().filter(|route| targets.contains(&route.target));
            left.extend(routes.map(|route| format!("{} {} {}", table.id, route.destination, route.target)));
        }
        left.extend(aws.vpc(vpc).and_then(|seen| seen.tags.get(tags::STATUS).cloned()));
        left
    }

    /// Returns the value of `peerd:status`.
    pub fn status(&self, vpc: &VpcRef) -> Option<String> {
        self.cloud.aws().vpc(vpc).and_then(|seen| seen.tags.get(tags::STATUS).cloned())
    }

    /// Returns the id of the live peering of two VPCs, and the meshes in its tags.
    pub fn peering(&self, a: &VpcRef, b: &VpcRef) -> Option<(PeeringId, String)> {
        let aws = self.cloud.aws();
        let peering = aws.peerings().find(|peering| is_between(peering, a, b) && peering.status().is_live())?;
        let meshes = MeshTag::of(&peering.tags(&peering.requester.scope)).meshes;
        Some((peering.id.clone(), tags::join_meshes(&meshes)))
    }

    /// Returns the target of a table's static route to a CIDR block.
    pub fn target(&self, name: &str, cidr: &str) -> Option<String> {
        let cidr = cidr::parse(cidr).ok()?;
        let aws = self.cloud.aws();
        aws.table(&table(name))?.created_route(&cidr).map(|route| route.target.to_string())
    }
}

fn is_routed(aws: &Aws, from: &VpcRef, to: &VpcRef, peering: &PeeringId) -> bool {
    let target = RouteTarget::Peering(peering.clone());
    let Some(to) = aws.vpc(to) else { return false };
    let mut tables = aws.tables().filter(|table| table.vpc == *from && !table.is_edge_associated);
    tables.all(|table| {
        let mut cidrs = to.cidrs.iter();
        cidrs.all(|cidr| table.created_route(cidr).is_some_and(|route| route.target == target))
    })
}
