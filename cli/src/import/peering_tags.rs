//! Tags for peerings: in the file they belong to VPCs, in a policy to a mesh.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{MeshName, Tags, tags};

use super::Note;
use super::legacy_config::{Entry, OldFile};
use super::mesh::Mesh;

/// Tags that the Python peerd reads or writes itself.
const ITS_OWN: [&str; 4] = ["peerd_created", "peerd_environment", "peerd_role", "peerd_datetime"];

/// The tags that all peerings of a mesh have. Adds a note about each tag that only some of them have, or with different
/// values: it stays on the existing peerings.
pub fn tags(file: &OldFile, name: &MeshName, mesh: &Mesh<'_>, notes: &mut Vec<Note>) -> Tags {
    let current = pairs(mesh).map(|(requester, accepter)| {
        file.tags.iter().chain(&requester.tags).chain(&accepter.tags).collect::<BTreeMap<_, _>>()
    });
    let current: Vec<BTreeMap<&String, &String>> = current.collect();
    let keys: BTreeSet<&String> = current.iter().flat_map(BTreeMap::keys).copied().chain(file.tags.keys()).collect();
    // The Python peerd ignores peerings without `peerd_created=true`, so it does not delete an adopted one.
    let mut all = Tags::from([("peerd_created".to_owned(), "false".to_owned())]);
    for key in keys {
        let values: BTreeSet<Option<&&String>> = current.iter().map(|current| current.get(key)).collect();
        let of_all = values.first().copied().unwrap_or_default().filter(|_| values.len() == 1);
        let value = of_all.copied().or_else(|| file.tags.get(key).filter(|_| current.is_empty()));
        match value {
            _ if is_not_free(key) => notes.push(Note::new(name, format!("the tag {key} is not imported"))),
            Some(value) => drop(all.insert(key.clone(), value.clone())),
            None => {
                let word = format!(
                    "not all of its peerings have the same tag {key}: it stays as it is, and new peerings do not get it"
                );
                notes.push(Note::new(name, word));
            }
        }
    }
    all
}

fn is_not_free(key: &str) -> bool {
    let reserved = ["aws:", "peerd:"].into_iter().any(|prefix| key.to_ascii_lowercase().starts_with(prefix));
    reserved || key == tags::NAME || ITS_OWN.contains(&key)
}

/// Requester and accepter of every peering, as the Python peerd chooses them.
fn pairs<'m>(mesh: &'m Mesh<'_>) -> impl Iterator<Item = (&'m Entry, &'m Entry)> {
    let mut sorted: Vec<&Entry> = mesh.entries.clone();
    sorted.sort_by_key(|entry| &entry.vpc.scope);
    let count = sorted.len();
    let pairs: Vec<_> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    pairs.into_iter().map(move |(a, b)| (sorted[a], sorted[b])).filter(|(a, b)| a.vpc != b.vpc)
}
