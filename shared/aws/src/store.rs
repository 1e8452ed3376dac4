//! The engine's ports over the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use peerd_core::{AccountId, Member, MeshName, Organization, RunChanges, Scope, VpcRef};
use peerd_engine::{
    AccountRegistry, FindingStore, InfraError, MembershipIndex, MeshFindings, MeshRecord, Registration, Run, RunLog,
    Timestamp,
};
use serde::Deserialize;

use crate::table::{ACCOUNTS, DynamoStore, Item, MESHES, incomplete, key, number, of_mesh, read, unreadable};
use crate::{errors, policies};

/// The partition key and sort key of the organization listing.
const ORGANIZATION: &str = "organization";
/// The partition key and sort key of the last sweep.
const SWEEP: &str = "sweep";
/// The sort key of the findings record of a mesh.
const FINDINGS_RECORD: &str = "findings";

impl DynamoStore {
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

    fn know_mesh(&self, mesh: &MeshName) -> Result<TransactWriteItem, InfraError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(MESHES.to_owned(), mesh.to_string())))
            .update_expression("SET known = :true")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .build();
        update.map(|update| TransactWriteItem::builder().update(update).build()).map_err(incomplete)
    }
}

#[async_trait]
impl MembershipIndex for DynamoStore {
    async fn meshes(&self) -> Result<BTreeMap<MeshName, MeshRecord>, InfraError> {
        self.query(MESHES, "").await?.into_iter().map(policies::read).collect()
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
        let mut known = self.delete(MESHES.to_owned(), mesh.to_string())?;
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
