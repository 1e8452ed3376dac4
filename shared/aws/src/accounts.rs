//! The registrations of accounts, in the table.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{AccountId, Region, Scope};
use peerd_engine::InfraError;

use crate::store::{ACCOUNTS, DynamoStore};

impl DynamoStore {
    /// Registers a scope, and clears the record that its account was removed.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn register_scope(&self, Scope { account, region }: &Scope) -> Result<(), InfraError> {
        self.update(ACCOUNTS, account.as_str(), "account", |update| {
            update
                .update_expression("ADD regions :regions REMOVE removed")
                .expression_attribute_values(":regions", AttributeValue::Ss(vec![region.to_string()]))
        })
        .await
    }

    /// Removes some Regions from the registration of an account.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn unregister(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<(), InfraError> {
        let regions = AttributeValue::Ss(regions.iter().map(ToString::to_string).collect());
        self.update(ACCOUNTS, account.as_str(), "account", |update| {
            update.update_expression("DELETE regions :regions").expression_attribute_values(":regions", regions)
        })
        .await
    }

    /// Records that an account was permanently removed, with all its resources.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn mark_removed(&self, account: &AccountId) -> Result<(), InfraError> {
        self.update(ACCOUNTS, account.as_str(), "account", |update| {
            update
                .update_expression("SET removed = :true REMOVE regions")
                .expression_attribute_values(":true", AttributeValue::Bool(true))
        })
        .await
    }
}
