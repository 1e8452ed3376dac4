//! Checks that the EventBridge rules that trigger peerd exist, are enabled and have the right targets.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_eventbridge::{Client, Error};
use peerd_core::{Check, Deployment, Scope};

use crate::arn::Arn;
use crate::errors::said;

/// The rules of spoke.yaml, without the deployment's name.
const OF_A_SPOKE: [&str; 2] = ["vpc-tags", "network-calls"];
/// The rules of template.yaml, each with the function to whose queue it leads.
const OF_THE_HUB: [(&str, &str); 3] =
    [("vpc-tags", "vpc-events"), ("vpc-calls", "vpc-events"), ("peering-calls", "peering-events")];

/// A rule to check.
struct Rule {
    name: String,
    region: String,
    /// The bus of the hub; none for the default bus of a spoke.
    bus: Option<String>,
    /// The ARN to which the rule must lead, and its name in texts.
    target: (String, String),
    /// What to do if the rule is missing or leads elsewhere. An update of the stack does not restore it: CloudFormation compares
    /// templates, not resources
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html>).
    restore: String,
}

/// The state of a rule.
enum Found {
    Fine,
    Off,
    Astray,
}

/// Checks the rules of a spoke, which lead to the bus with this ARN.
pub async fn of_spoke(config: &SdkConfig, scope: &Scope, deployment: &Deployment, bus: &str) -> Vec<Check> {
    let hub = Arn::of(bus);
    let restore = format!(
        "in account {}, run `aws cloudformation deploy --region {} --stack-name {deployment}-spoke --template-file spoke.yaml \
         --capabilities CAPABILITY_NAMED_IAM --parameter-overrides HubAccount={} HubRegion={} ExternalId=\"${{EXTERNAL_ID:?}}\" \
         HomeRegion=\"${{HOME_REGION:?}}\"`; if the stack exists, delete it first, because an update does not restore what was deleted",
        scope.account, scope.region, hub.account, hub.region
    );
    let client = Client::new(config);
    let rules = OF_A_SPOKE.map(|rule| Rule {
        name: format!("{deployment}-{rule}"),
        region: scope.region.to_string(),
        bus: None,
        target: (bus.to_owned(), format!("the bus {bus}")),
        restore: restore.clone(),
    });
    let (mut checks, versions) = check(&client, &rules).await;
    let update = "run `aws cloudformation update-stack-set --stack-set-name peerd-spoke --template-body file://spoke.yaml --capabilities \
                  CAPABILITY_NAMED_IAM`, with the parameters of docs/deploy.md";
    let other = |version: Option<String>| Check::other_version("the spoke", version.as_deref(), "the hub", update);
    checks.extend(versions.into_iter().find_map(other));
    checks
}

/// Checks the rules of the hub, on the bus with this ARN. `queues` are the ARNs of the queues by their function.
pub async fn of_hub(
    config: &SdkConfig,
    deployment: &Deployment,
    bus: &str,
    queue: impl Fn(&str) -> String,
) -> Vec<Check> {
    let arn = Arn::of(bus);
    let rules = OF_THE_HUB.map(|(rule, function)| {
        let (name, queue) = (format!("{deployment}-{rule}"), queue(function));
        Rule {
            restore: format!(
                "if the rule is missing, run `aws events put-rule --region {0} --event-bus-name {1} --name {name} --event-pattern \
                 file://pattern.json` with its pattern in template.yaml; then run `aws events put-targets --region {0} \
                 --event-bus-name {1} --rule {name} --targets Id=queue,Arn={queue}`, and remove other targets",
                arn.region, arn.name
            ),
            name,
            region: arn.region.to_owned(),
            bus: Some(arn.name.to_owned()),
            target: (queue, format!("the queue of {function}")),
        }
    });
    check(&Client::new(config), &rules).await.0
}

/// The checks, and the versions in the descriptions of the rules that exist.
async fn check(client: &Client, rules: &[Rule]) -> (Vec<Check>, Vec<Option<String>>) {
    let (mut fine, mut checks, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let Rule { name, region, bus, target: (_, target), restore } = rule;
        let found = find(client, rule).await.map(|(found, version)| {
            versions.push(version);
            found
        });
        match found {
            Ok(Found::Fine) => fine.push(name.as_str()),
            Ok(Found::Off) => {
                let of_bus = bus.as_ref().map(|bus| format!(" --event-bus-name {bus}")).unwrap_or_default();
                let remedy =
                    format!("run `aws events enable-rule --region {region}{of_bus} --name {name}` in that account");
                checks.push(Check::fail(format!("the rule {name} is switched off"), remedy));
            }
            Ok(Found::Astray) => {
                checks.push(Check::fail(format!("the rule {name} does not lead to {target}"), restore));
            }
            Err(Error::ResourceNotFoundException(_)) => {
                checks.push(Check::fail(format!("the rule {name} is missing"), restore));
            }
            Err(error) => {
                let remedy = "docs/policies.md lists the permissions that the role needs";
                checks.push(Check::warn(format!("the rule {name} cannot be read: {}", said(&error)), remedy));
            }
        }
    }
    if !fine.is_empty() {
        checks.push(Check::pass(format!("rules are on and lead to the right place: {}", fine.join(", "))));
    }
    (checks, versions)
}

async fn find(
    client: &Client,
    Rule { name, bus, target: (target, _), .. }: &Rule,
) -> Result<(Found, Option<String>), Error> {
    let rule = client.describe_rule().name(name).set_event_bus_name(bus.clone()).send().await?;
    let version = rule.description().and_then(version_in);
    if rule.state().is_none_or(|state| *state == RuleState::Disabled) {
        return Ok((Found::Off, version));
    }
    let targets = client.list_targets_by_rule().rule(name).set_event_bus_name(bus.clone()).send().await?;
    let leads = targets.targets().iter().any(|it| it.arn() == target);
    Ok((if leads { Found::Fine } else { Found::Astray }, version))
}

/// The version at the end of a description such as `Forwards changes (peerd 0.1.0)`.
fn version_in(description: &str) -> Option<String> {
    Some(description.rsplit_once("(peerd ")?.1.trim_end_matches(')').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_at_the_end_of_a_description() {
        assert_eq!(version_in("Forwards changes (peerd 0.1.0)").as_deref(), Some("0.1.0"));
        assert_eq!(version_in("Forwards changes"), None);
    }
}
