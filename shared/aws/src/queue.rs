//! Follow-up messages over SQS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use peerd_engine::{Message, PortError, Queue};

use crate::errors;

/// The longest delay that SQS takes, in seconds.
const LONGEST_DELAY: u32 = 900;

/// The function's own queue.
pub struct SqsQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: String) -> Self {
        Self { sqs: aws_sdk_sqs::Client::new(config), url }
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: &Message, delay: u32) -> Result<(), PortError> {
        let unwritable = |error| PortError { context: "message not written".to_owned(), source: Some(Box::new(error)) };
        let body = serde_json::to_string(message).map_err(unwritable)?;
        let delay = i32::try_from(delay.min(LONGEST_DELAY)).unwrap_or_default();
        let request = self.sqs.send_message().queue_url(&self.url).message_body(body).delay_seconds(delay);
        request.send().await.map(drop).map_err(|error| errors::port("SendMessage", error))
    }
}
