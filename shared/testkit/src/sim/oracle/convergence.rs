//! The checks of convergence: the state that an idle deployment must have.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::cidr::IpNet;
use peerd_core::{MeshName, PeeringId, PeeringStatus, Quota, RouteTableId, RouteTarget, VpcRef};

use super::facts::Facts;
use super::model::{Peering, Table, share_addresses};
use super::{Oracle, Outages, contention, expected_state};

/// As many words of a tag as peerd reads.
const MAX_MESHES: usize = 8;

/// The differences from the converged state, and the VPCs that a quota or a foreign resource keeps from being
/// connected.
#[derive(Debug, Default)]
pub struct ConvergenceReport {
    /// Descriptions of the differences; empty if the meshes have converged.
    pub wrong: Vec<String>,
    /// VPCs that are not connected with every peer, for a reason that is not a defect of peerd.
    excused: BTreeSet<VpcRef>,
    /// Whether a quota prevents something, so that every sweep tries again.
    pub quota: bool,
}

impl ConvergenceReport {
    fn excuse(&mut self, a: &VpcRef, b: &VpcRef) {
        self.excused.extend([a.clone(), b.clone()]);
    }
}

impl Oracle {
    /// Checks everything that can be read.
    pub fn ending(&self, outages: &Outages) -> ConvergenceReport {
        let mut ending = ConvergenceReport::default();
        let vpcs: Vec<&VpcRef> = self.facts.existing().into_iter().filter(|vpc| !outages.hides(vpc)).collect();
        for (n, a) in vpcs.iter().enumerate() {
            for b in &vpcs[n + 1..] {
                self.check_pair(a, b, outages, &mut ending);
            }
        }
        for (id, table) in self.facts.tables.iter().filter(|(_, table)| !outages.hides(&table.vpc)) {
            self.check_leftovers(id, table, outages, &mut ending);
        }
        for (id, group) in self.facts.groups.iter().filter(|(_, group)| !outages.hides(&group.vpc)) {
            self.check_group(id, group, outages, &mut ending);
        }
        if !outages.is_any() {
            for vpc in vpcs {
                self.check_status(vpc, &mut ending);
            }
        }
        ending
    }

    fn check_pair(&self, a: &VpcRef, b: &VpcRef, outages: &Outages, ending: &mut ConvergenceReport) {
        let meshes = self.facts.connecting(a, b);
        for (id, peering) in self.facts.peerings_of(a, b).filter(|(_, p)| p.is_live() && p.is_managed()) {
            if self.facts.is_released(id) && !outages.is_any() {
                ending.wrong.push(format!("{id} is not released: {:?}", peering.tags.keys()));
            }
        }
        let live: Vec<_> = self.facts.peerings_of(a, b).filter(|(_, peering)| peering.is_live()).collect();
        let (managed, foreign): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(id, peering)| self.facts.is_ours(id, peering));
        if meshes.is_empty() || Facts::overlap(self.facts.end(a), self.facts.end(b)) {
            let left = managed.iter().map(|(id, _)| format!("{id} of {a} - {b} is not deleted"));
            ending.wrong.extend(left);
            if !meshes.is_empty() {
                ending.excuse(a, b);
            }
            return;
        }
        match managed[..] {
            [(id, peering)] if *peering.status.now() == PeeringStatus::Active => {
                self.check_tags(id, peering, &meshes, ending);
                self.check_names(id, peering, &meshes, ending);
                self.check_routes(id, a, b, outages, ending);
                self.check_routes(id, b, a, outages, ending);
            }
            _ if !foreign.is_empty() && managed.is_empty() => {
                let policies = self.facts.policies.now();
                let adopted = |mesh: &String, id| policies[mesh].adopt.contains(id);
                for (id, peering) in foreign {
                    let active = *peering.status.now() == PeeringStatus::Active;
                    let asked = meshes.iter().any(|mesh| adopted(mesh, id)) && !self.facts.is_released(id);
                    if active && asked && !outages.is_any() {
                        ending.wrong.push(format!("{id} is not adopted"));
                    }
                }
                ending.excuse(a, b);
            }
            _ if self.is_full(a) || self.is_full(b) || self.waits_in_line(a.min(b)) => {
                ending.quota = true;
                ending.excuse(a, b);
            }
            _ if self.creations.rests(&contention::peering_of(a, b)) => ending.excuse(a, b),
            _ => ending.wrong.push(format!("{a} - {b} has {} managed peerings instead of one active", managed.len())),
        }
    }

    /// Whether a VPC has reached its quota of peerings, including the pairs that wait for pending requests and keep
    /// their slots.
    fn is_full(&self, vpc: &VpcRef) -> bool {
        let theirs = |peering: &&Peering| peering.is_live() && peering.peer_of(vpc).is_some();
        let waits = |peer: &&&VpcRef| {
            let (wanted, peer) = (!self.facts.connecting(vpc, peer).is_empty(), **peer);
            wanted
                && peer != vpc
                && self.waits_in_line(vpc.min(peer))
                && !self.facts.peerings_of(vpc, peer).any(|(_, peering)| peering.is_live())
        };
        let waiting = self.facts.existing().iter().filter(waits).count();
        self.facts.peerings.values().filter(theirs).count() + waiting >= self.quotas.value(Quota::Peerings)
    }

    /// Whether the scope of a requester has reached its quota of pending requests.
    fn waits_in_line(&self, requester: &VpcRef) -> bool {
        use PeeringStatus::{InitiatingRequest, PendingAcceptance};
        let pending = |peering: &&Peering| {
            matches!(peering.status.now(), InitiatingRequest | PendingAcceptance)
                && peering.requester.scope == requester.scope
        };
        self.facts.peerings.values().filter(pending).count() >= self.quotas.value(Quota::Requests)
    }

    fn check_tags(&self, id: &PeeringId, peering: &Peering, meshes: &BTreeSet<String>, ending: &mut ConvergenceReport) {
        let wanted = meshes.iter().cloned().collect::<Vec<_>>().join("+");
        let policies = self.facts.policies.now();
        let team = meshes.iter().find_map(|mesh| policies[mesh].tags.get("team")).map(String::as_str);
        for scope in BTreeSet::from([&peering.requester.scope, &peering.accepter.scope]) {
            let tags = peering.tags.get(scope).map(|tags| tags.now());
            let tag = |key| tags.and_then(|tags| tags.get(key)).map(String::as_str);
            let is_sealed = tag("peerd:seal").is_some_and(|seal| self.facts.seals[&peering.pair()].contains(seal));
            let marked =
                (tag("peerd:managed-by"), tag("peerd:env"), is_sealed) == (Some("peerd"), Some(&*wanted), true);
            if !marked || tag("Name").is_none() || (team.is_some() && tag("team") != team) {
                ending.wrong.push(format!("{id} is not tagged for {wanted} in {scope}: {tags:?}"));
            }
        }
    }

    fn check_names(
        &self,
        id: &PeeringId,
        peering: &Peering,
        meshes: &BTreeSet<String>,
        ending: &mut ConvergenceReport,
    ) {
        let ends = [&peering.requester, &peering.accepter];
        let Some(on) = expected_state::resolves(self.facts.policies.now(), meshes) else { return };
        if on && !ends.iter().all(|vpc| self.facts.has_names(vpc)) {
            return;
        }
        for vpc in ends.into_iter().filter(|vpc| peering.dns.get(*vpc).copied().unwrap_or_default() != on) {
            ending.wrong.push(format!("{id}: the DNS option of {vpc} is not {}", if on { "on" } else { "off" }));
        }
    }

    fn check_routes(
        &self,
        id: &PeeringId,
        from: &VpcRef,
        to: &VpcRef,
        outages: &Outages,
        ending: &mut ConvergenceReport,
    ) {
        let (policies, meshes) = (self.facts.policies.now(), self.facts.connecting(from, to));
        let cidrs = expected_state::advertised(policies, &meshes, self.facts.end(to));
        let takes = |table: &Table| expected_state::takes(policies, &meshes, table, table.tags.now());
        let tables = self.facts.tables.iter().filter(|(_, table)| table.vpc == *from && takes(table));
        for (name, table) in tables {
            for cidr in &cidrs {
                match table.routes.get(cidr).map(|route| &route.target) {
                    Some(RouteTarget::Peering(target))
                        if target == id && !outages.is_any() && self.has_rival(table, cidr, to) =>
                    {
                        ending.wrong.push(format!("{name} routes addresses of {cidr} to two peers"));
                    }
                    Some(RouteTarget::Peering(target)) if target == id => {}
                    Some(target) if self.is_foreign(target) => ending.excuse(from, to),
                    _ if self.has_rival(table, cidr, to) => ending.excuse(from, to),
                    _ if self.creations.rests(&contention::route(name, cidr)) => ending.excuse(from, to),
                    None if table.taken_since(cidr).is_some() => ending.excuse(from, to),
                    None if self.has_hindered_rival(table, cidr, to) => ending.excuse(from, to),
                    None if self.has_no_room(table, cidr) => {
                        ending.quota = true;
                        ending.excuse(from, to);
                    }
                    found => ending.wrong.push(format!("{name} routes {cidr} of {to} to {found:?} instead of {id}")),
                }
            }
        }
    }

    fn is_foreign(&self, target: &RouteTarget) -> bool {
        match target {
            RouteTarget::Peering(id) => {
                self.facts.peerings.get(id).is_none_or(|peering| !self.facts.is_ours(id, peering))
            }
            RouteTarget::Local | RouteTarget::Other(_) => true,
        }
    }

    /// Whether the table routes addresses of this CIDR block to another member already.
    pub(super) fn has_rival(&self, table: &Table, cidr: &IpNet, to: &VpcRef) -> bool {
        table.routes.iter().any(|(other, route)| {
            let RouteTarget::Peering(id) = &route.target else { return false };
            let managed = self.facts.peerings.get(id).filter(|peering| self.facts.is_ours(id, peering));
            let peer = managed.and_then(|peering| peering.peer_of(&table.vpc));
            share_addresses(other, cidr) && peer.is_some_and(|peer| peer != to)
        })
    }

    /// Whether another member advertises these addresses, and a foreign route is in the way of its route.
    fn has_hindered_rival(&self, table: &Table, cidr: &IpNet, to: &VpcRef) -> bool {
        self.facts.existing().into_iter().filter(|rival| *rival != to).any(|rival| {
            let meshes = self.facts.connecting(&table.vpc, rival);
            let cidrs = expected_state::advertised(self.facts.policies.now(), &meshes, self.facts.end(rival));
            cidrs.iter().any(|claim| {
                let target = table.routes.get(claim).map(|route| &route.target);
                let elsewhere = || table.taken_since(claim).is_some() && target.is_none();
                share_addresses(claim, cidr) && (target.is_some_and(|target| self.is_foreign(target)) || elsewhere())
            })
        })
    }

    fn has_no_room(&self, table: &Table, cidr: &IpNet) -> bool {
        let family = |other: &&IpNet| other.addr().is_ipv4() == cidr.addr().is_ipv4();
        table.routes.keys().filter(family).count() >= self.quotas.value(Quota::Routes)
    }

    /// Checks for routes over managed peerings that no mesh wants.
    fn check_leftovers(&self, name: &RouteTableId, table: &Table, outages: &Outages, ending: &mut ConvergenceReport) {
        for (cidr, route) in &table.routes {
            let RouteTarget::Peering(id) = &route.target else { continue };
            let Some(peering) = self.facts.peerings.get(id).filter(|peering| self.facts.is_ours(id, peering)) else {
                continue;
            };
            let Some(peer) = peering.peer_of(&table.vpc) else { continue };
            if outages.hides(peer) || self.facts.given_up.contains(id) {
                continue;
            }
            let (policies, meshes) = (self.facts.policies.now(), self.facts.connecting(&table.vpc, peer));
            let (wanted, tags) = (!meshes.is_empty(), table.tags.now());
            if wanted && expected_state::is_ignored_table(tags) {
                continue;
            }
            let brought = expected_state::advertised(policies, &meshes, self.facts.end(peer));
            let may_stay = || {
                let retained = expected_state::retained(policies, &meshes, self.facts.end(peer));
                expected_state::has_invalid_part(self.facts.end(peer)) && expected_state::is_covered(cidr, &retained)
            };
            let is_its = brought.contains(cidr) || may_stay();
            let of_peer = is_its && expected_state::takes(policies, &meshes, table, tags);
            let leads = *peering.status.now() == PeeringStatus::Active;
            let in_place = |piece: &IpNet| share_addresses(piece, cidr) && !table.routes.contains_key(piece);
            if wanted && leads && brought.iter().any(|piece| in_place(piece) && table.taken_since(piece).is_some()) {
                ending.excuse(&table.vpc, peer);
                continue;
            }
            if wanted && leads && brought.iter().any(in_place) && self.has_no_room(table, cidr) {
                ending.quota = true; // no capacity for the routes that are to replace it
                ending.excuse(&table.vpc, peer);
                continue;
            }
            if !(wanted && of_peer && leads) {
                let state = peering.status.now();
                ending
                    .wrong
                    .push(format!("{name} still routes {cidr} to {id}, {state}, wanted: {wanted}, its: {of_peer}"));
            }
        }
    }

    fn check_status(&self, vpc: &VpcRef, ending: &mut ConvergenceReport) {
        let Some(seen) = self.facts.vpc(vpc) else { return };
        let policies = self.facts.policies.now();
        let is_flooded = seen.requested_meshes().len() > MAX_MESHES;
        if is_flooded || expected_state::has_other_entries(policies, self.facts.end(vpc)) {
            return; // the tests of the planner check what a status reports about tags and CIDR blocks
        }
        let sentences: BTreeMap<String, String> = seen
            .requested_meshes()
            .into_iter()
            .map(|mesh| {
                let sentence = match mesh.parse::<MeshName>() {
                    Err(_) => format!("refused {mesh}: not a mesh name"),
                    Ok(_) => match expected_state::refusal(policies, &mesh, vpc) {
                        None => format!("joined {mesh}"),
                        Some(why) => format!("refused {mesh}: {why}"),
                    },
                };
                (mesh, sentence)
            })
            .collect();
        let line = sentences.into_values().collect::<Vec<_>>().join(". ");
        let wanted = (!line.is_empty()).then_some(line);
        if seen.status() != wanted.as_ref() && !ending.excused.contains(vpc) {
            ending.wrong.push(format!("{vpc} has the status {:?} instead of {wanted:?}", seen.status()));
        }
    }

    /// Checks that the index has all requested memberships of declared meshes, and if `exactly`, no others. Those of a
    /// mesh that was declared once may stay.
    pub fn index(&self, index: &BTreeMap<MeshName, BTreeSet<VpcRef>>, exactly: bool) -> Vec<String> {
        let mut asked: BTreeMap<String, BTreeSet<VpcRef>> = BTreeMap::new();
        for vpc in self.facts.existing() {
            let meshes = self.facts.vpc(vpc).map(|vpc| vpc.requested_meshes()).unwrap_or_default();
            for mesh in meshes.into_iter().filter(|mesh| mesh.parse::<MeshName>().is_ok()) {
                asked.entry(mesh).or_default().insert(vpc.clone());
            }
        }
        let mut index: BTreeMap<String, BTreeSet<VpcRef>> =
            index.iter().map(|(mesh, vpcs)| (mesh.to_string(), vpcs.clone())).collect();
        let policies = self.facts.policies.now();
        for (mesh, vpcs) in &mut index {
            let is_asked = |vpc: &VpcRef| asked.get(mesh).is_some_and(|asked| asked.contains(vpc));
            let is_declared = policies.contains_key(mesh);
            vpcs.retain(|vpc| if is_declared { exactly || is_asked(vpc) } else { exactly && !is_asked(vpc) });
        }
        index.retain(|_, vpcs| !vpcs.is_empty());
        asked.retain(|mesh, _| policies.contains_key(mesh));
        if index == asked { Vec::new() } else { vec![format!("the index has {index:?} instead of {asked:?}")] }
    }
}
