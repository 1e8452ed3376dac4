//! Parses EventBridge events into [`EventTarget`]s: "Tag Change on Resource" and "AWS API Call via CloudTrail".
//!
//! AWS delivers both on a best-effort basis and in several formats. peerd ignores an event that it cannot parse, with a
//! reason, and the sweep finds what events missed. Sources:
//! <https://docs.aws.amazon.com/tag-editor/latest/userguide/tag-monitor.html>,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.

use std::fmt;
use std::str::FromStr;

use peerd_core::tags::{self, MeshTag, Tags};
use peerd_core::{AccountId, Region, Scope, VpcRef};
use serde_json::Value;

use crate::event_target::{EventTarget, ExpectedState};

/// Why an event is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored(pub String);

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Parses an event.
///
/// # Errors
/// [`Ignored`] with the reason: a failed call, an irrelevant kind of event, or an unknown format.
pub fn target_of(event: &Value) -> Result<EventTarget, Ignored> {
    match (text(event, "source")?, text(event, "detail-type")?) {
        ("aws.tag", "Tag Change on Resource") => tag_change(event),
        ("aws.ec2", "AWS API Call via CloudTrail") => api_call(event),
        (source, kind) => Err(Ignored(format!("`{kind}` from `{source}` is not handled"))),
    }
}

/// The account and Region in which the event occurred. Rules that forward it to another bus do not change them
/// (<https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>).
fn origin(event: &Value) -> Result<Scope, Ignored> {
    Ok(Scope::new(parse::<AccountId>(text(event, "account")?)?, parse::<Region>(text(event, "region")?)?))
}

/// Returns the scope that an event names. An event names only what is in its own account and Region; another one is forged
/// or broken.
fn own(event: &Value, named: Scope) -> Result<Scope, Ignored> {
    let origin = origin(event)?;
    if named == origin {
        return Ok(named);
    }
    Err(Ignored(format!("the event is from {origin}, and names something in {named}")))
}

fn tag_change(event: &Value) -> Result<EventTarget, Ignored> {
    let detail = member(event, "detail")?;
    let arn = event.get("resources").and_then(|arns| arns.get(0)).and_then(Value::as_str);
    let arn = arn.ok_or_else(|| Ignored("`resources` names no ARN".to_owned()));
    match (text(detail, "service")?, text(detail, "resource-type")?) {
        ("ec2", "vpc") => {
            let (scope, id) = of_arn(event, arn?, "vpc/")?;
            let tags: Tags = serde_json::from_value(member(detail, "tags")?.clone())
                .map_err(|error| Ignored(format!("`detail.tags` is not a map of texts: {error}")))?;
            let (asks, tags) = (MeshTag::of(&tags), tags::of_role(&tags));
            Ok(EventTarget::of_vpc(
                VpcRef::new(scope, id),
                ExpectedState::Tagged { asks, tags, version: version(detail) },
            ))
        }
        ("ec2", "route-table") => {
            let (scope, id) = of_arn(event, arn?, "route-table/")?;
            Ok(EventTarget::of_table(scope, id))
        }
        ("ec2", "security-group") => {
            let (scope, id) = of_arn(event, arn?, "security-group/")?;
            Ok(EventTarget::of_group(scope, id))
        }
        _ => Err(Ignored("tag change of something other than a VPC, a route table or a security group".to_owned())),
    }
}

/// The number of the tag change: an integer, or a float if another program has rewritten the event; 0 if there is none.
fn version(detail: &Value) -> u64 {
    let number = detail.get("version");
    let float = || number.and_then(Value::as_f64).filter(|float| (0.0..1e15).contains(float));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in range")]
    number.and_then(Value::as_u64).or_else(|| float().map(|float| float as u64)).unwrap_or_default()
}

/// Parses an ARN of an event, such as `arn:aws:ec2:us-east-1:111111111111:vpc/vpc-0a`.
fn of_arn<T: FromStr<Err = peerd_core::ids::IdError>>(
    event: &Value,
    arn: &str,
    kind: &str,
) -> Result<(Scope, T), Ignored> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "ec2", region, account, resource] if let Some(id) = resource.strip_prefix(kind) => {
            Ok((own(event, Scope::new(parse(account)?, parse(region)?))?, parse(id)?))
        }
        _ => Err(Ignored(format!("`{arn}` is not the ARN of a {}", kind.trim_end_matches('/')))),
    }
}

fn api_call(event: &Value) -> Result<EventTarget, Ignored> {
    let detail = member(event, "detail")?;
    if let Some(code) = detail.get("errorCode").filter(|code| !code.is_null()) {
        return Err(Ignored(format!("the call failed with {code}")));
    }
    let scope = scope_of(event, detail)?;
    let call = text(detail, "eventName")?;
    let vpc = |expect| Ok(EventTarget::of_vpc(VpcRef::new(scope.clone(), id_in(detail, "vpcId")?), expect));
    let target = match call {
        "CreateVpc" => vpc(ExpectedState::Exists)?,
        "DeleteVpc" => vpc(ExpectedState::Gone)?,
        "AssociateVpcCidrBlock" | "DisassociateVpcCidrBlock" | "CreateRouteTable" | "ModifyVpcAttribute" => {
            vpc(ExpectedState::Anything)?
        }
        "ModifyVpcPeeringConnectionOptions"
        | "CreateVpcPeeringConnection"
        | "AcceptVpcPeeringConnection"
        | "RejectVpcPeeringConnection"
        | "DeleteVpcPeeringConnection" => EventTarget::of_peering(scope, id_in(detail, "vpcPeeringConnectionId")?),
        "CreateRoute" | "ReplaceRoute" | "DeleteRoute" => EventTarget::of_table(scope, id_in(detail, "routeTableId")?),
        "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress" | "ModifySecurityGroupRules" => {
            EventTarget::of_group(scope, id_in(detail, "groupId")?)
        }
        other => return Err(Ignored(format!("call `{other}` is not handled"))),
    };
    Ok(target.caused(call, caller(detail)))
}

/// The principal of the call: the ARN of a user or a session, otherwise the AWS service or the account.
fn caller(detail: &Value) -> &str {
    let identity = detail.get("userIdentity");
    let named = |key| identity.and_then(|identity| identity.get(key)).and_then(Value::as_str);
    named("arn").or_else(|| named("invokedBy")).or_else(|| named("accountId")).unwrap_or("an unknown principal")
}

/// The scope of a call: the account and Region of the CloudTrail record.
fn scope_of(event: &Value, detail: &Value) -> Result<Scope, Ignored> {
    let account = text(detail, "recipientAccountId").or_else(|_| text(event, "account"))?;
    let region = text(detail, "awsRegion").or_else(|_| text(event, "region"))?;
    own(event, Scope::new(parse::<AccountId>(account)?, parse::<Region>(region)?))
}

/// The id under `key` in the request, otherwise in the response. CloudTrail writes some calls in camelCase and wraps
/// others (`AssociateVpcCidrBlockRequest.VpcId`), so this ignores case and searches wrapper objects.
fn id_in<T: FromStr<Err = peerd_core::ids::IdError>>(detail: &Value, key: &str) -> Result<T, Ignored> {
    let request = detail.get("requestParameters").and_then(|request| find(request, key, 2));
    let found = request.or_else(|| detail.get("responseElements").and_then(|response| find(response, key, 2)));
    parse(found.ok_or_else(|| Ignored(format!("neither request nor response has a `{key}`")))?)
}

fn find<'a>(value: &'a Value, key: &str, depth: u8) -> Option<&'a str> {
    let object = value.as_object()?;
    let here = object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).and_then(|(_, value)| value.as_str());
    here.or_else(|| (depth > 0).then(|| object.values().find_map(|inner| find(inner, key, depth - 1))).flatten())
}

fn member<'a>(value: &'a Value, key: &str) -> Result<&'a Value, Ignored> {
    value.get(key).ok_or_else(|| Ignored(format!("`{key}` is missing")))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, Ignored> {
    member(value, key)?.as_str().ok_or_else(|| Ignored(format!("`{key}` is not a text")))
}

fn parse<T: FromStr<Err = peerd_core::ids::IdError>>(text: &str) -> Result<T, Ignored> {
    text.parse().map_err(|error: peerd_core::ids::IdError| Ignored(error.to_string()))
}
