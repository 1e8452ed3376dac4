//! The policy of the hub's bus: which accounts may send events.

use peerd_core::{AccountId, OrganizationalUnitId};
use serde_json::{Value, json};

const ACTION: &str = "events:PutEvents";
/// The statement of template.yaml that lists accounts.
const LISTED: &str = "Accounts";

/// A resource policy, of the form that template.yaml has. It is no evaluator: a statement of another form admits no account.
pub struct BusPolicy(Value);

impl BusPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Whether the account may send events: by its id, or by one of the units in its path.
    pub fn admits<'a>(&self, account: &AccountId, mut path: impl Iterator<Item = &'a OrganizationalUnitId>) -> bool {
        let allows =
            |statement: &&Value| statement["Effect"] == "Allow" && list(&statement["Action"]).contains(&ACTION);
        let statements: Vec<&Value> = self.statements().filter(allows).collect();
        let root = format!(":iam::{account}:root");
        let is_listed = |principal: &str| principal == account.as_str() || principal.ends_with(&root);
        statements.iter().any(|it| list(&it["Principal"]["AWS"]).into_iter().any(is_listed))
            || path.any(|unit| statements.iter().any(|it| admits_unit(it, unit)))
    }

    /// The policy with one more account, as JSON; none if it has no statement that lists accounts.
    pub fn with(&self, account: &AccountId) -> Option<String> {
        let mut changed = self.0.clone();
        let statements = changed["Statement"].as_array_mut()?;
        let listed = statements.iter_mut().find(|statement| statement["Sid"] == LISTED)?;
        let mut accounts: Vec<String> = list(&listed["Principal"]["AWS"]).into_iter().map(str::to_owned).collect();
        accounts.push(account.to_string());
        listed["Principal"]["AWS"] = json!(accounts);
        Some(changed.to_string())
    }

    fn statements(&self) -> impl Iterator<Item = &Value> {
        self.0["Statement"].as_array().into_iter().flatten()
    }
}

fn admits_unit(statement: &Value, unit: &OrganizationalUnitId) -> bool {
    let conditions = statement["Condition"].as_object().into_iter().flat_map(|it| it.values());
    let paths = conditions.flat_map(|it| list(&it["aws:PrincipalOrgPaths"]));
    paths.into_iter().any(|path| path.split('/').any(|part| part == unit.to_string()))
}

/// A value of a policy, which is one text or a list of texts.
pub fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> BusPolicy {
        let text = json!({"Statement": [
            {"Sid": "Accounts", "Effect": "Allow", "Action": "events:PutEvents",
             "Principal": {"AWS": ["111111111111", "arn:aws:iam::222222222222:root"]}},
            {"Sid": "Units", "Effect": "Allow", "Action": ["events:PutEvents"], "Principal": "*",
             "Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/r-ab12/*/ou-ab12-11111111/*"}}},
            {"Sid": "Other", "Effect": "Deny", "Action": "events:PutEvents", "Principal": {"AWS": "444444444444"}},
        ]});
        BusPolicy::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn an_account_is_admitted_by_its_id_or_by_a_unit_in_its_path() {
        let admits = |account: &str, units: &[&str]| {
            let units: Vec<OrganizationalUnitId> = units.iter().map(|unit| unit.parse().unwrap()).collect();
            policy().admits(&account.parse().unwrap(), units.iter())
        };
        assert!(admits("111111111111", &[]) && admits("222222222222", &[]));
        assert!(admits("333333333333", &["ou-ab12-22222222", "ou-ab12-11111111"]));
        assert!(!admits("333333333333", &["ou-ab12-22222222"]) && !admits("444444444444", &[]));
    }

    #[test]
    fn an_account_is_added_to_the_statement_that_lists_accounts() {
        let account: AccountId = "333333333333".parse().unwrap();
        let changed = BusPolicy::parse(&policy().with(&account).unwrap()).unwrap();
        assert!(
            changed.admits(&account, [].into_iter())
                && changed.admits(&"111111111111".parse().unwrap(), [].into_iter())
        );
        assert!(BusPolicy::parse("{}").unwrap().with(&account).is_none());
    }
}
