//! The tags that peerd reads and writes, and the syntax of their values.

use std::collections::{BTreeMap, BTreeSet};

use crate::cidr::{self, CidrSet};
use crate::ids::{Deployment, MeshName, Pair};
use crate::printable::printable;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// On a VPC, read: the meshes that it requests. On a peering, written: the meshes that want it, joined by `+`.
pub const ENV: &str = "peerd:env";
/// On a VPC, read: `spoke` makes a VPC that the policy names as a hub a spoke; `hub` makes none, but a hub that the policy does
/// not name is reported.
pub const ROLE: &str = "peerd:role";
/// On a VPC, read: the parts of its own CIDR blocks that it advertises; absent means all of them.
pub const CIDRS: &str = "peerd:cidrs";
/// On a route table, read: `manage` or `ignore`, whichever tables the policy selects.
pub const ROUTES: &str = "peerd:routes";
/// On a route table, read: the Python peerd's `true`, which counts as `manage` if the policy selects tagged tables.
pub const ELIGIBLE: &str = "peerd_eligible";
/// On a security group, read: the meshes whose members it allows.
pub const ALLOW: &str = "peerd:allow";
/// On a security group, read: what it allows from them, such as `tcp/443 udp/53 icmp`, of the ports that the policy allows;
/// absent means all of these.
pub const PORTS: &str = "peerd:ports";
/// On an ingress rule, written: the prefix of the tag keys that name the meshes of the rule, one key for each mesh. Two
/// concurrent runs that add and remove meshes never write the same key.
pub const FOR_MESH: &str = "peerd:env/";
/// On a peering or an ingress rule, written: the deployment that owns it. IAM policies require it on what peerd changes;
/// only the seal proves it.
pub const MANAGED_BY: &str = "peerd:managed-by";
/// On a peering, written: the proof that the deployment created or adopted it ([`crate::seal`]).
pub const SEAL: &str = "peerd:seal";
/// On a VPC, written: joined, waiting, or refused with the reason.
pub const STATUS: &str = "peerd:status";
/// The tags that record the owner of a peering, its proof, and its meshes.
pub const OWNERSHIP_KEYS: [&str; 3] = [MANAGED_BY, SEAL, ENV];
/// On a peering, written if absent, so that a name that a user gave stays.
pub const NAME: &str = "Name";

/// The longest value of a tag that EC2 allows, in characters
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>).
pub const MAX_VALUE_LEN: usize = 256;

/// The words of a value, without `/` and `:` as separators.
pub(crate) fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', ',', '+', ';']).filter(|word| !word.is_empty())
}

/// How many words of a tag count as names of meshes: a tag with more would cause calls for each of them.
pub const MAX_MESHES: usize = 8;
/// How much of an invalid word is reported, in characters: as much as a mesh name may have.
pub const MAX_WORD_LEN: usize = 64;

/// As much of an invalid word as is reported, without characters that a terminal would not show as they are.
pub(crate) fn shortened(word: &str) -> String {
    printable(word).chars().take(MAX_WORD_LEN).collect()
}

/// The meshes that the tag `peerd:env` of a VPC requests, or that `peerd:allow` of a security group names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeshTag {
    /// The well-formed mesh names among the first [`MAX_MESHES`] words.
    pub meshes: BTreeSet<MeshName>,
    /// Other words among them, as far as [`MAX_WORD_LEN`]; peerd reports each of them.
    pub malformed: BTreeSet<String>,
    /// The number of words beyond [`MAX_MESHES`]; peerd reports them as one.
    pub excess: usize,
}

impl MeshTag {
    /// Parses the tag among a VPC's tags; absent or blank means no mesh.
    pub fn of(tags: &Tags) -> Self {
        tags.get(ENV).map_or_else(Self::default, |value| Self::parse(value))
    }

    /// Splits a value at any of space `,` `+` `/` `:` `;`. The comma is listed for completeness: organizations whose
    /// tag policies forbid it use another separator.
    pub fn parse(value: &str) -> Self {
        let mut tag = Self::default();
        for word in names(value) {
            let name = word.parse();
            let is_known = name.as_ref().is_ok_and(|mesh| tag.meshes.contains(mesh));
            if !is_known && tag.meshes.len() + tag.malformed.len() >= MAX_MESHES {
                tag.excess += 1;
                continue;
            }
            match name {
                Ok(mesh) => drop(tag.meshes.insert(mesh)),
                Err(_) => drop(tag.malformed.insert(shortened(word))),
            }
        }
        tag
    }
}

/// The words of a value that names meshes.
fn names(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', ',', '+', '/', ':', ';']).filter(|word| !word.is_empty())
}

/// The meshes that the tags of one side of a peering name. peerd itself writes them, so they are not limited.
pub fn meshes_of_peering(current: &Tags) -> BTreeSet<MeshName> {
    current.get(ENV).into_iter().flat_map(|value| names(value)).filter_map(|word| word.parse().ok()).collect()
}

/// The role of a VPC in a hub-and-spoke mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Connected with every member, if the policy of the mesh names the VPC.
    Hub,
    /// Connected with hubs only. An invalid value also means spoke: a typo connects nothing.
    Spoke,
}

impl Role {
    /// Parses the tag among a VPC's tags; `None` if it is absent or empty.
    ///
    /// # Errors
    /// The value, if it is neither `hub` nor `spoke`.
    pub fn requested(tags: &Tags) -> Result<Option<Self>, String> {
        match tags.get(ROLE).map_or("", |role| role.trim()) {
            "hub" => Ok(Some(Self::Hub)),
            "spoke" => Ok(Some(Self::Spoke)),
            "" => Ok(None),
            other => Err(shortened(other)),
        }
    }
}

/// The CIDR blocks that a VPC advertises to its peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertised {
    /// Parts of its own CIDR blocks.
    pub cidrs: CidrSet,
    /// Words of `peerd:cidrs` that are no such parts; peerd reports each of them.
    pub refused: BTreeSet<String>,
}

impl Advertised {
    /// Parses the tag among a VPC's tags. A CIDR block that is not within the VPC's own ones is refused, because it
    /// would attract the traffic of others.
    pub fn of(tags: &Tags, own: &CidrSet) -> Self {
        let Some(value) = tags.get(CIDRS) else { return Self { cidrs: own.clone(), refused: BTreeSet::new() } };
        let mut advertised = Self::default();
        for word in words(value) {
            match cidr::parse(word) {
                Ok(cidr) if own.covers(&cidr) => advertised.cidrs.insert(cidr),
                _ => drop(advertised.refused.insert(shortened(word))),
            }
        }
        advertised
    }
}

/// The tag key that names a mesh of an ingress rule; its value is empty.
pub fn for_mesh(mesh: &MeshName) -> String {
    format!("{FOR_MESH}{mesh}")
}

/// The meshes that the tags of an ingress rule name.
pub fn meshes_of_rule(current: &Tags) -> impl Iterator<Item = &str> {
    current.keys().filter_map(|key| key.strip_prefix(FOR_MESH))
}

/// Whether a resource has the ownership tag of a deployment.
pub fn has_ownership_tag(current: &Tags, deployment: &Deployment) -> bool {
    current.get(MANAGED_BY).is_some_and(|by| by == deployment.as_str())
}

/// The deployment whose ownership tag a resource has, if it is another than this one.
pub fn other_owner<'a>(current: &'a Tags, deployment: &Deployment) -> Option<&'a str> {
    current.get(MANAGED_BY).map(String::as_str).filter(|by| *by != deployment.as_str())
}

/// The tags of a new ingress rule.
pub fn of_rule(deployment: &Deployment, mesh: &MeshName) -> Tags {
    let pairs = [(MANAGED_BY.to_owned(), deployment.to_string()), (NAME.to_owned(), "peerd".to_owned())];
    pairs.into_iter().chain([(for_mesh(mesh), String::new())]).collect()
}

/// Those tags of a VPC that determine its role in its meshes.
pub fn of_role(tags: &Tags) -> Tags {
    with_keys(tags, &[ROLE, CIDRS])
}

/// The same, with its name.
pub fn of_member(tags: &Tags) -> Tags {
    with_keys(tags, &[NAME, ROLE, CIDRS])
}

fn with_keys(tags: &Tags, keys: &[&str]) -> Tags {
    let kept = keys.iter().filter_map(|key| tags.get_key_value(*key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What the tags of a route table request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableTag {
    /// The table gets routes, whichever tables the policy selects.
    Manage,
    /// peerd does not change the table.
    Ignore,
    /// The table gets routes if the policy selects tagged tables.
    Eligible,
    /// The table has none of these tags.
    Absent,
}

impl TableTag {
    /// Parses the tags of a route table.
    ///
    /// # Errors
    /// The value of `peerd:routes`, if it is neither `manage` nor `ignore`.
    pub fn of(tags: &Tags) -> Result<Self, String> {
        match tags.get(ROUTES).map(|value| value.trim()) {
            Some("manage") => Ok(Self::Manage),
            Some("ignore") => Ok(Self::Ignore),
            Some(other) => Err(shortened(other)),
            None if tags.get(ELIGIBLE).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) => {
                Ok(Self::Eligible)
            }
            None => Ok(Self::Absent),
        }
    }
}

/// The value of `peerd:env` on a peering: its meshes, sorted, joined by `+`.
pub fn join_meshes(meshes: &BTreeSet<MeshName>) -> String {
    meshes.iter().map(MeshName::as_str).collect::<Vec<_>>().join("+")
}

/// The tags of a managed peering, the same on both sides: within one account and Region they are one set
/// (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html>), and two texts would replace each other.
pub fn of_peering(deployment: &Deployment, meshes: &BTreeSet<MeshName>, pair: &Pair, seal: String) -> Tags {
    Tags::from([
        (MANAGED_BY.to_owned(), deployment.to_string()),
        (SEAL.to_owned(), seal),
        (ENV.to_owned(), join_meshes(meshes)),
        (NAME.to_owned(), format!("peerd {} - {}", pair.requester().id, pair.accepter().id)),
    ])
}

/// The tags of `wanted` that `current` lacks or has with another value. An existing `Name` is kept.
pub fn missing(wanted: &Tags, current: &Tags) -> Tags {
    wanted
        .iter()
        .filter(|(key, value)| match current.get(*key) {
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
    fn meshes_can_be_separated_by_any_usual_separator() {
        for value in ["prod+staging", "staging prod", "prod,staging", "prod/staging", " prod : staging ;"] {
            assert_eq!(join_meshes(&MeshTag::parse(value).meshes), "prod+staging", "{value}");
        }
    }

    #[test]
    fn an_invalid_mesh_name_is_kept_for_the_report() {
        let tag = MeshTag::parse("prod $x");
        assert_eq!(join_meshes(&tag.meshes), "prod");
        assert_eq!(tag.malformed, BTreeSet::from(["$x".to_owned()]));
    }

    #[test]
    fn only_the_first_eight_words_of_a_mesh_tag_count() {
        let tag = MeshTag::parse("a b c d e $f g h i j a");
        assert_eq!(join_meshes(&tag.meshes), "a+b+c+d+e+g+h");
        assert_eq!((tag.malformed.len(), tag.excess), (1, 2), "a second `a` is no other mesh");
        let long = MeshTag::parse(&"$".repeat(200));
        assert_eq!(long.malformed, BTreeSet::from(["$".repeat(MAX_WORD_LEN)]));
        let written = Tags::from([(ENV.to_owned(), "a+b+c+d+e+f+g+h+i".to_owned())]);
        assert_eq!(meshes_of_peering(&written).len(), 9, "peerd's own tag is not limited");
    }

    fn tag(key: &str, value: &str) -> Tags {
        Tags::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_vpc_requests_a_role_by_its_tag_and_an_invalid_one_is_kept_for_the_report() {
        assert_eq!(Role::requested(&Tags::new()), Ok(None));
        assert_eq!(Role::requested(&tag(ROLE, "spoke")), Ok(Some(Role::Spoke)));
        assert_eq!(Role::requested(&tag(ROLE, " hub ")), Ok(Some(Role::Hub)));
        assert_eq!(Role::requested(&tag(ROLE, "Hub")), Err("Hub".to_owned()));
    }

    #[test]
    fn a_vpc_advertises_only_parts_of_its_own_cidrs() {
        let own: CidrSet = ["10.1.0.0/16", "2600:1f18::/56"].iter().map(|cidr| cidr::parse(cidr).unwrap()).collect();
        assert_eq!(Advertised::of(&Tags::new(), &own).cidrs, own);
        let advertised = Advertised::of(&tag(CIDRS, "10.1.128.0/17, 2600:1f18::/60+0.0.0.0/0 x;10.2.0.0/16"), &own);
        assert_eq!(advertised.cidrs.to_string(), "10.1.128.0/17 2600:1f18::/60");
        assert_eq!(advertised.refused, ["0.0.0.0/0", "10.2.0.0/16", "x"].map(str::to_owned).into());
        assert!(Advertised::of(&tag(CIDRS, ""), &own).cidrs.is_empty(), "an empty list advertises nothing");
    }

    #[test]
    fn the_legacy_table_tag_applies_only_without_the_routes_tag() {
        assert_eq!(TableTag::of(&Tags::new()), Ok(TableTag::Absent));
        assert_eq!(TableTag::of(&tag(ROUTES, "manage")), Ok(TableTag::Manage));
        assert_eq!(TableTag::of(&tag(ELIGIBLE, "True")), Ok(TableTag::Eligible));
        assert_eq!(TableTag::of(&tag(ELIGIBLE, "no")), Ok(TableTag::Absent));
        let both = tag(ELIGIBLE, "true").into_iter().chain(tag(ROUTES, "ignore")).collect();
        assert_eq!(TableTag::of(&both), Ok(TableTag::Ignore));
        assert_eq!(TableTag::of(&tag(ROUTES, "yes")), Err("yes".to_owned()));
    }

    #[test]
    fn only_the_name_role_and_cidrs_tags_of_a_member_are_indexed() {
        let current = [(ENV, "prod"), (NAME, "web"), (ROLE, "hub"), (STATUS, "joined prod")];
        let current: Tags = current.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!((of_role(&current), of_member(&current).len()), (tag(ROLE, "hub"), 2));
    }

    #[test]
    fn a_user_given_name_is_kept_and_a_wrong_mesh_list_is_corrected() {
        let tags =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Tags>();
        let wanted = tags(&[(NAME, "peerd a - b"), (ENV, "prod")]);
        assert_eq!(missing(&wanted, &tags(&[(NAME, "mine"), (ENV, "old")])), tags(&[(ENV, "prod")]));
        assert_eq!(missing(&wanted, &Tags::new()), wanted);
    }
}
