//! Policies of meshes that connect the same pair and disagree. Which one applies is decided by
//! [`PlanContext::peering_tags`], [`PlanContext::advertised_cidrs`] and [`PlanContext::resolves`]; this step reports it.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::wanted_pairs::WantedPair;
use crate::cidr::CidrSet;
use crate::finding::{Disagreement, Finding};
use crate::ids::{MeshName, PeeringId};
use crate::policy::Policy;

/// Reports tags and DNS options on which the meshes of a pair disagree, and CIDR blocks that only some of them accept.
pub fn report(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for wanted in pairs.iter().filter(|wanted| wanted.meshes.len() > 1) {
        let disagreements = [tags(wanted, context), cidrs(wanted, context), dns(wanted, context)];
        for about in disagreements.into_iter().flatten() {
            let (pair, meshes) = (wanted.pair.clone(), wanted.meshes.clone());
            decisions.report(Finding::PoliciesDisagree { pair, meshes, about });
        }
    }
    for finding in adoptions(context) {
        decisions.report(finding);
    }
    decisions
}

/// Peerings that this mesh adopts or releases and another mesh does not, whether or not they connect a wanted pair.
fn adoptions(context: &PlanContext<'_>) -> Vec<Finding> {
    let declared = &context.desired.declared;
    let Some(own) = declared.get(&context.desired.mesh) else { return Vec::new() };
    let disputed = own.adopt.iter().chain(&own.release).filter_map(|id| {
        let names = |of: fn(&Policy) -> &BTreeSet<PeeringId>| {
            declared.iter().filter(move |(_, policy)| of(policy).contains(id)).map(|(mesh, _)| mesh.clone())
        };
        let (adopting, releasing): (BTreeSet<MeshName>, BTreeSet<MeshName>) =
            (names(|policy| &policy.adopt).collect(), names(|policy| &policy.release).collect());
        let pair = context.observed.peerings.get(id)?.pair()?;
        let is_disputed = !adopting.is_empty() && !releasing.is_empty();
        let meshes = adopting.union(&releasing).cloned().collect();
        is_disputed.then(|| Finding::PoliciesDisagree {
            pair,
            meshes,
            about: Disagreement::Adoption { peering: id.clone() },
        })
    });
    disputed.collect()
}

fn tags(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> Vec<Disagreement> {
    let policies = wanted.meshes.iter().filter_map(|mesh| context.desired.declared.get(mesh));
    let mut values: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (key, value) in policies.flat_map(|policy| &policy.tags) {
        values.entry(key).or_default().insert(value);
    }
    let applied = context.peering_tags(&wanted.pair, &wanted.meshes);
    let disputed = values.into_iter().filter(|(_, values)| values.len() > 1);
    disputed.map(|(key, _)| Disagreement::Tag { key: key.clone(), value: applied[key].clone() }).collect()
}

fn cidrs(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> Vec<Disagreement> {
    let of_mesh = |vpc, mesh: &MeshName| context.advertised_cidrs(vpc, &BTreeSet::from([mesh.clone()]));
    let disagreement = |vpc| {
        let accepted: BTreeSet<CidrSet> = wanted.meshes.iter().map(|mesh| of_mesh(vpc, mesh)).collect();
        let cidrs = context.advertised_cidrs(vpc, &wanted.meshes);
        (accepted.len() > 1).then(|| Disagreement::Cidrs { vpc: vpc.clone(), cidrs })
    };
    wanted.pair.ends().into_iter().filter_map(disagreement).collect()
}

fn dns(wanted: &WantedPair<'_>, context: &PlanContext<'_>) -> Vec<Disagreement> {
    let of_mesh = |mesh: &MeshName| context.resolves(&BTreeSet::from([mesh.clone()]));
    let options: BTreeSet<bool> = wanted.meshes.iter().filter_map(of_mesh).collect();
    if options.len() > 1 { vec![Disagreement::Dns] } else { Vec::new() }
}
