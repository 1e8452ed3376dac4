//! Effects: what an applied action changed, and the observed state after it.

use crate::action::Action;
use crate::cidr::IpNet;
use crate::ids::{Pair, PeeringId, RouteTableId, SecurityGroupRuleId, VpcRef};
use crate::ingress::{Ingress, IngressRule};
use crate::observed::{ObservedState, PeeringStatus, PeeringView, Route, RouteTarget};
use crate::seal::Seals;
use crate::tags;

/// What an applied action changed, as far as the next pass of the planner depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The ensured state exists, whether or not a change was necessary.
    Done,
    /// The peering that a create call returned: a new one, or one that existed already.
    Peering(Box<PeeringView>),
    /// The current state of the peering.
    Status(PeeringStatus),
    /// The rule that the group has now.
    Rule(SecurityGroupRuleId),
    /// Nothing changed, because an AWS quota is exceeded; with AWS's message.
    Refused(String),
}

impl Action {
    /// The pair that the action concerns; `None` for a status, and for actions that concern a whole mesh.
    pub fn pair(&self, observed: &ObservedState) -> Option<Pair> {
        match self {
            Self::CreatePeering { pair, .. } | Self::DeletePeering { pair, .. } => Some(pair.clone()),
            _ => observed.peerings.get(self.peering()?)?.pair(),
        }
    }

    /// The VPC whose status or security groups the action changes.
    pub fn vpc<'a>(&'a self, observed: &'a ObservedState) -> Option<&'a VpcRef> {
        let group = match self {
            Self::SetStatus { vpc, .. } => return Some(vpc),
            Self::AuthorizeIngress { group, .. } | Self::RevokeIngress { group, .. } => group,
            Self::TagIngress { rule, .. } => &observed.ingress.rules.get(rule)?.group,
            _ => return None,
        };
        Some(&observed.ingress.groups.get(group)?.vpc)
    }
}

impl Action {
    /// The route table that must be read again immediately before the action replaces or removes a route in it.
    pub fn table_to_read(&self) -> Option<&RouteTableId> {
        match self {
            Self::ReplaceRoute { table, .. } | Self::RemoveRoute { table, .. } => Some(table),
            _ => None,
        }
    }
}

impl ObservedState {
    /// Applies what the call of an action returned, so that the next pass need not read everything again.
    pub fn apply_effect(&mut self, action: &Action, effect: Effect, seals: &Seals) {
        match (action, effect) {
            (Action::AuthorizeIngress { group, .. }, Effect::Refused(why)) => {
                drop(self.run.full_groups.insert(group.clone(), why))
            }
            (_, Effect::Refused(why)) => {
                self.run.quota_refusals.extend(action.pair(self).map(|pair| (pair, why)));
            }
            (Action::CreatePeering { pair, .. }, Effect::Peering(view)) => {
                self.add_peering(&pair.requester().scope, *view, seals);
            }
            (
                Action::AcceptPeering { peering, .. }
                | Action::TagPeering { peering, .. }
                | Action::ReleasePeering { peering, .. }
                | Action::SetDns { peering, .. }
                | Action::DeletePeering { peering, .. },
                effect,
            ) => self.apply_to_peering(peering, action, effect),
            (
                Action::AddRoute { table, destination, peering, .. }
                | Action::ReplaceRoute { table, destination, peering, .. },
                _,
            ) => {
                self.remove_route(table, destination);
                if let Some(table) = self.tables.get_mut(table) {
                    let target = RouteTarget::Peering(peering.clone());
                    table.routes.push(Route { destination: *destination, target, is_static: true, blackhole: false });
                }
            }
            (Action::RemoveRoute { table, destination, .. }, _) => self.remove_route(table, destination),
            (Action::AuthorizeIngress { .. } | Action::TagIngress { .. } | Action::RevokeIngress { .. }, effect) => {
                self.ingress.apply_effect(action, effect, seals);
            }
            (Action::SetStatus { vpc, line }, _) => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    match line {
                        Some(line) => drop(vpc.tags.insert(tags::STATUS.to_owned(), line.clone())),
                        None => drop(vpc.tags.remove(tags::STATUS)),
                    }
                }
            }
            (Action::CreatePeering { .. }, _) => {}
        }
    }

    fn apply_to_peering(&mut self, id: &PeeringId, action: &Action, effect: Effect) {
        if matches!(action, Action::DeletePeering { .. }) {
            self.run.deleted.insert(id.clone());
        }
        let Some(peering) = self.peerings.get_mut(id) else { return };
        match (action, effect) {
            (Action::AcceptPeering { scope, .. }, Effect::Status(status)) => {
                peering.status = status;
                peering.tags.entry(scope.clone()).or_default();
            }
            (Action::TagPeering { scope, tags, .. }, _) => {
                peering.tags.entry(scope.clone()).or_default().extend(tags.clone());
                if tags.contains_key(tags::SEAL) {
                    peering.sealed_in.insert(scope.clone());
                }
            }
            (Action::ReleasePeering { scope, .. }, _) => {
                if let Some(current) = peering.tags.get_mut(scope) {
                    current.retain(|key, _| !tags::OWNERSHIP_KEYS.contains(&key.as_str()));
                    peering.sealed_in.remove(scope);
                }
            }
            (Action::SetDns { vpc, on, .. }, _) => drop(peering.dns.insert(vpc.clone(), *on)),
            (Action::DeletePeering { .. }, _) => peering.status = PeeringStatus::Deleted,
            _ => {}
        }
    }

    fn remove_route(&mut self, table: &RouteTableId, destination: &IpNet) {
        if let Some(table) = self.tables.get_mut(table) {
            table.routes.retain(|route| !(route.is_static && route.destination == *destination));
        }
    }
}

impl Ingress {
    /// Applies what the call of an action returned; actions on other resources change nothing.
    pub(crate) fn apply_effect(&mut self, action: &Action, effect: Effect, seals: &Seals) {
        match action {
            Action::AuthorizeIngress { scope, group, permission, description, tags } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.open.entry(permission.clone()).or_insert_with(|| description.clone());
                }
                if let Effect::Rule(id) = effect {
                    let (scope, group, permission) = (scope.clone(), group.clone(), permission.clone());
                    let (description, tags) = (description.clone(), tags.clone());
                    self.add_rule(IngressRule { id, scope, group, permission, description, tags }, seals);
                }
            }
            Action::TagIngress { rule, change, .. } => match (self.rules.get_mut(rule), change.value()) {
                (Some(rule), Some(value)) => drop(rule.tags.insert(change.key(), value.to_owned())),
                (Some(rule), None) => drop(rule.tags.remove(&change.key())),
                (None, _) => {}
            },
            Action::RevokeIngress { group, rule, permission, .. } => {
                self.rules.remove(rule);
                self.owned.remove(rule);
                if let Some(group) = self.groups.get_mut(group) {
                    group.open.remove(permission);
                }
            }
            _ => {}
        }
    }
}
