//! Routes of active peerings: every route table of either VPC that takes them leads to every block of the other.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::{PairState, WantedPair};
use super::quotas::{self, QuotaUsage};
use crate::action::Action;
use crate::cidr::{self, IpNet};
use crate::finding::{Expected, Finding};
use crate::ids::{Pair, PeeringId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus, PrefixListRoute, RouteTable, RouteTarget};
use crate::quotas::Quota;
use crate::report::InputRequest;
use crate::status::StatusState;
use crate::tags::{self, TableTag};

/// One route that a link wants in a table.
struct DesiredRoute<'a> {
    link: &'a WantedPair<'a>,
    peering: &'a PeeringId,
    peer: &'a VpcRef,
    destination: IpNet,
}

/// Adds what is missing, moves what leads to another managed peering, and leaves what is foreign.
pub fn route(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for (vpc, wishes) in wishes(links, context) {
        for table in context.observed.tables_of(vpc) {
            match TableTag::of(&table.tags) {
                Ok(TableTag::Ignore) => {}
                Ok(_) => route_table(table, &wishes, context, draft),
                Err(word) => {
                    let expected = Expected::ManageOrIgnore;
                    draft.report.add_finding(Finding::invalid_tag(&table.id, tags::ROUTES, word, expected));
                }
            }
        }
    }
}

/// Per VPC that was read, what its tables should hold, by peer and block.
fn wishes<'a>(links: &'a [WantedPair<'a>], context: &PlanContext<'_>) -> BTreeMap<&'a VpcRef, Vec<DesiredRoute<'a>>> {
    let mut wishes: BTreeMap<&VpcRef, Vec<DesiredRoute<'_>>> = BTreeMap::new();
    for link in links {
        let PairState::Live(peering) = link.state else { continue };
        if peering.status != PeeringStatus::Active && Invariant::ActiveBeforeRoute.is_enforced() {
            continue; // before, the route would be a blackhole
        }
        if !context.manages(peering) {
            continue; // it is about to be adopted
        }
        for (vpc, peer) in link.pair.directions() {
            if !context.observed.answered(&vpc.scope) {
                continue;
            }
            let blocks = context.advertised_cidrs(peer, &link.meshes);
            let wish =
                |destination: &IpNet| DesiredRoute { link, peering: &peering.id, peer, destination: *destination };
            wishes.entry(vpc).or_default().extend(blocks.iter().map(wish));
        }
    }
    for of_vpc in wishes.values_mut() {
        of_vpc.sort_by(|a, b| (a.peer, &a.destination).cmp(&(b.peer, &b.destination)));
    }
    wishes
}

fn route_table(table: &RouteTable, wishes: &[DesiredRoute<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let mut taken = resolve_route_conflicts(table, context, draft);
    let mut missing = Vec::new();
    for wish in wishes.iter().filter(|wish| context.is_managed_table(table, &wish.link.meshes)) {
        if overlaps_own(table, wish, context) {
            let (vpc, cidr, peer) = (table.vpc.clone(), wish.destination, wish.peer.clone());
            draft.report.add_finding(Finding::OverlapsOwnVpc { table: table.id.clone(), vpc, cidr, peer });
            draft.notes.of_link(wish.link, StatusState::Refused, &format!("{} overlaps", wish.destination));
            continue;
        }
        let rival = taken.iter().find(|(block, peer)| *peer != wish.peer && cidr::overlap(block, &wish.destination));
        if let Some((block, peer)) = rival {
            draft.report.add_finding(Finding::RouteOverlap {
                table: table.id.clone(),
                cidr: wish.destination,
                peer: wish.peer.clone(),
                routed_cidr: *block,
                routed_peer: (*peer).clone(),
            });
            let why = format!("{} overlaps {block} of {}", wish.destination, peer.id);
            draft.notes.of_link(wish.link, StatusState::Refused, &why);
            continue;
        }
        taken.push((wish.destination, wish.peer));
        match table.created_route(&wish.destination) {
            Some(route) => correct(wish, table, &route.target, context, draft),
            None if is_listed(wish, table, context, draft) => {}
            None => missing.push(wish),
        }
    }
    if !taken.is_empty() {
        add(missing, table, context, draft);
    }
}

/// Whether a block shares addresses with the table's own VPC. AWS lets no such peering become active and no such block be
/// added to a peered VPC; should it come to it all the same, that block alone is not routed.
fn overlaps_own(table: &RouteTable, wish: &DesiredRoute<'_>, context: &PlanContext<'_>) -> bool {
    let own = context.cidrs_of(&table.vpc).into_iter().flat_map(cidr::CidrSet::iter);
    own.into_iter().any(|own| cidr::overlap(own, &wish.destination))
}

/// The standing routes of a table, of which two workers at once may have put two that share addresses: then the one to
/// the lesser peer stays, or traffic to the one would go to the other.
fn resolve_route_conflicts<'a>(
    table: &RouteTable,
    context: &PlanContext<'a>,
    draft: &mut PlanBuilder,
) -> Vec<(IpNet, &'a VpcRef)> {
    let mut settled: Vec<(IpNet, &VpcRef)> = Vec::new();
    for (block, peer, peering) in existing_routes(table, context) {
        // What leads to a VPC that cannot be read keeps newcomers out, but it neither goes nor takes anything away.
        let rivals = |by: &VpcRef| *by != *peer && context.is_proven(by) && context.is_proven(peer);
        if settled.iter().any(|(taken, by)| rivals(by) && cidr::overlap(taken, &block)) {
            draft.work.insert(Action::remove_route(table, &block, peering));
        } else {
            settled.push((block, peer));
        }
    }
    settled
}

/// Blocks that the table already leads to members over managed peerings which some mesh wants: whoever is routed stays
/// routed, and a newcomer with the same addresses waits. Blocks as their peer brings them go first, before parts that
/// somebody routed by hand; then in order of peers.
fn existing_routes<'a>(table: &RouteTable, context: &PlanContext<'a>) -> Vec<(IpNet, &'a VpcRef, &'a PeeringId)> {
    let leads_to = |target: &RouteTarget| -> Option<(&'a Peering, &'a VpcRef)> {
        let RouteTarget::Peering(id) = target else { return None };
        let peering = context.observed.peerings.get(id)?;
        Some((peering, peering.peer_of(&table.vpc)?))
    };
    let keeping = |peer: &VpcRef| match Pair::of(&table.vpc, peer) {
        // A newcomer must not take the route of a VPC of which nothing is known: the VPC may be a member.
        Some(_) if context.is_unknown(peer) => context.meshes_of(&table.vpc),
        Some(pair) => context.retaining_meshes(&pair),
        None => BTreeSet::new(),
    };
    let standing = |(peering, peer): &(&Peering, &VpcRef), block: &IpNet| {
        let meshes = keeping(peer);
        // A VPC that still advertises a part of the block keeps its place until that part has a route of its own.
        peering.status == PeeringStatus::Active
            && context.manages(peering)
            && !meshes.is_empty()
            && context.is_managed_table(table, &meshes)
            && !context.gave_up(peer, &meshes, block)
    };
    let created = table.routes.iter().filter(|route| route.created);
    let mut routes: Vec<_> = created
        .filter_map(|route| {
            let found = leads_to(&route.target)?;
            standing(&found, &route.destination).then_some((route.destination, found.1, &found.0.id))
        })
        .collect();
    let is_whole = |block: &IpNet, peer: &VpcRef| context.advertised_cidrs(peer, &keeping(peer)).has(block);
    routes.sort_by_cached_key(|(block, peer, _)| (!is_whole(block, peer), *peer, *block));
    routes
}

/// Whether a prefix list in the table leads exactly this block elsewhere, or may do so: a route to the block would go before
/// it. Longer and shorter blocks of the list stand beside the route, as they do with routes of their own.
fn is_listed(wish: &DesiredRoute<'_>, table: &RouteTable, context: &PlanContext<'_>, draft: &mut PlanBuilder) -> bool {
    let leads_here = |target: &RouteTarget| matches!(target, RouteTarget::Peering(id) if id == wish.peering);
    for PrefixListRoute { list, target } in table.lists.iter().filter(|route| !leads_here(&route.target)) {
        let block = wish.destination;
        match context.observed.lists.get(list) {
            Some(Ok(blocks)) if !blocks.contains(&block) => continue,
            Some(Ok(_)) => {
                draft.report.add_finding(Finding::PrefixListRoute {
                    table: table.id.clone(),
                    list: list.clone(),
                    cidr: block,
                    target: target.to_string(),
                });
                draft.notes.of_link(
                    wish.link,
                    StatusState::Refused,
                    &format!("{} routes {block} to {target}", table.id),
                );
            }
            Some(Err(why)) => {
                draft.report.add_finding(Finding::UnreadablePrefixList {
                    table: table.id.clone(),
                    list: list.clone(),
                    cidr: block,
                    target: target.to_string(),
                    role: context.desired.role.clone(),
                    error: why.clone(),
                });
                draft.notes.of_link(wish.link, StatusState::Waiting, &format!("{list} cannot be read"));
            }
            None => drop(draft.report.questions.insert(InputRequest::List(table.vpc.scope.clone(), list.clone()))),
        }
        draft.unfit.routes.insert((table.id.clone(), block));
        return true;
    }
    false
}

/// Adds routes as far as the quota goes. Where AWS has refused a route of a pair in this run, every table of the pair was
/// tried already.
fn add(mut missing: Vec<&DesiredRoute<'_>>, table: &RouteTable, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    missing.retain(|wish| !context.observed.refused.contains_key(&wish.link.pair));
    missing.sort_by_cached_key(|wish| (quotas::since(wish.link, context), wish.peer, wish.destination));
    for v4 in [true, false] {
        let is_of_family = |destination: &IpNet| matches!(destination, IpNet::V4(_)) == v4;
        let missing: Vec<_> = missing.iter().filter(|wish| is_of_family(&wish.destination)).collect();
        let used = table.routes.iter().filter(|route| route.created && is_of_family(&route.destination)).count();
        let (quota, scope, subject) = (Quota::Routes, &table.vpc.scope, table.id.to_string());
        let name = |nth: usize| format!("{} of {}", missing[nth].destination, missing[nth].peer.id);
        let fits = QuotaUsage { quota, scope, subject, used, refused: None }.fit(missing.len(), name, context, draft);
        for wish in &missing[..fits] {
            draft.notes.of_link(wish.link, StatusState::Waiting, "routes are being added");
            let (scope, table, peering) = (scope.clone(), table.id.clone(), wish.peering.clone());
            draft.work.insert(Action::AddRoute { scope, table, destination: wish.destination, peering });
        }
        for wish in &missing[fits..] {
            draft.unfit.routes.insert((table.id.clone(), wish.destination));
            draft.notes.of_link(wish.link, StatusState::Refused, &format!("{} has no room for more routes", table.id));
        }
    }
}

/// Has a route that stands lead where it is wished to, if it is ours.
fn correct(
    wish: &DesiredRoute<'_>,
    table: &RouteTable,
    target: &RouteTarget,
    context: &PlanContext<'_>,
    draft: &mut PlanBuilder,
) {
    let destination = wish.destination;
    match target {
        RouteTarget::Peering(id) if id == wish.peering => {}
        RouteTarget::Peering(id) if context.observed.peerings.get(id).is_some_and(|p| context.manages(p)) => {
            draft.notes.of_link(wish.link, StatusState::Waiting, "routes are being moved");
            draft.work.insert(Action::ReplaceRoute {
                scope: table.vpc.scope.clone(),
                table: table.id.clone(),
                destination,
                from: id.clone(),
                peering: wish.peering.clone(),
            });
        }
        target => {
            let (cidr, peering) = (destination, wish.peering.clone());
            let foreign = Finding::ForeignRoute { table: table.id.clone(), cidr, target: target.to_string(), peering };
            draft.report.add_finding(foreign);
            draft.notes.of_link(
                wish.link,
                StatusState::Refused,
                &format!("{} routes {destination} to {target}", table.id),
            );
        }
    }
}
