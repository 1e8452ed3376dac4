//! The tags that peerd reads and writes, and how their values are spelt.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Deployment, MeshName, Pair};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// On a VPC, read: the meshes that it asks to join. On a peering, written: the meshes that want it, joined by `+`.
pub const ENV: &str = "peerd:env";
/// On a peering, written: the deployment that made it. What lacks it is foreign and never changed.
pub const MANAGED_BY: &str = "peerd:managed-by";
/// On a VPC, written: joined, waiting, or refused and why.
pub const STATUS: &str = "peerd:status";
/// On a peering, written when absent, so that a name given by hand stays.
pub const NAME: &str = "Name";

/// What the tag `peerd:env` of a VPC asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeshTag {
    /// The well-formed mesh names.
    pub meshes: BTreeSet<MeshName>,
    /// Words that no mesh can be called, each to be reported.
    pub malformed: BTreeSet<String>,
}

impl MeshTag {
    /// Reads the tag out of a VPC's tags; absent or blank means no mesh.
    pub fn of(tags: &Tags) -> Self {
        tags.get(ENV).map_or_else(Self::default, |value| Self::parse(value))
    }

    /// Splits a value at any of space `,` `+` `/` `:` `;`. Commas are listed for completeness: organisations whose tag
    /// policies forbid them use another.
    pub fn parse(value: &str) -> Self {
        let mut tag = Self::default();
        for word in value.split([' ', ',', '+', '/', ':', ';']).filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(mesh) => drop(tag.meshes.insert(mesh)),
                Err(_) => drop(tag.malformed.insert(word.to_owned())),
            }
        }
        tag
    }
}

/// The value of `peerd:env` on a peering: its meshes, sorted, joined by `+`.
pub fn join_meshes(meshes: &BTreeSet<MeshName>) -> String {
    meshes.iter().map(MeshName::as_str).collect::<Vec<_>>().join("+")
}

/// The tags of a managed peering, the same on both sides: within one account and Region they are one set
/// (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html>), and two texts would fight.
pub fn of_peering(deployment: &Deployment, meshes: &BTreeSet<MeshName>, pair: &Pair) -> Tags {
    Tags::from([
        (MANAGED_BY.to_owned(), deployment.to_string()),
        (ENV.to_owned(), join_meshes(meshes)),
        (NAME.to_owned(), format!("peerd {} - {}", pair.requester().id, pair.accepter().id)),
    ])
}

/// Which of `wanted` a side that wears `worn` still lacks. A `Name` that somebody gave is kept.
pub fn missing(wanted: &Tags, worn: &Tags) -> Tags {
    wanted
        .iter()
        .filter(|(key, value)| match worn.get(*key) {
            None => true,
            Some(_) if *key == NAME => false,
            Some(present) => present != *value,
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_meshes_may_be_separated_by_any_usual_separator() {
        for value in ["prod+staging", "staging prod", "prod,staging", "prod/staging", " prod : staging ;"] {
            assert_eq!(join_meshes(&MeshTag::parse(value).meshes), "prod+staging", "{value}");
        }
    }

    #[test]
    fn a_word_that_cannot_be_a_mesh_is_kept_for_the_report() {
        let tag = MeshTag::parse("prod $x");
        assert_eq!(join_meshes(&tag.meshes), "prod");
        assert_eq!(tag.malformed, BTreeSet::from(["$x".to_owned()]));
    }

    #[test]
    fn a_name_given_by_hand_is_not_missing_but_a_wrong_mesh_list_is() {
        let tags =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Tags>();
        let wanted = tags(&[(NAME, "peerd a - b"), (ENV, "prod")]);
        assert_eq!(missing(&wanted, &tags(&[(NAME, "mine"), (ENV, "old")])), tags(&[(ENV, "prod")]));
        assert_eq!(missing(&wanted, &Tags::new()), wanted);
    }
}
