//! Ingress rules of security groups: what a group's tags allow, and which rules exist.
//!
//! The seal in the description of a rule determines its owner: it covers the group and what the rule allows
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>).

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Deployment, MeshName, Scope, SecurityGroupId, SecurityGroupRuleId, VpcRef};
use crate::permission::Permission;
use crate::seal::Seals;
use crate::tags::{self, MeshTag, Tags};

/// A security group with the tag `peerd:allow`, as its own scope shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// The id of the group.
    pub id: SecurityGroupId,
    /// The VPC of the group.
    pub vpc: VpcRef,
    /// All its tags.
    pub tags: Tags,
    /// What it allows from CIDR blocks, whichever principal added the rules, with their descriptions.
    pub open: BTreeMap<Permission, String>,
    /// The number of its ingress rules with other sources: groups and prefix lists.
    pub others: usize,
}

impl SecurityGroup {
    /// The meshes whose members it allows.
    pub fn allows(&self) -> MeshTag {
        self.tags.get(tags::ALLOW).map_or_else(MeshTag::default, |value| MeshTag::parse(value))
    }

    /// The number of its rules for IPv4 or IPv6. As in AWS, a rule whose source is no CIDR block counts in both.
    pub fn count(&self, v4: bool) -> usize {
        self.others + self.open.keys().filter(|open| open.is_v4() == v4).count()
    }
}

/// An ingress rule with the ownership tag of some deployment, or whose description has a seal of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    /// The id of the rule.
    pub id: SecurityGroupRuleId,
    /// The scope of the rule.
    pub scope: Scope,
    /// The security group of the rule.
    pub group: SecurityGroupId,
    /// The traffic and the source that the rule allows.
    pub permission: Permission,
    /// Its description.
    pub description: String,
    /// All its tags.
    pub tags: Tags,
}

impl IngressRule {
    /// Whether the rule has the ownership tag of the deployment, so that the role of its scope may change its tags.
    pub fn is_marked(&self, deployment: &Deployment) -> bool {
        tags::has_ownership_tag(&self.tags, deployment)
    }

    /// Whether its description has a seal of the deployment.
    pub fn has_seal_of(&self, seals: &Seals) -> bool {
        seals.verify_rule(&self.scope, &self.group, &self.permission, &self.description)
    }

    /// Whether the rule has the tag of a mesh.
    pub fn is_for(&self, mesh: &MeshName) -> bool {
        self.tags.contains_key(&tags::for_mesh(mesh))
    }

    /// The number of meshes that the tags of the rule name.
    pub fn meshes(&self) -> usize {
        tags::meshes_of_rule(&self.tags).count()
    }
}

/// The security groups and rules that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The groups with the tag `peerd:allow`.
    pub groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// The rules with the ownership tag of a deployment, in any group, and those without it that have a seal of this deployment,
    /// in these groups.
    pub rules: BTreeMap<SecurityGroupRuleId, IngressRule>,
    /// The rules that this deployment owns: those with its seal.
    pub owned: BTreeSet<SecurityGroupRuleId>,
}

impl Ingress {
    /// The groups that allow something by a rule that has a seal of the deployment and is not among the rules.
    pub fn groups_with_unmarked_rules<'a>(&'a self, seals: &'a Seals) -> impl Iterator<Item = &'a SecurityGroup> {
        let known: BTreeSet<_> = self.rules.values().map(|rule| (&rule.group, &rule.permission)).collect();
        self.groups.values().filter(move |group| {
            group.open.iter().any(|(permission, description)| {
                let (scope, id) = (&group.vpc.scope, &group.id);
                !known.contains(&(id, permission)) && seals.verify_rule(scope, id, permission, description)
            })
        })
    }

    /// Adds a rule, and verifies its seal.
    pub fn add_rule(&mut self, rule: IngressRule, seals: &Seals) {
        if rule.has_seal_of(seals) {
            self.owned.insert(rule.id.clone());
        }
        self.rules.insert(rule.id.clone(), rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Traffic;

    #[test]
    fn a_rule_is_for_the_meshes_that_its_tags_name() {
        let mesh = |name: &str| name.parse::<MeshName>().unwrap();
        let mark = |name: &str| (tags::for_mesh(&mesh(name)), String::new());
        let rule = |tags: Tags| IngressRule {
            id: "sgr-1".parse().unwrap(),
            scope: "111111111111/us-east-1".parse().unwrap(),
            group: "sg-1".parse().unwrap(),
            permission: Permission { traffic: Traffic::All, from: "10.0.0.0/16".parse().unwrap() },
            description: String::new(),
            tags,
        };
        let both = rule([mark("prod"), mark("staging"), (tags::NAME.to_owned(), "x".to_owned())].into());
        assert!(both.is_for(&mesh("prod")) && both.is_for(&mesh("staging")) && !both.is_for(&mesh("pro")));
        assert_eq!([both, rule([mark("prod")].into()), rule(Tags::new())].map(|rule| rule.meshes()), [2, 1, 0]);
    }
}
