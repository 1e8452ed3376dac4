//! Findings about security groups and their rules: what cannot be read, which tags have no effect, and whose rules they are.

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::finding::{Expected, Finding};
use crate::ingress::{IngressRule, SecurityGroup};
use crate::permission::PortsTag;
use crate::tags;

/// Reports scopes whose security groups could not be read.
pub fn report_unreadable(context: &PlanContext<'_>, decisions: &mut Decisions) {
    for (scope, error) in &context.observed.unreadable_groups {
        let (scope, error) = (scope.clone(), error.clone());
        decisions.report(Finding::UnreadableSecurityGroups { scope, error });
    }
}

/// Reports tags of a group that have no effect, if the group or its VPC names this mesh.
pub fn report_invalid_tags(group: &SecurityGroup, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let (allows, mesh) = (group.allows(), &context.desired.mesh);
    let requested = context.meshes_of(&group.vpc);
    if !allows.meshes.contains(mesh) && !requested.contains(mesh) {
        return;
    }
    let subject = format!("{} of {}", group.id, group.vpc);
    for word in &allows.malformed {
        decisions.report(Finding::invalid_tag(&subject, tags::ALLOW, word, Expected::MeshNames));
    }
    for word in PortsTag::of(&group.tags).invalid {
        decisions.report(Finding::invalid_tag(&subject, tags::PORTS, word, Expected::Ports));
    }
    if allows.meshes.contains(mesh) {
        report_policy_limits(group, context, decisions);
    }
    for mesh in &allows.meshes {
        if !requested.contains(mesh) || context.denial(&group.vpc, mesh).is_some() {
            let (group, vpc, mesh) = (group.id.clone(), group.vpc.clone(), mesh.clone());
            decisions.report(Finding::GroupOfNonMember { group, vpc, mesh });
        }
    }
}

/// Reports what the policy of this mesh does not let a group allow.
fn report_policy_limits(group: &SecurityGroup, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let (id, vpc, mesh) = (group.id.clone(), group.vpc.clone(), context.desired.mesh.clone());
    let policy = context.desired.declared.get(&mesh).filter(|policy| !policy.is_unreadable());
    let Some(policy) = policy else { return };
    match &policy.security_groups {
        None => decisions.report(Finding::SecurityGroupsOff { group: id, vpc, mesh }),
        Some(admitted) => {
            let ports = PortsTag::of(&group.tags).beyond(&admitted.ports);
            if !ports.is_empty() {
                decisions.report(Finding::PortsNotAdmitted { group: id, vpc, mesh, ports });
            }
        }
    }
}

/// Reports rules of this mesh, or of none, whose ownership tag contradicts their seal.
pub fn report_ownership(context: &PlanContext<'_>, decisions: &mut Decisions) {
    let (ingress, deployment) = (&context.observed.ingress, &context.desired.deployment);
    let of_mesh = |rule: &&IngressRule| rule.meshes() == 0 || rule.is_for(&context.desired.mesh);
    for rule in ingress.rules.values().filter(of_mesh).filter(|rule| context.observed.has_groups_of(&rule.scope)) {
        let (scope, group, id) = (rule.scope.clone(), rule.group.clone(), rule.id.clone());
        match (ingress.owned.contains(&rule.id), tags::other_owner(&rule.tags, deployment)) {
            (true, Some(other)) => {
                let deployment = tags::shortened(other);
                decisions.report(Finding::OtherRuleOwner { scope, group, rule: id, deployment });
            }
            (false, None) => decisions.report(Finding::UnsealedRule { scope, group, rule: id }),
            (true, None) | (false, Some(_)) => {}
        }
    }
}
