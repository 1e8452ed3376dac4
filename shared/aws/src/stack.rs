//! A deployed hub: its table, queues and parameters, from the outputs and parameters of its stack.

use std::collections::BTreeSet;
use std::str::FromStr;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_cloudformation::types::Parameter;
use peerd_core::{AccountId, Deployment, MeshName, Region};
use peerd_engine::InfraError;

use crate::arn::Arn;
use crate::errors;
use crate::hub::Hub;
use crate::{DynamoStore, EventBridgeBus, QueueWithDlq, SqsQueue};

/// The parts of a deployment that the command line uses.
pub struct Stack {
    /// The name of its stack.
    pub stack: String,
    /// The ARN of its stack.
    pub stack_arn: String,
    /// The name of the deployment, which is the value of its ownership tags.
    pub name: Deployment,
    /// The ARN of the secret with the keys of its seals.
    pub seal_secret: String,
    /// Its table.
    pub store: DynamoStore,
    /// Its bus.
    pub bus: EventBridgeBus,
    /// The queue for work on all of its meshes.
    pub queue: SqsQueue,
    /// Every queue with its dead-letter queue.
    pub queues: Vec<QueueWithDlq>,
    /// Its stack and its function.
    pub hub: Hub,
    /// The meshes that its parameter `Meshes` declares.
    pub meshes: BTreeSet<MeshName>,
    /// The accounts of its parameter `Accounts`.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions of its parameter `Regions`.
    pub regions: BTreeSet<Region>,
}

/// A stack that is not the hub of a deployment, or that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// CloudFormation did not respond, or there is no such stack.
    #[error("stack {stack} not read; is it the hub's stack, in this Region and account?")]
    Unread {
        /// The name of the stack.
        stack: String,
        /// The reason.
        #[source]
        source: InfraError,
    },
    /// The stack lacks an output or a parameter of peerd's hub.
    #[error("stack {stack} has no {lacks}: it is not the stack of peerd's hub")]
    Foreign {
        /// The name of the stack.
        stack: String,
        /// The missing output or parameter.
        lacks: String,
    },
}

/// Loads the configuration of the process: Region, credentials, profile and endpoints, as for the AWS CLI.
pub async fn configuration() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).load().await
}

impl Stack {
    /// Reads the outputs and parameters of a stack.
    ///
    /// # Errors
    /// When the stack cannot be read, or is not the hub's.
    pub async fn of_stack(config: &SdkConfig, stack: &str) -> Result<Self, StackError> {
        let answer = aws_sdk_cloudformation::Client::new(config).describe_stacks().stack_name(stack).send().await;
        let answer = answer.map_err(|error| StackError::Unread {
            stack: stack.to_owned(),
            source: errors::port(format!("DescribeStacks of {stack}"), error),
        })?;
        let outputs: Vec<_> = answer.stacks().iter().flat_map(|stack| stack.outputs()).collect();
        let foreign = |lacks: &str| StackError::Foreign { stack: stack.to_owned(), lacks: lacks.to_owned() };
        let output = |name: &str| {
            let found = outputs.iter().find(|output| output.output_key() == Some(name)).and_then(|o| o.output_value());
            found.map(str::to_owned).ok_or_else(|| foreign(&format!("output {name}")))
        };
        let parameters: Vec<_> = answer.stacks().iter().flat_map(|stack| stack.parameters()).collect();
        let name = list(&parameters, "Deployment").into_iter().next();
        let status = answer.stacks().first().and_then(|stack| stack.stack_status()).map(ToString::to_string);
        let schedule = parameters.iter().find(|parameter| parameter.parameter_key() == Some("SweepSchedule"));
        let schedule = schedule.and_then(|parameter| parameter.parameter_value()).map(str::to_owned);
        let stack_arn = answer.stacks().first().and_then(|stack| stack.stack_id()).unwrap_or(stack).to_owned();
        let bus_arn = output("BusArn")?;
        let bus = Arn::of(&bus_arn).name.to_owned();
        let deployment: Deployment = name.ok_or_else(|| foreign("parameter Deployment"))?;
        Ok(Self {
            stack: stack.to_owned(),
            stack_arn,
            hub: Hub {
                config: config.clone(),
                deployment: deployment.clone(),
                stack: stack.to_owned(),
                status: status.unwrap_or_default(),
                version: output("Version").ok(),
                bus: bus_arn.clone(),
                schedule,
                function: output("DriftRepairFunctionName")?,
                table: output("TableName")?,
                accounts: list(&parameters, "Accounts"),
            },
            name: deployment.clone(),
            seal_secret: output("SealSecretArn")?,
            bus: EventBridgeBus::new(config, bus),
            meshes: list(&parameters, "Meshes"),
            accounts: list(&parameters, "Accounts"),
            regions: list(&parameters, "Regions"),
            store: DynamoStore::new(config, output("TableName")?),
            queue: SqsQueue::new(config, output("DriftRepairQueueUrl")?),
            queues: [("vpc-events", "VpcEvents"), ("peering-events", "PeeringEvents"), ("drift-repair", "DriftRepair")]
                .into_iter()
                .map(|(name, of)| {
                    let (queue, dead) = (output(&format!("{of}QueueUrl"))?, output(&format!("{of}DeadLettersUrl"))?);
                    let dead_arn = Arn::of(&bus_arn).queue(&format!("{deployment}-{name}-dead-letters"));
                    Ok(QueueWithDlq::new(config, name, queue, dead, dead_arn))
                })
                .collect::<Result<_, StackError>>()?,
        })
    }
}

/// Parses a parameter that is a comma-separated list, without the items that are invalid.
fn list<T: FromStr + Ord>(parameters: &[&Parameter], name: &str) -> BTreeSet<T> {
    let of_name = parameters.iter().filter(|parameter| parameter.parameter_key() == Some(name));
    let items = of_name.filter_map(|parameter| parameter.parameter_value()).flat_map(|value| value.split(','));
    items.filter_map(|item| item.trim().parse().ok()).collect()
}
