//! An independent check of every plan, with rules that do not share the planner's code.
//!
//! The engine applies nothing of a plan that violates a rule, and every planner test lints its plans.

use std::collections::BTreeSet;

use crate::action::{Action, Plan};
use crate::cidr::{CidrSet, IpNet};
use crate::desired::DesiredState;
use crate::ids::{Pair, PeeringId, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{ObservedState, Peering, PeeringStatus, Route, RouteTarget};
use crate::permission::{Permission, Traffic};
use crate::planner::{ObservedIndex, PlanContext};
use crate::tags::{self, TableTag, Tags};

/// The violations of a plan, one sentence each; empty for a sound plan.
pub fn lint(plan: &Plan, desired: &DesiredState, observed: &ObservedState) -> Vec<String> {
    lint_on(plan, desired, &ObservedIndex::new(observed))
}

/// As [`lint`], on an index that serves several meshes.
pub fn lint_on(plan: &Plan, desired: &DesiredState, index: &ObservedIndex<'_>) -> Vec<String> {
    if !Invariant::all_are_enforced() {
        return Vec::new(); // else the simulator would find what the linter found before
    }
    let rules = Rules { desired, observed: index.observed, context: PlanContext::new(desired, index) };
    let mut broken: Vec<String> =
        plan.actions().filter_map(|action| rules.broken_by(action).map(|rule| format!("{action}: {rule}"))).collect();
    broken.extend(twice(plan));
    broken
}

/// The violations of a plan that requests a pair twice, or changes a route or allows a permission twice.
fn twice(plan: &Plan) -> Vec<String> {
    let (mut pairs, mut routes, mut opened) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let once = |action: &&Action| match action {
        Action::CreatePeering { pair, .. } => pairs.insert(pair.clone()),
        Action::AddRoute { table, destination, .. }
        | Action::ReplaceRoute { table, destination, .. }
        | Action::RemoveRoute { table, destination, .. } => routes.insert((table.clone(), *destination)),
        Action::AcceptPeering { .. }
        | Action::TagPeering { .. }
        | Action::ReleasePeering { .. }
        | Action::SetDns { .. }
        | Action::DeletePeering { .. }
        | Action::TagIngress { .. }
        | Action::RevokeIngress { .. }
        | Action::SetStatus { .. } => true,
        Action::AuthorizeIngress { group, permission, .. } => opened.insert((group.clone(), permission.clone())),
    };
    let mut once = once;
    plan.actions().filter(|action| !once(action)).map(|action| format!("{action}: changed twice")).collect()
}

struct Rules<'a> {
    desired: &'a DesiredState,
    observed: &'a ObservedState,
    context: PlanContext<'a>,
}

impl Rules<'_> {
    fn broken_by(&self, action: &Action) -> Option<&'static str> {
        if !self.observed.was_read(action.scope()) {
            return Some("its scope was not read");
        }
        if action.pair(self.observed).is_some_and(|pair| !self.context.pausing_meshes(&pair).is_empty()) {
            return Some("a mesh of the pair is paused");
        }
        match action {
            Action::CreatePeering { pair, .. } => self.request(pair),
            Action::AcceptPeering { peering, .. } => self.wanted(peering).or_else(|| self.unproven(peering)),
            Action::TagPeering { peering, scope, .. } => self
                .managed(peering)
                .err()
                .filter(|_| !self.adopted(peering))
                .or_else(|| self.other_mark(peering, scope)),
            Action::ReleasePeering { peering, scope } => self.releasable(peering, scope),
            Action::SetDns { peering, on, .. } => self.resolve(peering, *on),
            Action::AddRoute { table, destination, peering, .. } => self
                .route(table, destination, peering)
                .or_else(|| self.target(table, destination).map(|_| "the CIDR block has a route already"))
                .or_else(|| self.propagated(table, destination)),
            Action::ReplaceRoute { table, destination, from, peering, .. } => {
                self.route(table, destination, peering).or_else(|| self.leads_to(table, destination, from))
            }
            Action::RemoveRoute { table, destination, peering, .. } => self.leads_to(table, destination, peering),
            Action::DeletePeering { peering, pair, .. } => self.delete(peering, pair),
            Action::AuthorizeIngress { group, permission, .. } => self.open(group, permission),
            Action::TagIngress { rule, .. } | Action::RevokeIngress { rule, .. } => self.own_rule(rule),
            Action::SetStatus { vpc, .. } => (!self.observed.vpcs.contains_key(vpc)).then_some("the VPC was not read"),
        }
    }

    fn managed(&self, id: &PeeringId) -> Result<&Peering, &'static str> {
        let peering = self.observed.peerings.get(id).ok_or("the peering was not read")?;
        if peering.is_owned() { Ok(peering) } else { Err("the peering is foreign") }
    }

    /// A release removes only tags of this deployment.
    fn releasable(&self, id: &PeeringId, scope: &Scope) -> Option<&'static str> {
        let is_released = self.desired.declared.values().any(|policy| policy.release.contains(id));
        let unnamed = || (!is_released).then_some("no policy releases it");
        self.managed(id).err().or_else(unnamed).or_else(|| self.other_mark(id, scope))
    }

    fn other_mark(&self, id: &PeeringId, scope: &Scope) -> Option<&'static str> {
        let current = self.observed.peerings.get(id)?.tags.get(scope)?;
        tags::other_owner(current, &self.desired.deployment).map(|_| "the side has the tag of another deployment")
    }

    fn adopted(&self, id: &PeeringId) -> bool {
        let named = self.desired.declared.values().any(|policy| policy.adopt.contains(id));
        let is_of_other = |current: &Tags| tags::other_owner(current, &self.desired.deployment).is_some();
        let is_free = |peering: &Peering| !peering.tags.values().any(is_of_other);
        named && self.observed.peerings.get(id).is_some_and(|p| p.status == PeeringStatus::Active && is_free(p))
    }

    fn request(&self, pair: &Pair) -> Option<&'static str> {
        let mut of_pair = self.context.index.peerings_of(pair).iter();
        if of_pair.any(|peering| peering.status.is_live()) {
            Some("the pair has a live peering")
        } else if self.context.connecting_meshes(pair).is_empty() {
            Some("no mesh connects the pair")
        } else if pair.ends().into_iter().any(|vpc| !self.context.is_present(vpc)) {
            Some("one of the VPCs was not read")
        } else {
            None
        }
    }

    fn wanted(&self, id: &PeeringId) -> Option<&'static str> {
        let peering = match self.managed(id) {
            Ok(peering) => peering,
            Err(rule) => return Some(rule),
        };
        let connected = peering.pair().is_some_and(|pair| !self.context.connecting_meshes(&pair).is_empty());
        (!connected).then_some("no mesh connects the pair")
    }

    fn resolve(&self, id: &PeeringId, on: bool) -> Option<&'static str> {
        let peering = match self.managed(id) {
            Ok(peering) => peering,
            Err(rule) => return Some(rule),
        };
        let said = peering.pair().and_then(|pair| self.context.resolves(&self.context.connecting_meshes(&pair)));
        if peering.status != PeeringStatus::Active {
            Some("the peering is not active")
        } else if said != Some(on) {
            Some("no mesh of the pair requests this DNS option")
        } else {
            None
        }
    }

    fn open(&self, id: &SecurityGroupId, permission: &Permission) -> Option<&'static str> {
        let Some(group) = self.observed.ingress.groups.get(id) else { return Some("the group was not read") };
        let mesh = &self.desired.mesh;
        let members: Vec<&VpcRef> = self.context.requesters_of(mesh).collect();
        let only = BTreeSet::from([mesh.clone()]);
        let advertised =
            members.iter().filter(|vpc| ***vpc != group.vpc).map(|vpc| self.context.advertised_cidrs(vpc, &only));
        let theirs: CidrSet = advertised.flat_map(|cidrs| cidrs.iter().copied().collect::<Vec<_>>()).collect();
        if !group.allows().meshes.contains(mesh) {
            Some("the group does not allow the mesh")
        } else if !members.contains(&&group.vpc) {
            Some("the group's VPC does not request the mesh")
        } else if !theirs.spans(&permission.from) {
            Some("no other member advertises all of these addresses")
        } else if !self.admits_ports(permission) {
            Some("the policy of the mesh does not allow these ports")
        } else if !self.is_routed(&group.vpc, permission) {
            Some("no table of the VPC routes all of these addresses to peers")
        } else if group.open.contains_key(permission) {
            Some("the group allows that already")
        } else {
            None
        }
    }

    /// Whether the policy of the mesh names every port of a permission, in one of its ranges or in several.
    fn admits_ports(&self, permission: &Permission) -> bool {
        let policy = self.desired.declared.get(&self.desired.mesh).and_then(|policy| policy.security_groups.as_ref());
        let Some(policy) = policy else { return false };
        let (first, last) = match permission.traffic {
            Traffic::Tcp(first, last) | Traffic::Udp(first, last) => (first, last),
            _ => return policy.ports.contains(&permission.traffic),
        };
        let ranges = policy.ports.iter().filter_map(|named| match (&permission.traffic, named) {
            (Traffic::Tcp(..), Traffic::Tcp(a, b)) | (Traffic::Udp(..), Traffic::Udp(a, b)) => Some((*a, *b)),
            _ => None,
        });
        // The ranges are in order of their first ports.
        let unnamed = ranges.fold(u32::from(first), |next, (a, b)| match u32::from(a) <= next {
            true => next.max(u32::from(b) + 1),
            false => next,
        });
        unnamed > u32::from(last)
    }

    /// Whether static routes of a VPC lead all addresses of a permission over managed peerings.
    fn is_routed(&self, vpc: &VpcRef, permission: &Permission) -> bool {
        let routes = self.context.tables_of(vpc).flat_map(|table| &table.routes).filter(|route| route.is_static);
        let over_ours = |target: &RouteTarget| matches!(target, RouteTarget::Peering(id) if self.managed(id).is_ok());
        let routed: CidrSet = routes.filter(|route| over_ours(&route.target)).map(|route| route.destination).collect();
        routed.spans(&permission.from)
    }

    fn own_rule(&self, id: &SecurityGroupRuleId) -> Option<&'static str> {
        let ingress = &self.observed.ingress;
        if !ingress.rules.contains_key(id) {
            Some("the rule was not read")
        } else {
            (!ingress.owned.contains(id)).then_some("the rule is foreign")
        }
    }

    fn unproven(&self, id: &PeeringId) -> Option<&'static str> {
        let ends = self.observed.peerings.get(id)?.ends();
        ends.into_iter().any(|vpc| !self.context.is_proven(vpc)).then_some("a side could not be read")
    }

    fn route(&self, table: &RouteTableId, destination: &IpNet, id: &PeeringId) -> Option<&'static str> {
        if let Some(rule) = self.wanted(id) {
            return Some(rule);
        }
        let (Some(peering), Some(table)) = (self.observed.peerings.get(id), self.observed.tables.get(table)) else {
            return Some("the table was not read");
        };
        let overlaps_own = self
            .context
            .cidrs_of(&table.vpc)
            .is_some_and(|own| own.iter().any(|cidr| crate::cidr::overlap(cidr, destination)));
        if peering.status != PeeringStatus::Active {
            Some("the peering is not active")
        } else if !peering.ends().contains(&&table.vpc) {
            Some("the table is of neither VPC")
        } else if matches!(TableTag::of(&table.tags), Ok(TableTag::Ignore) | Err(_)) {
            Some("the table is ignored")
        } else if !peering.ends().into_iter().any(|vpc| self.has(vpc, destination)) {
            Some("neither VPC has the CIDR block")
        } else if !peering
            .ends()
            .into_iter()
            .any(|vpc| self.has(vpc, destination) && self.admits(peering, vpc, destination))
        {
            Some("no mesh that connects the pair admits these addresses")
        } else if table.is_edge_associated {
            Some("an edge-associated table cannot have peering routes")
        } else if overlaps_own {
            Some("the CIDR block overlaps one of the VPC's own")
        } else {
            None
        }
    }

    fn has(&self, vpc: &VpcRef, cidr: &IpNet) -> bool {
        self.context.cidrs_of(vpc).is_some_and(|own| own.iter().any(|own| own.contains(cidr)))
    }

    fn admits(&self, peering: &Peering, vpc: &VpcRef, cidr: &IpNet) -> bool {
        let meshes = peering.pair().map(|pair| self.context.connecting_meshes(&pair)).unwrap_or_default();
        let mut policies = meshes.iter().filter_map(|mesh| self.desired.declared.get(mesh));
        policies.any(|policy| self.context.admits_cidr(policy, vpc, cidr))
    }

    fn target(&self, table: &RouteTableId, destination: &IpNet) -> Option<&RouteTarget> {
        self.observed.tables.get(table)?.created_route(destination).map(|route| &route.target)
    }

    fn propagated(&self, table: &RouteTableId, destination: &IpNet) -> Option<&'static str> {
        let mut routes = self.observed.tables.get(table)?.routes.iter();
        let same = |route: &Route| route.destination == *destination && route.target != RouteTarget::Local;
        routes.any(same).then_some("a gateway propagates a route to the CIDR block")
    }

    fn leads_to(&self, table: &RouteTableId, destination: &IpNet, id: &PeeringId) -> Option<&'static str> {
        match self.target(table, destination) {
            Some(RouteTarget::Peering(found)) if found == id => self.managed(id).err(),
            _ => Some("the route does not target that peering"),
        }
    }

    fn delete(&self, id: &PeeringId, pair: &Pair) -> Option<&'static str> {
        let another = self
            .observed
            .peerings
            .values()
            .any(|peering| peering.id != *id && peering.pair().as_ref() == Some(pair) && peering.status.is_live());
        let peering = match self.managed(id) {
            Ok(peering) => peering,
            Err(rule) => return Some(rule),
        };
        if self.context.routes_via(peering).next().is_some() {
            Some("routes still target it")
        } else if pair.ends().into_iter().any(|vpc| self.context.is_missing_side(vpc, peering)) {
            Some("a side could not be read")
        } else if !self.context.protecting_meshes(pair, peering).is_empty() && !another && !self.overlapping(pair) {
            Some("a mesh still protects the pair")
        } else {
            None
        }
    }

    fn overlapping(&self, pair: &Pair) -> bool {
        match pair.ends().map(|vpc| self.context.cidrs_of(vpc)) {
            [Some(ours), Some(theirs)] => ours.first_overlap(theirs).is_some(),
            _ => false,
        }
    }
}
