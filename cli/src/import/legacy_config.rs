//! The YAML file of the Python peerd (<https://github.com/atlassian-labs/peerd>). The Python peerd did not validate it;
//! this module does.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use peerd_core::cidr::{self, IpNet};
use peerd_core::{Scope, Tags, VpcId, VpcRef};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Note;

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldFile {
    /// The tags that every peering has.
    pub tags: Tags,
    /// The role that the Python peerd assumes in each account.
    pub role: Option<String>,
    /// The members of each environment, in their order.
    pub environments: BTreeMap<String, Vec<Entry>>,
    /// Parts of the file without effect.
    pub notes: Vec<Note>,
}

impl OldFile {
    /// Its VPCs by scope.
    pub fn vpcs(&self) -> BTreeMap<Scope, BTreeSet<VpcId>> {
        let mut vpcs: BTreeMap<Scope, BTreeSet<VpcId>> = BTreeMap::new();
        for Entry { vpc, .. } in self.environments.values().flatten() {
            vpcs.entry(vpc.scope.clone()).or_default().insert(vpc.id.clone());
        }
        vpcs
    }
}

/// A VPC in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The VPC with its scope.
    pub vpc: VpcRef,
    /// The destinations of its peers' routes, instead of all of its CIDR blocks.
    pub overrides: Option<Vec<IpNet>>,
    /// Tags for its peerings.
    pub tags: Tags,
}

#[derive(Deserialize)]
struct Written {
    metadata: Metadata,
    environments: BTreeMap<String, Vec<WrittenEntry>>,
}

#[derive(Deserialize)]
struct Metadata {
    resource_owner: Option<String>,
    business_unit: Option<String>,
    service_name: Option<String>,
    support: Option<String>,
    common_principal_name: Option<String>,
    #[serde(rename = "role_session_name")]
    _session: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct WrittenEntry {
    account_id: String,
    vpc_id: String,
    region: String,
    cidr_overrides: Option<Vec<String>>,
    #[serde(default)]
    peering_tags: Tags,
    #[serde(rename = "note")]
    _note: Option<IgnoredAny>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Reads the file. Skips what the Python peerd would skip, with a note.
///
/// # Errors
/// When it is not YAML, lacks a required field, or has a value that is not the expected text or CIDR block.
pub fn read(text: &str) -> Result<OldFile> {
    // YAML reads 111111111111 as a number, and 012345670123 as a different one, so account ids must be quoted.
    let options = serde_saphyr::options! { no_schema: true };
    let Written { metadata, environments } = serde_saphyr::from_str_with_options(text, options)?;
    let Metadata { resource_owner, business_unit, service_name, support, common_principal_name, unknown, .. } =
        metadata;
    let mut notes: Vec<Note> = unknown.into_keys().map(|key| Note::new("metadata", ignored(&key))).collect();
    let tags = [
        ("resource_owner", resource_owner),
        ("business_unit", business_unit),
        ("service_name", service_name),
        ("peerd_support", support),
    ];
    let tags = tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    let mut read = BTreeMap::new();
    for (name, entries) in environments {
        let mut members = Vec::new();
        for entry in entries {
            let about = format!("{} in environment {name}", entry.vpc_id);
            notes.extend(entry.unknown.keys().map(|key| Note::new(&about, ignored(key))));
            match vpc(&entry) {
                Ok(vpc) => members.push(Entry { vpc, overrides: cidrs(&entry, &about)?, tags: entry.peering_tags }),
                Err(why) => notes.push(Note::new(&about, format!("left out: {why}"))),
            }
        }
        read.insert(name, members);
    }
    Ok(OldFile { tags, role: common_principal_name, environments: read, notes })
}

fn ignored(key: &str) -> String {
    format!("`{key}` is not a key of the Python peerd; it is ignored")
}

fn vpc(entry: &WrittenEntry) -> Result<VpcRef, peerd_core::ids::IdError> {
    let scope = Scope::new(entry.account_id.parse()?, entry.region.parse()?);
    Ok(VpcRef::new(scope, entry.vpc_id.parse()?))
}

fn cidrs(entry: &WrittenEntry, about: &str) -> Result<Option<Vec<IpNet>>> {
    let Some(overrides) = &entry.cidr_overrides else { return Ok(None) };
    let mut cidrs = Vec::new();
    for text in overrides {
        match cidr::parse(text) {
            Ok(cidr @ IpNet::V4(_)) => cidrs.push(cidr),
            Ok(IpNet::V6(_)) => bail!("{about}: cidr_overrides has {text}; the Python peerd failed on IPv6"),
            Err(error) => bail!("{about}: cidr_overrides: {error}"),
        }
    }
    Ok(Some(cidrs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "metadata: {resource_owner: net, support: net@acme.org, common_principal_name: bot}\n";

    fn said(text: &str) -> String {
        read(&format!("{HEAD}{text}")).map_or_else(|error| format!("{error:#}"), |file| format!("{:?}", file.notes))
    }

    #[test]
    fn every_key_of_the_python_peerd_is_read_and_others_are_reported() {
        let text = "
base: &base {region: eu-west-1}
environments:
  prod:
    - {account_id: '111111111111', vpc_id: vpc-1, <<: *base, cidr_overrides: [10.1.2.3/16], peering_tags: {team: red}}
    - {account_id: '1111111111111', vpc_id: vpc-2, region: eu-west-1, note: thirteen digits}
    - {account_id: '222222222222', vpc_id: vpc-3, region: eu-west-1, cidr_override: [10.1.0.0/16]}
  empty: []
";
        let file = read(&format!("{HEAD}{text}")).unwrap();
        let [one, three] = &file.environments["prod"][..] else { panic!("{file:?}") };
        assert_eq!(one.vpc.to_string(), "vpc-1 (111111111111/eu-west-1)");
        assert_eq!(one.overrides, Some(vec!["10.1.0.0/16".parse().unwrap()]));
        assert_eq!((one.tags["team"].as_str(), &three.overrides), ("red", &None));
        assert_eq!(file.role.as_deref(), Some("bot"));
        assert_eq!(file.tags["peerd_support"], "net@acme.org");
        let notes: Vec<String> = file.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "vpc-2 in environment prod: left out: `1111111111111` is not a 12-digit account id such as 111111111111",
                "vpc-3 in environment prod: `cidr_override` is not a key of the Python peerd; it is ignored",
            ]
        );
    }

    #[test]
    fn ambiguous_or_invalid_legacy_config_is_rejected_with_the_location() {
        for (text, says) in [
            ("environments:\n  prod:\n    - {account_id: 111111111111, vpc_id: vpc-1, region: r}\n", "must be quoted"),
            ("environments:\n  prod:\n    - {vpc_id: vpc-1, region: r}\n", "account_id"),
            ("environments:\n  prod:\n", "line 3"),
            ("environments:\n  prod: []\n  prod: []\n", "duplicate"),
            ("environment: {}\n", "environments"),
        ] {
            let said = said(text);
            assert!(said.contains(says), "{text}: {said}");
        }
        let with = |cidr: &str| {
            said(&format!(
                "environments:\n  prod:\n    - {{account_id: '111111111111', vpc_id: vpc-1, region: eu-west-1, \
                 cidr_overrides: ['{cidr}']}}\n"
            ))
        };
        assert!(with("10.0.0.0/33").contains("vpc-1 in environment prod: cidr_overrides: `10.0.0.0/33`"));
        assert!(with("2600::/56").contains("failed on IPv6"));
    }
}
