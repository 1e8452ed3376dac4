//! The picture of meshes: their VPCs, what is between them, and what is open.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::check::{Check, CheckResult};
use crate::cidr::CidrSet;
use crate::desired::DesiredState;
use crate::finding_text::Rendered;
use crate::ids::{AccountId, MeshName, PeeringId, Region, VpcId, VpcRef};
use crate::observed::{ObservedState, Peering, RouteTarget};
use crate::path_check::PathCheck;
use crate::planner::{ExplainedPair, PlanContext, explain_all, plan};
use crate::tags;

/// VPCs, pairs and findings, each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The VPCs that ask for a mesh.
    pub vpcs: BTreeSet<Node>,
    /// The pairs that a mesh wants, and those whose peering this deployment has not taken away yet.
    pub pairs: Vec<Edge>,
    /// What is open.
    pub findings: BTreeSet<Rendered>,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// Which.
    pub vpc: VpcId,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Its blocks.
    pub cidrs: Vec<String>,
    /// The meshes that it asks for.
    pub meshes: BTreeSet<MeshName>,
    /// What it is told.
    pub status: Option<String>,
}

/// Two VPCs and what is between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Which; of a peering, the requester first.
    pub between: [VpcId; 2],
    /// The peering that this deployment manages.
    pub peering: Option<PeeringId>,
    /// AWS's word for the state of the peering, or why there is none: `missing`, `overlapping`, `foreign`, `failed`; or
    /// `leaving`, if no mesh wants it any more.
    pub state: String,
    /// The meshes that connect the two, or for which the peering was made.
    pub meshes: BTreeSet<MeshName>,
    /// The routes that lead over the peering.
    pub routes: BTreeSet<RouteOver>,
    /// What explains it, as `peerd explain` does, but for network ACLs and security groups.
    pub checks: Vec<Check>,
}

/// A route that leads over a peering.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteOver {
    /// Whose table it is in.
    pub vpc: VpcId,
    /// Which table.
    pub table: String,
    /// To where.
    pub block: String,
}

/// How well a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Peered, and nothing keeps the two apart.
    Active,
    /// On its way, to or from being peered.
    Waiting,
    /// Something keeps the two apart.
    Broken,
}

impl Edge {
    /// How well it is.
    pub fn health(&self) -> Health {
        let apart = self.checks.iter().any(|check| check.result == CheckResult::Fail);
        match self.state.as_str() {
            "active" if apart => Health::Broken,
            "active" => Health::Active,
            "missing" | "overlapping" | "foreign" | "failed" => Health::Broken,
            _ => Health::Waiting,
        }
    }
}

type RoutesOver<'a> = BTreeMap<&'a PeeringId, BTreeSet<RouteOver>>;

impl Map {
    /// Adds what was seen of one mesh, with findings worded for a stack. What another mesh has shown already stays as it was.
    pub fn add(&mut self, desired: &DesiredState, observed: &ObservedState, stack: &str) {
        let (_, report) = plan(desired, observed);
        self.findings.extend(report.findings.iter().map(|finding| Rendered::new(finding, stack)));
        let context = PlanContext::new(desired, observed);
        self.vpcs.extend(context.known_to_ask_for(&desired.mesh).map(|vpc| node(vpc, &context)));
        let mut routes = routes_over(observed);
        let wanted = explain_all(&context);
        let used: BTreeSet<&PeeringId> = wanted.iter().filter_map(|told| Some(&told.peering?.id)).collect();
        let left = observed.peerings.values().filter(|peering| {
            let ours = peering.status.is_live() && peering.is_managed_by(&desired.deployment);
            ours && peering.tagged_meshes().contains(&desired.mesh) && !used.contains(&peering.id)
        });
        let mut edges: Vec<Edge> = left.map(|peering| leaving(peering, &mut routes)).collect();
        edges.extend(wanted.into_iter().map(|told| edge(told, &mut routes)));
        let key = |edge: &Edge| (edge.between.clone(), edge.peering.clone());
        let known: BTreeSet<_> = self.pairs.iter().map(key).collect();
        self.pairs.extend(edges.into_iter().filter(|edge| !known.contains(&key(edge))));
        self.pairs.sort_by_cached_key(key);
    }

    /// What is open of a VPC or a peering.
    pub fn findings_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Rendered> {
        self.findings.iter().filter(move |finding| finding.subject.contains(id))
    }
}

fn node(at: &VpcRef, context: &PlanContext<'_>) -> Node {
    let current = context.tags_of(at);
    Node {
        account: at.scope.account.clone(),
        region: at.scope.region.clone(),
        vpc: at.id.clone(),
        name: current.get(tags::NAME).cloned(),
        cidrs: context.cidrs_of(at).into_iter().flat_map(CidrSet::iter).map(ToString::to_string).collect(),
        meshes: context.meshes_of(at),
        status: current.get(tags::STATUS).cloned(),
    }
}

fn routes_over(observed: &ObservedState) -> RoutesOver<'_> {
    let mut routes = RoutesOver::new();
    for (table, route) in observed.tables.values().flat_map(|table| table.routes.iter().map(move |r| (table, r))) {
        if let RouteTarget::Peering(id) = &route.target {
            let (table, vpc) = (table.id.to_string(), table.vpc.id.clone());
            let over = RouteOver { vpc, table, block: route.destination.to_string() };
            routes.entry(id).or_default().insert(over);
        }
    }
    routes
}

fn edge(
    ExplainedPair { pair, meshes, peering, state, checks }: ExplainedPair<'_>,
    routes: &mut RoutesOver<'_>,
) -> Edge {
    let ends = peering.map_or(pair.ends(), Peering::ends);
    Edge {
        between: ends.map(|vpc| vpc.id.clone()),
        peering: peering.map(|peering| peering.id.clone()),
        state,
        meshes,
        routes: peering.and_then(|peering| routes.remove(&peering.id)).unwrap_or_default(),
        checks: checks.iter().map(PathCheck::render).collect(),
    }
}

/// A peering that no mesh wants any more.
fn leaving(peering: &Peering, routes: &mut RoutesOver<'_>) -> Edge {
    Edge {
        between: peering.ends().map(|vpc| vpc.id.clone()),
        peering: Some(peering.id.clone()),
        state: "leaving".to_owned(),
        meshes: peering.tagged_meshes(),
        routes: routes.remove(&peering.id).unwrap_or_default(),
        checks: Vec::new(),
    }
}
