//! Rules of security groups that allow the members of a mesh: the group's tags name the meshes and the ports, and the rules
//! follow membership.
//!
//! Each mesh tags its rules, so that its run can judge them by its own members alone; a rule that two meshes want has the
//! tags of both.

use std::collections::{BTreeMap, BTreeSet};

use super::context::PlanContext;
use super::decisions::Decisions;
use super::quotas::QuotaUsage;
use super::routes::RouteChanges;
use super::security_group_findings::{report_invalid_tags, report_ownership, report_unreadable};
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::{Action, RuleTagChange};
use crate::cidr::{self, CidrSet, IpNet};
use crate::ids::{Pair, PeeringId, SecurityGroupId, VpcRef};
use crate::ingress::{IngressRule, SecurityGroup};
use crate::invariants::Invariant;
use crate::observed::{Peering, PeeringStatus, Route, RouteTable, RouteTarget};
use crate::permission::{Permission, PortsTag, Traffic};
use crate::quotas::Quota;
use crate::tags;

/// Updates this mesh's rules in every group to what the group's tags request: adds and tags rules, and revokes those that are
/// proven unwanted.
pub fn allow(pairs: &[WantedPair<'_>], routes: &RouteChanges, context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    report_unreadable(context, &mut decisions);
    let (rules, peers) = (rules_by_group(context), peers_by_vpc(pairs, context));
    report_ownership(context, &mut decisions);
    for group in
        context.observed.ingress.groups.values().filter(|group| context.observed.has_groups_of(&group.vpc.scope))
    {
        report_invalid_tags(group, context, &mut decisions);
        let ours = rules.get(&group.id).map_or(&[][..], Vec::as_slice);
        let peers = peers.get(&group.vpc).map_or(&[][..], Vec::as_slice);
        let wanted = wanted(group, ours, peers, routes, context);
        tag_wanted(ours, &wanted, context, &mut decisions);
        let added = add(group, ours, &wanted, context, &mut decisions);
        if may_go(group, context) {
            let left =
                ours.iter().filter(|rule| !wanted.contains(&rule.permission) && is_to_judge(rule, group, context));
            // The rules in their place are added first, so that nothing that stays is blocked for a moment.
            for rule in left.filter(|rule| !added.iter().any(|cidr| cidr::overlap(cidr, &rule.permission.from))) {
                revoke(rule, context, &mut decisions);
            }
        }
    }
    // Rules of groups that no longer have the tag.
    let deleted = rules.iter().filter(|(id, _)| !context.observed.ingress.groups.contains_key(**id));
    let left =
        deleted.flat_map(|(_, ours)| ours).filter(|rule| rule.meshes() == 0 || rule.is_for(&context.desired.mesh));
    for rule in left {
        revoke(rule, context, &mut decisions);
    }
    decisions
}

/// This deployment's rules by group, in scopes that were read.
fn rules_by_group<'a>(context: &PlanContext<'a>) -> BTreeMap<&'a SecurityGroupId, Vec<&'a IngressRule>> {
    let mut by_group: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let ingress = &context.observed.ingress;
    for rule in ingress.rules.values() {
        let ours = ingress.owned.contains(&rule.id) || !Invariant::OnlyManaged.is_enforced();
        if ours && context.observed.has_groups_of(&rule.scope) {
            by_group.entry(&rule.group).or_default().push(rule);
        }
    }
    by_group
}

/// A VPC that this mesh connects with another, and the pair of the two.
type Peer<'a> = (&'a VpcRef, &'a WantedPair<'a>);

/// The peers of each VPC in this mesh.
fn peers_by_vpc<'a>(pairs: &'a [WantedPair<'a>], context: &PlanContext<'_>) -> BTreeMap<&'a VpcRef, Vec<Peer<'a>>> {
    let mut by_vpc: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for wanted in pairs.iter().filter(|wanted| wanted.meshes.contains(&context.desired.mesh)) {
        for (vpc, peer) in wanted.pair.directions() {
            by_vpc.entry(vpc).or_default().push((peer, wanted));
        }
    }
    by_vpc
}

/// The traffic that the group may allow for this mesh: what its tags request and the policy admits.
fn admitted_traffic(group: &SecurityGroup, context: &PlanContext<'_>) -> BTreeSet<Traffic> {
    let mesh = &context.desired.mesh;
    let policy = context.desired.declared.get(mesh).and_then(|policy| policy.security_groups.as_ref());
    let policy = policy.filter(|_| group.allows().meshes.contains(mesh));
    policy.map(|policy| PortsTag::of(&group.tags).within(&policy.ports)).unwrap_or_default()
}

/// What the group should allow for this mesh: the CIDR blocks that its VPC's peers advertise and that are routed to them,
/// aggregated, and the rules that stay because a route is about to return.
fn wanted(
    group: &SecurityGroup,
    ours: &[&IngressRule],
    peers: &[Peer<'_>],
    changes: &RouteChanges,
    context: &PlanContext<'_>,
) -> BTreeSet<Permission> {
    let traffic = admitted_traffic(group, context);
    if traffic.is_empty() {
        return BTreeSet::new();
    }
    let of_mesh = || ours.iter().filter(|rule| rule.is_for(&context.desired.mesh)).map(|rule| &rule.permission);
    let routed = RoutedPeers {
        vpc: &group.vpc,
        routes: routes_over_peerings(&group.vpc, context),
        allowed: of_mesh().map(|permission| permission.from).collect(),
        changes,
        context,
    };
    let cidrs: Vec<(IpNet, CidrState)> = peers.iter().flat_map(|peer| routed.cidrs_of(peer)).collect();
    let open: CidrSet = cidrs.iter().filter(|(_, state)| *state == CidrState::Routed).map(|(cidr, _)| *cidr).collect();
    let all: CidrSet = cidrs.iter().map(|(cidr, _)| *cidr).collect::<CidrSet>().aggregated();
    let stays = |permission: &&Permission| {
        let is_awaited =
            cidrs.iter().any(|(cidr, state)| *state == CidrState::Awaited && cidr::overlap(cidr, &permission.from));
        is_awaited && traffic.contains(&permission.traffic) && all.covers(&permission.from)
    };
    let mut wanted: BTreeSet<Permission> = of_mesh().filter(stays).cloned().collect();
    let open = open.aggregated();
    for traffic in &traffic {
        for from in open.iter() {
            let covers = |one: &Permission| one.traffic == *traffic && one.from.contains(from);
            if !wanted.iter().any(covers) {
                wanted.insert(Permission { traffic: traffic.clone(), from: *from });
            }
        }
    }
    wanted
}

/// Whether a CIDR block of a peer is routed to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CidrState {
    /// A table routes it to the peer, over an active peering: rules for it are added.
    Routed,
    /// Its route or its peering is to come (back): rules that allow it already stay.
    Awaited,
}

/// What is routed to the peers of a group's VPC, and what the group allows of it already.
struct RoutedPeers<'a> {
    vpc: &'a VpcRef,
    routes: Vec<(&'a IpNet, &'a PeeringId)>,
    allowed: CidrSet,
    changes: &'a RouteChanges,
    context: &'a PlanContext<'a>,
}

impl RoutedPeers<'_> {
    /// The CIDR blocks of a peer that are routed or awaited. Of a CIDR block that is to get a wider route, these are the parts
    /// that the group allows until then.
    fn cidrs_of(&self, (peer, pair): &Peer<'_>) -> Vec<(IpNet, CidrState)> {
        let peering = match pair.state {
            PairState::Usable(peering) => Some(peering),
            PairState::Missing { .. } | PairState::Foreign(_) => None,
            PairState::Overlapping(..) | PairState::Failed(_) => return Vec::new(),
        };
        let is_connected = peering.is_some_and(|p| p.status == PeeringStatus::Active && self.context.manages(p))
            && self.context.is_pair_proven(&pair.pair);
        let id = peering.map(|peering| &peering.id);
        let is_routed = |cidr: &IpNet| self.routes.iter().any(|(to, via)| to.contains(cidr) && Some(*via) == id);
        let state = |cidr: &IpNet| {
            if self.is_routed_elsewhere(cidr, peer, id) {
                None
            } else if is_connected && is_routed(cidr) {
                Some((*cidr, CidrState::Routed))
            } else if (!is_connected && self.has_managed_table(pair)) || self.is_route_to_come(cidr) {
                Some((*cidr, CidrState::Awaited))
            } else {
                None
            }
        };
        let parts = |cidr: &IpNet| self.allowed.iter().filter(|part| cidr.contains(*part)).filter_map(state).collect();
        let of_cidr = |cidr: &IpNet| match state(cidr) {
            Some((_, CidrState::Awaited)) if !self.allowed.covers(cidr) => parts(cidr),
            None => parts(cidr),
            Some(found) => vec![found],
        };
        let only = BTreeSet::from([self.context.desired.mesh.clone()]);
        self.context.advertised_cidrs(peer, &only).iter().flat_map(of_cidr).collect()
    }

    /// Whether a table of the VPC gets routes of the pair at all.
    fn has_managed_table(&self, pair: &WantedPair<'_>) -> bool {
        let mut tables = self.context.tables_of(self.vpc);
        tables.any(|table| self.context.is_managed_table(table, &pair.meshes))
    }

    fn is_route_to_come(&self, cidr: &IpNet) -> bool {
        self.context.tables_of(self.vpc).any(|table| self.changes.is_part_to_come(&table.id, cidr))
    }

    /// Whether routes lead addresses of a CIDR block to another peer, and none leads the CIDR block to this one over its
    /// peering: a rule would allow the other peer.
    fn is_routed_elsewhere(&self, cidr: &IpNet, peer: &VpcRef, peering: Option<&PeeringId>) -> bool {
        let is_allowed = self.allowed.covers(cidr);
        // AWS no longer lists the peering, or did not list it yet: no reason to add a rule, and none to revoke one.
        let is_unlisted = |id: &PeeringId| !is_allowed && !self.context.observed.peerings.contains_key(id);
        let is_of_other = |id: &PeeringId| is_unlisted(id) || leads_to_other_peer(id, peer, self.context);
        let is_routed_here = self.routes.iter().any(|(to, id)| *to == cidr && Some(*id) == peering);
        !is_routed_here && self.routes.iter().any(|(to, id)| cidr::overlap(to, cidr) && is_of_other(id))
    }
}

/// The static routes of a VPC that lead over peerings, without those that this run moves or deletes.
fn routes_over_peerings<'a>(vpc: &'a VpcRef, context: &PlanContext<'a>) -> Vec<(&'a IpNet, &'a PeeringId)> {
    let routes = context.tables_of(vpc).flat_map(|table| table.routes.iter().map(move |route| (table, route)));
    let stays = |(table, route): (&RouteTable, &'a Route)| match &route.target {
        RouteTarget::Peering(id) if route.is_static && !is_stale(table, &route.destination, id, context) => {
            Some((&route.destination, id))
        }
        RouteTarget::Peering(_) | RouteTarget::Local | RouteTarget::Other(_) => None,
    };
    routes.filter_map(stays).collect()
}

/// Whether a route leads over a managed peering to a VPC that no longer advertises the addresses. A run moves it to the member
/// that advertises them now, if there is one, so it must not affect that member's rules until then.
fn is_stale(table: &RouteTable, destination: &IpNet, id: &PeeringId, context: &PlanContext<'_>) -> bool {
    let Some(peering) = context.observed.peerings.get(id).filter(|peering| context.manages(peering)) else {
        return false;
    };
    let gave_up =
        |peer: &VpcRef, pair: &Pair| context.no_longer_advertises(peer, &context.retaining_meshes(pair), destination);
    !context.is_ignored_table(table)
        && peering.peer_of(&table.vpc).zip(peering.pair()).is_some_and(|(peer, pair)| gave_up(peer, &pair))
}

/// Whether a peering connects another peer, and its routes stay: those of a managed peering that is dead or that no mesh
/// retains are about to be moved, those of a foreign peering stay even after it is dead.
fn leads_to_other_peer(id: &PeeringId, peer: &VpcRef, context: &PlanContext<'_>) -> bool {
    context.observed.peerings.get(id).is_some_and(|peering| {
        let is_retained = || peering.pair().is_some_and(|pair| !context.retaining_meshes(&pair).is_empty());
        let routes_stay = !context.manages(peering) || (peering.status.is_live() && is_retained());
        routes_stay && !peering.ends().contains(&peer)
    })
}

/// Adds the tag of this mesh to wanted rules that other meshes have added, or that have lost their mesh tags. A rule that has
/// lost its ownership tag gets that first.
fn tag_wanted(
    ours: &[&IngressRule],
    wanted: &BTreeSet<Permission>,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) {
    let mesh = &context.desired.mesh;
    for rule in ours.iter().filter(|rule| wanted.contains(&rule.permission)) {
        if !rule.is_for(mesh) || !rule.is_marked(&context.desired.deployment) {
            decisions.actions.extend(change_tag(rule, RuleTagChange::AddMesh(mesh.clone()), context));
        }
    }
}

/// Changes a tag of a rule; first its ownership tag, if it lost that, because IAM policies allow no other change without it. None
/// if the rule has the tag of another deployment.
fn change_tag(rule: &IngressRule, change: RuleTagChange, context: &PlanContext<'_>) -> Option<Action> {
    let deployment = &context.desired.deployment;
    let (scope, id) = (rule.scope.clone(), rule.id.clone());
    if tags::other_owner(&rule.tags, deployment).is_some() {
        return None;
    }
    let is_marked = rule.is_marked(deployment);
    let change = if is_marked { change } else { RuleTagChange::RestoreOwner(deployment.clone()) };
    Some(Action::TagIngress { scope, rule: id, change })
}

/// Adds missing rules up to the quota, first those that replace rules that are about to be revoked. Returns the added CIDR
/// blocks. A permission that a foreign rule gives already needs no rule.
fn add(
    group: &SecurityGroup,
    ours: &[&IngressRule],
    wanted: &BTreeSet<Permission>,
    context: &PlanContext<'_>,
    decisions: &mut Decisions,
) -> BTreeSet<IpNet> {
    let exists = |one: &&Permission| group.open.contains_key(one) || ours.iter().any(|rule| rule.permission == **one);
    let going = || ours.iter().map(|rule| &rule.permission).filter(|permission| !wanted.contains(permission));
    let replaces =
        |new: &Permission| going().any(|old| old.traffic == new.traffic && cidr::overlap(&old.from, &new.from));
    let mut added = BTreeSet::new();
    if wanted.is_empty() {
        return added;
    }
    for v4 in [true, false] {
        let mut missing: Vec<&Permission> = wanted.iter().filter(|one| one.is_v4() == v4 && !exists(one)).collect();
        missing.sort_by_key(|one| !replaces(one));
        let refused = context.observed.run.full_groups.get(&group.id).map(String::as_str);
        let (quota, scope, subject, used) = (Quota::Rules, &group.vpc.scope, group.id.to_string(), group.count(v4));
        let usage = QuotaUsage { quota, scope, subject, used, refused };
        let allocated = usage.allocate(missing.len(), |nth| missing[nth].to_string(), context, decisions);
        for permission in &missing[..allocated] {
            added.insert(permission.from);
            let tags = tags::of_rule(&context.desired.deployment, &context.desired.mesh);
            let description = context.desired.seals.description(scope, &group.id, permission);
            let (scope, group, permission) = (scope.clone(), group.id.clone(), (*permission).clone());
            decisions.act(Action::AuthorizeIngress { scope, group, permission, description, tags });
        }
    }
    added
}

/// Whether rules of a group that this mesh does not want may be revoked. They stay while a peer whose account the mesh admits
/// cannot be read, because what it advertises is unknown, and while the mesh is undeclared or its admission undetermined,
/// because neither proves that a VPC left.
fn may_go(group: &SecurityGroup, context: &PlanContext<'_>) -> bool {
    let (vpc, mesh) = (&group.vpc, &context.desired.mesh);
    if !group.allows().meshes.contains(mesh) || !context.meshes_of(vpc).contains(mesh) {
        return true;
    }
    let has_unread_peer = |peering: &Peering| {
        let (ours, requester) = (context.manages(peering), &peering.requester.scope);
        let made_for_it = ours && peering.tagged_meshes().contains(mesh);
        // The create call tags the requester's side, and that side has not shown it.
        let may_be =
            !ours && !peering.is_shown_by(requester) && context.desired.accounts.known.contains(&requester.account);
        let unread = |end: &&VpcRef| !context.is_proven(end) && !context.excludes_account_of(end, mesh);
        peering.ends().into_iter().filter(unread).any(|end| {
            let failed = context.observed.scopes.contains_key(&end.scope); // rather than not tried
            made_for_it || may_be || (ours && (failed || context.is_unknown(end)))
        })
    };
    let mut theirs = context.index.live_peerings_of(vpc).iter().copied();
    let in_doubt = context.requesters_of(mesh).any(|vpc| context.is_undetermined(vpc, mesh));
    context.desired.declared.contains_key(mesh) && !in_doubt && !theirs.any(has_unread_peer)
}

/// Whether this run may judge a rule: it has the tag of this mesh, or of none, because a user removed the tags, and this is the
/// first by name of the meshes that could want it.
fn is_to_judge(rule: &IngressRule, group: &SecurityGroup, context: &PlanContext<'_>) -> bool {
    let mesh = &context.desired.mesh;
    let (allows, requested) = (group.allows().meshes, context.meshes_of(&group.vpc));
    let mut could =
        allows.iter().filter(|mesh| requested.contains(mesh) && context.desired.declared.contains_key(*mesh));
    rule.is_for(mesh) || (rule.meshes() == 0 && could.next().is_none_or(|first| first == mesh))
}

/// Revokes a rule that this mesh does not want; if it has the tags of other meshes, only removes the tag of this one.
fn revoke(rule: &IngressRule, context: &PlanContext<'_>, decisions: &mut Decisions) {
    if rule.meshes() > 1 {
        let change = RuleTagChange::RemoveMesh(context.desired.mesh.clone());
        decisions.actions.extend(change_tag(rule, change, context));
        return;
    }
    let IngressRule { id, scope, group, permission, .. } = rule;
    let (scope, group, rule, permission) = (scope.clone(), group.clone(), id.clone(), permission.clone());
    decisions.act(Action::RevokeIngress { scope, group, rule, permission });
}
