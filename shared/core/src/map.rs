//! The map of meshes: their VPCs, the peerings and routes between them, and the open findings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::{Check, CheckResult};
use crate::cidr::CidrSet;
use crate::desired::DesiredState;
use crate::finding_text::Rendered;
use crate::ids::{AccountId, MeshName, PeeringId, Region, Scope, VpcId, VpcRef};
use crate::observed::{ObservedState, Peering, RouteTarget};
use crate::operator::Operator;
use crate::planned_map::PlannedChange;
use crate::planner::{ExplainedPair, ObservedIndex, PlanContext, explain_all, plan_on};
use crate::printable::printable;
use crate::status::{self, StatusState};
use crate::tags;

/// VPCs, pairs and findings, each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The VPCs that request a mesh, and those whose peerings this deployment has not deleted yet.
    pub vpcs: BTreeSet<Node>,
    /// The pairs that a mesh wants, and those whose peering this deployment has not deleted yet.
    pub pairs: Vec<Edge>,
    /// The open findings.
    pub findings: BTreeSet<Rendered>,
    /// The number of changes of the plan; none if this is not the map of a plan.
    #[serde(default)]
    pub changes: Option<usize>,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// The account of the VPC.
    pub account: AccountId,
    /// The Region of the VPC.
    pub region: Region,
    /// The id of the VPC.
    pub vpc: VpcId,
    /// The value of its tag `Name`.
    pub name: Option<String>,
    /// Its CIDR blocks.
    pub cidrs: Vec<String>,
    /// The meshes that it requests.
    pub meshes: BTreeSet<MeshName>,
    /// The value of its tag `peerd:status`.
    pub status: Option<String>,
    /// How far its meshes connect it.
    pub state: NodeState,
    /// What the plan changes of it; none if this is not the map of a plan.
    #[serde(default)]
    pub planned: Option<PlannedChange>,
}

impl Node {
    /// The VPC with its scope.
    pub fn vpc_ref(&self) -> VpcRef {
        VpcRef::new(Scope::new(self.account.clone(), self.region.clone()), self.vpc.clone())
    }
}

/// Two VPCs with the peering and the routes between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The two VPCs; if they have a peering, its requester first.
    pub between: [VpcId; 2],
    /// The peering that this deployment manages.
    pub peering: Option<PeeringId>,
    /// AWS's word for the state of the peering, or why there is none: `missing`, `overlapping`, `foreign`, `failed`; or
    /// `leaving`, if no mesh wants it any longer.
    pub state: String,
    /// The meshes that connect the two, or for which the peering was made.
    pub meshes: BTreeSet<MeshName>,
    /// The routes over the peering.
    pub routes: BTreeSet<RouteOver>,
    /// The checks of `peerd explain`, without network ACLs and security groups.
    pub checks: Vec<Check>,
    /// What the plan changes of it; none if this is not the map of a plan.
    #[serde(default)]
    pub planned: Option<PlannedChange>,
}

/// A route over a peering.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteOver {
    /// The VPC of the route table.
    pub vpc: VpcId,
    /// The id of the route table.
    pub table: String,
    /// The destination CIDR block.
    pub cidr: String,
}

/// Whether the two VPCs of a pair can reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// They are peered, and no check fails.
    Active,
    /// Their peering is being created or deleted.
    Waiting,
    /// Something keeps them from reaching each other.
    Broken,
}

impl Edge {
    /// The health of the pair.
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

/// How far its meshes connect a VPC: the worst state in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Its account or Region cannot be read.
    Unreadable,
    /// It is not connected until an operator or its owner acts.
    Refused,
    /// It is not connected with all members yet.
    Waiting,
    /// It is connected, except with what findings name.
    JoinedInPart,
    /// It is connected with all members.
    Joined,
    /// It has no status yet.
    NoStatus,
}

impl NodeState {
    /// The state that the tag `peerd:status` has.
    fn of_status(status: &str) -> Self {
        let mut of_mesh: BTreeMap<String, BTreeSet<StatusState>> = BTreeMap::new();
        for entry in status::parse(status) {
            of_mesh.entry(entry.mesh).or_default().insert(entry.state);
        }
        let state = |states: &BTreeSet<StatusState>| {
            let is = |state| states.contains(&state);
            match (is(StatusState::Joined), is(StatusState::Refused), is(StatusState::Waiting)) {
                (true, true, _) => Self::JoinedInPart,
                (true, false, _) => Self::Joined,
                (false, _, true) => Self::Waiting,
                (false, true, false) => Self::Refused,
                (false, false, false) => Self::NoStatus,
            }
        };
        of_mesh.values().map(state).min().unwrap_or(Self::NoStatus)
    }

    /// Whether a mesh does not connect the VPC.
    pub fn is_apart(self) -> bool {
        self <= Self::Waiting
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::JoinedInPart => "joined-in-part",
            Self::Joined => "joined",
            Self::NoStatus => "no-status",
        })
    }
}

type RoutesOver<'a> = BTreeMap<&'a PeeringId, BTreeSet<RouteOver>>;

impl Map {
    /// Adds what was read of one mesh, with findings and checks worded for an operator. What another mesh has added already stays as
    /// it is.
    pub fn add(&mut self, desired: &DesiredState, observed: &ObservedState, operator: &Operator) {
        let index = ObservedIndex::new(observed);
        let (_, report) = plan_on(desired, &index);
        self.findings.extend(report.findings.iter().map(|finding| Rendered::new(finding, operator)));
        let context = PlanContext::new(desired, &index);
        self.vpcs.extend(context.known_requesters_of(&desired.mesh).map(|vpc| node(vpc, &context)));
        let mut routes = routes_over(observed);
        let wanted = explain_all(&context);
        let used: BTreeSet<&PeeringId> = wanted.iter().filter_map(|explained| Some(&explained.peering?.id)).collect();
        let ours = |peering: &&Peering| peering.status.is_live() && peering.is_owned() && !used.contains(&peering.id);
        let left: Vec<&Peering> = index.made_for(&desired.mesh).iter().copied().filter(ours).collect();
        let ends = left.iter().flat_map(|peering| peering.ends()).filter(|vpc| context.cidrs_of(vpc).is_some());
        self.vpcs.extend(ends.map(|vpc| node(vpc, &context)));
        let mut edges: Vec<Edge> = left.into_iter().map(|peering| leaving(peering, &mut routes)).collect();
        edges.extend(wanted.into_iter().map(|explained| edge(explained, &mut routes, operator)));
        self.add_pairs(edges);
    }

    /// Adds the pairs that are not on the map yet.
    pub(crate) fn add_pairs(&mut self, edges: impl IntoIterator<Item = Edge>) {
        let key = |edge: &Edge| (edge.between.clone(), edge.peering.clone());
        let known: BTreeSet<_> = self.pairs.iter().map(key).collect();
        self.pairs.extend(edges.into_iter().filter(|edge| !known.contains(&key(edge))));
        self.pairs.sort_by_cached_key(key);
    }

    /// The open findings about a VPC or a peering.
    pub fn findings_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Rendered> {
        self.findings.iter().filter(move |finding| finding.subject.contains(id))
    }
}

fn node(vpc: &VpcRef, context: &PlanContext<'_>) -> Node {
    let current = context.tags_of(vpc);
    let status = current.get(tags::STATUS).map(|status| printable(status));
    let state = match &status {
        _ if !context.observed.was_read(&vpc.scope) => NodeState::Unreadable,
        Some(status) => NodeState::of_status(status),
        None => NodeState::NoStatus,
    };
    Node {
        account: vpc.scope.account.clone(),
        region: vpc.scope.region.clone(),
        vpc: vpc.id.clone(),
        name: current.get(tags::NAME).map(|name| printable(name)),
        cidrs: context.cidrs_of(vpc).into_iter().flat_map(CidrSet::iter).map(ToString::to_string).collect(),
        meshes: context.meshes_of(vpc).clone(),
        status,
        state,
        planned: None,
    }
}

fn routes_over(observed: &ObservedState) -> RoutesOver<'_> {
    let mut routes = RoutesOver::new();
    for (table, route) in observed.tables.values().flat_map(|table| table.routes.iter().map(move |r| (table, r))) {
        if let RouteTarget::Peering(id) = &route.target {
            let (table, vpc) = (table.id.to_string(), table.vpc.id.clone());
            let over = RouteOver { vpc, table, cidr: route.destination.to_string() };
            routes.entry(id).or_default().insert(over);
        }
    }
    routes
}

fn edge(
    ExplainedPair { pair, meshes, peering, state, checks }: ExplainedPair<'_>,
    routes: &mut RoutesOver<'_>,
    operator: &Operator,
) -> Edge {
    let ends = peering.map_or(pair.ends(), Peering::ends);
    Edge {
        between: ends.map(|vpc| vpc.id.clone()),
        peering: peering.map(|peering| peering.id.clone()),
        state,
        meshes,
        routes: peering.and_then(|peering| routes.remove(&peering.id)).unwrap_or_default(),
        checks: checks.iter().map(|check| check.render(operator)).collect(),
        planned: None,
    }
}

/// The edge of a peering that no mesh wants any longer.
fn leaving(peering: &Peering, routes: &mut RoutesOver<'_>) -> Edge {
    Edge {
        between: peering.ends().map(|vpc| vpc.id.clone()),
        peering: Some(peering.id.clone()),
        state: "leaving".to_owned(),
        meshes: peering.tagged_meshes(),
        routes: routes.remove(&peering.id).unwrap_or_default(),
        checks: Vec::new(),
        planned: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_vpc_is_the_worst_in_one_of_its_meshes() {
        for (status, state) in [
            ("joined prod", NodeState::Joined),
            ("joined prod. refused prod with vpc-2: CIDRs overlap", NodeState::JoinedInPart),
            ("waiting prod with vpc-2: routes are being added", NodeState::Waiting),
            ("joined prod. refused lab: mesh is not declared", NodeState::Refused),
            ("refused lab: mesh is not declared. waiting prod with vpc-2: x", NodeState::Refused),
            ("something else", NodeState::NoStatus),
        ] {
            assert_eq!(NodeState::of_status(status), state, "{status}");
        }
        assert!(NodeState::Refused.is_apart() && !NodeState::JoinedInPart.is_apart());
    }
}
