//! Checks whether a scope is ready for peerd: its role, the role's permissions, its trail and its rules. Nothing is
//! changed: writes are tried as dry runs
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html>).

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::{StreamExt, join, stream};
use peerd_core::aws_error::brief;
use peerd_core::{Check, Deployment, Examined, Quotas, Scope};
use peerd_engine::error::chain;
use peerd_engine::{CloudError, CloudRead, ErrorKind, Examine};

use crate::cloud::AwsCloud;
use crate::trials::{Ground, Trial};
use crate::{quota_checks, rules, trails};

/// The number of scopes that are checked concurrently.
const CONCURRENCY: usize = 32;
/// The maximum number of calls that are listed by name.
const FEW: usize = 4;
#[async_trait]
impl Examine for AwsCloud {
    async fn examine_all(&self, scopes: BTreeSet<Scope>, deployment: &Deployment, bus: Option<&str>) -> Vec<Examined> {
        let examine = |scope: Scope| async move { self.examine(&scope, deployment, bus).await };
        stream::iter(scopes).map(examine).buffered(CONCURRENCY).collect().await
    }
}

impl AwsCloud {
    /// Checks a scope. `bus` is the ARN of the hub's bus, to which the scope must forward its events; none without a
    /// hub, which needs no events.
    async fn examine(&self, scope: &Scope, deployment: &Deployment, bus: Option<&str>) -> Examined {
        let vpcs = match self.vpcs(scope).await {
            Ok(vpcs) => vpcs,
            Err(error) => {
                return Examined { scope: scope.clone(), checks: vec![self.closed(scope, deployment, &error).await] };
            }
        };
        let mut checks = vec![Check::pass("the role is assumed and reads VPCs")];
        checks.extend(self.without_external_id(scope).await);
        let (reads, ground, quotas) = self.reads(scope, vpcs).await;
        let mut trials = reads;
        trials.extend(self.writes(scope, deployment, &ground).await);
        checks.extend(permissions(&trials, deployment));
        checks.extend(quotas.iter().flat_map(|quotas| quota_checks::check(scope, &ground, quotas)));
        if let Some(bus) = bus {
            let config = self.config(scope).await;
            let (trail, rules) = join!(trails::check(&config, scope), rules::of_spoke(&config, scope, deployment, bus));
            checks.push(trail);
            checks.extend(rules);
        }
        Examined { scope: scope.clone(), checks }
    }

    /// Reports why a scope cannot be read.
    async fn closed(&self, scope: &Scope, deployment: &Deployment, error: &CloudError) -> Check {
        let off = error.kind == ErrorKind::Denied && self.is_region_off(scope).await.unwrap_or_default();
        match off {
            true => Check::warn(
                "the Region is disabled in this account, so nothing exists there".to_owned(),
                "no action is needed; to use the Region, enable it and deploy spoke.yaml",
            ),
            false if error.kind.is_transient() => {
                Check::fail(format!("unreachable: {}", brief(&chain(error))), "try again in a minute")
            }
            false => Check::fail(format!("cannot be read: {}", brief(&chain(error))), role_remedy(scope, deployment)),
        }
    }

    /// Tries to assume the role of the account without the external id, which must fail
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>).
    async fn without_external_id(&self, Scope { account, .. }: &Scope) -> Option<Check> {
        let role = self.sessions.opens_without_external_id(account).await?;
        Some(Check::fail(
            format!("the role {role} can be assumed without the external id"),
            format!(
                "in account {account}, run `aws iam update-assume-role-policy --role-name {role} --policy-document file://trust.json`, with \
                 the trust policy of spoke.yaml"
            ),
        ))
    }

    /// Makes the calls that only read, and returns the resources on which the writes are tried, and the quotas.
    async fn reads(&self, scope: &Scope, vpcs: Vec<peerd_core::Vpc>) -> (Vec<Trial>, Ground, Option<Quotas>) {
        let (peerings, tables, groups, rules, quotas) = join!(
            self.peerings(scope),
            self.route_tables(scope),
            self.security_groups(scope),
            self.ingress_rules(scope),
            self.quotas(scope)
        );
        let trials = vec![
            Trial::of_read("DescribeVpcPeeringConnections", &peerings),
            Trial::of_read("DescribeRouteTables", &tables),
            Trial::of_read("DescribeSecurityGroups", &groups),
            Trial::of_read("DescribeSecurityGroupRules", &rules),
            Trial::of_read("ListServiceQuotas", &quotas),
        ];
        let ground = Ground {
            vpcs,
            peerings: peerings.unwrap_or_default(),
            tables: tables.unwrap_or_default(),
            groups: groups.unwrap_or_default(),
            rules: rules.unwrap_or_default(),
        };
        (trials, ground, quotas.ok())
    }
}

/// STS has one error for a role that does not exist, for another external id, and for a principal that was deleted.
fn role_remedy(Scope { account, .. }: &Scope, deployment: &Deployment) -> String {
    format!(
        "in account {account}, look at `aws iam get-role --role-name {deployment}-spoke --query Role.AssumeRolePolicyDocument`. No such role: \
         deploy spoke.yaml in its home Region (an operator's role: operator.yaml). Another external id, or a principal such as AROA...: \
         deploy it again"
    )
}

/// Summarizes the trials: a check for each call that is denied or unclear, and one for the rest.
fn permissions(trials: &[Trial], deployment: &Deployment) -> Vec<Check> {
    let permit = format!(
        "compare `aws iam get-role-policy --role-name {deployment}-spoke --policy-name mesh` with spoke.yaml (an operator's role: with \
         operator.yaml), and deploy it again; if it is the same, look for a permissions boundary or a service control policy"
    );
    let names = |of: fn(&Trial) -> Option<&'static str>| trials.iter().filter_map(of).collect::<BTreeSet<_>>();
    let permitted = names(|trial| matches!(trial, Trial::Permitted(_)).then(|| trial.call()));
    let untried = names(|trial| matches!(trial, Trial::Untried(_)).then(|| trial.call()));
    let mut text = format!("{} of peerd's {} kinds of calls are permitted", permitted.len(), trials.len());
    let names: Vec<&str> = untried.into_iter().collect();
    match names.len() {
        0 => {}
        few @ 1..=FEW => text += &format!("; nothing is there to try the other {few} on: {}", names.join(", ")),
        many => text += &format!("; nothing is there to try the other {many} on"),
    }
    let mut checks = Vec::new();
    for trial in trials {
        match trial {
            Trial::Refused(call, why) => {
                checks.push(Check::fail(format!("{call} is not permitted: {why}"), permit.as_str()))
            }
            Trial::Unclear(call, why) => {
                checks.push(Check::warn(
                    format!("whether {call} is permitted is unknown: {why}"),
                    "try again in a minute",
                ));
            }
            Trial::Permitted(_) | Trial::Untried(_) => {}
        }
    }
    checks.push(Check::pass(text));
    checks
}

#[cfg(test)]
mod tests {
    use peerd_core::CheckResult;

    use super::*;

    #[test]
    fn each_denied_call_is_one_check_and_untried_calls_are_listed() {
        let trials = [
            Trial::Permitted("CreateRoute"),
            Trial::Refused("DeleteRoute", "UnauthorizedOperation: no".to_owned()),
            Trial::Untried("AcceptVpcPeeringConnection"),
            Trial::Unclear("ReplaceRoute", "timeout".to_owned()),
        ];
        let checks = permissions(&trials, &"peerd".parse().unwrap());
        let shown: Vec<(CheckResult, &str)> = checks.iter().map(|check| (check.result, check.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (CheckResult::Fail, "DeleteRoute is not permitted: UnauthorizedOperation: no"),
                (CheckResult::Warn, "whether ReplaceRoute is permitted is unknown: timeout"),
                (
                    CheckResult::Pass,
                    "1 of peerd's 4 kinds of calls are permitted; nothing is there to try the other 1 on: AcceptVpcPeeringConnection"
                ),
            ]
        );
    }
}
