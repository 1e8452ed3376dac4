//! The VPCs of the demo with what connects them, from the changes in the simulated AWS.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::cidr::{CidrSet, IpNet};
use peerd_core::{PeeringId, PeeringStatus, RouteTableId, Tags, VpcRef, tags};
use peerd_testkit::change_log::Change;

use crate::table::table;

/// The characters of a status that are shown in a line, and in the table.
const IN_LINE: usize = 44;
const IN_TABLE: usize = 22;

/// The state of the simulated AWS, as far as the demo shows it.
#[derive(Default)]
pub struct Scene {
    vpcs: BTreeMap<VpcRef, (CidrSet, Tags)>,
    /// The live peerings with their VPCs.
    peerings: BTreeMap<PeeringId, [VpcRef; 2]>,
    /// The routes over peerings.
    routes: BTreeSet<(RouteTableId, IpNet)>,
}

impl Scene {
    /// The line of a change, if it is worth one; called before the change is applied.
    pub fn line(&self, change: &Change) -> Option<String> {
        Some(match change {
            Change::Vpc { vpc, cidrs, tags } => self.line_of_vpc(vpc, cidrs, tags)?,
            Change::Peering { id, requester, accepter } => {
                format!("+ peering {id} {} - {}", name(requester.id.as_str()), name(accepter.id.as_str()))
            }
            Change::Status { id, status: PeeringStatus::Active } => format!("* peering {id} is active"),
            Change::Status { id, status } if !status.is_live() && self.peerings.contains_key(id) => {
                format!("- peering {id} {}", self.ends(id)?)
            }
            Change::Route { table, cidr, was, now } => {
                let of = name(table.as_str());
                match (was, now) {
                    (None, Some(now)) => format!("+ route {of} {cidr} -> {now}"),
                    (Some(was), None) => format!("- route {of} {cidr} -> {was}"),
                    (Some(was), Some(now)) => format!("* route {of} {cidr} {was} -> {now}"),
                    (None, None) => return None,
                }
            }
            _ => return None,
        })
    }

    fn line_of_vpc(&self, vpc: &VpcRef, cidrs: &CidrSet, tags: &Tags) -> Option<String> {
        let before = self.vpcs.get(vpc);
        let of = |tags: &Tags, key: &str| tags.get(key).cloned();
        let (id, text) = (name(vpc.id.as_str()), |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned()));
        let Some((_, old)) = before else {
            let blocks: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
            return Some(format!("+ vpc {id} {} with peerd:env={}", blocks.join(" "), text(of(tags, tags::ENV))));
        };
        if of(old, tags::ENV) != of(tags, tags::ENV) {
            return Some(format!("* vpc {id} no longer has peerd:env={}", text(of(old, tags::ENV))));
        }
        // While peerd works on a VPC, its status changes often; the table shows it.
        let status = of(tags, tags::STATUS).filter(|status| !status.starts_with("waiting"));
        let is_new = of(old, tags::STATUS) != of(tags, tags::STATUS);
        match status {
            Some(status) => is_new.then(|| format!("* vpc {id} status {}", short(&status, IN_LINE))),
            None => (is_new && !tags.contains_key(tags::STATUS)).then(|| format!("- vpc {id} status")),
        }
    }

    fn ends(&self, id: &PeeringId) -> Option<String> {
        let [one, other] = self.peerings.get(id)?;
        Some(format!("{} - {}", name(one.id.as_str()), name(other.id.as_str())))
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Vpc { vpc, cidrs, tags } => drop(self.vpcs.insert(vpc.clone(), (cidrs.clone(), tags.clone()))),
            Change::Peering { id, requester, accepter } => {
                self.peerings.insert(id.clone(), [requester.clone(), accepter.clone()]);
            }
            Change::Status { id, status } if !status.is_live() => drop(self.peerings.remove(id)),
            Change::Route { table, cidr, was: _, now: Some(_) } => drop(self.routes.insert((table.clone(), *cidr))),
            Change::Route { table, cidr, was: _, now: None } => drop(self.routes.remove(&(table.clone(), *cidr))),
            _ => {}
        }
    }

    /// The VPCs as a table.
    pub fn table(&self) -> String {
        let rows = self.vpcs.iter().map(|(vpc, (cidrs, tags))| {
            let id = name(vpc.id.as_str());
            let peerings = self.peerings.values().filter(|ends| ends.contains(vpc)).count();
            let routes = self.routes.iter().filter(|(table, _)| name(table.as_str()) == id).count();
            let blocks: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
            let status = tags.get(tags::STATUS).map_or_else(|| "-".to_owned(), |status| short(status, IN_TABLE));
            [id.to_owned(), vpc.scope.to_string(), blocks.join(" "), peerings.to_string(), routes.to_string(), status]
        });
        table(["VPC", "ACCOUNT AND REGION", "CIDR BLOCKS", "PEERINGS", "ROUTES", "PEERD:STATUS"], rows)
    }
}

/// The name of a VPC or route table of the test kit, which is the end of its id.
fn name(id: &str) -> &str {
    id.split_once('-').map_or(id, |(_, name)| name)
}

fn short(status: &str, most: usize) -> String {
    match status.char_indices().nth(most) {
        None => status.to_owned(),
        Some(_) => status.chars().take(most - 1).chain(['…']).collect(),
    }
}
