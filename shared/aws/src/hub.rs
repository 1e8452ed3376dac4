//! What only an examination looks at of the hub, and the function that examines the spokes for it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use peerd_core::{Check, Deployment};
use peerd_engine::InfraError;
use serde_json::json;

use crate::examine::Examined;
use crate::{errors, rules};

/// How long the function may take to examine everything: its timeout.
const PATIENCE: Duration = Duration::from_secs(300);

/// The hub's stack.
pub struct Hub {
    config: SdkConfig,
    /// CloudFormation's name of the stack.
    pub stack: String,
    /// CloudFormation's word for its state.
    pub status: String,
    /// The ARN of its bus.
    pub bus: String,
    /// When sweeps are due: an expression of EventBridge Scheduler.
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

    /// Whether CloudFormation is content with the stack.
    pub fn stands(&self) -> Check {
        let Self { stack, status, .. } = self;
        let text = format!("the stack {stack} is {status}");
        match status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Check::yes(text),
            status if status.ends_with("FAILED") || status.starts_with("DELETE") => {
                Check::no(text, "read its events in CloudFormation, and deploy it again")
            }
            _ => Check::partly(
                text,
                "read its events in CloudFormation: its last change is under way, or was taken back",
            ),
        }
    }

    /// Whether its rules lead what spokes send into its queues.
    pub async fn rules(&self, deployment: &Deployment) -> Vec<Check> {
        let name = self.bus.rsplit_once('/').map_or(self.bus.as_str(), |(_, name)| name);
        rules::check(&self.config, deployment, &rules::OF_THE_HUB, Some(name), "arn:").await
    }

    /// Has the function that sweeps examine every scope with the role that it works with.
    ///
    /// # Errors
    /// When the function cannot be called, or fails.
    pub async fn examine_spokes(&self) -> Result<Vec<Examined>, InfraError> {
        let timeouts = aws_config::timeout::TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        let patient = self.config.clone().into_builder();
        let patient = patient.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        let call = format!("Invoke of {}", self.function);
        let payload = json!({"examine": {"bus": self.bus}}).to_string();
        let request = aws_sdk_lambda::Client::new(&patient).invoke().function_name(&self.function);
        let answer = request.payload(Blob::new(payload)).send().await.map_err(|error| errors::port(&call, error))?;
        let body = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if let Some(error) = answer.function_error() {
            return Err(InfraError::new(format!("{call} ({error}: {})", String::from_utf8_lossy(body))));
        }
        serde_json::from_slice(body).map_err(|error| InfraError {
            context: format!("{call}: its answer makes no sense; is it as new as this command?"),
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
    fn a_stack_that_failed_is_no_deployment_and_one_that_went_back_is_doubtful() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let hub = |status: &str| {
            Hub::new(&config, "peerd", status.to_owned(), "arn:bus/peerd".to_owned(), None, "f".to_owned())
                .stands()
                .holds
        };
        assert_eq!(hub("UPDATE_COMPLETE"), CheckResult::Yes);
        assert_eq!(hub("UPDATE_ROLLBACK_COMPLETE"), CheckResult::Partly);
        assert_eq!(hub("UPDATE_ROLLBACK_FAILED"), CheckResult::No);
        assert_eq!(hub("DELETE_IN_PROGRESS"), CheckResult::No);
    }
}
