//! Leases, in the table: `lease#<mesh>` / `lease`.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use peerd_core::MeshName;
use peerd_engine::ports::MAX_REQUESTS;
use peerd_engine::{InfraError, Lease, LeaseStore, Message, Work};
use serde_json::Value;

use crate::table::{DynamoStore, Item, key, number, text};

/// The partition keys of leases begin with it.
const LEASE: &str = "lease";
/// How long an item stays after its lease has lapsed, in milliseconds.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

#[async_trait]
impl LeaseStore for DynamoStore {
    async fn take_lease(&self, lease: &Lease) -> Result<Option<Vec<Message>>, InfraError> {
        let request = self
            .update_of(&of_mesh(&lease.mesh), LEASE)
            .condition_expression("attribute_not_exists(pk) OR until_ms < :now OR held_by = :holder")
            .update_expression("SET held_by = :holder, until_ms = :until, expires = :expires")
            .expression_attribute_values(":holder", text(&lease.holder))
            .expression_attribute_values(":now", number(lease.now))
            .expression_attribute_values(":until", number(lease.until))
            .expression_attribute_values(":expires", number((lease.until + KEPT_MS) / 1000))
            .return_values(ReturnValue::AllNew);
        let answer = Self::update_if(request, &format!("the lease of {}", lease.mesh)).await?;
        Ok(answer.map(|answer| requests(&lease.mesh, answer.attributes.as_ref())))
    }

    async fn leave_request(&self, lease: &Lease, request: &Message) -> Result<bool, InfraError> {
        let request = AttributeValue::S(request.to_body()?);
        let is_held = "until_ms >= :now AND held_by <> :holder";
        let has_room = "(attribute_not_exists(left_requests) OR size(left_requests) < :most)";
        let update = self
            .update_of(&of_mesh(&lease.mesh), LEASE)
            .condition_expression(format!("{is_held} AND {has_room}"))
            .update_expression("SET left_requests = list_append(if_not_exists(left_requests, :none), :request)")
            .expression_attribute_values(":holder", text(&lease.holder))
            .expression_attribute_values(":now", number(lease.now))
            .expression_attribute_values(":most", number(MAX_REQUESTS as u64))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":request", AttributeValue::L(vec![request]));
        Ok(Self::update_if(update, &format!("the lease of {}", lease.mesh)).await?.is_some())
    }

    async fn end_lease(&self, lease: &Lease, handled: usize) -> Result<bool, InfraError> {
        let request = self
            .dynamo
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(of_mesh(&lease.mesh), LEASE.to_owned())))
            .condition_expression(
                "held_by = :holder AND (attribute_not_exists(left_requests) OR size(left_requests) <= :handled)",
            )
            .expression_attribute_values(":holder", text(&lease.holder))
            .expression_attribute_values(":handled", number(handled as u64));
        Self::delete_if(request, &format!("the lease of {}", lease.mesh)).await
    }
}

fn of_mesh(mesh: &MeshName) -> String {
    format!("{LEASE}#{mesh}")
}

/// The requests that were left with a lease. One that this version cannot read, because another version wrote it, becomes a
/// reconcile in every scope.
fn requests(mesh: &MeshName, item: Option<&Item>) -> Vec<Message> {
    let list = item.and_then(|item| item.get("left_requests")?.as_l().ok());
    let read = |value: &AttributeValue| {
        let body: Option<Value> = serde_json::from_str(value.as_s().ok()?).ok();
        Message::parse(body?).ok()
    };
    let everything = || Message::new(0, Work::reconcile(mesh.clone(), [].into(), true));
    list.into_iter().flatten().map(|value| read(value).unwrap_or_else(everything)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_another_version_left_becomes_a_reconcile_in_every_scope() {
        let mesh: MeshName = "prod".parse().unwrap();
        let known = Message::new(3, Work::reconcile(mesh.clone(), [].into(), false));
        let bodies = [serde_json::to_string(&known).unwrap(), r#"{"peerd": 2}"#.to_owned(), "no JSON".to_owned()];
        let list = AttributeValue::L(bodies.map(AttributeValue::S).into());
        let everything = Message::new(0, Work::reconcile(mesh.clone(), [].into(), true));
        let read = requests(&mesh, Some(&Item::from([("left_requests".to_owned(), list)])));
        assert_eq!(read, [known, everything.clone(), everything]);
        assert!(requests(&mesh, Some(&Item::new())).is_empty());
    }
}
