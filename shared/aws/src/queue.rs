//! Follow-up messages over SQS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::try_join;
use peerd_engine::{InfraError, Message, Queue, QueueState, RedriveQueue};
use serde_json::json;

use crate::errors;

/// The longest delay that SQS accepts, in seconds.
const MAX_DELAY: u32 = 900;

/// How often a function receives a message before it becomes a dead letter, as in template.yaml.
const MAX_RECEIVE_COUNT: u32 = 5;

/// The function's own queue.
pub struct SqsQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// Creates a client of the queue at `url`.
    pub fn new(config: &SdkConfig, url: String) -> Self {
        Self { sqs: aws_sdk_sqs::Client::new(config), url }
    }
}

/// The queue of a function and its dead-message queue.
pub struct QueueWithDlq {
    /// The queue's name: vpc-events, peering-events or drift-repair.
    name: &'static str,
    sqs: aws_sdk_sqs::Client,
    queue: String,
    dead: String,
    dead_arn: String,
}

impl QueueWithDlq {
    /// Creates a client of the queue at the URL `queue` and the dead-message queue at the URL `dead`, with its ARN.
    pub fn new(config: &SdkConfig, name: &'static str, queue: String, dead: String, dead_arn: String) -> Self {
        Self { name, sqs: aws_sdk_sqs::Client::new(config), queue, dead, dead_arn }
    }

    /// The number of messages of a queue, and whether it has a dead-letter queue.
    async fn attributes(&self, url: &str) -> Result<(u64, bool), InfraError> {
        let (number, policy) = (QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::RedrivePolicy);
        let request = self.sqs.get_queue_attributes().queue_url(url);
        let answer = request.attribute_names(number.clone()).attribute_names(policy.clone()).send().await;
        let answer = answer.map_err(|error| errors::port(format!("GetQueueAttributes of {}", self.name), error))?;
        let count = answer.attributes().and_then(|attributes| attributes.get(&number)?.parse().ok());
        let missing = || InfraError::new(format!("GetQueueAttributes of {}: no number of messages", self.name));
        let policy = answer.attributes().and_then(|attributes| attributes.get(&policy));
        Ok((count.ok_or_else(missing)?, policy.is_some_and(|policy| !policy.is_empty())))
    }
}

#[async_trait]
impl RedriveQueue for QueueWithDlq {
    fn name(&self) -> &str {
        self.name
    }

    async fn state(&self) -> Result<QueueState, InfraError> {
        let ((waiting, has_dead_letters), (dead, _)) =
            try_join!(self.attributes(&self.queue), self.attributes(&self.dead))?;
        Ok(QueueState { waiting, dead, has_dead_letters })
    }

    fn restore_dead_letters(&self) -> String {
        let Self { queue, dead_arn, .. } = self;
        let policy = json!({"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVE_COUNT}).to_string();
        let attributes = json!({"RedrivePolicy": policy});
        format!("aws sqs set-queue-attributes --queue-url {queue} --attributes '{attributes}'")
    }

    /// Moves up to ten dead letters. Each is deleted only after it was sent.
    async fn redrive(&self) -> Result<usize, InfraError> {
        let failed = |call: &str| format!("{call} of the dead letters of {}", self.name);
        let request = self.sqs.receive_message().queue_url(&self.dead).max_number_of_messages(10).wait_time_seconds(1);
        let answer = request.send().await.map_err(|error| errors::port(failed("ReceiveMessage"), error))?;
        for message in answer.messages() {
            let body = message.body().unwrap_or_default();
            let request = self.sqs.send_message().queue_url(&self.queue).message_body(body);
            request.send().await.map_err(|error| errors::port(failed("SendMessage"), error))?;
            let handle = message.receipt_handle().unwrap_or_default();
            let request = self.sqs.delete_message().queue_url(&self.dead).receipt_handle(handle);
            request.send().await.map_err(|error| errors::port(failed("DeleteMessage"), error))?;
        }
        Ok(answer.messages().len())
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: &Message, delay: u32) -> Result<(), InfraError> {
        let body = message.to_body()?;
        let delay = i32::try_from(delay.min(MAX_DELAY)).unwrap_or_default();
        let request = self.sqs.send_message().queue_url(&self.url).message_body(body).delay_seconds(delay);
        request.send().await.map(drop).map_err(|error| errors::port("SendMessage", error))
    }
}
