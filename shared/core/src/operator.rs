//! How an operator makes a decision that a remedy names: with a command for the hub's stack, or in `peerd.toml`. A command for a
//! hub would change another deployment than the one that a file describes.

use crate::ids::{AccountId, MeshName, PeeringId};

/// The stack that the command line uses by default.
pub const DEFAULT_STACK: &str = "peerd";

/// Where an operator makes decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// With commands for a hub's stack, of this name.
    Stack(String),
    /// In a file, of this name.
    File(String),
}

impl Default for Operator {
    fn default() -> Self {
        Self::Stack(DEFAULT_STACK.to_owned())
    }
}

impl Operator {
    /// The command for the stack; in its place, what to do in the file.
    fn command(&self, line: &str, in_file: impl FnOnce(&str) -> String) -> String {
        match self {
            Self::Stack(stack) if stack == DEFAULT_STACK => format!("run `peerd {line}`"),
            Self::Stack(stack) => format!("run `peerd {line} --stack {stack}`"),
            Self::File(file) => in_file(file),
        }
    }

    /// To approve a delete that exceeds the limits.
    pub fn confirm(&self, mesh: &MeshName) -> String {
        self.command(&format!("confirm {mesh}"), |file| {
            format!("raise `deletes` in [meshes.{mesh}] of {file} for one `peerd apply`")
        })
    }

    /// To resume a mesh.
    pub fn resume(&self, mesh: &MeshName) -> String {
        self.command(&format!("mesh resume {mesh}"), |file| {
            format!("set `mode = \"active\"` in [meshes.{mesh}] of {file}")
        })
    }

    /// To declare a mesh with its policy.
    pub fn declare(&self, mesh: &MeshName) -> String {
        let line = format!("mesh declare {mesh} --policy {mesh}.json");
        self.command(&line, |file| format!("declare it as [meshes.{mesh}] in {file}"))
    }

    /// To see the policy of a mesh.
    pub fn see_policy(&self, mesh: &MeshName) -> String {
        self.command(&format!("mesh show {mesh}"), |file| format!("see [meshes.{mesh}] in {file}"))
    }

    /// To change the policy of a mesh.
    pub fn edit_policy(&self, mesh: &MeshName) -> String {
        match self {
            Self::Stack(_) => format!("{}, edit what it prints, and {}", self.see_policy(mesh), self.declare(mesh)),
            Self::File(file) => format!("edit [meshes.{mesh}] in {file}"),
        }
    }

    /// To see the state of a mesh.
    pub fn see_state(&self, mesh: &MeshName) -> String {
        self.command(&format!("status {mesh}"), |file| format!("run `peerd plan {mesh} --file {file}`"))
    }

    /// To register an account.
    pub fn add(&self, account: &AccountId) -> String {
        self.command(&format!("account add {account}"), |file| format!("add {account} to `accounts` of {file}"))
    }

    /// To cut an account off.
    pub fn block(&self, account: &AccountId) -> String {
        let in_file = |file: &str| format!("leave {account} out of `admit.accounts` in each mesh of {file}");
        self.command(&format!("account block {account}"), in_file)
    }

    /// To record that an account no longer exists.
    pub fn remove(&self, account: &AccountId) -> String {
        self.command(&format!("account remove {account}"), |file| format!("remove {account} from `accounts` of {file}"))
    }

    /// To adopt a peering.
    pub fn adopt(&self, mesh: &MeshName, peering: &PeeringId) -> String {
        let in_file = |file: &str| format!("add {peering} to `adopt` in [meshes.{mesh}] of {file}");
        self.command(&format!("adopt --mesh {mesh} {peering}"), in_file)
    }

    /// To wait until peerd does something of a mesh by itself, such as `adds the route`.
    pub fn wait(&self, does: &str, mesh: &MeshName) -> String {
        match self {
            Self::Stack(_) => format!("wait: the next run {does}; if it does not, {}", self.see_state(mesh)),
            Self::File(_) => format!("{} {does}", self.next()),
        }
    }

    /// When peerd looks again.
    pub fn next(&self) -> &str {
        match self {
            Self::Stack(_) => "the next sweep",
            Self::File(_) => "the next `peerd apply`",
        }
    }

    /// Where the key of the seals is.
    pub fn seal_key(&self) -> String {
        match self {
            Self::Stack(_) => "the key of the seals (stack output SealSecretArn)".to_owned(),
            Self::File(file) => format!("the key of the seals (`seal_key_file` of {file})"),
        }
    }

    /// Where the organizational units are listed.
    pub fn units(&self) -> String {
        match self {
            Self::Stack(_) => "the stack parameter OrganizationalUnits".to_owned(),
            Self::File(file) => format!("`units` of {file}"),
        }
    }
}
