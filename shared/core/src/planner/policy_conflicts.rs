//! Where meshes that connect the same pair disagree, rules decide (see [`PlanContext::peering_tags`], [`PlanContext::advertised_cidrs`] and
//! [`PlanContext::resolves`]), and it is told.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::WantedPair;
use crate::cidr::CidrSet;
use crate::finding::{Disagreement, Finding};
use crate::ids::MeshName;

/// Reports tags and DNS on which the meshes of a link disagree, and blocks that one of them leaves out.
pub fn report(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for link in links.iter().filter(|link| link.meshes.len() > 1) {
        report_tags(link, context, draft);
        report_blocks(link, context, draft);
        report_dns(link, context, draft);
    }
}

fn report_tags(link: &WantedPair<'_>, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let mut said: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (key, value) in link.meshes.iter().filter_map(|mesh| context.desired.declared.get(mesh)).flat_map(|p| &p.tags) {
        said.entry(key).or_default().insert(value);
    }
    let agreed = context.peering_tags(&link.pair, &link.meshes);
    for (key, _) in said.into_iter().filter(|(_, values)| values.len() > 1) {
        add(link, Disagreement::Tag { key: key.clone(), value: agreed[key].clone() }, draft);
    }
}

fn report_blocks(link: &WantedPair<'_>, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for vpc in link.pair.ends() {
        let all = context.advertised_cidrs(vpc, &link.meshes);
        let by_one = |mesh: &MeshName| context.advertised_cidrs(vpc, &BTreeSet::from([mesh.clone()]));
        let offers: BTreeSet<CidrSet> = link.meshes.iter().map(by_one).collect();
        if offers.len() > 1 {
            add(link, Disagreement::Cidrs { vpc: vpc.clone(), cidrs: all }, draft);
        }
    }
}

fn report_dns(link: &WantedPair<'_>, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let by_one = |mesh: &MeshName| context.resolves(&BTreeSet::from([mesh.clone()]));
    let said: BTreeSet<bool> = link.meshes.iter().filter_map(by_one).collect();
    if said.len() > 1 {
        add(link, Disagreement::Dns, draft);
    }
}

fn add(link: &WantedPair<'_>, about: Disagreement, draft: &mut PlanBuilder) {
    let (pair, meshes) = (link.pair.clone(), link.meshes.clone());
    draft.report.add_finding(Finding::PoliciesDisagree { pair, meshes, about });
}
