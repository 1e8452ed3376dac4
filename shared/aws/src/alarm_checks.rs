//! The check of the hub's alarms: whether they exist, and whether one is in alarm, such as that of a function with errors.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use peerd_core::{Check, Deployment};
use peerd_engine::InfraError;

use crate::errors;

/// An alarm of template.yaml.
enum Alarm {
    /// Invocations of a function fail.
    Errors(&'static str),
    /// Messages for a function are dead letters.
    DeadLetters(&'static str),
    /// No sweep runs.
    SweepMissing,
}

const ALARMS: [Alarm; 7] = [
    Alarm::Errors("vpc-events"),
    Alarm::Errors("peering-events"),
    Alarm::Errors("drift-repair"),
    Alarm::DeadLetters("vpc-events"),
    Alarm::DeadLetters("peering-events"),
    Alarm::DeadLetters("drift-repair"),
    Alarm::SweepMissing,
];

impl Alarm {
    fn name(&self, deployment: &Deployment) -> String {
        match self {
            Self::Errors(function) => format!("{deployment}-{function}-errors"),
            Self::DeadLetters(function) => format!("{deployment}-{function}-dead-letters"),
            Self::SweepMissing => format!("{deployment}-sweep-missing"),
        }
    }

    /// What to do if it is in alarm.
    fn remedy(&self, deployment: &Deployment) -> String {
        let log =
            |function: &str, since| format!("read `aws logs tail /aws/lambda/{deployment}-{function} --since {since}`");
        match self {
            Self::Errors(function) => {
                format!("{}; the alarm ends when there are no errors for 15 minutes", log(function, "1h"))
            }
            Self::DeadLetters(function) => {
                format!("{}, fix the cause, then run `peerd redrive`", log(function, "1d"))
            }
            Self::SweepMissing => format!("{}, and follow the remedy for the schedule", log("drift-repair", "1h")),
        }
    }

    /// The command that creates it as the template does, with the default values of its parameters.
    fn restore(&self, deployment: &Deployment, region: &str) -> String {
        let of_lambda = |metric, function: &str| {
            format!(
                "--namespace AWS/Lambda --metric-name {metric} --dimensions Name=FunctionName,Value={deployment}-{function} --statistic Sum"
            )
        };
        let conditions = match self {
            Self::Errors(function) => format!(
                "{} --period 60 --evaluation-periods 15 --datapoints-to-alarm 3 --threshold 0 --comparison-operator GreaterThanThreshold \
                 --treat-missing-data notBreaching",
                of_lambda("Errors", function)
            ),
            Self::DeadLetters(function) => format!(
                "--namespace AWS/SQS --metric-name ApproximateNumberOfMessagesVisible --dimensions \
                 Name=QueueName,Value={deployment}-{function}-dead-letters --statistic Maximum --period 60 --evaluation-periods 1 --threshold 0 \
                 --comparison-operator GreaterThanThreshold --treat-missing-data notBreaching"
            ),
            Self::SweepMissing => format!(
                "{} --period 3600 --evaluation-periods 1 --threshold 1 --comparison-operator LessThanThreshold --treat-missing-data breaching",
                of_lambda("Invocations", "drift-repair")
            ),
        };
        let name = self.name(deployment);
        format!("run `aws cloudwatch put-metric-alarm --region {region} --alarm-name {name} {conditions}`")
    }
}

/// Checks the alarms of a deployment in a Region, which is that of `config`.
///
/// # Errors
/// When they cannot be read.
pub async fn check(config: &SdkConfig, deployment: &Deployment, region: &str) -> Result<Vec<Check>, InfraError> {
    let client = aws_sdk_cloudwatch::Client::new(config);
    let names = ALARMS.iter().map(|alarm| alarm.name(deployment)).collect();
    let described = client.describe_alarms().set_alarm_names(Some(names)).alarm_types(AlarmType::MetricAlarm).send();
    let described = described.await.map_err(|error| errors::port("DescribeAlarms", error))?;
    let alarms = described.metric_alarms().iter();
    let states: BTreeMap<&str, &StateValue> =
        alarms.filter_map(|alarm| Some((alarm.alarm_name()?, alarm.state_value()?))).collect();
    Ok(ALARMS.iter().filter_map(|alarm| judge(alarm, &states, deployment, region)).collect())
}

/// The check of an alarm that is missing or in alarm.
fn judge(alarm: &Alarm, states: &BTreeMap<&str, &StateValue>, deployment: &Deployment, region: &str) -> Option<Check> {
    let name = alarm.name(deployment);
    match states.get(name.as_str()) {
        Some(StateValue::Alarm) => Some(Check::fail(format!("the alarm {name} is in alarm"), alarm.remedy(deployment))),
        Some(_) => None,
        None => Some(Check::fail(format!("the alarm {name} does not exist"), alarm.restore(deployment, region))),
    }
}
