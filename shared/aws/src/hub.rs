//! The checks of the hub for `peerd doctor`, and the call of the function that checks the spokes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use futures::join;
use peerd_core::{AccountId, Check, Deployment, Examination, MeshName, VERSION};
use peerd_engine::what_if::{Consequences, Decision};
use peerd_engine::{HubControl, InfraError, KnownAccounts};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arn::Arn;
use crate::hub_checks::HubParts;
use crate::{errors, rules};

/// The longest time for checking all scopes: the function's timeout.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The hub's stack, and its function drift-repair.
pub struct Hub {
    pub(crate) config: SdkConfig,
    pub(crate) deployment: Deployment,
    pub(crate) stack: String,
    /// The status of the stack in CloudFormation.
    pub(crate) status: String,
    /// The version of its template; none before templates had one.
    pub(crate) version: Option<String>,
    /// The ARN of its bus.
    pub(crate) bus: String,
    /// The schedule of the sweeps: an expression of EventBridge Scheduler.
    pub(crate) schedule: Option<String>,
    /// The name of the function.
    pub(crate) function: String,
    /// The name of its table.
    pub(crate) table: String,
    /// The accounts of its parameter `Accounts`.
    pub(crate) accounts: BTreeSet<AccountId>,
}

impl Hub {
    async fn invoke<T: DeserializeOwned>(&self, request: &serde_json::Value) -> Result<T, InfraError> {
        let timeouts = aws_config::timeout::TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let with_timeout = self.config.clone().into_builder();
        let with_timeout = with_timeout.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        let call = format!("Invoke of {}", self.function);
        let client = aws_sdk_lambda::Client::new(&with_timeout);
        let invoke = client.invoke().function_name(&self.function).payload(Blob::new(request.to_string()));
        let answer = invoke.send().await.map_err(|error| errors::port(&call, error))?;
        let body = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if let Some(error) = answer.function_error() {
            return Err(InfraError::new(format!("{call} ({error}: {})", String::from_utf8_lossy(body))));
        }
        serde_json::from_slice(body).map_err(|error| InfraError {
            context: format!("{call}: malformed response; do the function and this command have the same version?"),
            source: Some(Box::new(error)),
        })
    }
}

#[async_trait]
impl HubControl for Hub {
    async fn foresee(&self, decision: &Decision) -> Result<BTreeMap<MeshName, Consequences>, InfraError> {
        self.invoke(&json!({"foresee": decision})).await
    }

    async fn examine_spokes(&self, accounts: &BTreeSet<AccountId>) -> Result<Examination, InfraError> {
        self.invoke(&json!({"examine": {"bus": self.bus, "accounts": accounts}})).await
    }

    async fn check(&self, known: &KnownAccounts) -> Vec<Check> {
        let Self { config, deployment, bus, table, accounts, .. } = self;
        let parts = HubParts { config, deployment, bus, table, accounts };
        let (rules, checks) =
            join!(rules::of_hub(config, deployment, bus, |function| parts.queue(function)), parts.check(known));
        [check_status(Arn::of(bus).region, &self.stack, &self.status), check_version(self.version.as_deref())]
            .into_iter()
            .chain(rules)
            .chain(checks)
            .collect()
    }

    fn bus(&self) -> &str {
        &self.bus
    }

    fn schedule(&self) -> Option<&str> {
        self.schedule.as_deref()
    }
}

/// Checks that the template of the hub has the version of this program.
fn check_version(version: Option<&str>) -> Check {
    let remedy = format!(
        "run `make deploy` in a checkout of {VERSION}, or `cargo install --locked --path cli` in one of the hub's version"
    );
    Check::other_version("the hub's stack", version, "this command line", remedy)
        .unwrap_or_else(|| Check::pass(format!("the hub's stack and this command line have version {VERSION}")))
}

fn check_status(region: &str, stack: &str, status: &str) -> Check {
    let text = format!("the stack {stack} is {status}");
    let remedy = format!(
        "read why: `aws cloudformation describe-stack-events --region {region} --stack-name {stack} --query \
         \"StackEvents[?contains(ResourceStatus,'FAILED')].[LogicalResourceId,ResourceStatusReason]\" --output table`; then run `make deploy`"
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Check::pass(text),
        status if status.ends_with("FAILED") || status.starts_with("DELETE") => Check::fail(text, remedy),
        _ => Check::warn(text, remedy), // its last update is under way, or was rolled back
    }
}

#[cfg(test)]
mod tests {
    use peerd_core::CheckResult;

    use super::*;

    #[test]
    fn a_failed_stack_fails_the_check_and_a_rolled_back_one_warns() {
        assert_eq!(check_status("us-east-1", "peerd", "UPDATE_COMPLETE").result, CheckResult::Pass);
        assert_eq!(check_status("us-east-1", "peerd", "UPDATE_ROLLBACK_COMPLETE").result, CheckResult::Warn);
        assert_eq!(check_status("us-east-1", "peerd", "UPDATE_ROLLBACK_FAILED").result, CheckResult::Fail);
        assert_eq!(check_status("us-east-1", "peerd", "DELETE_IN_PROGRESS").result, CheckResult::Fail);
    }
}
