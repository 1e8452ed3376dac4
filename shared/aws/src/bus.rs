//! Notifications over EventBridge.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use peerd_engine::{Bus, InfraError, Notification};

use crate::errors;

/// The `source` of peerd's events.
const SOURCE: &str = "peerd";
/// The maximum number of entries of one PutEvents call
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
const MAX_ENTRIES: usize = 10;

/// The hub's bus.
pub struct EventBridgeBus {
    events: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBridgeBus {
    /// Creates a client of the bus `name`.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { events: aws_sdk_eventbridge::Client::new(config), name }
    }

    fn entry(&self, notification: &Notification) -> Result<PutEventsRequestEntry, InfraError> {
        let unwritable =
            |error| InfraError { context: "notification not serialized".to_owned(), source: Some(Box::new(error)) };
        let detail = serde_json::to_string(notification).map_err(unwritable)?;
        let entry = PutEventsRequestEntry::builder().source(SOURCE).detail_type(notification.detail_type());
        Ok(entry.event_bus_name(&self.name).detail(detail).build())
    }
}

#[async_trait]
impl Bus for EventBridgeBus {
    async fn publish(&self, notifications: &[Notification]) -> Result<(), InfraError> {
        for batch in notifications.chunks(MAX_ENTRIES) {
            let entries = batch.iter().map(|notification| self.entry(notification)).collect::<Result<_, _>>()?;
            let answer = self.events.put_events().set_entries(Some(entries)).send().await;
            let answer = answer.map_err(|error| errors::port(format!("PutEvents on {}", self.name), error))?;
            // The call succeeds even if the bus accepted no entry.
            if let Some(refused) = answer.entries().iter().find_map(|entry| entry.error_code()) {
                return Err(InfraError::new(format!("PutEvents on {}: notification rejected ({refused})", self.name)));
            }
        }
        Ok(())
    }
}
