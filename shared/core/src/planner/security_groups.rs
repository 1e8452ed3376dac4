//! Security groups that let the members of a mesh in: the group's tags say whom and what, and the rules follow membership.
//!
//! Each mesh has rules of its own, so that its run can judge them by its own members alone; a rule that two meshes want
//! stands for both.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::{PairState, WantedPair};
use super::quotas::QuotaUsage;
use crate::action::Action;
use crate::cidr::{self, CidrSet, IpNet};
use crate::finding::{Expected, Finding};
use crate::ids::{MeshName, Pair, PeeringId, Scope, SecurityGroupId, VpcRef};
use crate::ingress::{IngressRule, Permission, SecurityGroup, Traffic};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus, Route, RouteTable, RouteTarget};
use crate::quotas::Quota;
use crate::tags;

/// Brings every group's rules of this mesh to what its tags ask for: adds, shares, and takes out what is proven unwanted.
pub fn allow(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    report_gaps(context, draft);
    let (rules, peers) = (rules_by_group(context), peers_by_vpc(links, context));
    for group in context.observed.ingress.groups.values().filter(|group| is_read(&group.vpc.scope, context)) {
        report_senseless(group, context, draft);
        let ours = rules.get(&group.id).map_or(&[][..], Vec::as_slice);
        let wanted = wanted(group, ours, peers.get(&group.vpc).map_or(&[][..], Vec::as_slice), context);
        add_mesh_tag(ours, &wanted, context, draft);
        let added = add(group, ours, &wanted, context, draft);
        if may_go(group, context) {
            let left =
                ours.iter().filter(|rule| !wanted.contains(&rule.permission) && is_to_judge(rule, group, context));
            // What is being added in their place comes first, so that nothing that stays is shut out for a moment.
            let left = left.filter(|rule| !added.iter().any(|block| cidr::overlap(block, &rule.permission.from)));
            left.for_each(|rule| revoke(rule, context, draft));
        }
    }
    // What a group let in that says no more whom it lets in.
    let gone = rules.iter().filter(|(id, _)| !context.observed.ingress.groups.contains_key(**id));
    let left = gone.flat_map(|(_, ours)| ours).filter(|rule| rule.meshes() == 0 || rule.is_for(&context.desired.mesh));
    left.for_each(|rule| revoke(rule, context, draft));
}

fn report_gaps(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for (scope, why) in &context.observed.ingress_gaps {
        let (scope, error) = (scope.clone(), why.clone());
        draft.report.add_finding(Finding::UnreadableSecurityGroups { scope, error });
    }
}

/// Whether a scope has shown both its groups and its rules.
fn is_read(scope: &Scope, context: &PlanContext<'_>) -> bool {
    context.observed.answered(scope) && !context.observed.ingress_gaps.contains_key(scope)
}

/// This deployment's rules by group, in scopes that were read.
fn rules_by_group<'a>(context: &PlanContext<'a>) -> BTreeMap<&'a SecurityGroupId, Vec<&'a IngressRule>> {
    let mut by_group: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for rule in context.observed.ingress.rules.values() {
        let ours = rule.is_managed_by(&context.desired.deployment) || !Invariant::OnlyManaged.is_enforced();
        if ours && is_read(&rule.scope, context) {
            by_group.entry(&rule.group).or_default().push(rule);
        }
    }
    by_group
}

/// Tells what a group's tags ask for in vain, if the group or its VPC has to do with this mesh.
fn report_senseless(group: &SecurityGroup, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let (allows, mesh) = (group.allows(), &context.desired.mesh);
    let asked = context.meshes_of(&group.vpc);
    if !allows.meshes.contains(mesh) && !asked.contains(mesh) {
        return;
    }
    for word in &allows.malformed {
        draft.report.add_finding(Finding::invalid_tag(&group.id, tags::ALLOW, word, Expected::MeshNames));
    }
    for word in Traffic::of(&group.tags).1 {
        draft.report.add_finding(Finding::invalid_tag(&group.id, tags::PORTS, word, Expected::Ports));
    }
    for mesh in &allows.meshes {
        if !asked.contains(mesh) || context.denial(&group.vpc, mesh).is_some() {
            let (group, vpc, mesh) = (group.id.clone(), group.vpc.clone(), mesh.clone());
            draft.report.add_finding(Finding::GroupOfNonMember { group, vpc, mesh });
        }
    }
}

/// A VPC that this mesh connects with another, and the link between the two.
type Peer<'a> = (&'a VpcRef, &'a WantedPair<'a>);

/// The peers of each VPC in this mesh.
fn peers_by_vpc<'a>(links: &'a [WantedPair<'a>], context: &PlanContext<'_>) -> BTreeMap<&'a VpcRef, Vec<Peer<'a>>> {
    let mut by_vpc: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for link in links.iter().filter(|link| link.meshes.contains(&context.desired.mesh)) {
        for (vpc, peer) in link.pair.directions() {
            by_vpc.entry(vpc).or_default().push((peer, link));
        }
    }
    by_vpc
}

/// What the group should let in for this mesh: the blocks that its peers bring, in as few blocks as they make. A block is
/// opened once its peering is active and both VPCs were read; then it stays open as long as the pair is wanted.
fn wanted(
    group: &SecurityGroup,
    ours: &[&IngressRule],
    peers: &[Peer<'_>],
    context: &PlanContext<'_>,
) -> BTreeSet<Permission> {
    let mesh = &context.desired.mesh;
    if !group.allows().meshes.contains(mesh) {
        return BTreeSet::new();
    }
    let only = BTreeSet::from([mesh.clone()]);
    let open: CidrSet = ours.iter().filter(|rule| rule.is_for(mesh)).map(|rule| rule.permission.from).collect();
    let routes = routes_over_peerings(&group.vpc, context);
    let mut blocks = CidrSet::default();
    for (peer, link) in peers {
        let carried_by = match link.state {
            PairState::Live(peering) => Some(peering),
            PairState::Missing { .. } | PairState::Foreign(_) => None,
            PairState::Overlapping(..) | PairState::Failed(_) => continue,
        };
        let carries = carried_by.is_some_and(|p| p.status == PeeringStatus::Active && context.manages(p))
            && context.is_pair_proven(&link.pair);
        let peering = carried_by.map(|peering| &peering.id);
        let advertised_cidrs = context.advertised_cidrs(peer, &only);
        let here =
            advertised_cidrs.iter().filter(|block| !is_routed_to_other_peer(block, peer, peering, &routes, context));
        here.filter(|block| carries || open.covers(block)).for_each(|block| blocks.insert(*block));
    }
    let (traffic, _) = Traffic::of(&group.tags);
    let of_block = |from: &IpNet| {
        let from = *from;
        traffic.iter().map(move |traffic| Permission { traffic: traffic.clone(), from }).collect::<Vec<_>>()
    };
    blocks.aggregated().iter().flat_map(of_block).collect()
}

/// The static routes of a VPC that lead over peerings, without those that this run moves or deletes.
fn routes_over_peerings<'a>(vpc: &'a VpcRef, context: &PlanContext<'a>) -> Vec<(&'a IpNet, &'a PeeringId)> {
    let routes = context.observed.tables_of(vpc).flat_map(|table| table.routes.iter().map(move |route| (table, route)));
    let stays = |(table, route): (&RouteTable, &'a Route)| match &route.target {
        RouteTarget::Peering(id) if route.created && !is_stale(table, &route.destination, id, context) => {
            Some((&route.destination, id))
        }
        RouteTarget::Peering(_) | RouteTarget::Local | RouteTarget::Other(_) => None,
    };
    routes.filter_map(stays).collect()
}

/// Whether a route leads over a managed peering to a VPC that gave the addresses up. It goes to the member that advertises
/// them now, if there is one, so it must not close that member's rules meanwhile.
fn is_stale(table: &RouteTable, destination: &IpNet, id: &PeeringId, context: &PlanContext<'_>) -> bool {
    let Some(peering) = context.observed.peerings.get(id).filter(|peering| context.manages(peering)) else {
        return false;
    };
    let gave_up = |peer: &VpcRef, pair: &Pair| context.gave_up(peer, &context.retaining_meshes(pair), destination);
    !context.is_ignored_table(table)
        && peering.peer_of(&table.vpc).zip(peering.pair()).is_some_and(|(peer, pair)| gave_up(peer, &pair))
}

/// Whether these routes lead addresses of a block to another peer and none of them leads the block to this one: letting
/// them in would let the other in.
fn is_routed_to_other_peer(
    block: &IpNet,
    peer: &VpcRef,
    peering: Option<&PeeringId>,
    routes: &[(&IpNet, &PeeringId)],
    context: &PlanContext<'_>,
) -> bool {
    let is_anothers = |id: &PeeringId| {
        context.observed.peerings.get(id).is_some_and(|peering| {
            // What leads to a VPC that is let go of is about to be moved.
            let stays = || peering.pair().is_some_and(|pair| !context.retaining_meshes(&pair).is_empty());
            let is_anothers = peering.status.is_live() && !peering.ends().contains(&peer);
            is_anothers && (!context.manages(peering) || stays())
        })
    };
    let here = routes.iter().any(|(destination, id)| *destination == block && Some(*id) == peering);
    !here && routes.iter().any(|(destination, id)| cidr::overlap(destination, block) && is_anothers(id))
}

/// Has rules that stand for other meshes, or for none, stand for this one as well.
fn add_mesh_tag(
    ours: &[&IngressRule],
    wanted: &BTreeSet<Permission>,
    context: &PlanContext<'_>,
    draft: &mut PlanBuilder,
) {
    for rule in ours.iter().filter(|rule| wanted.contains(&rule.permission) && !rule.is_for(&context.desired.mesh)) {
        draft.work.insert(mark(rule, &context.desired.mesh, true));
    }
}

fn mark(rule: &IngressRule, mesh: &MeshName, on: bool) -> Action {
    Action::MarkIngress { scope: rule.scope.clone(), rule: rule.id.clone(), mesh: mesh.clone(), on }
}

/// Adds what is missing as far as the quota goes, first what takes the place of rules that go, and tells the blocks that it
/// adds. What somebody else lets in already needs no rule of ours.
fn add(
    group: &SecurityGroup,
    ours: &[&IngressRule],
    wanted: &BTreeSet<Permission>,
    context: &PlanContext<'_>,
    draft: &mut PlanBuilder,
) -> BTreeSet<IpNet> {
    let stands = |wish: &&Permission| group.open.contains(wish) || ours.iter().any(|rule| rule.permission == **wish);
    let going = || ours.iter().map(|rule| &rule.permission).filter(|permission| !wanted.contains(permission));
    let replaces =
        |wish: &Permission| going().any(|one| one.traffic == wish.traffic && cidr::overlap(&one.from, &wish.from));
    let mut added = BTreeSet::new();
    if wanted.is_empty() {
        return added;
    }
    for v4 in [true, false] {
        let mut missing: Vec<&Permission> = wanted.iter().filter(|wish| wish.is_v4() == v4 && !stands(wish)).collect();
        missing.sort_by_key(|wish| !replaces(wish));
        let refused = context.observed.full.get(&group.id).map(String::as_str);
        let (quota, scope, subject, used) = (Quota::Rules, &group.vpc.scope, group.id.to_string(), group.count(v4));
        let shelf = QuotaUsage { quota, scope, subject, used, refused };
        let fits = shelf.fit(missing.len(), |nth| missing[nth].to_string(), context, draft);
        for permission in &missing[..fits] {
            added.insert(permission.from);
            let tags = tags::of_rule(&context.desired.deployment, &context.desired.mesh);
            let (scope, group, permission) = (scope.clone(), group.id.clone(), (*permission).clone());
            draft.work.insert(Action::AuthorizeIngress { scope, group, permission, tags });
        }
    }
    added
}

/// Whether what this mesh does not want of a group may be taken for unwanted. Of a peer that cannot be read nobody knows
/// what it brings, and that a mesh is not declared, or that nobody can tell whom it admits, is no proof that anybody left it.
fn may_go(group: &SecurityGroup, context: &PlanContext<'_>) -> bool {
    let (vpc, mesh) = (&group.vpc, &context.desired.mesh);
    if !group.allows().meshes.contains(mesh) || !context.meshes_of(vpc).contains(mesh) {
        return true;
    }
    let dark_peer = |peering: &Peering| {
        let (ours, asked_by) = (context.manages(peering), &peering.requester.scope);
        let made_for_it = ours && peering.tagged_meshes().contains(mesh);
        // The create call marks the requester's side, and that is the one that was not seen.
        let may_be = !ours && !peering.is_seen_by(asked_by) && context.desired.accounts.contains(&asked_by.account);
        peering.ends().into_iter().filter(|end| !context.is_proven(end)).any(|end| {
            let failed = context.observed.scopes.contains_key(&end.scope); // and was not merely not asked
            made_for_it || may_be || (ours && (failed || context.is_unknown(end)))
        })
    };
    let mut theirs = context.observed.peerings.values().filter(|p| p.status.is_live() && p.ends().contains(&vpc));
    let in_doubt = context.asking_for(mesh).any(|vpc| context.is_in_doubt(vpc, mesh));
    context.desired.declared.contains_key(mesh) && !in_doubt && !theirs.any(dark_peer)
}

/// Whether this run may judge a rule: it stands for this mesh, or for none, because somebody took the tags off, and this is
/// the first by name of the meshes that could want it.
fn is_to_judge(rule: &IngressRule, group: &SecurityGroup, context: &PlanContext<'_>) -> bool {
    let mesh = &context.desired.mesh;
    let (allows, asked) = (group.allows().meshes, context.meshes_of(&group.vpc));
    let mut could = allows.iter().filter(|mesh| asked.contains(mesh) && context.desired.declared.contains_key(*mesh));
    rule.is_for(mesh) || (rule.meshes() == 0 && could.next().is_none_or(|first| first == mesh))
}

/// Takes out a rule that this mesh does not want or, where it stands for other meshes too, this mesh's mark.
fn revoke(rule: &IngressRule, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    if rule.meshes() > 1 {
        draft.work.insert(mark(rule, &context.desired.mesh, false));
        return;
    }
    let IngressRule { id, scope, group, permission, tags: _ } = rule;
    let (scope, group, rule, permission) = (scope.clone(), group.clone(), id.clone(), permission.clone());
    draft.work.insert(Action::RevokeIngress { scope, group, rule, permission });
}
