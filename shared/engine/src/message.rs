//! peerd's own messages: what the schedule asks for, and what a run leaves for a later one.

use std::collections::BTreeSet;

use peerd_core::{AccountId, DeleteApproval, MeshName, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::notifications::Notification;

/// The version of the message format, and what tells a message of ours from an event.
const FORMAT: u8 = 1;

/// One unit of work, with how often it was put off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The format: 1.
    peerd: u8,
    /// 0 for work that somebody asked for; a follow-up has one more than what it follows.
    #[serde(default)]
    pub attempt: u32,
    /// What to do.
    pub work: Work,
}

/// Kinds of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Ask for a survey of every account and a reconcile of every mesh.
    Sweep {},
    /// List the accounts of the organisation.
    Discover {},
    /// Read the tags of an account's VPCs in all its Regions and write the index.
    Survey {
        /// Whose.
        account: AccountId,
    },
    /// Reconcile one mesh.
    Reconcile {
        /// Which.
        mesh: MeshName,
        /// Scopes to read besides those of its members.
        #[serde(default)]
        scopes: BTreeSet<Scope>,
        /// Whether to read every registered scope.
        #[serde(default)]
        everywhere: bool,
        /// How much it may take away.
        #[serde(default)]
        leave: DeleteApproval,
    },
    /// Tell what the bus did not take.
    Tell {
        /// What.
        notice: Notification,
    },
    /// Look again at an event whose reads contradicted it.
    Event {
        /// The event as it came.
        event: Value,
    },
}

impl Work {
    /// A reconcile that takes away as much as the mesh's policy lets go.
    pub fn reconcile(mesh: MeshName, scopes: BTreeSet<Scope>, everywhere: bool) -> Self {
        Self::Reconcile { mesh, scopes, everywhere, leave: DeleteApproval::ByPolicy }
    }
}

impl Message {
    /// Work that was put off `attempt` times.
    pub fn new(attempt: u32, work: Work) -> Self {
        Self { peerd: FORMAT, attempt, work }
    }

    /// Whether a body claims to be one of these messages.
    pub fn claims(body: &Value) -> bool {
        body.get("peerd").is_some()
    }

    /// Reads a body that claims to be one.
    ///
    /// # Errors
    /// When it is of another format or malformed.
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
    fn a_message_reads_back_as_it_was_written() {
        let scope = Scope::new("111111111111".parse().unwrap(), "us-east-1".parse().unwrap());
        let work = Work::Reconcile {
            mesh: "prod".parse().unwrap(),
            scopes: [scope].into(),
            everywhere: false,
            leave: DeleteApproval::Confirmed,
        };
        let message = Message::new(3, work);
        assert_eq!(Message::parse(serde_json::to_value(&message).unwrap()), Ok(message));
    }

    #[test]
    fn a_message_of_another_format_or_with_a_malformed_id_is_refused_with_the_reason() {
        let newer = serde_json::json!({"peerd": 2, "work": {"sweep": {}}});
        assert!(Message::parse(newer).unwrap_err().contains("format 2"));
        let wrong = serde_json::json!({"peerd": 1, "work": {"survey": {"account": "12"}}});
        assert!(Message::parse(wrong).unwrap_err().contains("12-digit account id"));
    }
}
