//! The checks of the hub for `peerd doctor`, and the call of the function that checks the spokes.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use peerd_core::{Check, Deployment, MeshName};
use peerd_engine::InfraError;
use peerd_engine::what_if::{Consequences, Decision};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::examine::Examined;
use crate::{errors, rules};

/// The longest time for checking all scopes: the function's timeout.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The hub's stack.
pub struct Hub {
    config: SdkConfig,
    /// The name of the stack.
    pub stack: String,
    /// The status of the stack in CloudFormation.
    pub status: String,
    /// The ARN of its bus.
    pub bus: String,
    /// The schedule of the sweeps: an expression of EventBridge Scheduler.
    pub schedule: Option<String>,
    function: String,
}

impl Hub {
    pub(crate) fn new(
        config: &SdkConfig,
        stack: &str,
        status: String,
        bus: String,
        schedule: Option<String>,
        function: String,
    ) -> Self {
        Self { config: config.clone(), stack: stack.to_owned(), status, bus, schedule, function }
    }

    /// Checks the status of the stack.
    pub fn check_status(&self) -> Check {
        let Self { stack, status, .. } = self;
        let text = format!("the stack {stack} is {status}");
        match status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Check::pass(text),
            status if status.ends_with("FAILED") || status.starts_with("DELETE") => {
                Check::fail(text, "read its events in CloudFormation, and deploy it again")
            }
            _ => {
                Check::warn(text, "read its events in CloudFormation: its last update is under way or was rolled back")
            }
        }
    }

    /// Checks the rules that route the events of spokes to its queues.
    pub async fn rules(&self, deployment: &Deployment) -> Vec<Check> {
        let name = self.bus.rsplit_once('/').map_or(self.bus.as_str(), |(_, name)| name);
        rules::check(&self.config, deployment, &rules::OF_THE_HUB, Some(name), "arn:").await
    }

    /// Invokes the function drift-repair, which checks every scope with its own role.
    ///
    /// # Errors
    /// When the function cannot be called, or fails.
    pub async fn examine_spokes(&self) -> Result<Vec<Examined>, InfraError> {
        self.invoke(&json!({"examine": {"bus": self.bus}})).await
    }

    /// Invokes the same function, which computes what would follow from a decision.
    ///
    /// # Errors
    /// As [`Self::examine_spokes`].
    pub async fn foresee(&self, decision: &Decision) -> Result<BTreeMap<MeshName, Consequences>, InfraError> {
        self.invoke(&json!({"foresee": decision})).await
    }

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

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;
    use peerd_core::CheckResult;

    use super::*;

    #[test]
    fn a_failed_stack_fails_the_check_and_a_rolled_back_one_warns() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let hub = |status: &str| {
            Hub::new(&config, "peerd", status.to_owned(), "arn:bus/peerd".to_owned(), None, "f".to_owned())
                .check_status()
                .result
        };
        assert_eq!(hub("UPDATE_COMPLETE"), CheckResult::Pass);
        assert_eq!(hub("UPDATE_ROLLBACK_COMPLETE"), CheckResult::Warn);
        assert_eq!(hub("UPDATE_ROLLBACK_FAILED"), CheckResult::Fail);
        assert_eq!(hub("DELETE_IN_PROGRESS"), CheckResult::Fail);
    }
}
