//! The meshes of a deployment, with who declares each of them.

use std::collections::BTreeMap;

use anyhow::Result;
use peerd_core::policy::Mode;
use peerd_core::{MeshName, Policy};
use serde_json::json;

use crate::shell::Deployed;
use crate::table::table;

/// Who declares a mesh, and with which policy.
#[derive(Debug, Clone)]
pub enum Declaration {
    /// An operator.
    Policy(Policy),
    /// The stack, with the default policy.
    Stack(Policy),
    /// No one: only a VPC requests it.
    None,
}

impl Declaration {
    /// Its name, for tables and JSON.
    pub fn by(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Stack(_) => "stack",
            Self::None => "none",
        }
    }

    /// Its policy; none if it is not declared.
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Policy(policy) | Self::Stack(policy) => Some(policy),
            Self::None => None,
        }
    }

    /// The mode of the mesh; `-` if it is not declared.
    pub fn mode(&self) -> String {
        let mode = |policy: &Policy| match &policy.mode {
            Mode::Unreadable(_) => "unreadable".to_owned(),
            mode => word(mode),
        };
        self.policy().map_or_else(|| "-".to_owned(), mode)
    }
}

/// Meshes with who declares them.
pub type Declarations = BTreeMap<MeshName, Declaration>;

/// Every mesh of a deployment, with who declares it.
pub async fn declarations(deployed: &Deployed) -> Result<Declarations> {
    let stored = deployed.store.meshes().await?.into_iter();
    let mut declared: Declarations =
        stored.map(|(mesh, record)| (mesh, record.policy().map_or(Declaration::None, Declaration::Policy))).collect();
    for mesh in &deployed.meshes {
        let of_mesh = declared.entry(mesh.clone()).or_insert(Declaration::None);
        if of_mesh.policy().is_none() {
            *of_mesh = Declaration::Stack(Policy::default());
        }
    }
    Ok(declared)
}

/// The name under which serde serializes a value without fields.
pub fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The meshes as a table.
pub fn list(declared: &Declarations) -> String {
    let lines = declared.iter().map(|(mesh, declaration)| {
        let topology = declaration.policy().map_or_else(|| "-".to_owned(), |policy| word(policy.topology));
        [mesh.to_string(), declaration.mode(), topology, declaration.by().to_owned()]
    });
    table(["MESH", "MODE", "TOPOLOGY", "DECLARED BY"], lines)
}

/// The same as JSON.
pub fn list_as_json(declared: &Declarations) -> String {
    let meshes: Vec<_> = declared
        .iter()
        .map(|(mesh, declaration)| {
            let (policy, unreadable) = match declaration.policy() {
                Some(Policy { mode: Mode::Unreadable(why), .. }) => (None, Some(why)),
                readable => (readable, None),
            };
            json!({"mesh": mesh, "declared_by": declaration.by(), "policy": policy, "unreadable": unreadable})
        })
        .collect();
    format!("{}\n", json!({"meshes": meshes}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Declarations {
        let policy = |text: &str| Policy::read(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let error = peerd_core::PolicyError { field: "mode".to_owned(), why: "unknown".to_owned() };
        [
            ("prod", Declaration::Stack(Policy::default())),
            (
                "shared",
                Declaration::Policy(policy(
                    r#"{"mode":"paused","topology":"hub-and-spoke","hubs":{"vpcs":["vpc-1"]}}"#,
                )),
            ),
            ("typo", Declaration::None),
            ("wrong", Declaration::Policy(Policy::unreadable(&error))),
        ]
        .map(|(mesh, of_mesh)| (mesh.parse().unwrap(), of_mesh))
        .into()
    }

    #[test]
    fn meshes_are_listed_with_their_source() {
        assert_eq!(
            list(&declared()),
            "MESH    MODE        TOPOLOGY       DECLARED BY\n\
             prod    active      full-mesh      stack\n\
             shared  paused      hub-and-spoke  policy\n\
             typo    -           -              none\n\
             wrong   unreadable  full-mesh      policy\n"
        );
        let json: serde_json::Value = serde_json::from_str(&list_as_json(&declared())).unwrap();
        assert_eq!(json["meshes"][1]["policy"]["mode"], "paused");
        assert_eq!(
            json["meshes"][2],
            json!({"mesh": "typo", "declared_by": "none", "policy": null, "unreadable": null})
        );
        assert_eq!(json["meshes"][3]["unreadable"], "policy field `mode`: unknown");
    }
}
