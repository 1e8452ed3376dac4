//! Where meshes that connect the same pair disagree, rules decide (see [`View::peering_tags`], [`View::offered`] and
//! [`View::resolves`]), and it is told.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::linking::Link;
use super::view::View;
use crate::cidr::CidrSet;
use crate::finding::{Disagreement, Finding};
use crate::ids::MeshName;

/// Reports tags and DNS on which the meshes of a link disagree, and blocks that one of them leaves out.
pub fn report(links: &[Link<'_>], view: &View<'_>, draft: &mut Draft) {
    for link in links.iter().filter(|link| link.meshes.len() > 1) {
        report_tags(link, view, draft);
        report_blocks(link, view, draft);
        report_dns(link, view, draft);
    }
}

fn report_tags(link: &Link<'_>, view: &View<'_>, draft: &mut Draft) {
    let mut said: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (key, value) in link.meshes.iter().filter_map(|mesh| view.desired.declared.get(mesh)).flat_map(|p| &p.tags) {
        said.entry(key).or_default().insert(value);
    }
    let agreed = view.peering_tags(&link.pair, &link.meshes);
    for (key, _) in said.into_iter().filter(|(_, values)| values.len() > 1) {
        add(link, Disagreement::Tag { key: key.clone(), value: agreed[key].clone() }, draft);
    }
}

fn report_blocks(link: &Link<'_>, view: &View<'_>, draft: &mut Draft) {
    for vpc in link.pair.ends() {
        let all = view.offered(vpc, &link.meshes);
        let by_one = |mesh: &MeshName| view.offered(vpc, &BTreeSet::from([mesh.clone()]));
        let offers: BTreeSet<CidrSet> = link.meshes.iter().map(by_one).collect();
        if offers.len() > 1 {
            add(link, Disagreement::Cidrs { vpc: vpc.clone(), cidrs: all }, draft);
        }
    }
}

fn report_dns(link: &Link<'_>, view: &View<'_>, draft: &mut Draft) {
    let by_one = |mesh: &MeshName| view.resolves(&BTreeSet::from([mesh.clone()]));
    let said: BTreeSet<bool> = link.meshes.iter().filter_map(by_one).collect();
    if said.len() > 1 {
        add(link, Disagreement::Dns, draft);
    }
}

fn add(link: &Link<'_>, about: Disagreement, draft: &mut Draft) {
    let (pair, meshes) = (link.pair.clone(), link.meshes.clone());
    draft.report.add_finding(Finding::PoliciesDisagree { pair, meshes, about });
}
