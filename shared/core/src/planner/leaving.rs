//! What nobody wants any more: routes first, then the peering, and neither without proof.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::linking::{Link, State};
use super::view::View;
use crate::action::Action;
use crate::cidr::{self, IpNet};
use crate::desired::Leave;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, PeeringId, RouteTableId, Scope, VpcRef};
use crate::observed::{Peering, PeeringStatus, RouteTable};
use crate::rules::Rule;

/// A managed peering that is proven unwanted, or a dead one whose routes are left over.
pub struct Leaving<'a> {
    peering: &'a Peering,
    pair: Pair,
    /// Tables and blocks that still lead to it, with the table's scope.
    routes: Vec<(Scope, RouteTableId, IpNet)>,
}

/// Managed peerings that go, and routes of peerings that stay to blocks that their peer gave up.
pub fn find<'a>(links: &[Link<'a>], view: &View<'a>, draft: &mut Draft) -> Vec<Leaving<'a>> {
    let in_use = |link: &Link<'a>| match link.state {
        State::Live(peering) => Some(&peering.id),
        _ => None,
    };
    let used: BTreeSet<&PeeringId> = links.iter().filter_map(in_use).collect();
    let linked: BTreeSet<&Pair> = links.iter().map(|link| &link.pair).collect();
    let mut leaving = Vec::new();
    for peering in view.observed.peerings.values().filter(|peering| view.manages(peering)) {
        let Some(pair) = peering.pair() else { continue };
        if used.contains(&peering.id) {
            withdraw_given_up_blocks(peering, &pair, view, draft);
            continue;
        }
        if !concerns(peering, &pair, view) {
            continue;
        }
        let wanted = !view.connecting(&pair).is_empty();
        let duplicate = linked.contains(&pair);
        if wanted && duplicate && routes_await_a_successor(peering, links, &pair, view, draft) {
            withdraw_given_up_blocks(peering, &pair, view, draft);
            continue;
        }
        let goes = if wanted { duplicate } else { is_let_go(peering, &pair, view) };
        if goes {
            leaving.push(Leaving { routes: routes_of(peering, view, draft), peering, pair });
        } else if !wanted && peering.status.is_live() {
            report_kept(peering, &pair, view, draft);
        }
    }
    hold_back_mass_deletes(leaving, view, draft)
}

/// Whether this run may judge a peering: it was made for this mesh, or for none that has runs of its own, which keep count
/// of what they delete, and all that there is to know of it was read.
fn concerns(peering: &Peering, pair: &Pair, view: &View<'_>) -> bool {
    let made_for = peering.tagged_meshes();
    let declared = |mesh: &MeshName| view.desired.declared.contains_key(mesh);
    made_for.is_empty()
        || made_for.contains(&view.desired.mesh)
        || (view.is_pair_proven(pair) && !made_for.iter().any(declared))
}

/// A dead peering's routes are left until its successor is active, and then moved to it: a blackhole is safer than a
/// moment in which the traffic falls to a broader route. Where none can come for now they go: when AWS forgets the dead
/// peering, in 2 hours, nobody could tell any more whose they were.
fn routes_await_a_successor(
    peering: &Peering,
    links: &[Link<'_>],
    pair: &Pair,
    view: &View<'_>,
    draft: &Draft,
) -> bool {
    let comes = |link: &Link<'_>| match link.state {
        State::Missing { .. } => view.is_pair_proven(pair) && !draft.unfit.pairs.contains(pair),
        State::Live(successor) => successor.status != PeeringStatus::Active,
        State::Overlapping(..) | State::Foreign(_) | State::Failed(_) => false,
    };
    !peering.status.is_live()
        && !view.observed.refused.contains_key(pair)
        && links.iter().any(|link| link.pair == *pair && comes(link))
}

/// Proof that a pair is no longer wanted: both ends were read and no mesh connects them, or one was read and asks for no
/// mesh at all. What the index remembers of the other is no proof: its tag may name another mesh by now.
fn is_let_go(peering: &Peering, pair: &Pair, view: &View<'_>) -> bool {
    let left = |vpc: &&VpcRef| view.is_proven(vpc) && view.meshes_of(vpc).is_empty();
    view.holding(pair, peering).is_empty() && (view.is_pair_proven(pair) || pair.ends().iter().any(left))
}

fn report_kept(peering: &Peering, pair: &Pair, view: &View<'_>, draft: &mut Draft) {
    let holding = view.holding(pair, peering);
    let undeclared: BTreeSet<_> = holding.difference(&view.keeping(pair)).cloned().collect();
    if holding.is_empty() {
        draft.report.add_finding(Finding::UnprovenPeering { pair: pair.clone(), peering: peering.id.clone() });
    } else if !undeclared.is_empty() {
        let (pair, peering) = (pair.clone(), peering.id.clone());
        draft.report.add_finding(Finding::UndeclaredMeshes { pair, peering, meshes: undeclared });
    }
}

/// Whether a route is moved to where it belongs by this plan, and so must not be taken out.
fn is_moved(table: &RouteTableId, block: &IpNet, draft: &Draft) -> bool {
    draft.work.iter().any(|action| {
        matches!(action, Action::ReplaceRoute { table: t, destination, .. } if t == table && destination == block)
    })
}

/// Routes that lead to a peering and that no other step of this plan moves elsewhere.
fn routes_of(peering: &Peering, view: &View<'_>, draft: &Draft) -> Vec<(Scope, RouteTableId, IpNet)> {
    view.observed
        .routes_via(&peering.id)
        .filter(|(table, route)| !is_moved(&table.id, &route.destination, draft))
        .map(|(table, route)| (table.vpc.scope.clone(), table.id.clone(), route.destination))
        .collect()
}

/// Takes out routes to blocks that the peer no longer brings, and routes in tables that take none any more. As long as one
/// of the meshes may still connect the pair, nobody can tell what is given up.
fn withdraw_given_up_blocks(peering: &Peering, pair: &Pair, view: &View<'_>, draft: &mut Draft) {
    let meshes = view.connecting(pair);
    if meshes != view.keeping(pair) {
        return;
    }
    for (table, route) in view.observed.routes_via(&peering.id) {
        let Some(peer) = pair.ends().into_iter().find(|vpc| **vpc != table.vpc) else { continue };
        if view.is_left_alone(table) || !view.is_present(peer) {
            continue;
        }
        let block = &route.destination;
        let takes = view.takes_routes(table, &meshes);
        let offered = view.offered(peer, &meshes);
        let refused = view.observed.refused.contains_key(pair);
        // What the peer still brings is never unrouted: a wider or narrower route goes when those in its place stand.
        let is_awaited = |piece: &IpNet| {
            let missing = table.created_route(piece).is_none();
            cidr::overlap(piece, block) && missing && (refused || is_to_come(table, piece, draft))
        };
        let stays = takes && (offered.has(block) || offered.iter().any(is_awaited));
        if !stays && !is_moved(&table.id, block, draft) {
            draft.work.insert(remove(&table.vpc.scope, &table.id, block, &peering.id));
        }
    }
}

/// Whether a route is added by this plan, or as soon as there is room.
fn is_to_come(table: &RouteTable, block: &IpNet, draft: &Draft) -> bool {
    let waits = || draft.unfit.routes.contains(&(table.id.clone(), *block));
    let is_added = |action: &Action| matches!(action, Action::AddRoute { table: t, destination, .. } if *t == table.id && destination == block);
    draft.work.iter().any(is_added) || waits()
}

/// Keeps all deletes of a mesh that would lose more than its policy lets one run let go unasked: those of this plan and
/// those that the run has made already.
fn hold_back_mass_deletes<'a>(leaving: Vec<Leaving<'a>>, view: &View<'_>, draft: &mut Draft) -> Vec<Leaving<'a>> {
    let went = || view.observed.deleted.iter().filter_map(|id| view.observed.peerings.get(id));
    let live = view.observed.peerings.values().filter(|p| view.manages(p) && p.status.is_live());
    let standing = by_mesh(live.chain(went()));
    let going = by_mesh(leaving.iter().map(|one| one.peering).filter(|p| p.status.is_live()).chain(went()));
    let mut held = BTreeSet::new();
    for (mesh, count) in going {
        let limits = view.desired.declared.get(&mesh).map(|policy| policy.deletes).unwrap_or_default();
        let live = standing.get(&mesh).copied().unwrap_or_default();
        let confirmed = mesh == view.desired.mesh && view.desired.leave == Leave::Confirmed;
        if !view.is_draining(&mesh) && !confirmed && limits.exceeded_by(count, live) && Rule::MassDeletesWait.is_kept()
        {
            draft.report.add_finding(Finding::DeleteLimit { mesh: mesh.clone(), deletes: count, live, limits });
            held.insert(mesh);
        }
    }
    let is_held = |one: &Leaving<'_>| one.peering.status.is_live() && !one.peering.tagged_meshes().is_disjoint(&held);
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
pub fn withdraw_routes(leaving: &[Leaving<'_>], draft: &mut Draft) {
    for one in leaving {
        for (scope, table, destination) in &one.routes {
            draft.work.insert(remove(scope, table, destination, &one.peering.id));
        }
    }
}

fn remove(scope: &Scope, table: &RouteTableId, destination: &IpNet, peering: &PeeringId) -> Action {
    let (scope, table, destination, peering) = (scope.clone(), table.clone(), *destination, peering.clone());
    Action::RemoveRoute { scope, table, destination, peering }
}

/// Deletes what goes once no route leads to it, which takes both sides' tables to know.
///
/// Either owner may delete an active peering, only the requester a pending one
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html>).
pub fn delete_peerings(leaving: &[Leaving<'_>], view: &View<'_>, draft: &mut Draft) {
    for Leaving { peering, pair, .. } in leaving.iter().filter(|one| one.peering.status.is_live()) {
        let unread = pair.ends().into_iter().find(|vpc| !view.is_proven(vpc));
        if let Some(unread) = unread {
            let (pair, peering, vpc) = (pair.clone(), peering.id.clone(), unread.clone());
            draft.report.add_finding(Finding::UnreadableRoutes { pair, peering, vpc });
            continue;
        }
        if view.observed.routes_via(&peering.id).next().is_some() {
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
