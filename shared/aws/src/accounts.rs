//! What operators say of accounts.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{AccountId, Member, Region, Scope};
use peerd_engine::{PortError, Store};

use crate::errors;
use crate::store::{ACCOUNTS, DynamoStore, key};

impl DynamoStore {
    /// Forgets an account, or some of its Regions: that they were registered, and whoever is remembered there. How many that
    /// were.
    ///
    /// # Errors
    /// When the table cannot be read or written.
    pub async fn forget_account(&self, account: &AccountId, regions: &BTreeSet<Region>) -> Result<usize, PortError> {
        let is_there =
            |scope: &Scope| scope.account == *account && (regions.is_empty() || regions.contains(&scope.region));
        let mut forgotten = 0;
        for mesh in self.meshes().await?.into_keys() {
            for member in self.members(&mesh).await?.into_iter().filter(|member| is_there(&member.vpc.scope)) {
                let nothing = Member { meshes: [].into(), left: [].into(), ..member.clone() };
                forgotten += usize::from(self.remember(Some(&member), &nothing).await?);
            }
        }
        let context = format!("DeleteItem of account {account}");
        let item = Some(key(ACCOUNTS.to_owned(), account.to_string()));
        if regions.is_empty() {
            let request = self.dynamo.delete_item().table_name(&self.table).set_key(item);
            request.send().await.map_err(|error| errors::port(context, error))?;
        } else {
            let regions = regions.iter().map(ToString::to_string).collect();
            let request = self.dynamo.update_item().table_name(&self.table).set_key(item);
            let request = request.update_expression("DELETE regions :regions");
            let request = request.expression_attribute_values(":regions", AttributeValue::Ss(regions));
            request.send().await.map_err(|error| errors::port(context, error))?;
        }
        Ok(forgotten)
    }
}
