//! The policies that operators declare, in the table. The policy of a mesh is the attribute `policy` of its item, as a
//! map.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use peerd_core::{MeshName, Policy, PolicyError};
use peerd_engine::{InfraError, MeshRecord, error::chain};
use serde_dynamo::Deserializer;

use crate::table::{DynamoStore, Item, MESHES, read as read_item};

impl DynamoStore {
    pub(crate) async fn put_policy(&self, mesh: &MeshName, policy: &Policy) -> Result<(), InfraError> {
        let unwritable = |error| InfraError { context: format!("policy of {mesh} not written"), source: Some(error) };
        let value: AttributeValue =
            serde_dynamo::to_attribute_value(policy).map_err(|error| unwritable(Box::new(error)))?;
        let set = |update: UpdateItemFluentBuilder| {
            update.update_expression("SET policy = :policy").expression_attribute_values(":policy", value)
        };
        self.update(MESHES, mesh.as_str(), "mesh", set).await
    }

    pub(crate) async fn remove_policy(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.set(mesh, "SET default_policy = :true REMOVE policy").await
    }

    pub(crate) async fn set_default(&self, mesh: &MeshName) -> Result<(), InfraError> {
        self.set(mesh, "SET default_policy = :true").await
    }

    async fn set(&self, mesh: &MeshName, change: &str) -> Result<(), InfraError> {
        let set = |update: UpdateItemFluentBuilder| {
            update.update_expression(change).expression_attribute_values(":true", AttributeValue::Bool(true))
        };
        self.update(MESHES, mesh.as_str(), "mesh", set).await
    }
}

/// Reads the item of a mesh. A policy that cannot be read becomes one that changes nothing, so that it stops only its
/// own mesh.
pub fn read(mut item: Item) -> Result<(MeshName, MeshRecord), InfraError> {
    #[derive(serde::Deserialize)]
    struct Mesh {
        sk: MeshName,
        #[serde(default)]
        default_policy: bool,
    }
    let policy = item.remove("policy").filter(|value| !value.is_null());
    let Mesh { sk, default_policy } = read_item(MESHES, item)?;
    let without = if default_policy { MeshRecord::Default } else { MeshRecord::Requested };
    let policy = policy.map(|value| {
        policy_of(value).unwrap_or_else(|error| {
            tracing::error!(mesh = %sk, error = chain(&error), "policy not read; its mesh is not changed");
            Policy::unreadable(&error)
        })
    });
    Ok((sk, policy.map_or(without, MeshRecord::Declared)))
}

fn policy_of(value: AttributeValue) -> Result<Policy, PolicyError> {
    Policy::read(Deserializer::from_attribute_value(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::key;

    fn item(policy: AttributeValue) -> Item {
        let mut item = key(MESHES.to_owned(), "prod".to_owned());
        item.insert("policy".to_owned(), policy);
        item
    }

    #[test]
    fn a_stored_policy_round_trips() {
        let text = r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-1"]},"admit":{"accounts":["111111111111"],"cidrs":["10.0.0.0/8"]},
            "routes":{"exclude":["100.64.0.0/10"]},"tags":{"team":"network"},"deletes":{"count":1}}"#;
        let policy = Policy::read(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let (mesh, read) = read(item(serde_dynamo::to_attribute_value(&policy).unwrap())).unwrap();
        assert_eq!((mesh.as_str(), read), ("prod", MeshRecord::Declared(policy)));
    }

    #[test]
    fn an_invalid_stored_policy_freezes_its_mesh_and_names_the_field() {
        let wrong = [("topology".to_owned(), AttributeValue::S("ring".to_owned()))].into();
        let policy = read(item(AttributeValue::M(wrong))).unwrap().1.policy().unwrap();
        assert!(policy.is_frozen());
        assert!(format!("{:?}", policy.mode).contains("policy field `topology`: unknown variant `ring`"), "{policy:?}");
    }

    #[test]
    fn an_undeclared_mesh_has_no_policy_and_the_default_one_is_recorded() {
        assert_eq!(read(key(MESHES.to_owned(), "prod".to_owned())).unwrap().1, MeshRecord::Requested);
        let mut item = item(AttributeValue::Null(true));
        assert_eq!(read(item.clone()).unwrap().1, MeshRecord::Requested);
        item.insert("default_policy".to_owned(), AttributeValue::Bool(true));
        assert_eq!(read(item).unwrap().1, MeshRecord::Default);
    }
}
