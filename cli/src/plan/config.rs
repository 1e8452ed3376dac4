//! `peerd.toml`: the settings and policies that a deployment has in its stack and table, for use without a deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use peerd_core::{AccountId, Deployment, MeshName, OrganizationalUnitId, Policy, Region};
use serde::Deserialize;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The value of the ownership tag `peerd:managed-by`.
    pub deployment: Deployment,
    /// Accounts that are scanned for members.
    pub accounts: BTreeSet<AccountId>,
    /// Organizational units whose accounts are scanned as well.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// The Regions in which these accounts are scanned.
    pub regions: BTreeSet<Region>,
    /// The role to assume in each account: its name, or its ARN with `{account}`.
    pub role: String,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<String>,
    /// The file with the keys of the seals; a relative path begins at the directory of `peerd.toml`.
    pub seal_key_file: PathBuf,
    /// The meshes with their policies.
    pub meshes: BTreeMap<MeshName, Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    deployment: Option<Deployment>,
    #[serde(default)]
    accounts: BTreeSet<AccountId>,
    #[serde(default)]
    units: BTreeSet<OrganizationalUnitId>,
    regions: BTreeSet<Region>,
    role: String,
    external_id: Option<String>,
    seal_key_file: Option<PathBuf>,
    #[serde(default)]
    meshes: BTreeMap<String, toml::Table>,
}

/// Reads the file.
///
/// # Errors
/// When the file is invalid. The error names the field.
pub fn read(text: &str) -> Result<Config> {
    let Written { deployment, accounts, units, regions, role, external_id, seal_key_file, meshes } =
        toml::from_str(text)?;
    if accounts.is_empty() && units.is_empty() {
        bail!("neither `accounts` nor `units` is set, so there is nothing to scan");
    }
    if regions.is_empty() {
        bail!("`regions` is empty, so there is nothing to scan");
    }
    let mut read = BTreeMap::new();
    for (name, policy) in meshes {
        let mesh = name.parse().with_context(|| format!("[meshes.{name}]"))?;
        let policy = Policy::read(policy).with_context(|| format!("[meshes.{name}]"))?;
        read.insert(mesh, policy);
    }
    check_role(&role).context("field `role`")?;
    let deployment = match deployment {
        Some(deployment) => deployment,
        None => "peerd".parse()?,
    };
    let seal_key_file = seal_key_file.unwrap_or_else(|| SEAL_KEY_FILE.into());
    Ok(Config { deployment, accounts, units, regions, role, external_id, seal_key_file, meshes: read })
}

/// The file with the keys of the seals, by default.
const SEAL_KEY_FILE: &str = "peerd.key";

/// The ARN of a role in each account, with `{account}` in the place of the account's id. `neighbor` is any ARN of the role's
/// partition, such as that of the caller: credentials of one partition are not valid in another
/// (<https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>).
///
/// # Errors
/// When an ARN has no `{account}`: it would be the role of one account, in which all others appear to be empty.
pub fn role_arn(role: &str, neighbor: &str) -> Result<String> {
    check_role(role)?;
    let partition = neighbor.split(':').nth(1).unwrap_or("aws");
    Ok(if is_arn(role) { role.to_owned() } else { format!("arn:{partition}:iam::{{account}}:role/{role}") })
}

/// Whether a role is given by its ARN; else by its name.
pub fn is_arn(role: &str) -> bool {
    role.starts_with("arn:")
}

fn check_role(role: &str) -> Result<()> {
    if role.trim().is_empty() {
        bail!("it is empty; write the name of the role to assume in each account");
    }
    if is_arn(role) && !role.contains("{account}") {
        bail!(
            "the role {role} belongs to one account; write its name, or its ARN with {{account}} in the place of the \
             account id"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        accounts = ["111111111111"]
        regions = ["us-east-1"]
        role = "operator"

        [meshes.prod]
        topology = "hub-and-spoke"
        hubs.vpcs = ["vpc-1"]
        admit.cidrs = ["10.0.0.0/8"]
        "#;

    fn refused(from: &str, to: &str) -> String {
        format!("{:#}", read(&FILE.replace(from, to)).unwrap_err())
    }

    #[test]
    fn a_config_file_replaces_the_stack_and_the_table() {
        let config = read(FILE).unwrap();
        assert_eq!(config.deployment.as_str(), "peerd");
        let policy = &config.meshes[&"prod".parse().unwrap()];
        assert_eq!(policy.admit.cidrs.to_string(), "10.0.0.0/8");
    }

    #[test]
    fn a_role_given_by_name_is_in_the_partition_of_the_caller() {
        let caller = "arn:aws-us-gov:sts::111111111111:assumed-role/x/y";
        assert_eq!(role_arn("operator", caller).unwrap(), "arn:aws-us-gov:iam::{account}:role/operator");
        assert_eq!(role_arn("operator", "").unwrap(), "arn:aws:iam::{account}:role/operator");
        let given = "arn:aws-cn:iam::{account}:role/x";
        assert_eq!(role_arn(given, caller).unwrap(), given);
    }

    #[test]
    fn an_invalid_config_file_is_rejected_with_the_location() {
        assert!(
            refused("hub-and-spoke", "ring").contains("[meshes.prod]: policy field `topology`: unknown variant `ring`")
        );
        assert!(refused("meshes.prod", "meshes.\"prod/eu\"").contains("`prod/eu` is not a mesh name"));
        assert!(refused("111111111111", "12").contains("12-digit account id"));
        assert!(refused("regions = [\"us-east-1\"]", "").contains("regions"));
        assert!(refused("[\"us-east-1\"]", "[]").contains("`regions` is empty"));
        assert!(refused("\"operator\"", "\"\"").contains("field `role`: it is empty"));
        assert!(refused("accounts = [\"111111111111\"]", "").contains("neither `accounts` nor `units`"));
        assert!(refused("role", "rolle").contains("rolle"));
        let one_account = refused("\"operator\"", "\"arn:aws:iam::111111111111:role/operator\"");
        assert!(one_account.contains("field `role`") && one_account.contains("{account}"), "{one_account}");
    }
}
