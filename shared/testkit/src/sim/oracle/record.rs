//! Records the changes of the change log in the model.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{AccountId, PeeringId, PeeringStatus, Scope, Tags, VpcRef};

use super::facts::Facts;
use super::model::{DeletedRoute, Group, Peering, Route, Table, Timeline, Vpc};
use crate::change_log::{Actor, Change, Entry};

impl Facts {
    /// Records a change. VPCs, groups and tags of accounts that peerd does not know stay unknown to the model too.
    pub fn record(&mut self, Entry { at, by, change }: &Entry, known_accounts: &BTreeSet<AccountId>) {
        let (at, by) = (*at, *by);
        match change.clone() {
            Change::Vpc { vpc: VpcRef { scope, .. }, .. }
            | Change::Group { vpc: VpcRef { scope, .. }, .. }
            | Change::Tags { scope, .. }
                if !known_accounts.contains(&scope.account) => {}
            Change::Vpc { vpc, cidrs, tags } => {
                let now = Some(Vpc { cidrs: cidrs.iter().copied().collect(), tags });
                match self.vpcs.get_mut(&vpc) {
                    Some(past) => past.set(at, now),
                    None => drop(self.vpcs.insert(vpc, Timeline::new(at, now))),
                }
            }
            Change::VpcGone { vpc } => self.vpcs.get_mut(&vpc).into_iter().for_each(|past| past.set(at, None)),
            Change::Dns { vpc, has } => {
                let has = has.hostnames && has.support;
                self.names.entry(vpc).or_insert_with(|| Timeline::new(0, false)).set(at, has);
            }
            Change::Table { .. }
            | Change::TableTags { .. }
            | Change::TableGone { .. }
            | Change::List { .. }
            | Change::Propagated { .. }
            | Change::Route { .. } => self.record_table(at, by, change),
            Change::Peering { id, requester, accepter } => {
                self.record_peering(at, id, [requester, accepter], matches!(by, Actor::Worker(_)));
            }
            Change::Status { id, status } => {
                self.peerings.get_mut(&id).into_iter().for_each(|peering| peering.status.set(at, status.clone()));
            }
            Change::Tags { id, scope, tags } => self.record_peering_tags(at, by, &id, scope, tags),
            Change::Option { id, vpc, on } => {
                let options = self.peerings.get_mut(&id).map(|peering| &mut peering.dns);
                options.into_iter().for_each(|options| options.extend([(vpc.clone(), on)]));
            }
            Change::Group { .. } | Change::GroupGone { .. } | Change::Rule { .. } => self.record_group(at, by, change),
        }
    }

    fn record_table(&mut self, at: u64, by: Actor, change: &Change) {
        match change.clone() {
            Change::Table { table, vpc, is_edge_associated, main } => {
                let (tags, routes, deleted_routes) = (Timeline::new(at, Tags::new()), BTreeMap::new(), Vec::new());
                let (listed, propagated) = Default::default();
                self.tables.insert(
                    table,
                    Table { vpc, is_edge_associated, main, tags, routes, deleted_routes, listed, propagated },
                );
            }
            Change::TableTags { table, tags } => {
                self.tables.get_mut(&table).into_iter().for_each(|table| table.tags.set(at, tags.clone()));
            }
            Change::TableGone { table } => {
                self.deleted_tables.extend(self.tables.remove(&table).map(|table| (table, at)))
            }
            Change::List { table, cidr } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    table.listed.entry(cidr).or_insert(at);
                }
            }
            Change::Propagated { table, cidr } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    table.propagated.entry(cidr).or_insert(at);
                }
            }
            Change::Route { table, cidr, was, now } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    match now {
                        Some(target) => drop(table.routes.insert(cidr, Route { target, since: at })),
                        None => drop(table.routes.remove(&cidr)),
                    }
                    let deleted = |target| DeletedRoute { cidr, target, until: at, by };
                    table.deleted_routes.extend(was.map(deleted));
                }
            }
            _ => {}
        }
    }

    fn record_peering(&mut self, at: u64, id: PeeringId, ends: [VpcRef; 2], made_by_peerd: bool) {
        let [requester, accepter] = ends;
        let peering = Peering {
            requester,
            accepter,
            made_at: at,
            made_by_peerd,
            status: Timeline::new(at, PeeringStatus::InitiatingRequest),
            tags: BTreeMap::new(),
            managed: Timeline::new(at, false),
            dns: BTreeMap::new(),
        };
        self.peerings.insert(id, peering);
    }

    /// What a worker writes as the seal of a pair is a seal of that pair, also if a user writes it later.
    fn record_peering_tags(&mut self, at: u64, by: Actor, id: &PeeringId, scope: Scope, tags: Tags) {
        if let Some(peering) = self.peerings.get_mut(id) {
            let seals = self.seals.entry(peering.pair()).or_default();
            seals.extend(tags.get("peerd:seal").filter(|_| by != Actor::User).cloned());
            match peering.tags.get_mut(&scope) {
                Some(past) => past.set(at, tags),
                None => drop(peering.tags.insert(scope, Timeline::new(at, tags))),
            }
            let is_sealed = |tags: &Tags| tags.get("peerd:seal").is_some_and(|seal| seals.contains(seal));
            let managed = peering.tags.values().any(|tags| is_sealed(tags.now()));
            peering.managed.set(at, managed);
        }
    }

    fn record_group(&mut self, at: u64, by: Actor, change: &Change) {
        match change.clone() {
            Change::Group { group, vpc, tags } => match self.groups.get_mut(&group) {
                Some(known) => known.tags.set(at, tags),
                None => {
                    let (tags, (rules, deleted_rules, changed_by_user)) = (Timeline::new(at, tags), Default::default());
                    self.groups.insert(group, Group { vpc, tags, rules, deleted_rules, changed_by_user });
                }
            },
            Change::GroupGone { group } => drop(self.groups.remove(&group)),
            Change::Rule { group, rule, was, now } => {
                if let (None, Some(made), Actor::Worker(_)) = (&was, &now, by) {
                    let known = self.descriptions.entry((group.clone(), made.permission.clone())).or_default();
                    known.insert(made.description.clone());
                }
                if let Some(group) = self.groups.get_mut(&group) {
                    if by == Actor::User {
                        group.changed_by_user.insert(rule.clone(), at);
                    }
                    match now {
                        Some(now) => drop(group.rules.insert(rule, now)),
                        None => drop(group.rules.remove(&rule)),
                    }
                    group.deleted_rules.extend(was.map(|was| (was.permission, at)));
                }
            }
            _ => {}
        }
    }
}
