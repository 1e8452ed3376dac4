//! The configuration of a deployment.

use std::collections::BTreeSet;

use peerd_core::operator::Operator;
use peerd_core::{AccountId, Deployment, MeshName, OrganizationalUnitId, Region, Seals};

/// The configuration of a deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// Its seals.
    pub seals: Seals,
    /// Meshes declared with the default policy.
    pub meshes: BTreeSet<MeshName>,
    /// The configured accounts, which peerd reads in all of `regions`.
    pub accounts: BTreeSet<AccountId>,
    /// Organizational units and roots. peerd also reads their accounts, once it has listed them.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// The Regions of those accounts.
    pub regions: BTreeSet<Region>,
    /// The name of the role that peerd assumes in each account, for remedies.
    pub role: String,
    /// Where the operator makes decisions, for remedies.
    pub operator: Operator,
}

/// Returns the name of a role from its name or its ARN, with or without a path.
pub fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_without_its_arn_and_its_path() {
        for role in
            ["acme-spoke", "arn:aws:iam::{account}:role/acme-spoke", "arn:aws-cn:iam::{account}:role/a/b/acme-spoke"]
        {
            assert_eq!(role_name(role), "acme-spoke");
        }
    }
}
