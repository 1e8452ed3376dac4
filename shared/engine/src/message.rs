//! peerd's own messages: the work that the schedule requests, and what a run leaves for a later one.

use std::collections::BTreeSet;

use peerd_core::{AccountId, Cause, DeleteApproval, MeshName, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::InfraError;
use crate::notification::Notification;

/// The version of the message format. Its field distinguishes peerd's messages from events.
const FORMAT: u8 = 1;

/// One unit of work, with its attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The format version: 1.
    peerd: u8,
    /// 0 for requested work; a follow-up message has one more than the message that it follows.
    #[serde(default)]
    pub attempt: u32,
    /// The work.
    pub work: Work,
}

/// Kinds of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Request a scan of every account and a reconcile of every mesh.
    Sweep {},
    /// List the accounts of the organization.
    ListOrganization {},
    /// Read the tags of an account's VPCs in all its Regions and write the index.
    ScanAccount {
        /// The account.
        account: AccountId,
    },
    /// Reconcile one mesh.
    Reconcile {
        /// The mesh.
        mesh: MeshName,
        /// Scopes to read in addition to those of its members.
        #[serde(default)]
        scopes: BTreeSet<Scope>,
        /// Whether to read every known scope.
        #[serde(default)]
        everywhere: bool,
        /// Which deletes are approved.
        #[serde(default)]
        delete_approval: DeleteApproval,
        /// Whether an event requested it. Its reads may be stale, so a follow-up message verifies the mesh.
        #[serde(default)]
        verify: bool,
        /// The API calls that triggered it, and the commands of operators.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        causes: BTreeSet<Cause>,
    },
    /// Publish a notification that the bus did not accept.
    Publish {
        /// The notification.
        notification: Notification,
    },
    /// Read again because of an event that the reads contradicted.
    Event {
        /// The event as the queue delivered it.
        event: Value,
    },
}

impl Work {
    /// A reconcile with deletes within the limits of the mesh's policy.
    pub fn reconcile(mesh: MeshName, scopes: BTreeSet<Scope>, everywhere: bool) -> Self {
        let (delete_approval, causes) = (DeleteApproval::WithinLimits, BTreeSet::new());
        Self::Reconcile { mesh, scopes, everywhere, delete_approval, verify: false, causes }
    }
}

impl Message {
    /// Creates a message for attempt number `attempt`.
    pub fn new(attempt: u32, work: Work) -> Self {
        Self { peerd: FORMAT, attempt, work }
    }

    /// Returns the body of the message.
    ///
    /// # Errors
    /// When it cannot be serialized, which is a defect.
    pub fn to_body(&self) -> Result<String, InfraError> {
        let unwritable =
            |error| InfraError { context: "message not serialized".to_owned(), source: Some(Box::new(error)) };
        serde_json::to_string(self).map_err(unwritable)
    }

    /// Whether a body is a message of peerd, of any format version.
    pub fn claims(body: &Value) -> bool {
        body.get("peerd").is_some()
    }

    /// Parses such a body.
    ///
    /// # Errors
    /// When it has another format version or is malformed.
    pub fn parse(body: Value) -> Result<Self, String> {
        let message: Self = serde_json::from_value(body).map_err(|error| error.to_string())?;
        if message.peerd == FORMAT {
            Ok(message)
        } else {
            Err(format!("message format {} is not {FORMAT}: a newer peerd wrote it", message.peerd))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_the_schedule_is_a_sweep() {
        let body = serde_json::json!({"peerd": 1, "attempt": 0, "work": {"sweep": {}}});
        assert_eq!(Message::parse(body), Ok(Message::new(0, Work::Sweep {})));
    }

    #[test]
    fn a_message_round_trips() {
        let scope = Scope::new("111111111111".parse().unwrap(), "us-east-1".parse().unwrap());
        let work = Work::Reconcile {
            mesh: "prod".parse().unwrap(),
            scopes: [scope].into(),
            everywhere: false,
            delete_approval: DeleteApproval::Confirmed { deletes: 12 },
            verify: true,
            causes: [Cause { call: "confirm".into(), on: "prod".into(), by: "arn".into() }].into(),
        };
        let message = Message::new(3, work);
        assert_eq!(Message::parse(serde_json::to_value(&message).unwrap()), Ok(message));
    }

    #[test]
    fn a_message_of_another_format_or_with_a_malformed_id_is_refused_with_the_reason() {
        let newer = serde_json::json!({"peerd": 2, "work": {"sweep": {}}});
        assert!(Message::parse(newer).unwrap_err().contains("format 2"));
        let wrong = serde_json::json!({"peerd": 1, "work": {"scan_account": {"account": "12"}}});
        assert!(Message::parse(wrong).unwrap_err().contains("12-digit account id"));
    }
}
