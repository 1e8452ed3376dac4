//! Checks whether a scope is ready for peerd: its role, the role's permissions, its trail and its rules. Nothing is
//! changed: writes are tried as dry runs
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html>).

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::{StreamExt, join, stream};
use peerd_core::aws_error::brief;
use peerd_core::{Check, Deployment, Examined, Scope};
use peerd_engine::error::chain;
use peerd_engine::{CloudError, CloudRead, ErrorKind, Examine};

use crate::cloud::AwsCloud;
use crate::trials::{Ground, Trial};
use crate::{rules, trails};

/// The number of scopes that are checked concurrently.
const CONCURRENCY: usize = 32;
/// The maximum number of calls that are listed by name.
const FEW: usize = 4;
const SPOKE: &str = "deploy the template of the role there: spoke.yaml, with the hub's account, Region and external id, or \
                     operator.yaml for an operator's role";
const PERMIT: &str = "update the stack of the role there, spoke.yaml or operator.yaml; if that does not help, look for a permissions boundary or a \
                      service control policy";

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
            Err(error) => return Examined { scope: scope.clone(), checks: vec![self.closed(scope, &error).await] },
        };
        let mut checks = vec![Check::pass("the role is assumed and reads VPCs")];
        let (reads, ground) = self.reads(scope, vpcs).await;
        let mut trials = reads;
        trials.extend(self.writes(scope, deployment, &ground).await);
        checks.extend(permissions(&trials));
        if let Some(bus) = bus {
            let config = self.config(scope).await;
            let (trail, rules) =
                join!(trails::check(&config, scope), rules::check(&config, deployment, &rules::OF_A_SPOKE, None, bus));
            checks.push(trail);
            checks.extend(rules);
        }
        Examined { scope: scope.clone(), checks }
    }

    /// Reports why a scope cannot be read.
    async fn closed(&self, scope: &Scope, error: &CloudError) -> Check {
        let off = error.kind == ErrorKind::Denied && self.is_region_off(scope).await.unwrap_or_default();
        match off {
            true => Check::warn(
                "the Region is disabled in this account, so nothing exists there".to_owned(),
                "no action is needed; to use the Region, enable it and deploy spoke.yaml",
            ),
            false if error.kind.is_transient() => {
                Check::fail(format!("unreachable: {}", brief(&chain(error))), "try again in a minute")
            }
            false => Check::fail(format!("cannot be read: {}", brief(&chain(error))), SPOKE),
        }
    }

    /// Makes the calls that only read, and returns the resources on which the writes are tried.
    async fn reads(&self, scope: &Scope, vpcs: Vec<peerd_core::Vpc>) -> (Vec<Trial>, Ground) {
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
        (trials, ground)
    }
}

/// Summarizes the trials: a check for each call that is denied or unclear, and one for the rest.
fn permissions(trials: &[Trial]) -> Vec<Check> {
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
            Trial::Refused(call, why) => checks.push(Check::fail(format!("{call} is not permitted: {why}"), PERMIT)),
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
        let checks = permissions(&trials);
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
