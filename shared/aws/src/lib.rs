//! peerd on AWS: the engine's ports over the AWS SDK, and the wiring of a Lambda function.
//!
//! Only `SdkConfig` of the SDK's types is part of the interface of this crate, and no decision is made in it.
//! aws-sdk-ec2 takes minutes to compile, so this crate should change rarely.

mod accounts;
mod alarm_checks;
mod arn;
mod bus;
mod bus_policy;
mod claims;
mod cloud;
mod cloud_write;
mod convert;
mod environment;
mod errors;
mod examine;
pub mod function;
mod guardrail_checks;
mod hub;
mod hub_checks;
mod ingress;
mod leases;
mod network_filters;
mod operator_store;
mod organizations;
mod policies;
mod queue;
mod quota_checks;
mod quotas;
mod rate_limiter;
mod regions;
mod rules;
mod runs;
mod secrets;
mod sessions;
mod stack;
mod store;
mod table;
mod telemetry;
mod trails;
mod trials;
mod user_vpcs;

pub use bus::EventBridgeBus;
pub use cloud::AwsCloud;
pub use environment::{Environment, EnvironmentError};
pub use hub::Hub;
pub use organizations::OrganizationsApi;
pub use queue::{QueueWithDlq, SqsQueue};
pub use secrets::{SecretError, seal_keys};
pub use sessions::{CallerClient, Sessions};
pub use stack::{Stack, StackError, configuration};
pub use table::DynamoStore;
