//! The configuration of a function, from its environment variables.

use std::collections::BTreeSet;
use std::str::FromStr;

use peerd_core::ids::IdError;
use peerd_core::operator::Operator;
use peerd_core::{AccountId, Deployment, MeshName, OrganizationalUnitId, Region, SealKeys, Seals};
use peerd_engine::{Settings, role_name};

/// The environment variables of a function, read and checked once at its start.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `PEERD_SEAL_SECRET`: the ARN of the secret with the keys of the seals.
    pub seal_secret: String,
    /// `PEERD_DEPLOYMENT`: the name of the deployment.
    pub deployment: Deployment,
    /// `PEERD_MESHES`: meshes declared with the default policy.
    pub meshes: BTreeSet<MeshName>,
    /// `PEERD_ACCOUNTS`: the configured accounts.
    pub accounts: BTreeSet<AccountId>,
    /// `PEERD_UNITS`: organizational units and roots.
    pub units: BTreeSet<OrganizationalUnitId>,
    /// `PEERD_REGIONS`: the Regions of the accounts.
    pub regions: BTreeSet<Region>,
    /// `PEERD_STACK`: the name of the hub's stack.
    pub stack: String,
    /// `PEERD_TABLE`: the DynamoDB table.
    pub table: String,
    /// `PEERD_QUEUE_URL`: the function's own queue, also for its follow-up messages.
    pub queue_url: String,
    /// `PEERD_BUS`: the event bus for notifications.
    pub bus: String,
    /// `PEERD_SPOKE_ROLE`: the ARN of the role to assume, with `{account}` in place of the account id.
    pub spoke_role: String,
    /// `PEERD_EXTERNAL_ID`: the external id that the role's trust policy requires.
    pub external_id: String,
}

/// A missing or invalid variable.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// Not set, or blank.
    #[error("environment variable {0} is not set; the stack's template.yaml sets it")]
    Missing(&'static str),
    /// The value is invalid.
    #[error("environment variable {name} is invalid")]
    Invalid {
        /// The name of the variable.
        name: &'static str,
        /// The reason.
        #[source]
        source: IdError,
    },
    /// The role's ARN does not contain `{account}`.
    #[error("environment variable PEERD_SPOKE_ROLE is invalid: `{0}` does not contain {{account}}")]
    RoleWithoutAccount(String),
}

impl Environment {
    /// Reads the variables with `get`, which is [`std::env::var`] outside tests.
    ///
    /// # Errors
    /// The first missing or invalid variable.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let required = |name: &'static str| {
            get(name).filter(|value| !value.trim().is_empty()).ok_or(EnvironmentError::Missing(name))
        };
        let spoke_role = required("PEERD_SPOKE_ROLE")?;
        if !spoke_role.contains("{account}") {
            return Err(EnvironmentError::RoleWithoutAccount(spoke_role));
        }
        Ok(Self {
            seal_secret: required("PEERD_SEAL_SECRET")?,
            deployment: parse("PEERD_DEPLOYMENT", &required("PEERD_DEPLOYMENT")?)?,
            meshes: list("PEERD_MESHES", get("PEERD_MESHES"))?,
            accounts: list("PEERD_ACCOUNTS", get("PEERD_ACCOUNTS"))?,
            units: list("PEERD_UNITS", get("PEERD_UNITS"))?,
            regions: list("PEERD_REGIONS", get("PEERD_REGIONS"))?,
            stack: required("PEERD_STACK")?,
            table: required("PEERD_TABLE")?,
            queue_url: required("PEERD_QUEUE_URL")?,
            bus: required("PEERD_BUS")?,
            spoke_role,
            external_id: required("PEERD_EXTERNAL_ID")?,
        })
    }

    /// The configuration of the engine, with the keys of the seals.
    pub fn settings(&self, keys: SealKeys) -> Settings {
        let Self { deployment, meshes, accounts, units, regions, stack, spoke_role, .. } = self.clone();
        let (seals, role) = (Seals::new(deployment.clone(), keys), role_name(&spoke_role).to_owned());
        let operator = Operator::Stack(stack);
        Settings { deployment, seals, meshes, accounts, units, regions, role, operator }
    }
}

fn parse<T: FromStr<Err = IdError>>(name: &'static str, value: &str) -> Result<T, EnvironmentError> {
    value.trim().parse().map_err(|source| EnvironmentError::Invalid { name, source })
}

fn list<T: FromStr<Err = IdError> + Ord>(
    name: &'static str,
    value: Option<String>,
) -> Result<BTreeSet<T>, EnvironmentError> {
    let value = value.unwrap_or_default();
    value.split(',').filter(|item| !item.trim().is_empty()).map(|item| parse(name, item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &str, to: &str) -> Result<Environment, EnvironmentError> {
        Environment::read(|name| {
            let value = match name {
                _ if name == change => to,
                "PEERD_DEPLOYMENT" => "peerd",
                "PEERD_MESHES" => "prod, staging",
                "PEERD_ACCOUNTS" => "111111111111,222222222222",
                "PEERD_REGIONS" => "us-east-1",
                "PEERD_TABLE" => "table",
                "PEERD_QUEUE_URL" => "https://queue",
                "PEERD_BUS" => "peerd",
                "PEERD_SPOKE_ROLE" => "arn:aws:iam::{account}:role/peerd-spoke",
                "PEERD_EXTERNAL_ID" => "secret",
                "PEERD_SEAL_SECRET" => "arn:aws:secretsmanager:us-east-1:111111111111:secret:peerd-seal",
                "PEERD_STACK" => "peerd",
                _ => return None,
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn lists_are_separated_by_commas_and_may_be_empty() {
        assert_eq!(read("", "").unwrap().meshes.len(), 2);
        assert!(read("PEERD_ACCOUNTS", "").unwrap().accounts.is_empty());
    }

    #[test]
    fn an_invalid_variable_is_reported_with_the_reason() {
        use peerd_engine::error::chain;
        let said = |change, to| chain(&read(change, to).unwrap_err());
        assert_eq!(
            said("PEERD_ACCOUNTS", "12"),
            "environment variable PEERD_ACCOUNTS is invalid: `12` is not a 12-digit account id such as 111111111111"
        );
        assert!(said("PEERD_TABLE", " ").starts_with("environment variable PEERD_TABLE is not set"));
        assert!(said("PEERD_SPOKE_ROLE", "arn:aws:iam::1:role/x").contains("{account}"));
    }
}
