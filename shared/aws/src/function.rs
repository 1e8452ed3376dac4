//! A Lambda function of one queue: creates the clients once, and passes every batch to the engine.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::join;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use peerd_core::plural::counted;
use peerd_core::{AccountId, Check, Examination, MeshName, VERSION};
use peerd_engine::error::chain;
use peerd_engine::what_if::{Consequences, Decision};
use peerd_engine::{Clock, Delivery, Engine, Examine, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AwsCloud, DynamoStore, Environment, EventBridgeBus, OrganizationsApi, Sessions, SqsQueue, secrets, telemetry,
};

/// The time before the timeout that is reserved for calls in progress and for follow-up messages, in milliseconds.
const MARGIN_MS: Timestamp = 10_000;

/// The variables in which Lambda names the function and its log stream
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>).
const FUNCTION: &str = "AWS_LAMBDA_FUNCTION_NAME";
const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";
/// The longest name of a session.
const MAX_SESSION_NAME: usize = 64;

/// Runs the function until Lambda ends it.
///
/// # Errors
/// When the environment is incomplete or wrong, the seal keys cannot be read, or Lambda's runtime API fails.
pub async fn serve() -> Result<(), Error> {
    telemetry::init();
    let environment = Environment::read(|name| std::env::var(name).ok()).inspect_err(|error| {
        tracing::error!(error = peerd_engine::error::chain(error), "function not configured");
    })?;
    let session_name = session_name(&variable(FUNCTION), &variable(LOG_STREAM));
    let Environment { spoke_role, external_id, .. } = environment.clone();
    let sessions = Sessions::load(spoke_role, Some(external_id), session_name).await;
    let keys = secrets::seal_keys(sessions.base(), &environment.seal_secret).await.inspect_err(|error| {
        tracing::error!(error = peerd_engine::error::chain(error), "seal keys not read");
    })?;
    let settings = environment.settings(keys);
    let Environment { table, queue_url, bus, .. } = environment;
    let store = DynamoStore::new(sessions.base(), table);
    let queue = SqsQueue::new(sessions.base(), queue_url);
    let bus = EventBridgeBus::new(sessions.base(), bus);
    let organizations = OrganizationsApi::new(sessions.base());
    let cloud = AwsCloud::new(sessions);
    let worker = worker();
    let engine = Engine {
        cloud: &cloud,
        organizations: &organizations,
        store: &store,
        queue: &queue,
        bus: &bus,
        clock: &SystemClock,
        settings: &settings,
        worker: &worker,
    };
    let engine = &engine;
    let cloud = &cloud;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Call>| answer(engine, cloud, event))).await
}

/// The payload of an invocation.
#[derive(Deserialize)]
#[serde(untagged)]
enum Call {
    /// A request to check every scope, from `peerd doctor`.
    Examine { examine: ExaminedFor },
    /// A request to compute what would follow from a decision, from the command that makes it.
    Foresee { foresee: Decision },
    /// A batch of messages of the function's queue.
    Batch(SqsEvent),
}

/// The parameters of the checks.
#[derive(Deserialize)]
struct ExaminedFor {
    /// The ARN of the hub's bus.
    bus: String,
    /// The accounts to check; all if there are none.
    #[serde(default)]
    accounts: BTreeSet<AccountId>,
}

/// The response of the function.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Examined(Examination),
    Foreseen(BTreeMap<MeshName, Consequences>),
    Handled(SqsBatchResponse),
}

/// Returns a unique name of this worker. In Lambda, each execution environment has its own log stream and runs one
/// batch at a time; elsewhere, the process id and the start time distinguish workers.
fn worker() -> String {
    format!("{}#{}@{}", variable(LOG_STREAM), std::process::id(), SystemClock.now())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Returns a session name that leads from a call in CloudTrail to the log of the run that made it: the function and the id of its
/// log stream, such as `peerd-vpc-events@0123abcd`. One session serves many requests, so it cannot name the request.
///
/// At most 64 letters, digits and `_+=,.@-` (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
fn session_name(function: &str, log_stream: &str) -> String {
    let id = log_stream.rsplit(']').next().unwrap_or_default();
    let is_allowed = |char: &char| char.is_ascii_alphanumeric() || "_+=,.@-".contains(*char);
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(MAX_SESSION_NAME / 2).collect();
    let function = if function.is_empty() { "peerd" } else { function };
    let function: String = function.chars().filter(is_allowed).take(MAX_SESSION_NAME - id.len() - 1).collect();
    if id.is_empty() { function } else { format!("{function}@{id}") }
}

async fn answer(engine: &Engine<'_>, cloud: &AwsCloud, event: LambdaEvent<Call>) -> Result<Answer, Error> {
    let deadline = event.context.deadline.saturating_sub(MARGIN_MS);
    Ok(match event.payload {
        Call::Examine { examine: ExaminedFor { bus, accounts } } => {
            let (deployment, mut scopes) = (&engine.settings.deployment, engine.observer().scopes().await?);
            scopes.retain(|scope| accounts.is_empty() || accounts.contains(&scope.account));
            let (hub, scopes) = join!(check_organization(engine), cloud.examine_all(scopes, deployment, Some(&bus)));
            let version = VERSION.to_owned();
            Answer::Examined(Examination { version, hub, scopes })
        }
        Call::Foresee { foresee } => Answer::Foreseen(engine.observer().foresee(&foresee).await?),
        Call::Batch(batch) => Answer::Handled(handle(engine, batch, deadline).await),
    })
}

/// Checks that the accounts of every organizational unit of the deployment can be listed.
async fn check_organization(engine: &Engine<'_>) -> Vec<Check> {
    let units = &engine.settings.units;
    let mut checks = Vec::new();
    for unit in units {
        let (accounts, below) = join!(engine.organizations.accounts_in(unit), engine.organizations.units_in(unit));
        if let Some(error) = accounts.err().or(below.err()) {
            checks.push(Check::fail(
                format!("the accounts of {unit} cannot be listed: {}", chain(&error)),
                "in the management account, let the hub's account list accounts: `aws organizations put-resource-policy --content \
                 file://delegation.json` (docs/deploy.md)",
            ));
        }
    }
    if checks.is_empty() && !units.is_empty() {
        checks.push(Check::pass(format!("the accounts of {} can be listed", counted(units.len(), "unit"))));
    }
    checks
}

/// Reports the messages that SQS must deliver again; the others of the batch are done.
async fn handle(engine: &Engine<'_>, batch: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let records = batch.records.into_iter();
    let deliveries: Vec<Delivery> = records
        .map(|record| Delivery { id: record.message_id.unwrap_or_default(), body: record.body.unwrap_or_default() })
        .collect();
    let again = engine.handle(&deliveries, deadline).await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = again
        .into_iter()
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_name_has_the_function_and_its_log_stream_and_fits() {
        let stream = "2026/11/27/peerd-vpc-events[$LATEST]0123456789abcdef0123456789abcdef";
        assert_eq!(session_name("peerd-vpc-events", stream), "peerd-vpc-events@0123456789abcdef0123456789abcdef");
        assert_eq!(session_name(&"x".repeat(64), stream).len(), 64);
        assert_eq!(session_name("", ""), "peerd");
    }
}
