//! A path that is explained: the query, the peering that carries its packets, and what its checks need.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::wanted_pairs::{PairState, WantedPair};
use crate::cidr::{CidrSet, IpNet};
use crate::contention::ManagedResource;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair};
use crate::network_filters::NetworkFilters;
use crate::observed::{Peering, PeeringStatus, RouteTable};
use crate::path_query::{PathEnd, PathQuery};

/// What explains a pair: the context, the network filters, and what the planner reports.
pub struct Explanation<'a> {
    pub context: &'a PlanContext<'a>,
    pub filters: &'a NetworkFilters,
    pub findings: &'a BTreeSet<Finding>,
}

impl Explanation<'_> {
    /// Why the planner requests no peering for a pair.
    pub fn why_no_peering(&self, pair: &Pair) -> Option<Box<Finding>> {
        let is_it = |finding: &&Finding| match finding {
            Finding::QuotaExceeded { subject, .. } => pair.ends().into_iter().any(|vpc| *subject == vpc.to_string()),
            Finding::QuotaRefused { pair: of, .. } => of == pair,
            Finding::Contention { resource, .. } => *resource == ManagedResource::Peering(pair.clone()).to_string(),
            Finding::Paused { .. } => !self.context.pausing_meshes(pair).is_empty(),
            _ => false,
        };
        self.findings.iter().find(is_it).cloned().map(Box::new)
    }

    /// Why the planner adds no route to a CIDR block in a table.
    pub fn why_no_route(&self, table: &RouteTable, to: &IpNet, pair: &Pair) -> Option<Box<Finding>> {
        let is_it = |finding: &&Finding| match finding {
            Finding::RouteOverlap { table: of, cidr, .. }
            | Finding::OverlapsOwnVpc { table: of, cidr, .. }
            | Finding::ForeignRoute { table: of, cidr, .. }
            | Finding::PrefixListRoute { table: of, cidr, .. }
            | Finding::UnreadablePrefixList { table: of, cidr, .. } => *of == table.id && cidr == to,
            Finding::QuotaExceeded { subject, .. } => subject == table.id.as_str(),
            Finding::Contention { resource, .. } => {
                resource.contains(table.id.as_str()) && resource.contains(&to.to_string())
            }
            Finding::QuotaRefused { pair: of, .. } => of == pair,
            Finding::Paused { .. } => !self.context.pausing_meshes(pair).is_empty(),
            _ => false,
        };
        self.findings.iter().find(is_it).cloned().map(Box::new)
    }
}

/// The peering that carries packets, if there is one.
pub struct Link<'a> {
    /// The peering.
    pub peering: &'a Peering,
    /// The pair that a mesh wants, if peerd manages the peering.
    pub managed: Option<&'a WantedPair<'a>>,
}

impl<'a> Link<'a> {
    pub fn of(wanted: Option<&'a WantedPair<'a>>, other: Option<&'a Peering>) -> Option<Self> {
        match wanted.map(|wanted| &wanted.state) {
            Some(PairState::Usable(peering)) => Some(Self { peering, managed: wanted }),
            Some(PairState::Foreign(peering)) if peering.status == PeeringStatus::Active => {
                Some(Self { peering, managed: None })
            }
            Some(_) => None,
            None => other.map(|peering| Self { peering, managed: None }),
        }
    }
}

/// A path, with what its checks need.
pub struct Path<'a> {
    pub query: &'a PathQuery,
    pub link: Option<&'a Link<'a>>,
    /// The meshes that connect the two VPCs; none if only a peering does that peerd does not own.
    pub meshes: Option<&'a BTreeSet<MeshName>>,
    pub inputs: &'a Explanation<'a>,
}

impl Path<'_> {
    /// A mesh that connects the two VPCs.
    pub fn mesh(&self) -> Option<MeshName> {
        self.meshes.and_then(|meshes| meshes.first().cloned())
    }

    /// The CIDR blocks of an end that are routed: those that it advertises to the meshes, or all.
    pub fn cidrs(&self, end: &PathEnd) -> CidrSet {
        match self.meshes {
            Some(meshes) => self.inputs.context.advertised_cidrs(&end.vpc, meshes),
            None if end.cidrs.is_empty() => self.inputs.context.cidrs_of(&end.vpc).cloned().unwrap_or_default(),
            None => end.cidrs.clone(),
        }
    }
}

/// A mesh that wants a pair, for commands that need one.
pub fn any_mesh(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> MeshName {
    wanted.meshes.first().unwrap_or(&context.desired.mesh).clone()
}
