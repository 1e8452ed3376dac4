//! The deployment's DynamoDB table: its items, their keys, and the calls that read and write them.
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `meshes` | mesh | a declared or requested mesh; `policy` if declared, `default_policy` if it has the default one |
//! | `mesh#<mesh>` | `vpc#<account>#<region>#<vpc>` | a member |
//! | `mesh#<mesh>` | `run#<time>` | a run; expires |
//! | `mesh#<mesh>` | `findings` | its open findings and unsent notifications |
//! | `vpc#<account>#<region>#<vpc>` | `vpc` | the same member, by VPC |
//! | `accounts` | account | its registered Regions, or that it was removed |
//! | `organization` | `organization` | the accounts in each of the deployment's organizational units |
//! | `sweep` | `sweep` | when the last sweep started |
//! | `pair#<vpc>#<vpc>` | `claim` | which run may request the peering; expires |
//! | `lease#<mesh>` | `lease` | which worker reconciles the mesh, and the requests that others left with it; expires |
//!
//! Only the policies and the accounts must not be lost: one sweep rebuilds the index from the tags.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use peerd_core::MeshName;
use peerd_engine::InfraError;
use serde::de::DeserializeOwned;

use crate::errors;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The partition key of the accounts.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The partition key of all meshes.
pub(crate) const MESHES: &str = "meshes";

/// The deployment's table.
pub struct DynamoStore {
    pub(crate) dynamo: Client,
    pub(crate) table: String,
}

impl DynamoStore {
    /// Creates a store in the table `table`.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { dynamo: Client::new(config), table }
    }

    pub(crate) async fn query(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, InfraError> {
        let request = self.dynamo.query().table_name(&self.table).consistent_read(true);
        let request = if prefix.is_empty() {
            request.key_condition_expression("pk = :pk")
        } else {
            let request = request.expression_attribute_values(":prefix", text(prefix));
            request.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
        };
        let mut pages = request.expression_attribute_values(":pk", text(pk)).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| errors::port(format!("Query of {pk}"), error))?);
        }
        Ok(items)
    }

    /// Updates one item without a condition.
    pub(crate) async fn update(
        &self,
        pk: &str,
        sk: &str,
        what: &str,
        change: impl FnOnce(UpdateItemFluentBuilder) -> UpdateItemFluentBuilder,
    ) -> Result<(), InfraError> {
        let update = change(self.update_of(pk, sk));
        update.send().await.map(drop).map_err(|error| errors::port(format!("UpdateItem of {what} {sk}"), error))
    }

    pub(crate) fn update_of(&self, pk: &str, sk: &str) -> UpdateItemFluentBuilder {
        let item = Some(key(pk.to_owned(), sk.to_owned()));
        self.dynamo.update_item().table_name(&self.table).set_key(item)
    }

    /// Sends an update with a condition; none if the condition does not hold.
    pub(crate) async fn update_if(
        request: UpdateItemFluentBuilder,
        what: &str,
    ) -> Result<Option<UpdateItemOutput>, InfraError> {
        match request.send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(errors::port(format!("UpdateItem of {what}"), error)),
            },
        }
    }

    /// Deletes an item if a condition holds, and returns whether it did.
    pub(crate) async fn delete_if(request: DeleteItemFluentBuilder, what: &str) -> Result<bool, InfraError> {
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(errors::port(format!("DeleteItem of {what}"), error)),
            },
        }
    }

    /// Makes all of the writes or none, and returns whether their conditions held.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>, what: &str) -> Result<bool, InfraError> {
        let request = self.dynamo.transact_write_items().set_transact_items(Some(writes));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) if overtaken(cancelled) => {
                    Ok(false)
                }
                _ => Err(errors::port(format!("TransactWriteItems of {what}"), error)),
            },
        }
    }
}

/// Whether another worker has written in the meantime, or is writing now.
fn overtaken(cancelled: &TransactionCanceledException) -> bool {
    let mut reasons = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    reasons.any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
}

pub(crate) fn key(pk: String, sk: String) -> Item {
    Item::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk))])
}

/// The partition key of the members, runs and findings of a mesh.
pub(crate) fn of_mesh(mesh: &MeshName) -> String {
    format!("mesh#{mesh}")
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn read<T: DeserializeOwned>(pk: &str, item: Item) -> Result<T, InfraError> {
    serde_dynamo::from_item(item).map_err(|error| unreadable(pk, error))
}

pub(crate) fn unreadable(pk: &str, error: serde_dynamo::Error) -> InfraError {
    let context = format!("the table's item under {pk} is not what peerd writes");
    InfraError { context, source: Some(Box::new(error)) }
}

pub(crate) fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> InfraError {
    InfraError { context: "a write to the table is incomplete".to_owned(), source: Some(Box::new(error)) }
}
