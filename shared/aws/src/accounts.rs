//! The registrations of accounts, in the table.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{AccountId, Region, Scope};
use peerd_engine::InfraError;

use crate::table::{ACCOUNTS, DynamoStore};

impl DynamoStore {
    pub(crate) async fn register_account(
        &self,
        account: &AccountId,
        regions: &BTreeSet<Region>,
    ) -> Result<bool, InfraError> {
        self.update_unblocked(account, regions, |update| {
            update
                .update_expression("SET added = :true ADD regions :regions REMOVE removed")
                .expression_attribute_values(":true", AttributeValue::Bool(true))
        })
        .await
    }

    pub(crate) async fn register_scope(&self, Scope { account, region }: &Scope) -> Result<(), InfraError> {
        let regions = BTreeSet::from([region.clone()]);
        let registered = self.update_unblocked(account, &regions, |update| {
            update.update_expression("ADD regions :regions REMOVE removed")
        });
        registered.await.map(drop)
    }

    /// Updates the registration of an account with `:regions`, and returns whether it is not blocked.
    async fn update_unblocked(
        &self,
        account: &AccountId,
        regions: &BTreeSet<Region>,
        change: impl FnOnce(UpdateItemFluentBuilder) -> UpdateItemFluentBuilder,
    ) -> Result<bool, InfraError> {
        let regions = AttributeValue::Ss(regions.iter().map(ToString::to_string).collect());
        let request = change(self.update_of(ACCOUNTS, account.as_str()))
            .condition_expression("attribute_not_exists(blocked)")
            .expression_attribute_values(":regions", regions);
        Ok(Self::update_if(request, &format!("account {account}")).await?.is_some())
    }

    pub(crate) async fn record_block(&self, account: &AccountId, blocked: bool) -> Result<(), InfraError> {
        let (set, remove) = ("SET blocked = :true REMOVE asked", "REMOVE blocked");
        self.update_flag(account, if blocked { set } else { remove }, blocked).await
    }

    pub(crate) async fn record_asked(&self, account: &AccountId, asked: bool) -> Result<(), InfraError> {
        self.update_flag(account, if asked { "SET asked = :true" } else { "REMOVE asked" }, asked).await
    }

    /// Updates the registration of an account with an expression, in which `:true` occurs if `sets`.
    async fn update_flag(&self, account: &AccountId, expression: &str, sets: bool) -> Result<(), InfraError> {
        let value = sets.then(|| HashMap::from([(":true".to_owned(), AttributeValue::Bool(true))]));
        self.update(ACCOUNTS, account.as_str(), "account", |update| {
            update.update_expression(expression).set_expression_attribute_values(value)
        })
        .await
    }

    pub(crate) async fn remove_regions(
        &self,
        account: &AccountId,
        regions: &BTreeSet<Region>,
    ) -> Result<(), InfraError> {
        let regions = AttributeValue::Ss(regions.iter().map(ToString::to_string).collect());
        self.update(ACCOUNTS, account.as_str(), "account", |update| {
            update.update_expression("DELETE regions :regions").expression_attribute_values(":regions", regions)
        })
        .await
    }

    pub(crate) async fn record_removal(&self, account: &AccountId) -> Result<(), InfraError> {
        self.update_flag(account, "SET removed = :true REMOVE regions, added", true).await
    }
}
