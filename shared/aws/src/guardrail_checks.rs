//! The check of the guardrails: whether a service control policy decides who may write peerd's tags
//! ([guardrails/scp.json](../../../guardrails/scp.json)).

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{PolicySummary, PolicyType, TargetType};
use futures::{StreamExt, TryStreamExt, stream};
use peerd_core::plural::counted;
use peerd_core::{AccountId, Check, tags};
use peerd_engine::{InfraError, KnownAccounts};
use serde_json::Value;

use crate::bus_policy::list;
use crate::errors;

/// The number of policies that are read concurrently: Organizations permits few calls a second
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>).
const CONCURRENCY: usize = 4;

/// A policy that protects peerd's tags, with the roots, units and accounts to which it is attached.
struct Guardrail {
    name: String,
    on_root: bool,
    targets: BTreeSet<String>,
}

/// Checks that a service control policy protects the tags in every known account. Without a permission to see that, which only
/// the management account has and those to which it delegates it, there is no check.
pub async fn check(config: &SdkConfig, known: &KnownAccounts) -> Vec<Check> {
    match guardrails(&Client::new(config)).await {
        Ok(found) => vec![judge(&found, known)],
        Err(_) => Vec::new(),
    }
}

async fn guardrails(client: &Client) -> Result<Vec<Guardrail>, InfraError> {
    let pages = client.list_policies().filter(PolicyType::ServiceControlPolicy).into_paginator().send();
    let pages = pages.try_collect().await.map_err(|error| errors::port("ListPolicies", error))?;
    let policies: Vec<PolicySummary> = pages.into_iter().flat_map(|page| page.policies.unwrap_or_default()).collect();
    let read = |policy| async move { guardrail(client, policy).await };
    let found: Vec<Option<Guardrail>> = stream::iter(policies).map(read).buffered(CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// A policy with its targets, if it protects peerd's tags.
async fn guardrail(client: &Client, policy: PolicySummary) -> Result<Option<Guardrail>, InfraError> {
    let id = policy.id().unwrap_or_default();
    let described = client.describe_policy().policy_id(id).send().await;
    let described = described.map_err(|error| errors::port("DescribePolicy", error))?;
    if !protects_tags(described.policy().and_then(|policy| policy.content()).unwrap_or_default()) {
        return Ok(None);
    }
    let pages = client.list_targets_for_policy().policy_id(id).into_paginator().send();
    let pages = pages.try_collect().await.map_err(|error| errors::port("ListTargetsForPolicy", error))?;
    let targets = || pages.iter().flat_map(|page| page.targets());
    Ok(Some(Guardrail {
        name: policy.name().unwrap_or(id).to_owned(),
        on_root: targets().any(|target| target.r#type() == Some(&TargetType::Root)),
        targets: targets().filter_map(|target| Some(target.target_id()?.to_owned())).collect(),
    }))
}

/// Whether a policy denies writing the tag `peerd:env`, with exceptions or without.
fn protects_tags(content: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(content) else { return false };
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        statement => vec![statement],
    };
    statements.into_iter().any(|statement| {
        let denies = statement["Effect"] == "Deny" && list(&statement["Action"]).contains(&"ec2:CreateTags");
        let keys = statement["Condition"].to_string();
        denies && (keys.contains(tags::ENV) || keys.contains("peerd:*"))
    })
}

fn judge(found: &[Guardrail], known: &KnownAccounts) -> Check {
    if let Some(Guardrail { name, .. }) = found.iter().find(|guardrail| guardrail.on_root) {
        return Check::pass(format!(
            "the service control policy {name} decides in every account who may write peerd's tags"
        ));
    }
    let covers = |account: &AccountId| {
        let above = known.organization.path(account).map(ToString::to_string).chain([account.to_string()]);
        above.into_iter().any(|target| found.iter().any(|guardrail| guardrail.targets.contains(&target)))
    };
    let accounts: BTreeSet<&AccountId> = known.scopes.iter().map(|scope| &scope.account).collect();
    let open: Vec<&&AccountId> = accounts.iter().filter(|account| !covers(account)).collect();
    match open.first() {
        None => Check::pass("a service control policy decides in each account who may write peerd's tags"),
        Some(first) => Check::warn(
            format!(
                "no service control policy is known to decide who may write peerd's tags in {}, such as {first}",
                counted(open.len(), "account")
            ),
            "guardrails/README.md attaches one; without it, everyone with ec2:CreateTags on a VPC decides which meshes it requests",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use peerd_core::{CheckResult, Organization};

    use super::*;

    #[test]
    fn the_guardrail_of_the_repository_protects_tags_and_others_do_not() {
        assert!(protects_tags(include_str!("../../../guardrails/scp.json")));
        assert!(!protects_tags(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#));
        assert!(!protects_tags(
            r#"{"Statement": [{"Effect": "Deny", "Action": ["ec2:CreateTags"], "Resource": "*"}]}"#
        ));
        assert!(!protects_tags("not a policy"));
    }

    #[test]
    fn a_policy_on_a_root_covers_all_accounts_and_one_on_an_account_covers_it() {
        let accounts = ["111111111111", "222222222222"].map(|account| account.parse().unwrap()).into();
        let regions = ["us-east-1".parse().unwrap()].into();
        let known = KnownAccounts::of(&accounts, &regions, &BTreeMap::new(), Organization::default());
        let on = |on_root, target: &str| {
            vec![Guardrail { name: "peerd".to_owned(), on_root, targets: [target.to_owned()].into() }]
        };
        assert_eq!(judge(&on(true, "r-abcd"), &known).result, CheckResult::Pass);
        let one = judge(&on(false, "111111111111"), &known);
        assert!(one.result == CheckResult::Warn && one.text.ends_with("in 1 account, such as 222222222222"), "{one:?}");
        assert!(judge(&[], &known).text.ends_with("in 2 accounts, such as 111111111111"));
    }
}
