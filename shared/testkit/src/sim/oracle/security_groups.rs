//! The checks of security groups: which rules peerd may create and delete, and which must exist.

use std::cell::RefCell;
use std::collections::BTreeSet;

use peerd_core::cidr::IpNet;
use peerd_core::{
    PeeringStatus, Permission, Quota, RouteTarget, SecurityGroupId, SecurityGroupRuleId, Tags, Traffic, VpcRef,
};

use super::contention;
use super::convergence::ConvergenceReport;
use super::expected_state::{self, End, Policies};
use super::facts::Facts;
use super::model::{Group, Table, has_ownership_tag, share_addresses, words};
use super::violation::{ReadAge, Violation, violation};
use super::{Oracle, Outages};
use crate::aws::GroupRule;
use crate::change_log::Actor;

const MARK: &str = "peerd:env/";

/// Returns the meshes of a rule, by its tags.
fn meshes_of(tags: &Tags) -> BTreeSet<&str> {
    tags.keys().filter_map(|key| key.strip_prefix(MARK)).collect()
}

fn allowed(tags: &Tags) -> BTreeSet<&str> {
    words(tags, "peerd:allow").collect()
}

/// Returns the traffic that the tags request and the policy of a mesh admits. In scenarios, two ranges are the same or have no
/// port in common.
fn traffic(policies: &Policies, mesh: &str, tags: &Tags) -> BTreeSet<Traffic> {
    let groups = policies.get(mesh).and_then(|policy| policy.security_groups.as_ref());
    let admitted = groups.map(|groups| groups.ports.clone()).unwrap_or_default();
    match tags.get("peerd:ports") {
        None => admitted,
        Some(words) => &requested(words) & &admitted,
    }
}

fn requested(value: &str) -> BTreeSet<Traffic> {
    let read = |word| match word {
        "icmp" => Some(Traffic::Icmp),
        "tcp/443" => Some(Traffic::Tcp(443, 443)),
        "tcp/8000-8100" => Some(Traffic::Tcp(8000, 8100)),
        "udp/53" => Some(Traffic::Udp(53, 53)),
        _ => None,
    };
    value.split_whitespace().filter_map(read).collect()
}

impl Oracle {
    /// Checks a change of a rule by peerd.
    pub(super) fn judge_rule(
        &self,
        id: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
        was: Option<&GroupRule>,
        now: Option<&GroupRule>,
        age: ReadAge,
    ) -> Result<(), Violation> {
        let ReadAge { worker: _, from, known } = age;
        let change = || format!("{id} {rule}: {was:?} became {now:?}");
        if was.is_some_and(|was| !self.facts.is_sealed(id, was)) {
            return violation("peerd changes only what it owns", change());
        }
        let marks = |rule: Option<&GroupRule>| -> BTreeSet<String> {
            rule.into_iter().flat_map(|rule| meshes_of(&rule.tags)).map(str::to_owned).collect()
        };
        let changed = &marks(was) ^ &marks(now);
        if changed
            .iter()
            .any(|mesh| self.facts.policies.since(known).all(|policies| expected_state::is_paused(policies, mesh)))
        {
            return violation("peerd changes nothing of a paused mesh", change());
        }
        let group = &self.facts.groups[id];
        match (was, now) {
            (None, Some(made)) if !marks(now).iter().all(|mesh| self.was_wanted(group, made, mesh, from, known)) => {
                violation("a security group gets rules only for members of meshes that it allows", change())
            }
            (Some(deleted), None) if marks(was).iter().any(|mesh| self.shuts_out(group, rule, deleted, mesh, age)) => {
                violation("peerd never interrupts traffic between two members", change())
            }
            _ => Ok(()),
        }
    }

    fn was_wanted(&self, group: &Group, made: &GroupRule, mesh: &str, from: u64, known: u64) -> bool {
        let what = &made.permission.traffic;
        let asked = |tags: &Tags| {
            let admits = |policies: &Policies| traffic(policies, mesh, tags).contains(what);
            allowed(tags).contains(mesh) && self.facts.policies.since(known).any(admits)
        };
        let only = BTreeSet::from([mesh.to_owned()]);
        let brought = RefCell::new(Vec::new());
        let gather = |policies: &Policies, vpc: End<'_>, peer: End<'_>| {
            if expected_state::connecting(policies, vpc, peer).contains(mesh) {
                brought.borrow_mut().extend(expected_state::advertised(policies, &only, peer));
            }
            false // every state counts
        };
        for peer in self.facts.vpcs.keys().filter(|peer| **peer != group.vpc) {
            self.facts.sometime(&group.vpc, peer, known, gather);
        }
        group.tags.since(from).any(asked)
            && expected_state::is_covered(&made.permission.from, &brought.borrow())
            && expected_state::is_covered(&made.permission.from, &self.routed_since(&group.vpc, from))
    }

    /// Returns the destinations that tables of a VPC routed over peerings at some time from `from` on.
    fn routed_since(&self, vpc: &VpcRef, from: u64) -> Vec<IpNet> {
        let over_peering = |target: &RouteTarget| matches!(target, RouteTarget::Peering(_));
        let of_table = |table: &Table| {
            let now = table.routes.iter().filter(|(_, route)| over_peering(&route.target)).map(|(cidr, _)| *cidr);
            let deleted = table.deleted_routes.iter().filter(|r| r.until >= from && over_peering(&r.target));
            now.chain(deleted.map(|route| route.cidr)).collect::<Vec<_>>()
        };
        let deleted = self.facts.deleted_tables.iter().filter(|(table, until)| table.vpc == *vpc && *until >= from);
        self.tables_of(vpc).chain(deleted.map(|(table, _)| table)).flat_map(of_table).collect()
    }

    /// Whether a deleted rule was needed by a VPC that was a member all the time, over a peering that was active all
    /// the time.
    fn shuts_out(
        &self,
        group: &Group,
        rule: &SecurityGroupRuleId,
        deleted: &GroupRule,
        mesh: &str,
        age: ReadAge,
    ) -> bool {
        let from = age.from;
        let Permission { traffic: what, from: cidr } = &deleted.permission;
        let steady = group.tags.at(from).is_some() && group.tags.since(from).count() == 1;
        let admits = |policies: &Policies| traffic(policies, mesh, group.tags.now()).contains(what);
        let asked = allowed(group.tags.now()).contains(mesh) && self.facts.policies.since(from).all(admits);
        if !steady || !asked || self.was_crowded(group, cidr, from) {
            return false;
        }
        let only = BTreeSet::from([mesh.to_owned()]);
        // Rules that existed when the worker read the group count: another worker may have revoked them since.
        let standing = group.rules.iter().filter(|(id, _)| *id != rule).map(|(_, other)| &other.permission);
        let deleted_later =
            group.deleted_rules.iter().filter(|(_, until)| *until >= from).map(|(permission, _)| permission);
        let left = standing.chain(deleted_later).filter(|other| other.traffic == *what);
        let left: Vec<IpNet> = left.map(|other| other.from).collect();
        self.facts.vpcs.keys().filter(|peer| self.carried(&group.vpc, peer, from)).any(|peer| {
            let needs = |piece: &IpNet| {
                let kept = |policies: &Policies, vpc: End<'_>, peer: End<'_>| {
                    let connected = expected_state::connecting(policies, vpc, peer).contains(mesh);
                    !connected || !expected_state::is_covered(piece, &expected_state::advertised(policies, &only, peer))
                };
                !self.facts.sometime(&group.vpc, peer, from, kept)
            };
            let brought = expected_state::advertised(self.facts.policies.now(), &only, self.facts.end(peer));
            let shared = brought.iter().filter(|piece| share_addresses(piece, cidr));
            let mut shared = shared.map(|piece| if piece.contains(cidr) { *cidr } else { *piece });
            shared.any(|piece| {
                !expected_state::is_covered(&piece, &left)
                    && self.was_routed(&group.vpc, &piece, peer, from)
                    && !self.led_elsewhere(&group.vpc, &piece, peer, age)
                    && needs(&piece)
            })
        })
    }

    /// Whether a table of a VPC routed a CIDR block to a peer all the time, over a peering of peerd that is active.
    fn was_routed(&self, vpc: &VpcRef, cidr: &IpNet, peer: &VpcRef, from: u64) -> bool {
        let leads = |target: &RouteTarget| {
            let RouteTarget::Peering(id) = target else { return false };
            let peering = self.facts.peerings.get(id).filter(|peering| self.facts.is_ours(id, peering));
            peering.is_some_and(|it| it.connects(vpc, peer) && *it.status.now() == PeeringStatus::Active)
        };
        let mut routes = self.tables_of(vpc).flat_map(|table| &table.routes);
        routes.any(|(to, route)| to.contains(cidr) && route.since < from && leads(&route.target))
    }

    /// Whether a managed peering of two VPCs, which no policy releases, was active all the time.
    fn carried(&self, a: &VpcRef, b: &VpcRef, from: u64) -> bool {
        self.facts.peerings_of(a, b).any(|(id, peering)| {
            let active = peering.status.since(from).all(|status| *status == PeeringStatus::Active);
            active
                && !self.facts.is_released(id)
                && peering.made_at < from
                && peering.managed.since(from).all(|managed| *managed)
        })
    }

    /// Whether a table of a VPC routes addresses of a CIDR block to another peer than this one, and no table routes the
    /// CIDR block to this one.
    fn leads_elsewhere(&self, vpc: &VpcRef, cidr: &IpNet, peer: &VpcRef) -> bool {
        let routes = || self.tables_of(vpc).flat_map(|table| &table.routes);
        let here = routes()
            .any(|(other, route)| other.contains(cidr) && self.leads_to(vpc, peer, &route.target) == Some(true));
        !here && routes().any(|(other, route)| self.leads_past(vpc, cidr, peer, (other, &route.target)))
    }

    /// Whether that was so when a worker read the routes. Routes that another principal has deleted or replaced since
    /// count, too; those that the worker itself has changed do not.
    fn led_elsewhere(&self, vpc: &VpcRef, cidr: &IpNet, peer: &VpcRef, age: ReadAge) -> bool {
        let ReadAge { worker, from, known: _ } = age;
        let deleted = self.tables_of(vpc).flat_map(|table| &table.deleted_routes);
        let mut deleted = deleted.filter(|route| route.until >= from && route.by != Actor::Worker(worker));
        self.leads_elsewhere(vpc, cidr, peer)
            || deleted.any(|route| self.leads_past(vpc, cidr, peer, (&route.cidr, &route.target)))
    }

    fn tables_of<'a>(&'a self, vpc: &'a VpcRef) -> impl Iterator<Item = &'a Table> {
        self.facts.tables.values().filter(move |table| table.vpc == *vpc)
    }

    /// Whether a target is a peering with this peer; none if it is not a peering.
    fn leads_to(&self, vpc: &VpcRef, peer: &VpcRef, target: &RouteTarget) -> Option<bool> {
        match target {
            RouteTarget::Peering(id) => {
                Some(self.facts.peerings.get(id).is_some_and(|peering| peering.connects(vpc, peer)))
            }
            RouteTarget::Local | RouteTarget::Other(_) => None,
        }
    }

    /// Whether a route sends addresses of a CIDR block to another peer than this one.
    fn leads_past(&self, vpc: &VpcRef, cidr: &IpNet, peer: &VpcRef, route: (&IpNet, &RouteTarget)) -> bool {
        share_addresses(route.0, cidr) && self.leads_to(vpc, peer, route.1) == Some(false)
    }

    /// Whether the group had no capacity for another rule at some time from `from` on: then peerd revokes a rule before
    /// it adds its replacement.
    fn was_crowded(&self, group: &Group, cidr: &IpNet, from: u64) -> bool {
        let standing = group.rules.values().map(|rule| &rule.permission);
        let deleted_later =
            group.deleted_rules.iter().filter(|(_, until)| *until >= from).map(|(permission, _)| permission);
        let of_family = |rule: &&Permission| rule.from.addr().is_ipv4() == cidr.addr().is_ipv4();
        standing.chain(deleted_later).filter(of_family).count() >= self.quotas.value(Quota::Rules)
    }

    /// Checks that a group has the rules that its tags require, and no other rule of peerd.
    pub(super) fn check_group(
        &self,
        id: &SecurityGroupId,
        group: &Group,
        outages: &Outages,
        ending: &mut ConvergenceReport,
    ) {
        let Some(vpc) = self.facts.vpc(&group.vpc) else { return };
        let (tags, policies, asked) = (group.tags.now(), self.facts.policies.now(), vpc.requested_meshes());
        for mesh in allowed(tags).into_iter().filter(|mesh| policies.contains_key(*mesh) && asked.contains(*mesh)) {
            self.check_opening(id, group, mesh, outages, ending);
        }
        for (rule, GroupRule { permission, tags: current, .. }) in
            group.rules.iter().filter(|(_, rule)| self.facts.is_sealed(id, rule))
        {
            // A rule without the ownership tag is found only in a group that shows its descriptions.
            if !has_ownership_tag(current) && !tags.contains_key("peerd:allow") {
                continue;
            }
            let meshes = meshes_of(current);
            let is_right = |mesh: &&str| {
                let is_allowed = allowed(tags).contains(mesh) && asked.contains(*mesh);
                let wanted = || {
                    let brought = self.brought(&group.vpc, mesh, false, |_| true);
                    traffic(policies, mesh, tags).contains(&permission.traffic)
                        && expected_state::is_covered(&permission.from, &brought)
                };
                is_allowed && (!policies.contains_key(*mesh) || wanted())
            };
            if !outages.is_any() && !has_ownership_tag(current) {
                ending.wrong.push(format!("{id} has {rule} without its ownership tag"));
            }
            if !outages.is_any() && (meshes.is_empty() || !meshes.iter().all(is_right)) {
                ending.wrong.push(format!("{id} still allows {permission} by {rule} for {meshes:?}"));
            }
        }
    }

    fn check_opening(
        &self,
        id: &SecurityGroupId,
        group: &Group,
        mesh: &str,
        outages: &Outages,
        ending: &mut ConvergenceReport,
    ) {
        let vpc = &group.vpc;
        let is_connected = |peer: &VpcRef| {
            !outages.hides(peer)
                && self.facts.peerings_of(vpc, peer).any(|(id, peering)| {
                    *peering.status.now() == PeeringStatus::Active && self.facts.is_ours(id, peering)
                })
        };
        let brought = self.brought(vpc, mesh, true, is_connected);
        for what in traffic(self.facts.policies.now(), mesh, group.tags.now()) {
            let of_traffic = |rule: &&GroupRule| rule.permission.traffic == what;
            let standing: Vec<IpNet> =
                group.rules.values().filter(of_traffic).map(|rule| rule.permission.from).collect();
            for cidr in brought.iter().filter(|cidr| !expected_state::is_covered(cidr, &standing)) {
                let permission = Permission { traffic: what.clone(), from: *cidr };
                if self.was_crowded(group, cidr, u64::MAX) {
                    ending.quota = true;
                } else if !self.creations.rests(&contention::rule(id, &permission)) {
                    ending.wrong.push(format!("{id} does not allow {what} from {cidr} for {mesh}"));
                }
            }
            // If every peer is connected and routed, the group has as few rules as possible.
            let everybody = self.brought(vpc, mesh, false, |_| true) == brought;
            let fewest = expected_state::fewest(&brought);
            let spare = |rule: &&GroupRule| {
                let is_its = has_ownership_tag(&rule.tags) && meshes_of(&rule.tags).contains(mesh);
                is_its && of_traffic(rule) && !fewest.contains(&rule.permission.from)
            };
            if let Some(spare) =
                group.rules.values().find(spare).filter(|_| everybody && !ending.quota && !outages.is_any())
            {
                ending.wrong.push(format!("{id} allows {} although {fewest:?} suffices", spare.permission));
            }
        }
    }

    /// Returns the CIDR blocks that a VPC's peers in a mesh advertise and that its tables do not route to other peers: those that
    /// a table routes to the peer, or, if not `routed`, also those to which some table is to get a route.
    fn brought(&self, vpc: &VpcRef, mesh: &str, routed: bool, counts: impl Fn(&VpcRef) -> bool) -> Vec<IpNet> {
        let (policies, only) = (self.facts.policies.now(), BTreeSet::from([mesh.to_owned()]));
        let mut brought = Vec::new();
        for peer in self.facts.existing().into_iter().filter(|peer| *peer != vpc && counts(peer)) {
            let overlap = Facts::overlap(self.facts.end(vpc), self.facts.end(peer));
            if !overlap && self.facts.connecting(vpc, peer).contains(mesh) {
                let meshes = self.facts.connecting(vpc, peer);
                let takes = |table: &Table| expected_state::takes(policies, &meshes, table, table.tags.now());
                let is_to_come = !routed && self.tables_of(vpc).any(takes);
                let cidrs = expected_state::advertised(policies, &only, self.facts.end(peer)).into_iter();
                let leads = |cidr: &IpNet| is_to_come || self.was_routed(vpc, cidr, peer, u64::MAX);
                brought.extend(cidrs.filter(|cidr| leads(cidr) && !self.leads_elsewhere(vpc, cidr, peer)));
            }
        }
        brought
    }
}
