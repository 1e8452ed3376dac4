//! Security groups and their ingress rules.
//!
//! Sources: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html> for the codes, and
//! <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html> for the quota.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{
    IngressRule, Permission, Quota, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, VpcRef, tags,
};
use peerd_engine::{Clock, CloudError, Timestamp};

use super::history::History;
use super::state::{Aws, refuse};
use crate::change_log::{Actor, Change};

/// An existing security group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its VPC.
    pub vpc: VpcRef,
    /// Its tags.
    pub tags: Tags,
    /// Its ingress rules.
    pub rules: BTreeMap<SecurityGroupRuleId, GroupRule>,
}

/// An existing ingress rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// The traffic and the source that it allows.
    pub permission: Permission,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
}

impl Aws {
    /// Returns the existing security groups.
    pub fn groups(&self) -> impl Iterator<Item = (&SecurityGroupId, &Group)> {
        self.groups.iter().filter_map(|(id, group)| Some((id, group.now().as_ref()?)))
    }

    /// Returns an existing security group.
    pub fn group(&self, id: &SecurityGroupId) -> Option<&Group> {
        self.groups.get(id)?.now().as_ref()
    }

    /// CreateSecurityGroup, with tags.
    pub fn create_group(&mut self, by: Actor, id: &SecurityGroupId, vpc: &VpcRef, tags: &Tags) {
        let now = self.executor.now();
        let group = Group { vpc: vpc.clone(), tags: tags.clone(), rules: BTreeMap::new() };
        self.groups.insert(id.clone(), History::new(now, Some(group)));
        self.enter(now, by, Change::Group { group: id.clone(), vpc: vpc.clone(), tags: tags.clone() });
    }

    /// CreateTags or DeleteTags on a security group.
    pub fn tag_group(&mut self, by: Actor, id: &SecurityGroupId, key: &str, value: Option<&str>) {
        let Some(mut group) = self.group(id).cloned() else { return };
        match value {
            Some(value) => drop(group.tags.insert(key.to_owned(), value.to_owned())),
            None => drop(group.tags.remove(key)),
        }
        let (vpc, tags) = (group.vpc.clone(), group.tags.clone());
        self.set_group(id, Some(group));
        self.enter(self.executor.now(), by, Change::Group { group: id.clone(), vpc, tags });
    }

    /// Deletes the security groups of a VPC, as its deletion does.
    pub(super) fn drop_groups_of(&mut self, by: Actor, vpc: &VpcRef) {
        let theirs: Vec<_> = self.groups().filter(|(_, group)| group.vpc == *vpc).map(|(id, _)| id.clone()).collect();
        for id in theirs {
            self.set_group(&id, None);
            self.enter(self.executor.now(), by, Change::GroupGone { group: id });
        }
    }

    fn set_group(&mut self, id: &SecurityGroupId, group: Option<Group>) {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        self.groups.get_mut(id).into_iter().for_each(|history| history.set(now, group.clone(), memory));
    }

    fn writable_group(&self, scope: &Scope, id: &SecurityGroupId) -> Result<&Group, CloudError> {
        let group = self.group(id).filter(|group| group.vpc.scope == *scope);
        group.ok_or_else(|| refuse("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")))
    }

    /// AuthorizeSecurityGroupIngress with one permission.
    ///
    /// # Errors
    /// `InvalidGroup.NotFound`, `InvalidPermission.Duplicate`, `RulesPerSecurityGroupLimitExceeded`.
    pub fn authorize(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &SecurityGroupId,
        permission: &Permission,
        description: &str,
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError> {
        let group = self.writable_group(scope, id)?;
        if group.rules.values().any(|rule| rule.permission == *permission) {
            let text = format!("the specified rule \"{permission}\" already exists");
            return Err(refuse("InvalidPermission.Duplicate", text));
        }
        let of_family = |rule: &&GroupRule| rule.permission.is_v4() == permission.is_v4();
        if group.rules.values().filter(of_family).count() >= self.behavior.quotas.value(Quota::Rules) {
            let text = format!("The maximum number of rules per security group has been reached: {id}");
            return Err(refuse("RulesPerSecurityGroupLimitExceeded", text));
        }
        self.made += 1;
        let rule = format!("sgr-{:04}", self.made).parse().map_err(|error| refuse("InternalError", error))?;
        let (permission, description, tags) = (permission.clone(), description.to_owned(), tags.clone());
        let made = GroupRule { permission, description, tags };
        self.set_rule(by, id, &rule, Some(made));
        Ok(rule)
    }

    /// RevokeSecurityGroupIngress by the rule's id.
    ///
    /// # Errors
    /// `InvalidGroup.NotFound`, `InvalidSecurityGroupRuleId.NotFound`.
    pub fn revoke(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
    ) -> Result<(), CloudError> {
        if !self.writable_group(scope, id)?.rules.contains_key(rule) {
            return Err(no_rule(rule));
        }
        self.set_rule(by, id, rule, None);
        Ok(())
    }

    /// CreateTags or DeleteTags on a rule.
    ///
    /// # Errors
    /// `InvalidSecurityGroupRuleId.NotFound`.
    pub fn tag_rule(
        &mut self,
        by: Actor,
        scope: &Scope,
        rule: &SecurityGroupRuleId,
        change: impl FnOnce(&mut Tags),
    ) -> Result<(), CloudError> {
        let found = self.groups().find_map(|(id, group)| {
            let rule = group.rules.get(rule).filter(|_| group.vpc.scope == *scope)?;
            Some((id.clone(), rule.clone()))
        });
        let (group, mut changed) = found.ok_or_else(|| no_rule(rule))?;
        change(&mut changed.tags);
        self.set_rule(by, &group, rule, Some(changed));
        Ok(())
    }

    fn set_rule(&mut self, by: Actor, id: &SecurityGroupId, rule: &SecurityGroupRuleId, now: Option<GroupRule>) {
        let Some(mut group) = self.group(id).cloned() else { return };
        let was = match now.clone() {
            Some(made) => group.rules.insert(rule.clone(), made),
            None => group.rules.remove(rule),
        };
        self.set_group(id, Some(group));
        self.enter(self.executor.now(), by, Change::Rule { group: id.clone(), rule: rule.clone(), was, now });
    }

    fn seen_groups<'a>(
        &'a self,
        scope: &'a Scope,
        time: Timestamp,
    ) -> impl Iterator<Item = (&'a SecurityGroupId, &'a Group)> {
        let seen = self.groups.iter().filter_map(move |(id, group)| Some((id, group.as_of(time)?.as_ref()?)));
        seen.filter(move |(_, group)| group.vpc.scope == *scope)
    }

    /// Returns the groups of a scope with the tag `peerd:allow`, as a describe call returns them that reads the state
    /// at `time`.
    pub(super) fn allowing_groups(&self, scope: &Scope, time: Timestamp) -> Vec<SecurityGroup> {
        let seen = self.seen_groups(scope, time).filter(|(_, group)| group.tags.contains_key(tags::ALLOW));
        let group = |(id, Group { vpc, tags, rules }): (&SecurityGroupId, &Group)| {
            let open = rules.values().map(|rule| (rule.permission.clone(), rule.description.clone())).collect();
            let (vpc, tags) = (vpc.clone(), tags.clone());
            SecurityGroup { id: id.clone(), vpc, tags, open, others: 0 }
        };
        seen.map(group).collect()
    }

    /// Returns the rules of a scope with an ownership tag, likewise.
    pub(super) fn marked_rules(&self, scope: &Scope, time: Timestamp) -> Vec<IngressRule> {
        self.seen_rules(scope, time).filter(|rule| rule.tags.contains_key(tags::MANAGED_BY)).collect()
    }

    /// Returns the rules of some groups of a scope, likewise.
    pub(super) fn rules_of(
        &self,
        scope: &Scope,
        groups: &BTreeSet<SecurityGroupId>,
        time: Timestamp,
    ) -> Vec<IngressRule> {
        self.seen_rules(scope, time).filter(|rule| groups.contains(&rule.group)).collect()
    }

    fn seen_rules<'a>(&'a self, scope: &'a Scope, time: Timestamp) -> impl Iterator<Item = IngressRule> + 'a {
        let rules = self.seen_groups(scope, time).flat_map(|(group, seen)| {
            seen.rules.iter().map(move |(id, GroupRule { permission, description, tags })| {
                (group, id, permission, description, tags)
            })
        });
        rules.map(move |(group, id, permission, description, tags)| {
            let (scope, group, permission) = (scope.clone(), group.clone(), permission.clone());
            let (id, description, tags) = (id.clone(), description.clone(), tags.clone());
            IngressRule { id, scope, group, permission, description, tags }
        })
    }

    /// Returns the VPC of a group, likewise.
    pub(super) fn seen_owner(&self, scope: &Scope, id: &SecurityGroupId, time: Timestamp) -> Option<VpcRef> {
        self.seen_groups(scope, time).find(|(seen, _)| *seen == id).map(|(_, group)| group.vpc.clone())
    }
}

fn no_rule(rule: &SecurityGroupRuleId) -> CloudError {
    refuse("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule '{rule}' does not exist"))
}
