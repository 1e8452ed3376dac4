//! The checks of `peerd doctor` in the account of the hub, with the operator's own credentials: what its stack made is there,
//! works, and is as the template made it.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleError;
use aws_sdk_scheduler::types::ScheduleState;
use futures::join;
use peerd_core::{AccountId, Check, Deployment};
use peerd_engine::error::chain;
use peerd_engine::{InfraError, KnownAccounts};

use crate::arn::Arn;
use crate::bus_policy::BusPolicy;
use crate::{alarm_checks, errors, guardrail_checks};

/// The functions of template.yaml, without the deployment's name.
const FUNCTIONS: [&str; 3] = ["vpc-events", "peering-events", "drift-repair"];
/// The concurrent executions that the functions need together: their limits in template.yaml.
const CONCURRENCY: i32 = 20;
/// What AWS allows by default, to request again (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const DEFAULT_CONCURRENCY: i32 = 1000;
const MAY_READ: &str = "deploy operator.yaml again, whose roles may read it (docs/policies.md lists the permissions): `aws cloudformation \
                        deploy --stack-name peerd-operator --template-file operator.yaml --capabilities CAPABILITY_NAMED_IAM`";

/// What is checked.
pub struct HubParts<'a> {
    /// The operator's configuration, in the Region of the hub.
    pub config: &'a SdkConfig,
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The ARN of its bus.
    pub bus: &'a str,
    /// The name of its table.
    pub table: &'a str,
    /// The accounts of the stack parameter `Accounts`.
    pub accounts: &'a BTreeSet<AccountId>,
}

impl HubParts<'_> {
    /// The Region of the hub.
    fn region(&self) -> &str {
        Arn::of(self.bus).region
    }

    /// The ARN of the queue of a function.
    pub fn queue(&self, function: &str) -> String {
        Arn::of(self.bus).queue(&format!("{}-{function}", self.deployment))
    }

    /// All checks. `known` are the accounts that the deployment scans.
    pub async fn check(&self, known: &KnownAccounts) -> Vec<Check> {
        let (table, bus, schedule, functions, alarms, guardrails) = join!(
            self.table(),
            self.bus(known),
            self.schedule(),
            self.functions(),
            self.alarms(),
            guardrail_checks::check(self.config, known)
        );
        [table, bus, schedule, functions, alarms, guardrails].concat()
    }

    async fn alarms(&self) -> Vec<Check> {
        match alarm_checks::check(self.config, self.deployment, self.region()).await {
            Ok(checks) => or_pass(checks, || "no alarm is in alarm, so no function has errors".to_owned()),
            Err(error) => vec![unread("the alarms", error)],
        }
    }

    async fn table(&self) -> Vec<Check> {
        let (table, region) = (self.table, self.region());
        let client = aws_sdk_dynamodb::Client::new(self.config);
        let (described, backups) = join!(
            client.describe_table().table_name(table).send(),
            client.describe_continuous_backups().table_name(table).send()
        );
        let described = match described {
            Ok(described) => described,
            Err(error) => return vec![unread("the table", errors::port("DescribeTable", error))],
        };
        let backups = match backups {
            Ok(backups) => backups,
            Err(error) => {
                return vec![unread("the backups of the table", errors::port("DescribeContinuousBackups", error))];
            }
        };
        let mut checks = Vec::new();
        if described.table().and_then(|table| table.deletion_protection_enabled()) != Some(true) {
            checks.push(Check::fail(
                format!("the table {table} can be deleted by mistake"),
                format!("run `aws dynamodb update-table --region {region} --table-name {table} --deletion-protection-enabled`"),
            ));
        }
        let recovery = backups.continuous_backups_description().and_then(|it| it.point_in_time_recovery_description());
        if recovery.and_then(|it| it.point_in_time_recovery_status()) != Some(&PointInTimeRecoveryStatus::Enabled) {
            checks.push(Check::fail(
                format!("the table {table} has no point-in-time recovery"),
                format!(
                    "run `aws dynamodb update-continuous-backups --region {region} --table-name {table} \
                     --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true`"
                ),
            ));
        }
        or_pass(checks, || format!("the table {table} is protected from deletion and can be restored"))
    }

    async fn bus(&self, known: &KnownAccounts) -> Vec<Check> {
        let Arn { name, region, account, .. } = Arn::of(self.bus);
        let client = aws_sdk_eventbridge::Client::new(self.config);
        let described = match client.describe_event_bus().name(name).send().await {
            Ok(described) => described,
            Err(error) => return vec![unread("the bus", errors::port("DescribeEventBus", error))],
        };
        let policy = match BusPolicy::parse(described.policy().unwrap_or("{}")) {
            Ok(policy) => policy,
            Err(error) => {
                return vec![Check::warn(
                    format!("the policy of the bus {name} is malformed: {error}"),
                    "deploy the stack of the hub again: `make deploy`",
                )];
            }
        };
        let accounts: BTreeSet<&AccountId> = known.scopes.iter().map(|scope| &scope.account).collect();
        let shut =
            accounts.iter().filter(|it| it.as_str() != account && !policy.admits(it, known.organization.path(it)));
        let mut checks = Vec::new();
        for shut in shut {
            let text = format!("the bus {name} admits no events of account {shut}");
            let is_configured = self.accounts.contains(*shut) || known.organization.path(shut).next().is_some();
            checks.push(match (is_configured, policy.with(shut)) {
                (true, Some(changed)) => Check::fail(
                    text,
                    format!("run `aws events put-permission --region {region} --event-bus-name {name} --policy '{changed}'`"),
                ),
                (true, None) => Check::fail(text, "deploy the stack of the hub again: `make deploy`"),
                (false, _) => Check::warn(
                    text,
                    format!("add {shut} to the stack parameter Accounts, and run `make deploy`; until then only sweeps read its changes"),
                ),
            });
        }
        or_pass(checks, || format!("the bus {name} admits the events of every account"))
    }

    async fn schedule(&self) -> Vec<Check> {
        let (name, region) = (format!("{}-sweep", self.deployment), self.region());
        let client = aws_sdk_scheduler::Client::new(self.config);
        let restore = format!(
            "restore it as in template.yaml: `aws scheduler create-schedule --region {region} --name {name} --schedule-expression \
             \"rate(15 minutes)\" --flexible-time-window Mode=OFF --target file://target.json`"
        );
        vec![match client.get_schedule().name(&name).send().await {
            Ok(schedule) if schedule.state() == Some(&ScheduleState::Enabled) => {
                let expression = schedule.schedule_expression().unwrap_or_default();
                Check::pass(format!("the schedule {name} is ENABLED, {expression}"))
            }
            Ok(schedule) => {
                let (expression, target) = (schedule.schedule_expression().unwrap_or_default(), schedule.target());
                let target = target.map(|it| {
                    format!("Arn={},RoleArn={},Input='{}'", it.arn(), it.role_arn(), it.input().unwrap_or_default())
                });
                Check::fail(
                    format!("the schedule {name} is DISABLED"),
                    format!(
                        "run `aws scheduler update-schedule --region {region} --name {name} --state ENABLED --schedule-expression \
                         \"{expression}\" --flexible-time-window Mode=OFF --target \"{}\"`",
                        target.unwrap_or_default()
                    ),
                )
            }
            Err(error) if error.as_service_error().is_some_and(GetScheduleError::is_resource_not_found_exception) => {
                Check::fail(format!("the schedule {name} does not exist"), restore)
            }
            Err(error) => unread(&format!("the schedule {name}"), errors::port("GetSchedule", error)),
        }]
    }

    async fn functions(&self) -> Vec<Check> {
        let client = aws_sdk_lambda::Client::new(self.config);
        let mut checks = Vec::new();
        for function in FUNCTIONS {
            let (reading, running) = join!(self.reads_its_queue(&client, function), self.may_run(&client, function));
            checks.extend(reading.into_iter().chain(running));
        }
        checks.extend(self.concurrency(&client).await);
        or_pass(checks, || format!("each function may run and reads its queue: {}", FUNCTIONS.join(", ")))
    }

    async fn reads_its_queue(&self, client: &aws_sdk_lambda::Client, function: &str) -> Option<Check> {
        let (name, region, queue) = (format!("{}-{function}", self.deployment), self.region(), self.queue(function));
        let mappings = match client.list_event_source_mappings().function_name(&name).send().await {
            Ok(mappings) => mappings,
            Err(error) => {
                return Some(unread(&format!("the queue of {name}"), errors::port("ListEventSourceMappings", error)));
            }
        };
        let of_queue = |it: &&EventSourceMappingConfiguration| it.event_source_arn() == Some(&queue);
        let mapping = mappings.event_source_mappings().iter().find(of_queue);
        let state = mapping.and_then(|mapping| mapping.state()).unwrap_or("missing");
        let text = format!("the function {name} does not read its queue: its event source mapping is {state}");
        match (state, mapping.and_then(|mapping| mapping.uuid())) {
            ("Enabled", _) => None,
            ("Enabling" | "Creating" | "Updating", _) => Some(Check::warn(text, "try again in a minute")),
            (_, Some(id)) => {
                let enable =
                    format!("run `aws lambda update-event-source-mapping --region {region} --uuid {id} --enabled`");
                Some(Check::fail(text, enable))
            }
            (_, None) => {
                let create = format!(
                    "run `aws lambda create-event-source-mapping --region {region} --function-name {name} --event-source-arn {queue} --function-response-types ReportBatchItemFailures`"
                );
                Some(Check::fail(text, create))
            }
        }
    }

    async fn may_run(&self, client: &aws_sdk_lambda::Client, function: &str) -> Option<Check> {
        let (name, region) = (format!("{}-{function}", self.deployment), self.region());
        match client.get_function_concurrency().function_name(&name).send().await {
            Ok(concurrency) if concurrency.reserved_concurrent_executions() == Some(0) => Some(Check::fail(
                format!("the function {name} has a reserved concurrency of 0"),
                format!("run `aws lambda delete-function-concurrency --region {region} --function-name {name}`"),
            )),
            Ok(_) => None,
            Err(error) => {
                Some(unread(&format!("the concurrency of {name}"), errors::port("GetFunctionConcurrency", error)))
            }
        }
    }

    async fn concurrency(&self, client: &aws_sdk_lambda::Client) -> Option<Check> {
        let region = self.region();
        let settings = match client.get_account_settings().send().await {
            Ok(settings) => settings,
            Err(error) => return Some(unread("the limits of Lambda", errors::port("GetAccountSettings", error))),
        };
        let free = settings.account_limit().and_then(|limit| limit.unreserved_concurrent_executions())?;
        (free < CONCURRENCY).then(|| {
            Check::fail(
                format!("Lambda has {free} unreserved concurrent executions here, peerd needs {CONCURRENCY}"),
                format!(
                    "run `aws service-quotas request-service-quota-increase --region {region} --service-code lambda --quota-code L-B99A9384 \
                     --desired-value {DEFAULT_CONCURRENCY}`"
                ),
            )
        })
    }
}

fn unread(what: &str, error: InfraError) -> Check {
    Check::warn(format!("{what} cannot be read: {}", chain(&error)), MAY_READ)
}

/// The checks that do not pass, or else one that does.
fn or_pass(checks: Vec<Check>, text: impl FnOnce() -> String) -> Vec<Check> {
    if checks.is_empty() { vec![Check::pass(text())] } else { checks }
}
