//! The peerings of the Python peerd that peerd adopts.

use std::collections::BTreeSet;

use peerd_core::{MeshName, ObservedState, Peering, PeeringId, PeeringStatus, Tags, tags};

use super::Note;
use super::mesh::Mesh;

/// The active peerings of an environment between VPCs that are still in it. Adds a note about every other peering of
/// the environment.
pub fn find(name: &MeshName, mesh: &Mesh<'_>, observed: &ObservedState, notes: &mut Vec<Note>) -> BTreeSet<PeeringId> {
    let members = mesh.vpcs();
    let mut adopted = BTreeSet::new();
    for peering in observed.peerings.values().filter(|peering| peering.status.is_live()) {
        let inside = peering.ends().into_iter().filter(|vpc| members.contains(vpc)).count();
        let its_own = peering.tags.values().filter(|current| is_its_own(current, mesh.old)).count();
        if inside == 0 || peering.tags.values().any(|current| current.contains_key(tags::MANAGED_BY)) {
            continue;
        }
        if its_own > 0 {
            match obstacle(peering, inside, its_own) {
                None => drop(adopted.insert(peering.id.clone())),
                Some(word) => notes.push(Note::new(&peering.id, word)),
            }
        } else if inside == 2 && peering.status == PeeringStatus::Active && is_unassigned(peering) {
            let word = format!(
                "connects two VPCs of {name} and was not made for it: run `peerd adopt --mesh {name} {}`, or it stays foreign",
                peering.id
            );
            notes.push(Note::new(&peering.id, word));
        }
    }
    adopted
}

/// Why a peering of the Python peerd cannot be adopted. `inside` is the number of its VPCs in the environment; `its_own`
/// is the number of its sides with the tags of the environment.
fn obstacle(peering: &Peering, inside: usize, its_own: usize) -> Option<String> {
    let both_seen = peering.ends().into_iter().all(|vpc| peering.is_shown_by(&vpc.scope));
    if inside == 1 {
        Some("one of its VPCs is no longer in the file: it is not adopted, and its routes stay".to_owned())
    } else if peering.status != PeeringStatus::Active {
        Some(format!("is {}: let the Python peerd finish it first, or reject it", peering.status))
    } else if !both_seen || its_own < peering.tags.len() {
        Some("only one side has the tags of the Python peerd: it is not adopted; `peerd adopt` adopts it".to_owned())
    } else {
        None
    }
}

/// Whether tags are those of the Python peerd's peerings of an environment.
fn is_its_own(current: &Tags, environment: &str) -> bool {
    let says = |key: &str, value: &str| current.get(key).is_some_and(|said| said == value);
    says("peerd_created", "true") && says("peerd_environment", environment)
}

/// Whether it was created for no environment. A peering that two environments share belongs to the one for which it was
/// created.
fn is_unassigned(peering: &Peering) -> bool {
    peering.tags.values().all(|current| !current.contains_key("peerd_environment"))
}
