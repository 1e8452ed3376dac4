//! Checks that the EventBridge rules that trigger peerd exist, are enabled and have the right targets.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_eventbridge::{Client, Error};
use peerd_core::{Check, Deployment};

use crate::errors::said;

/// The rules of spoke.yaml, without the deployment's name.
pub const OF_A_SPOKE: [&str; 2] = ["vpc-tags", "network-calls"];
/// The rules of template.yaml.
pub const OF_THE_HUB: [&str; 3] = ["vpc-tags", "vpc-calls", "peering-calls"];

/// The state of a rule.
enum Found {
    Fine,
    Off,
    Astray,
}

/// Checks rules of a bus, the default bus if none is named. One of the targets of each must begin with `target`.
pub async fn check(
    config: &SdkConfig,
    deployment: &Deployment,
    rules: &[&str],
    bus: Option<&str>,
    target: &str,
) -> Vec<Check> {
    let client = Client::new(config);
    let (mut fine, mut checks) = (Vec::new(), Vec::new());
    for rule in rules {
        let name = format!("{deployment}-{rule}");
        let file = if bus.is_some() { "template.yaml" } else { "spoke.yaml" };
        match find(&client, &name, bus, target).await {
            Ok(Found::Fine) => fine.push(name),
            Ok(Found::Off) => {
                let remedy = format!("run `aws events enable-rule --name {name}` in that Region");
                checks.push(Check::fail(format!("the rule {name} is switched off"), remedy));
            }
            Ok(Found::Astray) => {
                let remedy = format!("update the stack of {file} there");
                checks.push(Check::fail(format!("the rule {name} has no target {target}"), remedy));
            }
            Err(Error::ResourceNotFoundException(_)) => {
                checks.push(Check::fail(
                    format!("the rule {name} is missing"),
                    format!("update the stack of {file} there"),
                ));
            }
            Err(error) => {
                let remedy = format!("update the stack of {file} there, so that its rules can be read");
                checks.push(Check::warn(format!("the rule {name} cannot be read: {}", said(&error)), remedy));
            }
        }
    }
    if !fine.is_empty() {
        checks.push(Check::pass(format!("rules are on and lead to the right place: {}", fine.join(", "))));
    }
    checks
}

async fn find(client: &Client, name: &str, bus: Option<&str>, target: &str) -> Result<Found, Error> {
    let rule = client.describe_rule().name(name).set_event_bus_name(bus.map(str::to_owned)).send().await?;
    if rule.state().is_none_or(|state| *state == RuleState::Disabled) {
        return Ok(Found::Off);
    }
    let targets = client.list_targets_by_rule().rule(name).set_event_bus_name(bus.map(str::to_owned)).send().await?;
    let leads = targets.targets().iter().any(|it| it.arn().starts_with(target));
    Ok(if leads { Found::Fine } else { Found::Astray })
}
