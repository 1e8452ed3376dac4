//! Why two VPCs can or cannot reach each other: the conditions in the order in which one depends on the other.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::wanted_pairs::{self, PairState, WantedPair};
use crate::check::CheckResult;
use crate::cidr::{CidrSet, IpNet};
use crate::desired::DesiredState;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::network_acl::{NetworkAcl, Verdict};
use crate::observed::{ObservedState, Peering, PeeringStatus, RouteTable, RouteTarget};
use crate::path_check::PathCheck;
use crate::policy::{Mode, Topology};
use crate::tags::MeshTag;

/// The filters in front of the subnets and network interfaces of VPCs. peerd reads them only to explain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFilters {
    /// The network ACLs of each VPC, or why they could not be read.
    pub acls: BTreeMap<VpcRef, Result<Vec<NetworkAcl>, String>>,
    /// The CIDR blocks that each security group of a VPC allows for any traffic, or why they could not be read.
    pub groups: BTreeMap<VpcRef, Result<BTreeMap<String, CidrSet>, String>>,
}

/// Explains a pair. Each check depends on those before it; the first that fails is the first to fix.
pub fn explain(
    desired: &DesiredState,
    observed: &ObservedState,
    filters: &NetworkFilters,
    [a, b]: [&VpcRef; 2],
) -> Vec<PathCheck> {
    let context = PlanContext::new(desired, observed);
    let Some(pair) = Pair::of(a, b) else { return vec![PathCheck::SameVpc] };
    let pairs = wanted_pairs::find_wanted_pairs(&context);
    let (_, report) = super::plan(desired, observed);
    let inputs = Explanation { context: &context, filters, findings: &report.findings };
    explain_pair(&pair, pairs.iter().find(|wanted| wanted.pair == pair), &inputs)
}

/// What explains a pair: the context, the network filters, and what the planner reports.
struct Explanation<'a> {
    context: &'a PlanContext<'a>,
    filters: &'a NetworkFilters,
    findings: &'a BTreeSet<Finding>,
}

impl Explanation<'_> {
    /// Why the planner adds no route to a CIDR block in a table.
    fn why_no_route(&self, table: &RouteTable, to: &IpNet, pair: &Pair) -> Option<Box<Finding>> {
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

/// A wanted pair with its checks.
pub struct ExplainedPair<'a> {
    /// The two VPCs.
    pub pair: Pair,
    /// The meshes that connect them.
    pub meshes: BTreeSet<MeshName>,
    /// Their managed peering, if there is one.
    pub peering: Option<&'a Peering>,
    /// The peering's state in AWS's word, or why there is none.
    pub state: String,
    /// What [`explain`] reports, without the network filters.
    pub checks: Vec<PathCheck>,
}

/// Explains every pair that this run's mesh wants, without the network filters.
pub fn explain_all<'a>(context: &PlanContext<'a>) -> Vec<ExplainedPair<'a>> {
    let (filters, findings) = Default::default();
    let inputs = Explanation { context, filters: &filters, findings: &findings };
    let explained = |wanted: WantedPair<'a>| {
        let checks = explain_pair(&wanted.pair, Some(&wanted), &inputs);
        let peering = if let PairState::Usable(peering) = wanted.state { Some(peering) } else { None };
        ExplainedPair { state: wanted.state.word(), pair: wanted.pair, meshes: wanted.meshes, peering, checks }
    };
    wanted_pairs::find_wanted_pairs(context).into_iter().map(explained).collect()
}

fn explain_pair(pair: &Pair, wanted: Option<&WantedPair<'_>>, inputs: &Explanation<'_>) -> Vec<PathCheck> {
    let Explanation { context, filters, .. } = *inputs;
    let mut checks = pair.ends().map(|vpc| check_visible(vpc, context)).to_vec();
    if checks.iter().any(|check| check.result() != CheckResult::Pass) {
        return checks;
    }
    let common = &context.meshes_of(pair.requester()) & &context.meshes_of(pair.accepter());
    checks.extend(check_common_mesh(pair, &common, context));
    if common.is_empty() {
        return checks;
    }
    checks.extend(check_admission(pair, &common, context));
    let Some(wanted) = wanted.filter(|wanted| !wanted.meshes.is_empty()) else { return checks };
    checks.push(check_peering(wanted, context));
    for (vpc, peer) in pair.directions() {
        checks.extend(check_routes(wanted, vpc, peer, inputs));
    }
    for (vpc, peer) in pair.directions() {
        let cidrs = context.advertised_cidrs(peer, &wanted.meshes);
        checks.extend(check_network_acls(vpc, &cidrs, peer, filters));
        checks.extend(check_security_groups(vpc, &cidrs, peer, filters));
    }
    checks
}

fn check_visible(vpc: &VpcRef, context: &PlanContext<'_>) -> PathCheck {
    let (vpc, scope) = (vpc.clone(), vpc.scope.clone());
    match context.observed.scopes.get(&scope) {
        Some(Ok(())) if context.is_present(&vpc) => PathCheck::VpcRead { vpc },
        Some(Ok(())) => PathCheck::VpcNotTagged { vpc },
        Some(Err(error)) => {
            PathCheck::UnreadableScope { scope, role: context.desired.role.clone(), error: error.clone() }
        }
        None => PathCheck::UnknownScope { scope },
    }
}

fn check_common_mesh(pair: &Pair, common: &BTreeSet<MeshName>, context: &PlanContext<'_>) -> Vec<PathCheck> {
    if !common.is_empty() {
        return vec![PathCheck::CommonMeshes { meshes: common.clone() }];
    }
    let tag = |vpc: &VpcRef| context.observed.vpcs.get(vpc).map(|vpc| MeshTag::of(&vpc.tags)).unwrap_or_default();
    let invalid_names = pair.ends().into_iter().flat_map(|vpc| {
        tag(vpc).malformed.into_iter().map(|name| PathCheck::InvalidMeshName { vpc: vpc.id.clone(), name })
    });
    let (vpcs, requested) = (pair.ends().map(|vpc| vpc.id.clone()), pair.ends().map(|vpc| tag(vpc).meshes));
    invalid_names.chain([PathCheck::NoCommonMesh { vpcs, requested }]).collect()
}

/// Which of the common meshes connect the pair, and why the others do not.
fn check_admission(pair: &Pair, common: &BTreeSet<MeshName>, context: &PlanContext<'_>) -> Vec<PathCheck> {
    let connecting = context.connecting_meshes(pair);
    let decisive = connecting.is_empty();
    let mut checks = Vec::new();
    if !connecting.is_empty() {
        checks.push(PathCheck::ConnectedBy { meshes: connecting.clone() });
    }
    for mesh in common.difference(&connecting) {
        let denials = pair.ends().map(|vpc| (vpc.id.clone(), context.denial(vpc, mesh)));
        let is_hub_and_spoke =
            context.desired.declared.get(mesh).is_some_and(|policy| policy.topology == Topology::HubAndSpoke);
        if is_hub_and_spoke && denials.iter().all(|(_, denial)| denial.is_none()) {
            checks.push(PathCheck::NoHub { mesh: mesh.clone(), decisive });
        }
        let denied = denials.into_iter().filter_map(|(vpc, denial)| Some((vpc, denial?)));
        checks.extend(denied.map(|(vpc, denial)| PathCheck::NotAdmitted { mesh: mesh.clone(), vpc, denial, decisive }));
    }
    let is_paused = |mesh: &&MeshName| context.desired.declared.get(mesh).is_some_and(|p| p.mode == Mode::Paused);
    checks.extend(connecting.iter().filter(is_paused).map(|mesh| PathCheck::Paused { mesh: mesh.clone() }));
    checks
}

/// A mesh that wants a pair, for commands that need one.
fn any_mesh(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> MeshName {
    wanted.meshes.first().unwrap_or(&context.desired.mesh).clone()
}

fn check_peering(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> PathCheck {
    let mesh = any_mesh(wanted, context);
    match &wanted.state {
        PairState::Usable(peering) => PathCheck::of_peering(&peering.id, &peering.status, context.manages(peering)),
        PairState::Missing { .. } => PathCheck::NoPeering { mesh },
        PairState::Overlapping(ours, theirs) => PathCheck::CidrOverlap { ours: *ours, theirs: *theirs },
        PairState::Foreign(peering) => {
            let is_active = peering.status == PeeringStatus::Active;
            PathCheck::ForeignPeering { peering: peering.id.clone(), mesh, is_active }
        }
        PairState::Failed(peering) => {
            PathCheck::FailedPeering { peering: peering.id.clone(), error: peering.message.clone() }
        }
    }
}

/// The route tables of a VPC, towards a peer.
fn check_routes(wanted: &WantedPair<'_>, vpc: &VpcRef, peer: &VpcRef, inputs: &Explanation<'_>) -> Vec<PathCheck> {
    let context = inputs.context;
    let (peering, is_foreign) = match wanted.state {
        PairState::Usable(peering) => (peering, false),
        PairState::Foreign(peering) if peering.status == PeeringStatus::Active => (peering, true),
        _ => return Vec::new(),
    };
    let cidrs = context.advertised_cidrs(peer, &wanted.meshes);
    let mut checks = check_admitted_cidrs(peer, &wanted.meshes, &cidrs, context);
    if cidrs.is_empty() {
        checks.push(PathCheck::NothingAdvertised { peer: peer.id.clone() });
        return checks;
    }
    let target = RouteTarget::Peering(peering.id.clone());
    let mut complete = 0;
    let tables: Vec<&RouteTable> = context.observed.tables_of(vpc).collect();
    for table in &tables {
        let (id, vpc) = (table.id.clone(), vpc.id.clone());
        if !is_foreign && !context.is_managed_table(table, &wanted.meshes) {
            checks.push(PathCheck::UnmanagedTable { table: id, vpc });
            continue;
        }
        let found = |cidr: &IpNet| table.created_route(cidr).or_else(|| table.propagated_route(cidr));
        let leads_there = |cidr: &IpNet| found(cidr).is_some_and(|route| route.target == target);
        let wrong: Vec<&IpNet> = cidrs.iter().filter(|cidr| !leads_there(cidr)).collect();
        let diverted = diverted_parts(table, &cidrs, &target);
        complete += usize::from(wrong.is_empty() && diverted.is_empty());
        checks.extend(wrong.into_iter().map(|cidr| match found(cidr) {
            None if is_foreign => {
                let (table, vpc, peering) = (id.clone(), vpc.clone(), peering.id.clone());
                PathCheck::NoRouteOverForeign { table, vpc, cidr: *cidr, peering }
            }
            route => {
                let why = inputs.why_no_route(table, cidr, &wanted.pair);
                PathCheck::of_route(id.clone(), vpc.clone(), *cidr, route, any_mesh(wanted, context), why)
            }
        }));
        checks.extend(diverted.into_iter().map(|(part, cidr, target)| PathCheck::PartRoutedElsewhere {
            table: id.clone(),
            vpc: vpc.clone(),
            part,
            cidr,
            target,
        }));
    }
    if complete > 0 {
        let (vpc, peer, tables) = (vpc.id.clone(), peer.id.clone(), tables.len());
        checks.push(PathCheck::CompleteTables { vpc, peer, complete, tables });
    }
    checks
}

/// The routes of a table that lead parts of CIDR blocks elsewhere, whatever created them: EC2 uses the route with the longest prefix
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/RouteTables.html#route-tables-priority>).
fn diverted_parts(table: &RouteTable, cidrs: &CidrSet, target: &RouteTarget) -> Vec<(IpNet, IpNet, String)> {
    let part_of = |part: &IpNet| cidrs.iter().find(|cidr| cidr.contains(part) && *cidr != part).copied();
    let elsewhere = table.routes.iter().filter(|route| route.target != *target);
    elsewhere
        .filter_map(|route| Some((route.destination, part_of(&route.destination)?, route.target.to_string())))
        .collect()
}

/// The CIDR blocks of a peer that none of the meshes admits.
fn check_admitted_cidrs(
    peer: &VpcRef,
    meshes: &BTreeSet<MeshName>,
    admitted: &CidrSet,
    context: &PlanContext<'_>,
) -> Vec<PathCheck> {
    let rejected = meshes.iter().flat_map(|mesh| context.rejected_advertisements(peer, mesh));
    let rejected: BTreeSet<IpNet> = rejected
        .filter_map(|finding| match finding {
            Finding::CidrNotAdmitted { cidr, .. } if !admitted.covers(&cidr) => Some(cidr),
            _ => None,
        })
        .collect();
    rejected.into_iter().map(|cidr| PathCheck::CidrNotAdmitted { peer: peer.id.clone(), cidr }).collect()
}

/// The network ACLs of a VPC, towards the CIDR blocks of a peer.
fn check_network_acls(vpc: &VpcRef, cidrs: &CidrSet, peer: &VpcRef, filters: &NetworkFilters) -> Vec<PathCheck> {
    match filters.acls.get(vpc) {
        None => Vec::new(),
        Some(Err(error)) => vec![PathCheck::UnreadableNetworkAcls { vpc: vpc.id.clone(), error: error.clone() }],
        Some(Ok(acls)) => {
            let used = acls.iter().filter(|acl| acl.subnets > 0);
            used.flat_map(|acl| check_network_acl(acl, vpc, cidrs, peer)).collect()
        }
    }
}

fn check_network_acl(acl: &NetworkAcl, vpc: &VpcRef, cidrs: &CidrSet, peer: &VpcRef) -> Vec<PathCheck> {
    let mut checks = Vec::new();
    for egress in [false, true] {
        for cidr in cidrs.iter() {
            let all = match acl.passage(cidr, egress) {
                Verdict::Allowed => continue,
                Verdict::Partial => false,
                Verdict::Denied => true,
            };
            let (acl, subnets, cidr) = (acl.id.clone(), acl.subnets, *cidr);
            let (vpc, peer) = (vpc.id.clone(), peer.id.clone());
            checks.push(PathCheck::NetworkAclDenies { acl, subnets, vpc, peer, cidr, egress, all });
        }
    }
    checks
}

/// The security groups of a VPC, towards the CIDR blocks of a peer.
fn check_security_groups(vpc: &VpcRef, cidrs: &CidrSet, peer: &VpcRef, filters: &NetworkFilters) -> Option<PathCheck> {
    let (id, peer) = (vpc.id.clone(), peer.id.clone());
    Some(match filters.groups.get(vpc)? {
        Err(error) => PathCheck::UnreadableSecurityGroups { vpc: id, error: error.clone() },
        Ok(groups) => {
            let allowing = groups.values().filter(|allowed| allowed.first_overlap(cidrs).is_some()).count();
            PathCheck::SecurityGroupsAllow { vpc: id, peer, allowing, groups: groups.len() }
        }
    })
}
