//! The engine's store in one DynamoDB table.
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
//!
//! Only the policies and the accounts must not be lost: one sweep rebuilds the index from the tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use peerd_core::{AccountId, Member, MeshName, Organization, RunChanges, Scope, VpcRef};
use peerd_engine::{
    AccountRegistry, FindingStore, InfraError, MembershipIndex, MeshFindings, MeshRecord, Registration, Run, RunLog,
    Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{errors, policies};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The partition key of the accounts.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The partition key and sort key of the organization listing.
const ORGANIZATION: &str = "organization";
/// The partition key and sort key of the last sweep.
const SWEEP: &str = "sweep";
/// The sort key of the findings record of a mesh.
const FINDINGS_RECORD: &str = "findings";

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

    async fn query(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, InfraError> {
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

    fn put_member(&self, pk: String, sk: String, member: &Member) -> Result<Put, InfraError> {
        let mut item: Item = serde_dynamo::to_item(member).map_err(|error| unreadable(&pk, error))?;
        item.extend(key(pk, sk));
        Put::builder().table_name(&self.table).set_item(Some(item)).build().map_err(incomplete)
    }

    fn delete(&self, pk: String, sk: String) -> Result<Delete, InfraError> {
        Delete::builder().table_name(&self.table).set_key(Some(key(pk, sk))).build().map_err(incomplete)
    }

    /// Returns the write of the VPC's own item. Its condition decides whether the transaction writes anything: without
    /// it, two concurrent writers would leave contradictory items.
    fn own_row(&self, before: Option<&Member>, now: &Member) -> Result<TransactWriteItem, InfraError> {
        let (condition, values) = match before {
            Some(before) => ("version = :version", HashMap::from([(":version".to_owned(), number(before.version))])),
            None => ("attribute_not_exists(pk)", HashMap::new()),
        };
        let (condition, values) = (Some(condition.to_owned()), (!values.is_empty()).then_some(values));
        let (pk, sk) = (of_vpc(&now.vpc), "vpc".to_owned());
        let write = TransactWriteItem::builder();
        Ok(if now.meshes.is_empty() {
            let mut delete = self.delete(pk, sk)?;
            (delete.condition_expression, delete.expression_attribute_values) = (condition, values);
            write.delete(delete).build()
        } else {
            let mut put = self.put_member(pk, sk, now)?;
            (put.condition_expression, put.expression_attribute_values) = (condition, values);
            write.put(put).build()
        })
    }

    /// Makes all of the writes or none, and returns whether their conditions held.
    async fn transact(&self, writes: Vec<TransactWriteItem>, what: &str) -> Result<bool, InfraError> {
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

    fn know_mesh(&self, mesh: &MeshName) -> Result<TransactWriteItem, InfraError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(policies::PK.to_owned(), mesh.to_string())))
            .update_expression("SET known = :true")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .build();
        update.map(|update| TransactWriteItem::builder().update(update).build()).map_err(incomplete)
    }
}

#[async_trait]
impl MembershipIndex for DynamoStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, MeshRecord>, InfraError> {
        self.query(policies::PK, "").await?.into_iter().map(policies::read).collect()
    }

    async fn record_default(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.set_default(mesh).await
    }

    async fn members(&self, mesh: &MeshName) -> Result<Vec<Member>, InfraError> {
        let pk = of_mesh(mesh);
        self.query(&pk, "vpc#").await?.into_iter().map(|item| read(&pk, item)).collect()
    }

    async fn member(&self, vpc: &VpcRef) -> Result<Option<Member>, InfraError> {
        let pk = of_vpc(vpc);
        let request = self.dynamo.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(key(pk.clone(), "vpc".to_owned()))).send().await;
        let item = answer.map_err(|error| errors::port(format!("GetItem of {pk}"), error))?.item;
        item.map(|item| read(&pk, item)).transpose()
    }

    async fn update_member(&self, before: Option<&Member>, now: &Member) -> Result<bool, InfraError> {
        let none = BTreeSet::new();
        let old = before.map_or(&none, |member| &member.meshes);
        let sk = of_vpc(&now.vpc);
        let mut writes = vec![self.own_row(before, now)?];
        for mesh in &now.meshes {
            let put = self.put_member(of_mesh(mesh), sk.clone(), now)?;
            writes.push(TransactWriteItem::builder().put(put).build());
            if !old.contains(mesh) {
                writes.push(self.know_mesh(mesh)?);
            }
        }
        for mesh in old - &now.meshes {
            let delete = self.delete(of_mesh(&mesh), sk.clone())?;
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        self.transact(writes, &of_vpc(&now.vpc)).await
    }

    async fn remove_mesh(&self, mesh: &MeshName) -> Result<(), InfraError> {
        let mut known = self.delete(policies::PK.to_owned(), mesh.to_string())?;
        known.condition_expression = Some("attribute_not_exists(policy)".to_owned());
        let mut findings_record = self.delete(of_mesh(mesh), FINDINGS_RECORD.to_owned())?;
        findings_record.condition_expression =
            Some("attribute_not_exists(pk) OR (findings = :none AND unsent = :none)".to_owned());
        let none = HashMap::from([(":none".to_owned(), AttributeValue::L(Vec::new()))]);
        findings_record.expression_attribute_values = Some(none);
        let writes = [known, findings_record].map(|delete| TransactWriteItem::builder().delete(delete).build());
        self.transact(writes.into(), &format!("mesh {mesh}")).await.map(drop)
    }
}

#[async_trait]
impl AccountRegistry for DynamoStore {
    async fn accounts(&self) -> Result<BTreeMap<AccountId, Registration>, InfraError> {
        #[derive(serde::Deserialize)]
        struct Account {
            sk: AccountId,
            #[serde(flatten)]
            said: Registration,
        }
        let accounts = self.query(ACCOUNTS, "").await?.into_iter().map(|item| read::<Account>(ACCOUNTS, item));
        accounts.map(|account| account.map(|account| (account.sk, account.said))).collect()
    }

    async fn register(&self, scope: &Scope) -> Result<(), InfraError> {
        self.register_scope(scope).await
    }

    async fn record_unknown(&self, account: &AccountId, asked: bool) -> Result<(), InfraError> {
        self.record_asked(account, asked).await
    }

    async fn organization(&self) -> Result<Organization, InfraError> {
        let request = self.dynamo.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(organization_key())).send().await;
        let item = answer.map_err(|error| errors::port("GetItem of the organization", error))?.item;
        item.map_or_else(|| Ok(Organization::default()), |item| read(ORGANIZATION, item))
    }

    async fn put_organization(&self, before: u64, now: &Organization) -> Result<bool, InfraError> {
        let mut item: Item = serde_dynamo::to_item(now).map_err(|error| unreadable(ORGANIZATION, error))?;
        item.extend(organization_key());
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR version = :version")
            .expression_attribute_values(":version", number(before));
        let put = TransactWriteItem::builder().put(put.build().map_err(incomplete)?).build();
        self.transact(vec![put], "the organization").await
    }
}

#[async_trait]
impl RunLog for DynamoStore {
    async fn record_sweep(&self, at: Timestamp) -> Result<(), InfraError> {
        let request = self.dynamo.put_item().table_name(&self.table).set_item(Some(sweep_key())).item("at", number(at));
        request.send().await.map(drop).map_err(|error| errors::port("PutItem of the sweep", error))
    }

    async fn last_sweep(&self) -> Result<Option<Timestamp>, InfraError> {
        let request = self.dynamo.get_item().table_name(&self.table).set_key(Some(sweep_key()));
        let item = request.send().await.map_err(|error| errors::port("GetItem of the sweep", error))?.item;
        let Some(item) = item else { return Ok(None) };
        read::<Swept>(SWEEP, item).map(|swept| Some(swept.at))
    }

    async fn record_run(&self, run: &Run, now: Timestamp) -> Result<(), InfraError> {
        self.keep_run(run, now).await
    }

    async fn run_history(&self, mesh: &MeshName, from: Timestamp) -> Result<Vec<RunChanges>, InfraError> {
        self.changes(mesh, from).await
    }
}

#[async_trait]
impl FindingStore for DynamoStore {
    async fn findings_record(&self, mesh: &MeshName) -> Result<Option<MeshFindings>, InfraError> {
        let pk = of_mesh(mesh);
        let request = self.dynamo.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(key(pk.clone(), FINDINGS_RECORD.to_owned()))).send().await;
        let item = answer.map_err(|error| errors::port(format!("GetItem of the findings of {mesh}"), error))?.item;
        item.map(|item| read(&pk, item)).transpose()
    }

    async fn put_findings_record(
        &self,
        mesh: &MeshName,
        before: Option<u64>,
        now: &MeshFindings,
    ) -> Result<bool, InfraError> {
        let pk = of_mesh(mesh);
        let mut item: Item = serde_dynamo::to_item(now).map_err(|error| unreadable(&pk, error))?;
        item.extend(key(pk, FINDINGS_RECORD.to_owned()));
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = match before {
            Some(version) => {
                put.condition_expression("version = :version").expression_attribute_values(":version", number(version))
            }
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        let put = TransactWriteItem::builder().put(put.build().map_err(incomplete)?).build();
        self.transact(vec![put, self.know_mesh(mesh)?], &format!("the findings of {mesh}")).await
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

/// When a sweep started, in milliseconds since the Unix epoch.
#[derive(Deserialize)]
struct Swept {
    at: Timestamp,
}

fn sweep_key() -> Item {
    key(SWEEP.to_owned(), SWEEP.to_owned())
}

fn organization_key() -> Item {
    key(ORGANIZATION.to_owned(), ORGANIZATION.to_owned())
}

/// The key of a VPC, with its scope: an item of one account never replaces that of another.
fn of_vpc(vpc: &VpcRef) -> String {
    format!("vpc#{}#{}#{}", vpc.scope.account, vpc.scope.region, vpc.id)
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

fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> InfraError {
    InfraError { context: "a write to the table is incomplete".to_owned(), source: Some(Box::new(error)) }
}
