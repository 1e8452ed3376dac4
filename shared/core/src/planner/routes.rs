//! Routes over active peerings: every managed route table of either VPC has a route to each CIDR block that the other
//! advertises.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::quotas::{self, QuotaUsage};
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::Action;
use crate::admitted_ranges::is_private;
use crate::cidr::{self, CidrSet, IpNet};
use crate::finding::{Expected, Finding};
use crate::ids::{MeshName, Pair, PeeringId, RouteTableId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus, PrefixListRoute, Route, RouteTable, RouteTarget};
use crate::quotas::Quota;
use crate::report::InputRequest;
use crate::status::StatusReason;
use crate::tags::{self, TableTag};

/// One route that a pair wants in a table.
struct DesiredRoute<'a> {
    wanted: &'a WantedPair<'a>,
    peering: &'a PeeringId,
    peer: &'a VpcRef,
    destination: IpNet,
}

/// What this plan adds, replaces and removes for the pairs whose routes exist or are to exist.
#[derive(Default)]
pub struct RouteChanges {
    /// The actions, and what is in the way of other routes.
    pub decisions: Decisions,
    /// Routes that a table has no capacity for, or whose place a prefix list or a propagated route has.
    blocked: BTreeSet<(RouteTableId, IpNet)>,
}

impl RouteChanges {
    /// Whether this plan replaces the target of a route. Such a route must not be removed.
    pub fn replaces(&self, table: &RouteTableId, cidr: &IpNet) -> bool {
        self.decisions.actions.iter().any(|action| {
            matches!(action, Action::ReplaceRoute { table: t, destination, .. } if t == table && destination == cidr)
        })
    }

    /// Whether this plan adds a route, or a later one does as soon as its place is free.
    pub fn is_to_come(&self, table: &RouteTableId, cidr: &IpNet) -> bool {
        let is_added = |action: &Action| matches!(action, Action::AddRoute { table: t, destination, .. } if t == table && destination == cidr);
        self.blocked.contains(&(table.clone(), *cidr)) || self.decisions.actions.iter().any(is_added)
    }

    /// Whether this plan adds or moves a route to a CIDR block that contains this one, or a later plan does so as soon as its
    /// place is free.
    pub fn is_part_to_come(&self, table: &RouteTableId, part: &IpNet) -> bool {
        let leads = |action: &Action| match action {
            Action::AddRoute { table: t, destination, .. } | Action::ReplaceRoute { table: t, destination, .. } => {
                t == table && destination.contains(part)
            }
            _ => false,
        };
        self.blocked.iter().any(|(t, cidr)| t == table && cidr.contains(part))
            || self.decisions.actions.iter().any(leads)
    }
}

/// Adds missing routes, retargets those that lead to another managed peering, and leaves foreign ones alone.
pub fn route(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> RouteChanges {
    let mut changes = RouteChanges::default();
    for (vpc, desired) in desired_routes(pairs, context) {
        for table in context.tables_of(vpc) {
            match TableTag::of(&table.tags) {
                Ok(TableTag::Ignore) => {}
                Ok(_) => route_table(table, &desired, context, &mut changes),
                Err(word) => {
                    let expected = Expected::ManageOrIgnore;
                    changes.decisions.report(Finding::invalid_tag(
                        format!("{} of {}", table.id, table.vpc),
                        tags::ROUTES,
                        word,
                        expected,
                    ));
                }
            }
        }
    }
    changes
}

/// The routes that each readable VPC should have, in order of peer and CIDR block.
fn desired_routes<'a>(
    pairs: &'a [WantedPair<'a>],
    context: &PlanContext<'_>,
) -> BTreeMap<&'a VpcRef, Vec<DesiredRoute<'a>>> {
    let mut desired: BTreeMap<&VpcRef, Vec<DesiredRoute<'_>>> = BTreeMap::new();
    for wanted in pairs {
        let PairState::Usable(peering) = wanted.state else { continue };
        if peering.status != PeeringStatus::Active && Invariant::ActiveBeforeRoute.is_enforced() {
            continue; // the route would be a blackhole
        }
        if !context.manages(peering) {
            continue; // this plan adopts it
        }
        for (vpc, peer) in wanted.pair.directions() {
            if !context.observed.was_read(&vpc.scope) {
                continue;
            }
            let cidrs = context.advertised_cidrs(peer, &wanted.meshes);
            let route = |cidr: &IpNet| DesiredRoute { wanted, peering: &peering.id, peer, destination: *cidr };
            desired.entry(vpc).or_default().extend(cidrs.iter().map(route));
        }
    }
    for of_vpc in desired.values_mut() {
        of_vpc.sort_by(|a, b| (a.peer, &a.destination).cmp(&(b.peer, &b.destination)));
    }
    desired
}

fn route_table(
    table: &RouteTable,
    desired: &[DesiredRoute<'_>],
    context: &PlanContext<'_>,
    changes: &mut RouteChanges,
) {
    let mut routed = resolve_route_conflicts(table, context, &mut changes.decisions);
    let mut missing = Vec::new();
    for route in desired.iter().filter(|route| context.is_managed_table(table, &route.wanted.meshes)) {
        if overlaps_own_vpc(table, route, context) {
            let (vpc, cidr, peer) = (table.vpc.clone(), route.destination, route.peer.clone());
            changes.decisions.report(Finding::OverlapsOwnVpc { table: table.id.clone(), vpc, cidr, peer });
            changes.decisions.reasons.add(&route.wanted.pair, StatusReason::OwnCidrOverlap(cidr));
            continue;
        }
        let conflicting =
            routed.iter().find(|(cidr, peer)| cidr::overlap(cidr, &route.destination) && *peer != route.peer);
        if let Some((routed_cidr, routed_peer)) = conflicting {
            report_overlap(route, table, *routed_cidr, routed_peer, &mut changes.decisions);
            continue;
        }
        routed.push((route.destination, route.peer));
        match (table.created_route(&route.destination), table.propagated_route(&route.destination)) {
            (Some(existing), _) => retarget(route, table, existing, context, &mut changes.decisions),
            (None, Some(propagated)) => {
                report_foreign(route, table, propagated, &mut changes.decisions);
                changes.blocked.insert((table.id.clone(), route.destination));
            }
            (None, None) if is_blocked_by_prefix_list(route, table, context, &mut changes.decisions) => {
                changes.blocked.insert((table.id.clone(), route.destination));
            }
            (None, None) => missing.push(route),
        }
    }
    if !routed.is_empty() {
        add(missing, table, context, changes);
    }
    report_overridden(table, context, &mut changes.decisions);
}

/// Reports the routes to gateways that routes over managed peerings override, existing ones and those that this plan adds:
/// propagated ones to the same CIDR block, over which a static route takes precedence, and wider ones to private gateways.
fn report_overridden(table: &RouteTable, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let mut gateways = table.routes.iter().filter(|r| r.is_propagated() || r.target.is_private_gateway()).peekable();
    if gateways.peek().is_none() {
        return;
    }
    let existing = table.routes.iter().filter(|route| route.is_static && leads_over_managed_peering(route, context));
    let added = decisions.actions.iter().filter_map(|action| match action {
        Action::AddRoute { table: to, destination, .. } if *to == table.id => Some(*destination),
        _ => None,
    });
    let ours: Vec<IpNet> = existing.map(|route| route.destination).chain(added).collect();
    for Route { destination: cidr, target, is_static, blackhole: _ } in gateways {
        let overrides = |ours: &&IpNet| cidr.contains(*ours) && (*ours != cidr || !is_static);
        let by: CidrSet = ours.iter().filter(overrides).copied().collect();
        if cidr.prefix_len() > 0 && !by.is_empty() {
            let (vpc, table) = (table.vpc.clone(), table.id.clone());
            let (target, by) = (target.to_string(), by.aggregated());
            decisions.report(Finding::OverriddenRoute { table, vpc, cidr: *cidr, target, by });
        }
    }
}

fn leads_over_managed_peering(route: &Route, context: &PlanContext<'_>) -> bool {
    let RouteTarget::Peering(id) = &route.target else { return false };
    context.index.peering(id).is_some_and(|peering| context.manages(peering))
}

fn report_overlap(
    route: &DesiredRoute<'_>,
    table: &RouteTable,
    routed_cidr: IpNet,
    routed_peer: &VpcRef,
    decisions: &mut Decisions,
) {
    let cidr = route.destination;
    decisions.report(Finding::RouteOverlap {
        table: table.id.clone(),
        vpc: table.vpc.clone(),
        cidr,
        peer: route.peer.clone(),
        routed_cidr,
        routed_peer: routed_peer.clone(),
    });
    let reason = StatusReason::RouteOverlap { cidr, routed_cidr, routed_peer: routed_peer.id.clone() };
    decisions.reasons.add(&route.wanted.pair, reason);
}

/// Whether a CIDR block overlaps one of the table's own VPC. AWS activates no such peering and adds no such block to a
/// peered VPC; if it happens all the same, peerd does not route that block.
fn overlaps_own_vpc(table: &RouteTable, route: &DesiredRoute<'_>, context: &PlanContext<'_>) -> bool {
    let own = context.cidrs_of(&table.vpc).into_iter().flat_map(cidr::CidrSet::iter);
    own.into_iter().any(|own| cidr::overlap(own, &route.destination))
}

/// The existing routes of a table, after removing those that conflict. Two workers at the same time may have created two
/// routes that overlap: the one to the lesser peer stays, or traffic to one peer would go to the other.
fn resolve_route_conflicts<'a>(
    table: &RouteTable,
    context: &PlanContext<'a>,
    decisions: &mut Decisions,
) -> Vec<(IpNet, &'a VpcRef)> {
    let mut resolved: Vec<(IpNet, &VpcRef)> = Vec::new();
    for (cidr, peer, peering) in existing_routes(table, context) {
        // A route to a VPC that cannot be read keeps new routes out. It is not removed, and removes no other.
        let conflicts = |by: &VpcRef| *by != *peer && context.is_proven(by) && context.is_proven(peer);
        if resolved.iter().any(|(routed, by)| cidr::overlap(routed, &cidr) && conflicts(by)) {
            decisions.act(Action::remove_route(table, &cidr, peering));
        } else {
            resolved.push((cidr, peer));
        }
    }
    resolved
}

/// The CIDR blocks that the table routes to members over managed peerings that some mesh retains: existing routes stay, and
/// a new member with the same addresses waits. CIDR blocks as their peer advertises them come first, before parts that a
/// user routed by hand; then in order of peers.
fn existing_routes<'a>(table: &RouteTable, context: &PlanContext<'a>) -> Vec<(IpNet, &'a VpcRef, &'a PeeringId)> {
    let leads_to = |target: &RouteTarget| -> Option<(&'a Peering, &'a VpcRef)> {
        let RouteTarget::Peering(id) = target else { return None };
        let peering = context.index.peering(id)?;
        Some((peering, peering.peer_of(&table.vpc)?))
    };
    let retaining = |peer: &VpcRef| match Pair::of(&table.vpc, peer) {
        // A new member must not take the route of an unknown VPC: that VPC may be a member.
        Some(_) if context.is_unknown(peer) => context.meshes_of(&table.vpc).clone(),
        Some(pair) => context.retaining_meshes(&pair),
        None => BTreeSet::new(),
    };
    // Of each peer once, not for each of its routes: the meshes if the table is one of theirs, and what they route.
    let mut known: HashMap<&VpcRef, Option<(BTreeSet<MeshName>, CidrSet)>> = HashMap::new();
    let mut routes = Vec::new();
    for route in table.routes.iter().filter(|route| route.is_static) {
        let (Some((peering, peer)), cidr) = (leads_to(&route.target), route.destination) else { continue };
        if peering.status != PeeringStatus::Active || !context.manages(peering) {
            continue;
        }
        let known = known.entry(peer).or_insert_with(|| {
            let meshes = retaining(peer);
            let is_theirs = !meshes.is_empty() && context.is_managed_table(table, &meshes);
            is_theirs.then(|| {
                let advertised = context.advertised_cidrs(peer, &meshes);
                (meshes, advertised)
            })
        });
        let Some((meshes, advertised)) = known else { continue };
        let is_whole = advertised.has(&cidr);
        // A VPC that still advertises a part of the CIDR block keeps its place until that part has a route of its own.
        if is_whole || !context.no_longer_advertises(peer, meshes, &cidr) {
            routes.push((!is_whole, peer, cidr, &peering.id));
        }
    }
    routes.sort_unstable();
    routes.into_iter().map(|(_, peer, cidr, peering)| (cidr, peer, peering)).collect()
}

/// Whether a prefix list in the table routes exactly this CIDR block elsewhere, or may do so: a static route would override
/// it. Longer and shorter CIDR blocks of the list coexist with the route, as they do with static routes. If a list that leads to
/// an endpoint cannot be read, it is assumed to be that of a gateway endpoint, with public addresses of AWS only.
fn is_blocked_by_prefix_list(
    route: &DesiredRoute<'_>,
    table: &RouteTable,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) -> bool {
    let leads_here = |target: &RouteTarget| matches!(target, RouteTarget::Peering(id) if id == route.peering);
    let lists = table.prefix_list_routes.iter().filter(|listed| !leads_here(&listed.target));
    for PrefixListRoute { list, target } in lists {
        let (table_id, vpc, list, cidr) = (table.id.clone(), table.vpc.clone(), list.clone(), route.destination);
        match context.observed.inputs.prefix_lists.get(&list) {
            Some(Ok(cidrs)) if !cidrs.contains(&cidr) => continue,
            Some(Err(_)) if target.is_endpoint() && is_private(&cidr) => continue,
            Some(Ok(_)) => {
                let reason = StatusReason::ForeignRoute { table: table_id.clone(), cidr, target: target.clone() };
                decisions.reasons.add(&route.wanted.pair, reason);
                let target = target.to_string();
                decisions.report(Finding::PrefixListRoute { table: table_id, vpc, list, cidr, target });
            }
            Some(Err(error)) => {
                decisions.reasons.add(&route.wanted.pair, StatusReason::UnreadablePrefixList(list.clone()));
                let (target, role, error) = (target.to_string(), context.desired.role.clone(), error.clone());
                decisions.report(Finding::UnreadablePrefixList {
                    table: table_id,
                    vpc,
                    list,
                    cidr,
                    target,
                    role,
                    error,
                });
            }
            None => decisions.ask(InputRequest::List(table.vpc.scope.clone(), list)),
        }
        return true;
    }
    false
}

/// Adds routes up to the quota. After AWS has refused a route of a pair in this run, the run adds no further route of the pair's
/// routes: it has tried every table already.
fn add(mut missing: Vec<&DesiredRoute<'_>>, table: &RouteTable, context: &PlanContext<'_>, changes: &mut RouteChanges) {
    let is_refused = |route: &&DesiredRoute<'_>| context.observed.run.quota_refusals.contains_key(&route.wanted.pair);
    for refused in missing.extract_if(.., |route| is_refused(route)) {
        changes.blocked.insert((table.id.clone(), refused.destination));
    }
    missing
        .sort_by_cached_key(|route| (quotas::connectable_since(route.wanted, context), route.peer, route.destination));
    for v4 in [true, false] {
        let is_of_family = |destination: &IpNet| matches!(destination, IpNet::V4(_)) == v4;
        let missing: Vec<_> = missing.iter().filter(|route| is_of_family(&route.destination)).collect();
        let used = table.routes.iter().filter(|route| route.is_static && is_of_family(&route.destination)).count();
        let (quota, scope, subject) = (Quota::Routes, &table.vpc.scope, table.id.to_string());
        let name = |nth: usize| format!("{} of {}", missing[nth].destination, missing[nth].peer.id);
        let usage = QuotaUsage { quota, scope, subject, used, refused: None };
        let allocated = usage.allocate(missing.len(), name, context, &mut changes.decisions);
        for route in &missing[..allocated] {
            changes.decisions.reasons.add(&route.wanted.pair, StatusReason::AddingRoutes);
            let (scope, table, peering) = (scope.clone(), table.id.clone(), route.peering.clone());
            changes.decisions.act(Action::AddRoute { scope, table, destination: route.destination, peering });
        }
        for route in &missing[allocated..] {
            changes.blocked.insert((table.id.clone(), route.destination));
            changes.decisions.reasons.add(&route.wanted.pair, StatusReason::RouteQuota(table.id.clone()));
        }
    }
}

/// Replaces the target of an existing route, if the route is owned.
fn retarget(
    route: &DesiredRoute<'_>,
    table: &RouteTable,
    existing: &Route,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) {
    let (table_id, cidr, peering) = (table.id.clone(), route.destination, route.peering.clone());
    match &existing.target {
        RouteTarget::Peering(id) if *id == peering => {}
        RouteTarget::Peering(id) if leads_over_managed_peering(existing, context) => {
            decisions.reasons.add(&route.wanted.pair, StatusReason::ReplacingRoutes);
            let (scope, from) = (table.vpc.scope.clone(), id.clone());
            decisions.act(Action::ReplaceRoute { scope, table: table_id, destination: cidr, from, peering });
        }
        _ => report_foreign(route, table, existing, decisions),
    }
}

fn report_foreign(route: &DesiredRoute<'_>, table: &RouteTable, existing: &Route, decisions: &mut Decisions) {
    let (id, cidr, peering) = (table.id.clone(), route.destination, route.peering.clone());
    let reason = StatusReason::ForeignRoute { table: id.clone(), cidr, target: existing.target.clone() };
    decisions.reasons.add(&route.wanted.pair, reason);
    let (target, propagated) = (existing.target.to_string(), existing.is_propagated());
    let vpc = table.vpc.clone();
    decisions.report(Finding::ForeignRoute { table: id, vpc, cidr, target, propagated, peering });
}
