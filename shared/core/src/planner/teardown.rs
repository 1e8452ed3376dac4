//! Teardown: peerings that no mesh wants any longer. Routes first, then the peering, and neither without proof.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::peerings::{Requests, restore_mark};
use super::routes::RouteChanges;
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::Action;
use crate::cidr::{self, IpNet};
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, Scope, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus};
use crate::tags;

/// A managed peering that is proven unwanted, or a dead one that still has routes.
pub struct Teardown<'a> {
    peering: &'a Peering,
    pair: Pair,
    /// The actions that remove the routes to it.
    route_removals: Vec<Action>,
}

/// The teardowns of this run.
pub struct Teardowns<'a> {
    /// Those within the delete limits.
    allowed: Vec<Teardown<'a>>,
    /// Those that wait for a confirmation.
    held: Vec<Teardown<'a>>,
    /// Removed routes, and findings about what stays.
    pub decisions: Decisions,
}

impl Teardowns<'_> {
    /// The number of live peerings of a mesh that no mesh wants.
    pub fn leaving(&self, mesh: &MeshName) -> usize {
        let of_mesh = |one: &&Teardown<'_>| one.peering.status.is_live() && one.peering.tagged_meshes().contains(mesh);
        self.allowed.iter().chain(&self.held).filter(of_mesh).count()
    }
}

/// Finds the managed peerings to delete, and removes their routes and the stale routes of peerings that stay.
pub fn find_teardowns<'a>(
    pairs: &[WantedPair<'a>],
    requests: &Requests,
    routes: &RouteChanges,
    context: &PlanContext<'a>,
) -> Teardowns<'a> {
    let by_pair: BTreeMap<&Pair, &WantedPair<'_>> = pairs.iter().map(|wanted| (&wanted.pair, wanted)).collect();
    let mut decisions = Decisions::default();
    let mut unwanted = Vec::new();
    for peering in peerings_to_judge(pairs, context) {
        let Some(pair) = peering.pair() else { continue };
        let wanted = by_pair.get(&pair).copied();
        if wanted.is_some_and(|wanted| is_in_use(peering, wanted)) {
            remove_stale_routes(peering, &pair, routes, context, &mut decisions);
            continue;
        }
        if !is_in_scope_of_run(peering, &pair, context) {
            continue;
        }
        let is_connected = !context.connecting_meshes(&pair).is_empty();
        if is_connected && wanted.is_some_and(|wanted| awaits_successor(peering, wanted, requests, context)) {
            remove_stale_routes(peering, &pair, routes, context, &mut decisions);
            continue;
        }
        let is_duplicate = is_connected && wanted.is_some();
        if is_duplicate || (!is_connected && is_proven_unwanted(peering, &pair, context)) {
            let route_removals = route_removals(peering, routes, context);
            unwanted.push(Teardown { peering, pair, route_removals });
        } else if !is_connected && peering.status.is_live() {
            report_retained(peering, &pair, context, &mut decisions);
        }
    }
    let (held, allowed) = enforce_delete_limits(unwanted, context, &mut decisions);
    decisions.actions.extend(allowed.iter().flat_map(|one| &one.route_removals).cloned());
    decisions.held.extend(held.iter().flat_map(|one| &one.route_removals).cloned());
    decisions.held.extend(held.iter().map(|one| delete_peering(one, &one.peering.requester.scope)));
    Teardowns { allowed, held, decisions }
}

/// The managed peerings of the wanted pairs, and those that were made for this mesh or for none that is declared, in order of id.
fn peerings_to_judge<'a>(pairs: &[WantedPair<'a>], context: &PlanContext<'a>) -> Vec<&'a Peering> {
    let index = context.index;
    let of_pairs = pairs.iter().flat_map(|wanted| index.peerings_of(&wanted.pair)).copied();
    let of_none = index.made_for_none_or(|mesh| !context.desired.declared.contains_key(mesh));
    let all = of_pairs.chain(index.made_for(&context.desired.mesh).iter().copied()).chain(of_none);
    let managed = all.filter(|peering| context.manages(peering)).map(|peering| (&peering.id, peering));
    managed.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn is_in_use(peering: &Peering, wanted: &WantedPair<'_>) -> bool {
    matches!(wanted.state, PairState::Usable(used) if used.id == peering.id)
}

/// Whether this run may judge a peering: it was made for this mesh, or for none that is declared and so has runs of its own,
/// which count what they delete, and both ends were read.
fn is_in_scope_of_run(peering: &Peering, pair: &Pair, context: &PlanContext<'_>) -> bool {
    let made_for = peering.tagged_meshes();
    let is_declared = |mesh: &MeshName| context.desired.declared.contains_key(mesh);
    made_for.is_empty()
        || made_for.contains(&context.desired.mesh)
        || (context.is_pair_proven(pair) && !made_for.iter().any(is_declared))
}

/// Whether the routes of a dead peering stay until its successor is active, and are then moved to it: a blackhole is safer
/// than a moment in which the traffic follows a broader route. If no successor can be requested for now, they are removed:
/// AWS no longer lists the dead peering in 2 hours, and then peerd could not distinguish them from foreign routes.
fn awaits_successor(
    peering: &Peering,
    wanted: &WantedPair<'_>,
    requests: &Requests,
    context: &PlanContext<'_>,
) -> bool {
    let successor_comes = match wanted.state {
        PairState::Missing { .. } => {
            context.is_pair_proven(&wanted.pair) && !requests.over_quota.contains(&wanted.pair)
        }
        PairState::Usable(successor) => successor.status != PeeringStatus::Active,
        PairState::Overlapping(..) | PairState::Foreign(_) | PairState::Failed(_) => false,
    };
    !peering.status.is_live() && !context.observed.run.quota_refusals.contains_key(&wanted.pair) && successor_comes
}

/// Proof that no mesh wants a pair any longer: both ends were read and no mesh protects them; or one end was read, and requests
/// no mesh at all or only meshes that exclude the account of the other. The index is no proof for the other end: its tag may
/// name another mesh by now.
fn is_proven_unwanted(peering: &Peering, pair: &Pair, context: &PlanContext<'_>) -> bool {
    let has_left = |vpc: &VpcRef| context.is_proven(vpc) && context.meshes_of(vpc).is_empty();
    let is_out = |vpc: &VpcRef| has_left(vpc) || context.is_excluded(vpc, peering);
    context.protecting_meshes(pair, peering).is_empty()
        && (context.is_pair_proven(pair) || pair.ends().into_iter().any(is_out))
}

fn report_retained(peering: &Peering, pair: &Pair, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let protecting = context.protecting_meshes(pair, peering);
    let undeclared: BTreeSet<_> = protecting.difference(&context.retaining_meshes(pair)).cloned().collect();
    let (pair, peering) = (pair.clone(), peering.id.clone());
    if protecting.is_empty() {
        decisions.report(Finding::UnprovenPeering { pair, peering });
    } else if undeclared.contains(&context.desired.mesh) {
        decisions.report(Finding::UndeclaredMeshes { pair, peering, meshes: undeclared });
    }
}

/// Removes the routes to a peering, except those that this plan moves to another one.
fn route_removals(peering: &Peering, routes: &RouteChanges, context: &PlanContext<'_>) -> Vec<Action> {
    let existing = context.routes_via(peering);
    let stale = existing.filter(|(table, route)| !routes.replaces(&table.id, &route.destination));
    stale.map(|(table, route)| Action::remove_route(table, &route.destination, &peering.id)).collect()
}

/// Removes routes to CIDR blocks that the peer no longer advertises, and routes in tables that are no longer managed. While
/// a mesh may still connect the pair, what the peer advertises is unknown, and all routes stay.
fn remove_stale_routes(
    peering: &Peering,
    pair: &Pair,
    routes: &RouteChanges,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) {
    let meshes = context.connecting_meshes(pair);
    if meshes != context.retaining_meshes(pair) {
        return;
    }
    let refused = context.observed.run.quota_refusals.contains_key(pair);
    for (table, route) in context.routes_via(peering) {
        let Some(peer) = peering.peer_of(&table.vpc) else { continue };
        if context.is_ignored_table(table) || !context.is_present(peer) {
            continue;
        }
        let cidr = &route.destination;
        let advertised = context.advertised_cidrs(peer, &meshes);
        // What the peer still advertises always has a route: a wider or narrower one stays until those in its place exist.
        let is_awaited = |part: &IpNet| {
            let is_missing = table.created_route(part).is_none();
            cidr::overlap(part, cidr) && is_missing && (refused || routes.is_to_come(&table.id, part))
        };
        let is_managed = context.is_managed_table(table, &meshes);
        let is_due = || advertised.has(cidr) || advertised.iter().any(is_awaited);
        let stays = is_managed && (is_due() || context.may_mean(peer, &meshes, cidr));
        if !stays && !routes.replaces(&table.id, cidr) {
            decisions.act(Action::remove_route(table, cidr, &peering.id));
        }
    }
}

/// Holds back all deletes of a mesh that together exceed what its policy allows one run to delete without a confirmation:
/// those of this plan and those that the run has made already. Returns these and the others. The limits do not apply to peerings
/// of blocked accounts, which an operator named.
fn enforce_delete_limits<'a>(
    unwanted: Vec<Teardown<'a>>,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) -> (Vec<Teardown<'a>>, Vec<Teardown<'a>>) {
    let is_blocked = |peering: &Peering| {
        peering.ends().into_iter().any(|vpc| context.desired.accounts.blocked.contains(&vpc.scope.account))
    };
    let deleted = context.observed.run.deleted.iter().filter_map(|id| context.observed.peerings.get(id));
    let deleted: Vec<&Peering> = deleted.filter(|peering| !is_blocked(peering)).collect();
    let limited = |peering: &&Peering| peering.status.is_live() && !is_blocked(peering);
    let deletes = count_by_mesh(unwanted.iter().map(|one| one.peering).filter(limited).chain(deleted.iter().copied()));
    let deleted = count_by_mesh(deleted.into_iter());
    let is_counted = |peering: &&&Peering| context.manages(peering) && peering.status.is_live();
    let mut held = BTreeSet::new();
    for (mesh, deletes) in deletes {
        let limits = context.desired.declared.get(&mesh).map(|policy| policy.deletes).unwrap_or_default();
        let live = context.index.made_for(&mesh).iter().filter(is_counted).count();
        let live = live + deleted.get(&mesh).copied().unwrap_or_default();
        let is_confirmed = mesh == context.desired.mesh && context.desired.delete_approval.confirms(deletes);
        if !context.is_draining(&mesh)
            && !is_confirmed
            && limits.exceeded_by(deletes, live)
            && Invariant::MassDeletesWait.is_enforced()
        {
            decisions.report(Finding::DeleteLimit { mesh: mesh.clone(), deletes, live, limits });
            held.insert(mesh);
        }
    }
    let is_held = |one: &Teardown<'_>| limited(&one.peering) && !one.peering.tagged_meshes().is_disjoint(&held);
    let (kept, allowed): (Vec<_>, Vec<_>) = unwanted.into_iter().partition(is_held);
    for one in &kept {
        for mesh in &one.peering.tagged_meshes() & &held {
            decisions.reasons.hold(&one.pair, &mesh);
        }
    }
    (kept, allowed)
}

/// How many of the peerings were made for each mesh.
fn count_by_mesh<'a>(peerings: impl Iterator<Item = &'a Peering>) -> BTreeMap<MeshName, usize> {
    let mut counts: BTreeMap<MeshName, usize> = BTreeMap::new();
    for mesh in peerings.flat_map(Peering::tagged_meshes) {
        *counts.entry(mesh).or_default() += 1;
    }
    counts
}

/// Deletes peerings to which no route leads any longer. That is known only if both sides' tables were read; the routes of an
/// account that the policies exclude do not count.
///
/// Either owner may delete an active peering, only the requester a pending one
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html>).
pub fn delete(teardowns: &Teardowns<'_>, context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for one in teardowns.allowed.iter().filter(|one| one.peering.status.is_live()) {
        let Teardown { peering, pair, .. } = one;
        let unread = pair.ends().into_iter().find(|vpc| context.is_missing_side(vpc, peering));
        if let Some(unread) = unread {
            let (pair, peering, vpc) = (pair.clone(), peering.id.clone(), unread.clone());
            decisions.report(Finding::UnreadableRoutes { pair, peering, vpc });
            continue;
        }
        if context.routes_via(peering).next().is_some() {
            continue; // this plan removes them, a later one deletes the peering
        }
        let is_shown_by_requester = peering.is_shown_by(&peering.requester.scope);
        match &peering.status {
            PeeringStatus::PendingAcceptance if !is_shown_by_requester => {
                decisions.wait(pair, format!("{} can be deleted by its requester only, or expires", peering.id));
            }
            PeeringStatus::PendingAcceptance => delete_from(&[&peering.requester.scope], one, context, &mut decisions),
            PeeringStatus::Active => {
                let scopes = peering.ends().map(|vpc| &vpc.scope);
                delete_from(&scopes, one, context, &mut decisions);
            }
            other => decisions.wait(pair, format!("{} is {other} and can be deleted later", peering.id)),
        }
    }
    decisions
}

fn delete_peering(one: &Teardown<'_>, scope: &Scope) -> Action {
    Action::DeletePeering { peering: one.peering.id.clone(), scope: scope.clone(), pair: one.pair.clone() }
}

/// Deletes a peering from the first of these sides that has the ownership tag, without which IAM policies allow no delete. If
/// none has it, writes the tag again, and a later plan deletes the peering.
fn delete_from(scopes: &[&Scope], one: &Teardown<'_>, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let Teardown { peering, pair, .. } = one;
    let deployment = &context.desired.deployment;
    let id = peering.id.clone();
    if let Some(scope) = scopes.iter().find(|scope| peering.is_marked_in(scope, deployment)) {
        decisions.act(delete_peering(one, scope));
    } else if let Some(mark) = scopes.iter().find_map(|scope| restore_mark(peering, scope, context)) {
        decisions.act(mark);
    } else {
        let of_other = |scope: &Scope| tags::other_owner(peering.tags.get(scope)?, deployment).map(tags::shortened);
        for (scope, deployment) in scopes.iter().filter_map(|scope| Some((*scope, of_other(scope)?))) {
            let (pair, peering, scope) = (pair.clone(), id.clone(), scope.clone());
            decisions.report(Finding::OtherOwnershipTag { pair, peering, scope, deployment });
        }
    }
}
