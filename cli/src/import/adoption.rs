//! Which peerings the Python peerd made, and peerd is to manage from now on.

use std::collections::BTreeSet;

use peerd_core::{MeshName, Observed, Peering, PeeringId, PeeringStatus, Tags, tags};

use super::Note;
use super::plan::Mesh;

/// The active peerings of an environment between VPCs that are still in it. Of every other that concerns it, it is told what
/// becomes of it.
pub fn find(name: &MeshName, mesh: &Mesh<'_>, observed: &Observed, notes: &mut Vec<Note>) -> BTreeSet<PeeringId> {
    let members = mesh.vpcs();
    let mut adopted = BTreeSet::new();
    for peering in observed.peerings.values().filter(|peering| peering.status.is_live()) {
        let inside = peering.ends().into_iter().filter(|vpc| members.contains(vpc)).count();
        let its_own = peering.tags.values().filter(|worn| is_its_own(worn, mesh.old)).count();
        let managed = peering.tags.values().any(|worn| worn.contains_key(tags::MANAGED_BY));
        let both_seen = peering.ends().into_iter().all(|vpc| peering.is_seen_by(&vpc.scope));
        let active = peering.status == PeeringStatus::Active;
        let mut note = |word: &str| notes.push(Note::new(&peering.id, word));
        match () {
            () if inside == 0 || managed => {}
            () if its_own == 0 && inside == 2 && active && belongs_to_nobody(peering) => {
                note(&format!(
                    "connects two VPCs of {name}, and was not made for it: `peerd adopt` it, or it stays foreign"
                ));
            }
            () if its_own == 0 => {}
            () if inside == 1 => note("one of its VPCs is no more in the file: it is not adopted, and its routes stay"),
            () if !active => {
                note(&format!("is {}: have the Python peerd finish it first, or reject it", peering.status))
            }
            () if !both_seen || its_own < peering.tags.len() => {
                note("only one side shows that the Python peerd made it: it is not adopted; `peerd adopt` does");
            }
            () => drop(adopted.insert(peering.id.clone())),
        }
    }
    adopted
}

/// Whether tags are those of the Python peerd's peerings of an environment.
fn is_its_own(worn: &Tags, environment: &str) -> bool {
    let says = |key: &str, value: &str| worn.get(key).is_some_and(|said| said == value);
    says("peerd_created", "true") && says("peerd_environment", environment)
}

/// Whether it was made for no environment. One that two share belongs to the one for which it was made.
fn belongs_to_nobody(peering: &Peering) -> bool {
    peering.tags.values().all(|worn| !worn.contains_key("peerd_environment"))
}
