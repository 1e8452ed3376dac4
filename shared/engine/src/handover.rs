//! Why adopting or releasing a peering would have no effect.

use peerd_core::tags::{self, MeshTag};
use peerd_core::{DesiredState, MeshName, ObservedState, PeeringId, PeeringStatus};

/// The problems of an adoption of a peering.
pub fn of_adoption(mesh: &MeshName, id: &PeeringId, desired: &DesiredState, observed: &ObservedState) -> Vec<String> {
    let Some(peering) = observed.peerings.get(id) else { return unknown(id) };
    let mut problems = Vec::new();
    let takes_a_release_back = desired.declared.get(mesh).is_some_and(|policy| policy.release.contains(id));
    if peering.is_owned() && !takes_a_release_back {
        problems.push(format!("{id} is peerd's own already"));
    }
    if peering.status != PeeringStatus::Active {
        problems.push(format!("{id} is {}, and only an active peering can be adopted", peering.status));
    }
    for vpc in peering.ends() {
        let requests = observed.vpcs.get(vpc).is_some_and(|seen| MeshTag::of(&seen.tags).meshes.contains(mesh));
        if !requests && observed.was_read(&vpc.scope) {
            problems.push(format!("{vpc} does not request {mesh}"));
        }
    }
    for (scope, current) in &peering.tags {
        if let Some(other) = tags::other_owner(current, &desired.deployment) {
            problems.push(format!("{id} has the tag {}={other} in {scope}", tags::MANAGED_BY));
        }
    }
    problems.extend(released_by(mesh, id, desired));
    problems
}

fn unknown(id: &PeeringId) -> Vec<String> {
    vec![format!("{id} is in none of the accounts and Regions that could be read")]
}

/// Other meshes whose policies release the peering: a release takes precedence.
fn released_by(mesh: &MeshName, id: &PeeringId, desired: &DesiredState) -> Vec<String> {
    let releasing = desired.declared.iter().filter(|(name, policy)| *name != mesh && policy.release.contains(id));
    releasing.map(|(name, _)| format!("the policy of {name} releases {id}")).collect()
}

/// The problems of a release of a peering.
pub fn of_release(mesh: &MeshName, id: &PeeringId, desired: &DesiredState, observed: &ObservedState) -> Vec<String> {
    let Some(peering) = observed.peerings.get(id) else { return unknown(id) };
    let meshes = peering.tagged_meshes();
    let takes_an_adoption_back = desired.declared.get(mesh).is_some_and(|policy| policy.adopt.contains(id));
    if !peering.is_owned() {
        return match takes_an_adoption_back {
            true => Vec::new(),
            false => vec![format!("{id} is not peerd's own, so there is nothing to release")],
        };
    }
    if !meshes.contains(mesh) {
        let remedy = match takes_an_adoption_back {
            true => format!("; to end its adoption by {mesh}, declare {mesh} with a policy that does not name it"),
            false => String::new(),
        };
        return vec![format!("{id} is for {}, not for {mesh}{remedy}", tags::join_meshes(&meshes))];
    }
    Vec::new()
}
