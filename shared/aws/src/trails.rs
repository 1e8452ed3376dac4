//! Checks whether CloudTrail records the changes in a scope. EventBridge receives API calls only where a trail logs
//! management events (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>).

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, AdvancedFieldSelector, EventSelector, ReadWriteType, Trail};
use aws_sdk_cloudtrail::{Client, Error};
use peerd_core::{Check, Scope};

use crate::errors::said;

/// The event source of EC2 in selectors.
const EC2: &str = "ec2.amazonaws.com";
const REMEDY: &str = "have a trail log management events, reads not needed, in every Region: `aws cloudtrail start-logging --name \
                      \"${TRAIL:?}\"` if one is stopped, or `aws cloudtrail create-trail --name peerd --s3-bucket-name \"${BUCKET:?}\" \
                      --is-multi-region-trail`; until then no event comes from there, and only sweeps see what changes";
const MAY_ASK: &str = "update the stack of spoke.yaml there, so that its role may read CloudTrail";

/// Checks that a trail logs the changes in the scope.
pub async fn check(config: &SdkConfig, scope: &Scope) -> Check {
    match find(&Client::new(config), scope).await {
        Ok(Some(trail)) => Check::pass(format!("the trail {trail} logs what is changed")),
        Ok(None) => Check::fail("no trail of CloudTrail logs what is changed there", REMEDY),
        Err(error) => Check::warn(format!("CloudTrail cannot be queried: {}", said(&error)), MAY_ASK),
    }
}

async fn find(client: &Client, scope: &Scope) -> Result<Option<String>, Error> {
    let trails = client.describe_trails().send().await?;
    let covers = |trail: &&Trail| {
        trail.is_multi_region_trail() == Some(true) || trail.home_region() == Some(scope.region.as_str())
    };
    // A trail that cannot be read, such as that of an organization, may exist besides one that can.
    let mut unasked = None;
    for trail in trails.trail_list().iter().filter(covers) {
        let arn = trail.trail_arn().or(trail.name()).unwrap_or_default();
        match logs(client, arn).await {
            Ok(true) => return Ok(Some(trail.name().unwrap_or(arn).to_owned())),
            Ok(false) => {}
            Err(error) => unasked = Some(error),
        }
    }
    unasked.map_or(Ok(None), Err)
}

async fn logs(client: &Client, arn: &str) -> Result<bool, Error> {
    let status = client.get_trail_status().name(arn).send().await?;
    Ok(status.is_logging() == Some(true) && logs_writes(client, arn).await?)
}

async fn logs_writes(client: &Client, arn: &str) -> Result<bool, Error> {
    let selectors = client.get_event_selectors().trail_name(arn).send().await?;
    let (basic, advanced) = (selectors.event_selectors(), selectors.advanced_event_selectors());
    Ok(basic.iter().any(selects_writes) || advanced.iter().any(selects_writes_too))
}

fn selects_writes(selector: &EventSelector) -> bool {
    let excludes_ec2 = selector.exclude_management_event_sources().iter().any(|source| source == EC2);
    let management = selector.include_management_events() != Some(false);
    management && selector.read_write_type() != Some(&ReadWriteType::ReadOnly) && !excludes_ec2
}

/// An advanced selector lists fields. Without the field `readOnly`, it selects reads and writes.
fn selects_writes_too(selector: &AdvancedEventSelector) -> bool {
    let fields = selector.field_selectors();
    let is = |field: &str, value: &str| {
        fields.iter().any(|it| it.field() == field && it.equals().iter().any(|v| v == value))
    };
    let sources = |it: &AdvancedFieldSelector| it.field() == "eventSource";
    let not_ec2 = |it: &AdvancedFieldSelector| {
        it.not_equals().iter().any(|v| v == EC2) || !(it.equals().is_empty() || it.equals().iter().any(|v| v == EC2))
    };
    let excludes_ec2 = fields.iter().filter(|it| sources(it)).any(not_ec2);
    is("eventCategory", "Management") && !is("readOnly", "true") && !excludes_ec2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_of_only_reads_or_data_events_does_not_log_writes() {
        let basic = || EventSelector::builder().include_management_events(true);
        assert!(selects_writes(&basic().build()));
        assert!(selects_writes(&basic().read_write_type(ReadWriteType::WriteOnly).build()));
        assert!(!selects_writes(&basic().read_write_type(ReadWriteType::ReadOnly).build()));
        assert!(!selects_writes(&basic().include_management_events(false).build()));
        let field =
            |name: &str, value: &str| AdvancedFieldSelector::builder().field(name).equals(value).build().unwrap();
        let advanced = |fields| AdvancedEventSelector::builder().set_field_selectors(Some(fields)).build().unwrap();
        assert!(selects_writes_too(&advanced(vec![field("eventCategory", "Management")])));
        assert!(!selects_writes_too(&advanced(vec![field("eventCategory", "Data")])));
        let others = vec![field("eventCategory", "Management"), field("eventSource", "kms.amazonaws.com")];
        assert!(!selects_writes_too(&advanced(others)));
        let reads = vec![field("eventCategory", "Management"), field("readOnly", "true")];
        assert!(!selects_writes_too(&advanced(reads)));
    }
}
