//! Why two VPCs can or cannot reach each other: the conditions in the order in which one depends on the other.

use std::collections::BTreeSet;

use super::context::PlanContext;
use super::index::ObservedIndex;
use super::path::{Explanation, Link, Path, any_mesh};
use super::wanted_pairs::{self, PairState, WantedPair};
use super::{reachable_filters, reachable_routes};
use crate::check::CheckResult;
use crate::desired::DesiredState;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::network_filters::NetworkFilters;
use crate::observed::{ObservedState, Peering, PeeringStatus};
use crate::path_check::PathCheck;
use crate::path_query::{Host, NetworkInterface, PathEnd, PathQuery};
use crate::policy::{Mode, Topology};
use crate::tags::MeshTag;

/// Explains a pair. Each check depends on those before it; the first that fails is the first to fix.
pub fn explain(
    desired: &DesiredState,
    observed: &ObservedState,
    filters: &NetworkFilters,
    query: &PathQuery,
) -> Vec<PathCheck> {
    let index = ObservedIndex::new(observed);
    let context = PlanContext::new(desired, &index);
    let [a, b] = query.vpcs();
    let Some(pair) = Pair::of(a, b) else { return vec![PathCheck::SameVpc] };
    let pairs = wanted_pairs::find_wanted_pairs(&context);
    let (_, report) = super::plan(desired, observed);
    let inputs = Explanation { context: &context, filters, findings: &report.findings };
    explain_pair(&pair, query, pairs.iter().find(|wanted| wanted.pair == pair), &inputs)
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
        let query = PathQuery::between(wanted.pair.ends());
        let checks = explain_pair(&wanted.pair, &query, Some(&wanted), &inputs);
        let peering = if let PairState::Usable(peering) = wanted.state { Some(peering) } else { None };
        ExplainedPair { state: wanted.state.word(), pair: wanted.pair, meshes: wanted.meshes, peering, checks }
    };
    wanted_pairs::find_wanted_pairs(context).into_iter().map(explained).collect()
}

fn explain_pair(
    pair: &Pair,
    query: &PathQuery,
    wanted: Option<&WantedPair<'_>>,
    inputs: &Explanation<'_>,
) -> Vec<PathCheck> {
    let context = inputs.context;
    let wanted = wanted.filter(|wanted| !wanted.meshes.is_empty());
    let other = if wanted.is_none() { active_peering(pair, context) } else { None };
    let mut checks = check_meshes(pair, other.is_none(), context);
    match (wanted, other) {
        (Some(wanted), _) => checks.push(check_peering(wanted, inputs)),
        (None, Some(peering)) if context.manages(peering) => {
            checks.push(PathCheck::UnwantedPeering { peering: peering.id.clone() });
        }
        (None, Some(peering)) => {
            checks.push(PathCheck::ForeignPeering { peering: peering.id.clone(), mesh: None, is_active: true });
        }
        (None, None) => return checks,
    }
    let link = Link::of(wanted, other);
    let path = Path { query, link: link.as_ref(), meshes: wanted.map(|wanted| &wanted.meshes), inputs };
    let [a, b] = &query.ends;
    checks.extend([a, b].into_iter().filter_map(check_interface));
    for (end, peer) in [(a, b), (b, a)] {
        checks.extend(reachable_routes::check(&path, end, peer));
    }
    for (end, peer) in [(a, b), (b, a)] {
        checks.extend(reachable_filters::check(&path, end, peer));
    }
    checks
}

/// An active peering of the pair, managed by peerd or not: AWS has at most one.
fn active_peering<'a>(pair: &Pair, context: &PlanContext<'a>) -> Option<&'a Peering> {
    let mut peerings = context.index.peerings_of(pair).iter().copied();
    peerings.find(|peering| peering.status == PeeringStatus::Active)
}

/// Why meshes connect the pair, or do not. `decisive` if no other peering connects it.
fn check_meshes(pair: &Pair, decisive: bool, context: &PlanContext<'_>) -> Vec<PathCheck> {
    let mut checks = pair.ends().map(|vpc| check_visible(vpc, decisive, context)).to_vec();
    if checks.iter().any(|check| check.result() != CheckResult::Pass) {
        return checks;
    }
    let common = context.meshes_of(pair.requester()) & context.meshes_of(pair.accepter());
    checks.extend(check_common_mesh(pair, &common, decisive, context));
    if !common.is_empty() {
        checks.extend(check_admission(pair, &common, decisive, context));
    }
    checks
}

fn check_interface(end: &PathEnd) -> Option<PathCheck> {
    let Host { address, interface } = end.host.as_ref()?;
    let (vpc, address) = (end.vpc.id.clone(), *address);
    Some(match interface {
        Some(NetworkInterface { id, subnet, .. }) => {
            PathCheck::InterfaceFound { vpc, address, interface: id.clone(), subnet: subnet.clone() }
        }
        None => PathCheck::NoInterface { vpc, address },
    })
}

fn check_visible(vpc: &VpcRef, decisive: bool, context: &PlanContext<'_>) -> PathCheck {
    let (vpc, scope) = (vpc.clone(), vpc.scope.clone());
    match context.observed.scopes.get(&scope) {
        Some(Ok(())) if context.is_present(&vpc) => PathCheck::VpcRead { vpc },
        Some(Ok(())) => PathCheck::VpcNotTagged { vpc, decisive },
        Some(Err(error)) => {
            PathCheck::UnreadableScope { scope, role: context.desired.role.clone(), error: error.clone() }
        }
        None => PathCheck::UnknownScope { scope },
    }
}

fn check_common_mesh(
    pair: &Pair,
    common: &BTreeSet<MeshName>,
    decisive: bool,
    context: &PlanContext<'_>,
) -> Vec<PathCheck> {
    if !common.is_empty() {
        return vec![PathCheck::CommonMeshes { meshes: common.clone() }];
    }
    let tag = |vpc: &VpcRef| context.observed.vpcs.get(vpc).map(|vpc| MeshTag::of(&vpc.tags)).unwrap_or_default();
    let invalid_names = pair.ends().into_iter().flat_map(|vpc| {
        tag(vpc).malformed.into_iter().map(|name| PathCheck::InvalidMeshName { vpc: vpc.id.clone(), name, decisive })
    });
    let (vpcs, requested) = (pair.ends().map(|vpc| vpc.id.clone()), pair.ends().map(|vpc| tag(vpc).meshes));
    invalid_names.chain([PathCheck::NoCommonMesh { vpcs, requested, decisive }]).collect()
}

/// Which of the common meshes connect the pair, and why the others do not.
fn check_admission(
    pair: &Pair,
    common: &BTreeSet<MeshName>,
    decisive: bool,
    context: &PlanContext<'_>,
) -> Vec<PathCheck> {
    let connecting = context.connecting_meshes(pair);
    let decisive = decisive && connecting.is_empty();
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

fn check_peering(wanted: &WantedPair<'_>, inputs: &Explanation<'_>) -> PathCheck {
    let context = inputs.context;
    let mesh = any_mesh(wanted, context);
    match &wanted.state {
        PairState::Usable(peering) => PathCheck::of_peering(&peering.id, &peering.status, context.manages(peering)),
        PairState::Missing { .. } => PathCheck::NoPeering { mesh, why: inputs.why_no_peering(&wanted.pair) },
        PairState::Overlapping(ours, theirs) => PathCheck::CidrOverlap { ours: *ours, theirs: *theirs },
        PairState::Foreign(peering) => {
            let is_active = peering.status == PeeringStatus::Active;
            PathCheck::ForeignPeering { peering: peering.id.clone(), mesh: Some(mesh), is_active }
        }
        PairState::Failed(peering) => {
            PathCheck::FailedPeering { peering: peering.id.clone(), error: peering.message.clone() }
        }
    }
}
