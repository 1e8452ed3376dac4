//! Meshes that connect no VPCs, or fewer than their topology suggests: a single member, or a hub-and-spoke mesh whose
//! members are all spokes, or all hubs.

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::finding::{Finding, MissingRole};
use crate::ids::VpcRef;
use crate::policy::{Mode, Topology};
use crate::tags::Role;

/// Reports what this run's mesh lacks. Nothing is reported while it is unknown whether a VPC is a member, or in which role.
pub fn report(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    let mesh = &context.desired.mesh;
    let Some(policy) = context.desired.declared.get(mesh) else { return decisions };
    if policy.mode == Mode::Draining || policy.is_unreadable() {
        return decisions;
    }
    let requesters: Vec<&VpcRef> = context.known_requesters_of(mesh).collect();
    if requesters.iter().any(|vpc| context.is_undetermined(vpc, mesh) || context.role_of(vpc, policy).is_none()) {
        return decisions;
    }
    let members: Vec<&VpcRef> = requesters.into_iter().filter(|vpc| context.denial(vpc, mesh).is_none()).collect();
    let have = |role: Role| members.iter().any(|vpc| context.role_of(vpc, policy) == Some(role));
    let lacks = match (policy.topology, members.len()) {
        (_, 0) => return decisions,
        (_, 1) => MissingRole::Peer,
        (Topology::HubAndSpoke, _) if !have(Role::Hub) => MissingRole::Hub,
        (Topology::HubAndSpoke, _) if !have(Role::Spoke) => MissingRole::Spoke,
        _ => return decisions,
    };
    decisions.report(Finding::IncompleteMesh { mesh: mesh.clone(), members: members.len(), lacks });
    decisions
}
