//! Applies the operations of users on security groups.

use peerd_core::{Permission, SecurityGroupId, SecurityGroupRuleId, Tags, Traffic, tags};

use super::operations::nth;
use super::runner::SimRun;
use super::scenario::Operation;
use crate::aws::Group;
use crate::change_log::Actor;

impl SimRun<'_> {
    /// Returns none if the operation is refused, or if there is nothing to apply it to.
    pub(super) fn on_groups(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::MakeGroup { vpc, meshes, ports } => {
                let (vpc, name) = (self.choose(*vpc)?, self.name());
                let allow = Some((tags::ALLOW, *meshes));
                let current: Vec<_> = allow.into_iter().chain(ports.map(|ports| (tags::PORTS, ports))).collect();
                self.world.group(&name, &vpc, &current);
                Some(())
            }
            Operation::MarkGroup { nth: number, key, value } => {
                let (group, _) = nth(&self.groups(), *number)?;
                self.world.mark_group(&group, key, *value);
                Some(())
            }
            Operation::OpenGroup { nth: number, vpc } => {
                let ((group, _), vpc) = (nth(&self.groups(), *number)?, self.choose(*vpc)?);
                let from = *self.world.cloud.aws().vpc(&vpc)?.cidrs.iter().next()?;
                // With the description of another rule, if there is one.
                let copied = self.rules().first().and_then(|(group, rule)| {
                    Some(self.world.cloud.aws().group(group)?.rules.get(rule)?.description.clone())
                });
                let permission = Permission { traffic: Traffic::All, from };
                self.world.open_group(&group, &permission, &copied.unwrap_or_default()).ok()
            }
            Operation::RevokeRule { nth: number } => {
                let (group, rule) = nth(&self.rules(), *number)?;
                self.world.revoke_rule(&group, &rule).ok()
            }
            Operation::ForgeRule { nth: number } => {
                let (group, rule) = nth(&self.rules(), *number)?;
                let scope = self.world.cloud.aws().group(&group)?.vpc.scope.clone();
                let forged = [(tags::MANAGED_BY, "peerd"), ("peerd:env/prod", "")];
                let forged = forged.map(|(key, value)| (key.to_owned(), value.to_owned()));
                let forge = |current: &mut Tags| current.extend(forged);
                self.world.cloud.aws().tag_rule(Actor::User, &scope, &rule, forge).ok()
            }
            Operation::StripRule { nth: number, mark } => {
                let (group, rule) = nth(&self.rules(), *number)?;
                let scope = self.world.cloud.aws().group(&group)?.vpc.scope.clone();
                let is_it =
                    |key: &String| if *mark { key == tags::MANAGED_BY } else { key.starts_with(tags::FOR_MESH) };
                let strip = |current: &mut Tags| current.retain(|key, _| !is_it(key));
                self.world.cloud.aws().tag_rule(Actor::User, &scope, &rule, strip).ok()
            }
            _ => None,
        }
    }

    pub(super) fn groups(&self) -> Vec<(SecurityGroupId, Group)> {
        self.world.cloud.aws().groups().map(|(id, group)| (id.clone(), group.clone())).collect()
    }

    fn rules(&self) -> Vec<(SecurityGroupId, SecurityGroupRuleId)> {
        let of_group = |(id, group): (SecurityGroupId, Group)| {
            group.rules.into_keys().map(move |rule| (id.clone(), rule)).collect::<Vec<_>>()
        };
        self.groups().into_iter().flat_map(of_group).collect()
    }
}
