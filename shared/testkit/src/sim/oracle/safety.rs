//! The safety checks: changes that peerd must never make. docs/semantics.md lists the promises.

use peerd_core::cidr::IpNet;
use peerd_core::policy::Mode;
use peerd_core::{PeeringId, PeeringStatus, RouteTableId, RouteTarget, Tags, VpcRef};

use super::Oracle;
use super::expected_state::{self, End, Policies};
use super::facts::Facts;
use super::model;
use super::violation::{ReadAge, Violation, violation};
use crate::change_log::{Change, Entry};

/// The deletes of one mesh that the default policy allows one run without confirmation: a number, or a share in
/// percent.
const DELETES: (usize, usize) = (10, 30);

impl Oracle {
    /// Checks a change of a worker that started at `since`.
    pub(super) fn judge(&mut self, entry: &Entry, worker: u32, since: u64) -> Result<(), Violation> {
        let from = since.saturating_sub(self.staleness);
        let known = if since <= self.blind_until { 0 } else { from };
        self.judge_pause(&entry.change, known)?;
        match &entry.change {
            Change::Peering { requester, accepter, .. } => self.judge_request(requester, accepter, from),
            Change::Status { id, status: PeeringStatus::Deleting | PeeringStatus::Deleted } => {
                self.judge_delete(id, from)?;
                self.judge_mass_delete(id, worker, entry.at, since, from)
            }
            Change::Status { id, .. } => self.judge_accept(id, from),
            Change::Tags { id, .. } => self.judge_tags(id, entry.at, from),
            Change::Route { table, cidr, was, now } => {
                if let Some(was) = was {
                    let raced = from.max(entry.at.saturating_sub(self.staleness + self.flight));
                    self.judge_taking(table, cidr, was, now.is_none(), from, raced)?;
                } else if self.facts.tables[table].taken_since(cidr).is_some_and(|since| since < from) {
                    return violation("peerd never takes a route from a foreign target", entry.change.to_string());
                }
                now.as_ref().map_or(Ok(()), |target| self.judge_routing(table, cidr, target, from, known))
            }
            Change::Rule { group, rule, was, now } => {
                self.judge_rule(group, rule, was.as_ref(), now.as_ref(), ReadAge { worker, from, known })
            }
            Change::Option { id, on, .. } => self.judge_option(id, *on, from),
            Change::Vpc { vpc, tags, .. } => self.judge_status(vpc, tags),
            Change::VpcGone { .. }
            | Change::Table { .. }
            | Change::TableTags { .. }
            | Change::TableGone { .. }
            | Change::List { .. }
            | Change::Propagated { .. }
            | Change::Group { .. }
            | Change::GroupGone { .. }
            | Change::Dns { .. } => violation("peerd changes only what it owns", entry.change.to_string()),
        }
    }

    /// Returns the VPCs whose connection a change affects.
    fn pair_of<'a>(&'a self, change: &'a Change) -> Option<(&'a VpcRef, &'a VpcRef)> {
        let id = match change {
            Change::Peering { requester, accepter, .. } => return Some((requester, accepter)),
            Change::Status { id, .. } | Change::Tags { id, .. } | Change::Option { id, .. } => id,
            Change::Route { now: Some(RouteTarget::Peering(id)), .. }
            | Change::Route { was: Some(RouteTarget::Peering(id)), .. } => id,
            _ => return None,
        };
        self.facts.peerings.get(id).map(|peering| (&peering.requester, &peering.accepter))
    }

    fn judge_pause(&self, change: &Change, known: u64) -> Result<(), Violation> {
        let Some((a, b)) = self.pair_of(change) else { return Ok(()) };
        if self.facts.sometime(a, b, known, |policies, a, b| !expected_state::paused(policies, a, b)) {
            return Ok(());
        }
        violation("peerd changes nothing of a paused mesh", change.to_string())
    }

    fn judge_request(&self, a: &VpcRef, b: &VpcRef, from: u64) -> Result<(), Violation> {
        if !self.wanted_sometime(a, b, from) {
            return violation("peerd requests only peerings that a mesh needs", format!("requested {a} - {b}"));
        }
        let mut standing = self.facts.peerings_of(a, b).filter(|(_, peering)| peering.is_live());
        if let Some((id, _)) = standing.find(|(_, peering)| peering.made_by_peerd || peering.made_at < from) {
            return violation("a pair has at most one live owned peering", format!("{a} - {b} had {id} already"));
        }
        Ok(())
    }

    fn judge_accept(&self, id: &PeeringId, from: u64) -> Result<(), Violation> {
        let peering = &self.facts.peerings[id];
        let managed = peering.managed.since(from).any(|managed| *managed);
        if managed && self.wanted_sometime(&peering.requester, &peering.accepter, from) {
            return Ok(());
        }
        violation("peerd accepts only wanted, owned requests", format!("accepted {id}"))
    }

    fn judge_delete(&self, id: &PeeringId, from: u64) -> Result<(), Violation> {
        let peering = &self.facts.peerings[id];
        if !peering.managed.since(from).any(|managed| *managed) {
            return violation("peerd changes only what it owns", format!("deleted {id}"));
        }
        if !self.may_go(id, peering, from) {
            return violation("peerd never interrupts traffic between two members", format!("deleted {id}"));
        }
        let counts = |vpc: &VpcRef| !self.facts.was_gone(vpc, from) && !self.facts.was_excluded(vpc, peering, from);
        for (table, facts) in self.facts.tables.iter().filter(|(_, table)| counts(&table.vpc)) {
            let target = RouteTarget::Peering(id.clone());
            if let Some((cidr, _)) = facts.routes.iter().find(|(_, r)| r.target == target && r.since < from) {
                let by = format!("deleted {id} while {table} still routed {cidr} to it");
                return violation("peerd deletes a route before its peering", by);
            }
        }
        Ok(())
    }

    fn judge_mass_delete(
        &mut self,
        id: &PeeringId,
        worker: u32,
        at: u64,
        since: u64,
        from: u64,
    ) -> Result<(), Violation> {
        let (a, b) = (&self.facts.peerings[id].requester, &self.facts.peerings[id].accepter);
        if self.facts.were_connected(a, b, since) {
            return Ok(()); // a worker can reconcile several meshes, and read one later than another
        }
        for mesh in self.facts.peerings[id].meshes() {
            self.deletes.push((at, mesh.clone()));
            let of_mesh = |peering: &&model::Peering| {
                peering.is_live() && peering.is_managed() && peering.meshes().contains(&mesh)
            };
            let live = self.facts.peerings.values().filter(of_mesh).count();
            let deleted = self.deletes.iter().filter(|(at, of)| *at >= from && *of == mesh).count();
            let count = self.deleted.entry((worker, mesh.clone())).or_default();
            *count += 1;
            let draining =
                |policies: &Policies| policies.get(&mesh).is_some_and(|policy| policy.mode == Mode::Draining);
            if self.facts.policies.since(from).any(draining) {
                continue;
            }
            if !self.confirmed && *count > DELETES.0 && *count * 100 > (live + deleted - 1) * DELETES.1 {
                let by = format!("one worker deleted {count} peerings of {mesh}");
                return violation("peerd blocks mass deletes until an operator confirms", by);
            }
        }
        Ok(())
    }

    fn judge_tags(&self, id: &PeeringId, at: u64, from: u64) -> Result<(), Violation> {
        let peering = &self.facts.peerings[id];
        let just_made = peering.made_at == at || peering.made_at >= from;
        let adopts = |policies: &Policies| policies.values().any(|policy| policy.adopt.contains(id));
        let adopted = peering.was_active() && self.facts.policies.since(from).any(adopts);
        if just_made || adopted || peering.managed.since(from).any(|managed| *managed) {
            return Ok(());
        }
        violation("peerd changes only what it owns", format!("tagged {id}"))
    }

    fn judge_option(&self, id: &PeeringId, on: bool, from: u64) -> Result<(), Violation> {
        let peering = &self.facts.peerings[id];
        let (a, b) = (&peering.requester, &peering.accepter);
        if !peering.managed.since(from).any(|managed| *managed) {
            return violation("peerd changes only what it owns", format!("changed the DNS option of {id}"));
        }
        let said = |policies: &Policies, a: End<'_>, b: End<'_>| {
            expected_state::resolves(policies, &expected_state::connecting(policies, a, b)) == Some(on)
        };
        let can = !on || [a, b].iter().all(|vpc| self.facts.had_names(vpc, from));
        if !can || !self.facts.sometime(a, b, from, said) {
            let promise = "DNS names resolve across a peering as its meshes declare, and only if both VPCs support it";
            return violation(promise, format!("switched the DNS option of {id} {}", if on { "on" } else { "off" }));
        }
        Ok(())
    }

    fn judge_routing(
        &self,
        id: &RouteTableId,
        cidr: &IpNet,
        target: &RouteTarget,
        from: u64,
        known: u64,
    ) -> Result<(), Violation> {
        let routed = || format!("{id} routes {cidr} to {target}");
        let RouteTarget::Peering(peering) = target else { return violation("peerd routes to peerings only", routed()) };
        let (peering, table) = (&self.facts.peerings[peering], &self.facts.tables[id]);
        if !peering.status.since(from).any(|status| *status == PeeringStatus::Active) {
            return violation("peerd adds a route only when its peering is active", routed());
        }
        if !peering.managed.since(from).any(|managed| *managed) {
            return violation("peerd does not use a foreign peering", routed());
        }
        let Some(peer) = peering.peer_of(&table.vpc) else {
            return violation("a route points to a peering of its VPC", routed());
        };
        let offered = |policies: &Policies, vpc: End<'_>, peer: End<'_>| {
            let meshes = expected_state::connecting(policies, vpc, peer);
            let taken = |tags: &Tags| expected_state::takes(policies, &meshes, table, tags);
            expected_state::advertised(policies, &meshes, peer).contains(cidr) && table.tags.since(from).any(taken)
        };
        if !self.facts.sometime(&table.vpc, peer, known, offered) {
            return violation("peerd routes only CIDR blocks of members, in managed tables", routed());
        }
        Ok(())
    }

    fn judge_taking(
        &self,
        id: &RouteTableId,
        cidr: &IpNet,
        was: &RouteTarget,
        removed: bool,
        from: u64,
        raced: u64,
    ) -> Result<(), Violation> {
        let route = &self.facts.tables[id].routes[cidr];
        if route.since >= raced {
            return Ok(()); // it was created between the worker's last read and its call; EC2 has no compare-and-set
        }
        let took = || format!("{id} routed {cidr} to {was}");
        let RouteTarget::Peering(peering_id) = was else {
            return violation("peerd never takes a route from a foreign target", took());
        };
        let peering = &self.facts.peerings[peering_id];
        if !peering.managed.since(from).any(|managed| *managed) {
            return violation("peerd never takes a route from a foreign target", took());
        }
        let table = &self.facts.tables[id];
        let vpc = &table.vpc;
        let deleted = table.deleted_routes.iter().filter(|route| route.until >= from).map(|route| &route.cidr);
        let others: Vec<IpNet> = table.routes.keys().chain(deleted).filter(|other| *other != cidr).copied().collect();
        // All addresses that the peer advertised keep a route, or the table is not managed.
        let serves = |policies: &Policies, vpc: End<'_>, peer: End<'_>| {
            let meshes = expected_state::connecting(policies, vpc, peer);
            let refuses = |tags: &Tags| {
                !expected_state::is_ignored_table(tags) && !expected_state::takes(policies, &meshes, table, tags)
            };
            let claims = expected_state::claims_on(cidr, policies, &meshes, peer);
            let mut unrouted = claims.into_iter().filter_map(|piece| {
                let shared = model::share_addresses(&piece, cidr);
                shared.then(|| if piece.contains(cidr) { *cidr } else { piece })
            });
            table.tags.since(from).any(refuses) || unrouted.all(|piece| expected_state::is_covered(&piece, &others))
        };
        let given_up = peering.peer_of(vpc).is_some_and(|peer| self.facts.sometime(vpc, peer, from, serves));
        let dead = peering.status.since(from).any(|status| *status != PeeringStatus::Active);
        let peer = peering.peer_of(vpc);
        let ambiguous = peer.is_some_and(|peer| self.has_rival(&self.facts.tables[id], cidr, peer));
        if !dead
            && table.tags.since(from).all(expected_state::is_ignored_table)
            && !self.may_go(peering_id, peering, from)
        {
            return violation("peerd does not change an ignored table", took());
        }
        if removed && !given_up && !dead && !ambiguous && !self.may_go(peering_id, peering, from) {
            return violation("peerd never interrupts traffic between two members", took());
        }
        Ok(())
    }

    fn judge_status(&self, vpc: &VpcRef, tags: &Tags) -> Result<(), Violation> {
        let others = |tags: &Tags| {
            let others = tags.iter().filter(|(key, _)| *key != "peerd:status");
            others.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        match self.facts.vpc(vpc) {
            Some(before) if others(&before.tags) == others(tags) => Ok(()),
            _ => violation("peerd changes only what it owns", format!("changed the tags of {vpc}")),
        }
    }

    fn wanted_sometime(&self, a: &VpcRef, b: &VpcRef, from: u64) -> bool {
        self.facts.sometime(a, b, from, |policies, a, b| !expected_state::connecting(policies, a, b).is_empty())
    }

    /// Whether there was a reason to delete a peering while it existed: no mesh wanted it, its VPCs overlapped, or it
    /// had a duplicate. Membership is read after the peerings, so an earlier state than the peering is no reason.
    fn may_go(&self, id: &PeeringId, peering: &model::Peering, from: u64) -> bool {
        let (a, b) = (&peering.requester, &peering.accepter);
        let from = from.max(peering.made_at.saturating_sub(self.staleness));
        let reason = |policies: &Policies, a: End<'_>, b: End<'_>| {
            expected_state::connecting(policies, a, b).is_empty() || Facts::overlap(a, b)
        };
        let twin = |(other, twin): (&PeeringId, &model::Peering)| {
            let of_use = twin.managed.since(from).any(|managed| *managed) || !peering.was_active();
            other != id && of_use && twin.status.since(from).any(model::is_live)
        };
        self.facts.sometime(a, b, from, reason) || self.facts.peerings_of(a, b).any(twin)
    }
}
