//! What nobody wants any more: routes first, then the peering, and neither without proof.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::{PairState, WantedPair};
use crate::action::Action;
use crate::cidr::{self, IpNet};
use crate::desired::DeleteApproval;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, PeeringId, RouteTableId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus, RouteTable};

/// A managed peering that is proven unwanted, or a dead one whose routes are left over.
pub struct Teardown<'a> {
    peering: &'a Peering,
    pair: Pair,
    /// What takes out the routes that still lead to it.
    route_removals: Vec<Action>,
}

/// Managed peerings that go, and routes of peerings that stay to blocks that their peer gave up.
pub fn find_teardowns<'a>(
    links: &[WantedPair<'a>],
    context: &PlanContext<'a>,
    draft: &mut PlanBuilder,
) -> Vec<Teardown<'a>> {
    let in_use = |link: &WantedPair<'a>| match link.state {
        PairState::Live(peering) => Some(&peering.id),
        _ => None,
    };
    let used: BTreeSet<&PeeringId> = links.iter().filter_map(in_use).collect();
    let linked: BTreeSet<&Pair> = links.iter().map(|link| &link.pair).collect();
    let mut leaving = Vec::new();
    for peering in context.observed.peerings.values().filter(|peering| context.manages(peering)) {
        let Some(pair) = peering.pair() else { continue };
        if used.contains(&peering.id) {
            remove_stale_routes(peering, &pair, context, draft);
            continue;
        }
        if !is_in_scope_of_run(peering, &pair, context) {
            continue;
        }
        let wanted = !context.connecting_meshes(&pair).is_empty();
        let duplicate = linked.contains(&pair);
        if wanted && duplicate && routes_await_a_successor(peering, links, &pair, context, draft) {
            remove_stale_routes(peering, &pair, context, draft);
            continue;
        }
        let goes = if wanted { duplicate } else { is_proven_unwanted(peering, &pair, context) };
        if goes {
            leaving.push(Teardown { route_removals: route_removals(peering, context, draft), peering, pair });
        } else if !wanted && peering.status.is_live() {
            report_retained(peering, &pair, context, draft);
        }
    }
    enforce_delete_limits(leaving, context, draft)
}

/// Whether this run may judge a peering: it was made for this mesh, or for none that has runs of its own, which keep count
/// of what they delete, and all that there is to know of it was read.
fn is_in_scope_of_run(peering: &Peering, pair: &Pair, context: &PlanContext<'_>) -> bool {
    let made_for = peering.tagged_meshes();
    let declared = |mesh: &MeshName| context.desired.declared.contains_key(mesh);
    made_for.is_empty()
        || made_for.contains(&context.desired.mesh)
        || (context.is_pair_proven(pair) && !made_for.iter().any(declared))
}

/// A dead peering's routes are left until its successor is active, and then moved to it: a blackhole is safer than a
/// moment in which the traffic falls to a broader route. Where none can come for now they go: when AWS forgets the dead
/// peering, in 2 hours, nobody could tell any more whose they were.
fn routes_await_a_successor(
    peering: &Peering,
    links: &[WantedPair<'_>],
    pair: &Pair,
    context: &PlanContext<'_>,
    draft: &PlanBuilder,
) -> bool {
    let comes = |link: &WantedPair<'_>| match link.state {
        PairState::Missing { .. } => context.is_pair_proven(pair) && !draft.unfit.pairs.contains(pair),
        PairState::Live(successor) => successor.status != PeeringStatus::Active,
        PairState::Overlapping(..) | PairState::Foreign(_) | PairState::Failed(_) => false,
    };
    !peering.status.is_live()
        && !context.observed.refused.contains_key(pair)
        && links.iter().any(|link| link.pair == *pair && comes(link))
}

/// Proof that a pair is no longer wanted: both ends were read and no mesh connects them, or one was read and asks for no
/// mesh at all. What the index remembers of the other is no proof: its tag may name another mesh by now.
fn is_proven_unwanted(peering: &Peering, pair: &Pair, context: &PlanContext<'_>) -> bool {
    let left = |vpc: &&VpcRef| context.is_proven(vpc) && context.meshes_of(vpc).is_empty();
    context.protecting_meshes(pair, peering).is_empty()
        && (context.is_pair_proven(pair) || pair.ends().iter().any(left))
}

fn report_retained(peering: &Peering, pair: &Pair, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let protecting_meshes = context.protecting_meshes(pair, peering);
    let undeclared: BTreeSet<_> = protecting_meshes.difference(&context.retaining_meshes(pair)).cloned().collect();
    if protecting_meshes.is_empty() {
        draft.report.add_finding(Finding::UnprovenPeering { pair: pair.clone(), peering: peering.id.clone() });
    } else if !undeclared.is_empty() {
        let (pair, peering) = (pair.clone(), peering.id.clone());
        draft.report.add_finding(Finding::UndeclaredMeshes { pair, peering, meshes: undeclared });
    }
}

/// Whether a route is moved to where it belongs by this plan, and so must not be taken out.
fn is_moved(table: &RouteTableId, block: &IpNet, draft: &PlanBuilder) -> bool {
    draft.work.iter().any(|action| {
        matches!(action, Action::ReplaceRoute { table: t, destination, .. } if t == table && destination == block)
    })
}

/// Takes out the routes that lead to a peering and that no other step of this plan moves elsewhere.
fn route_removals(peering: &Peering, context: &PlanContext<'_>, draft: &PlanBuilder) -> Vec<Action> {
    let routes = context.observed.routes_via(&peering.id);
    let left = routes.filter(|(table, route)| !is_moved(&table.id, &route.destination, draft));
    left.map(|(table, route)| Action::remove_route(table, &route.destination, &peering.id)).collect()
}

/// Takes out routes to blocks that the peer no longer brings, and routes in tables that take none any more. As long as one
/// of the meshes may still connect the pair, nobody can tell what is given up.
fn remove_stale_routes(peering: &Peering, pair: &Pair, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let meshes = context.connecting_meshes(pair);
    if meshes != context.retaining_meshes(pair) {
        return;
    }
    for (table, route) in context.observed.routes_via(&peering.id) {
        let Some(peer) = peering.peer_of(&table.vpc) else { continue };
        if context.is_ignored_table(table) || !context.is_present(peer) {
            continue;
        }
        let block = &route.destination;
        let takes = context.is_managed_table(table, &meshes);
        let advertised_cidrs = context.advertised_cidrs(peer, &meshes);
        let refused = context.observed.refused.contains_key(pair);
        // What the peer still brings is never unrouted: a wider or narrower route goes when those in its place stand.
        let is_awaited = |piece: &IpNet| {
            let missing = table.created_route(piece).is_none();
            cidr::overlap(piece, block) && missing && (refused || is_to_come(table, piece, draft))
        };
        let stays = takes && (advertised_cidrs.has(block) || advertised_cidrs.iter().any(is_awaited));
        if !stays && !is_moved(&table.id, block, draft) {
            draft.work.insert(Action::remove_route(table, block, &peering.id));
        }
    }
}

/// Whether a route is added by this plan, or as soon as there is room.
fn is_to_come(table: &RouteTable, block: &IpNet, draft: &PlanBuilder) -> bool {
    let waits = || draft.unfit.routes.contains(&(table.id.clone(), *block));
    let is_added = |action: &Action| matches!(action, Action::AddRoute { table: t, destination, .. } if *t == table.id && destination == block);
    draft.work.iter().any(is_added) || waits()
}

/// Keeps all deletes of a mesh that would lose more than its policy lets one run let go unasked: those of this plan and
/// those that the run has made already.
fn enforce_delete_limits<'a>(
    leaving: Vec<Teardown<'a>>,
    context: &PlanContext<'_>,
    draft: &mut PlanBuilder,
) -> Vec<Teardown<'a>> {
    let went = || context.observed.deleted.iter().filter_map(|id| context.observed.peerings.get(id));
    let live = context.observed.peerings.values().filter(|p| context.manages(p) && p.status.is_live());
    let standing = by_mesh(live.chain(went()));
    let going = by_mesh(leaving.iter().map(|one| one.peering).filter(|p| p.status.is_live()).chain(went()));
    let mut held = BTreeSet::new();
    for (mesh, count) in going {
        let limits = context.desired.declared.get(&mesh).map(|policy| policy.deletes).unwrap_or_default();
        let live = standing.get(&mesh).copied().unwrap_or_default();
        let confirmed = mesh == context.desired.mesh && context.desired.leave == DeleteApproval::Confirmed;
        if !context.is_draining(&mesh)
            && !confirmed
            && limits.exceeded_by(count, live)
            && Invariant::MassDeletesWait.is_enforced()
        {
            draft.report.add_finding(Finding::DeleteLimit { mesh: mesh.clone(), deletes: count, live, limits });
            held.insert(mesh);
        }
    }
    let is_held = |one: &Teardown<'_>| one.peering.status.is_live() && !one.peering.tagged_meshes().is_disjoint(&held);
    let (kept, goes): (Vec<_>, Vec<_>) = leaving.into_iter().partition(is_held);
    for one in kept {
        for mesh in &one.peering.tagged_meshes() & &held {
            draft.notes.of_held(&one.pair, &mesh);
        }
    }
    goes
}

/// How many of the peerings were made for each mesh.
fn by_mesh<'a>(peerings: impl Iterator<Item = &'a Peering>) -> BTreeMap<MeshName, usize> {
    let mut counts: BTreeMap<MeshName, usize> = BTreeMap::new();
    for mesh in peerings.flat_map(Peering::tagged_meshes) {
        *counts.entry(mesh).or_default() += 1;
    }
    counts
}

/// Takes out the routes of what goes.
pub fn withdraw_routes(leaving: &[Teardown<'_>], draft: &mut PlanBuilder) {
    draft.work.extend(leaving.iter().flat_map(|one| &one.route_removals).cloned());
}

/// Deletes what goes once no route leads to it, which takes both sides' tables to know.
///
/// Either owner may delete an active peering, only the requester a pending one
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html>).
pub fn delete_peerings(leaving: &[Teardown<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for Teardown { peering, pair, .. } in leaving.iter().filter(|one| one.peering.status.is_live()) {
        let unread = pair.ends().into_iter().find(|vpc| !context.is_proven(vpc));
        if let Some(unread) = unread {
            let (pair, peering, vpc) = (pair.clone(), peering.id.clone(), unread.clone());
            draft.report.add_finding(Finding::UnreadableRoutes { pair, peering, vpc });
            continue;
        }
        if context.observed.routes_via(&peering.id).next().is_some() {
            continue; // this pass takes the routes out
        }
        let scope = match peering.is_seen_by(&peering.requester.scope) {
            true => peering.requester.scope.clone(),
            false => peering.accepter.scope.clone(),
        };
        match &peering.status {
            PeeringStatus::PendingAcceptance if scope != peering.requester.scope => {
                draft.report.wait(pair, format!("{} is for its requester to delete, or expires", peering.id));
            }
            PeeringStatus::Active | PeeringStatus::PendingAcceptance => {
                let peering = peering.id.clone();
                draft.work.insert(Action::DeletePeering { peering, scope, pair: pair.clone() });
            }
            other => draft.report.wait(pair, format!("{} is {other} and can be deleted later", peering.id)),
        }
    }
}
