//! The queue: messages can arrive late or more than once; after five failed deliveries they are dead letters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_engine::{Clock, Delivery, InfraError, Message, Queue, Timestamp};

use crate::transport::Transport;

/// `maxReceiveCount` of the queues in template.yaml.
const MAX_RECEIVES: u32 = 5;

/// A message in the queue.
#[derive(Debug, Clone)]
pub struct SimMessage {
    number: u64,
    body: String,
    received: u32,
}

impl SimMessage {
    /// Returns what the function receives.
    pub fn delivery(&self) -> Delivery {
        Delivery { id: self.number.to_string(), body: self.body.clone() }
    }

    /// Returns its id in the queue.
    pub fn id(&self) -> String {
        self.number.to_string()
    }
}

/// A queue in memory.
pub struct SimQueue {
    transport: Arc<Transport>,
    messages: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: BTreeMap<(Timestamp, u64), SimMessage>,
    posted: u64,
    given_back: usize,
    dead: Vec<SimMessage>,
}

impl SimQueue {
    /// Creates an empty queue.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport, messages: Mutex::default() }
    }

    fn messages(&self) -> MutexGuard<'_, QueueState> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message that arrives at a given time.
    pub fn post(&self, at: Timestamp, body: String) {
        let mut messages = self.messages();
        messages.posted += 1;
        let number = messages.posted;
        messages.waiting.insert((at, number), SimMessage { number, body, received: 0 });
    }

    /// Receives at most `most` messages that have arrived.
    pub fn receive(&self, now: Timestamp, most: usize) -> Vec<SimMessage> {
        let mut messages = self.messages();
        let due: Vec<_> = messages.waiting.range(..=(now, u64::MAX)).map(|(key, _)| *key).take(most).collect();
        let messages = due.iter().filter_map(|key| messages.waiting.remove(key));
        messages.map(|message| SimMessage { received: message.received + 1, ..message }).collect()
    }

    /// Returns an unhandled message to the queue; a message that was received too often becomes a dead letter.
    pub fn return_to_queue(&self, message: SimMessage, at: Timestamp) {
        let mut messages = self.messages();
        messages.given_back += 1;
        if message.received >= MAX_RECEIVES {
            messages.dead.push(message);
        } else {
            messages.waiting.insert((at, message.number), message);
        }
    }

    /// Returns the time when the next message arrives.
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.messages().waiting.keys().next().map(|(at, _)| *at)
    }

    /// Returns the number of waiting messages.
    pub fn len(&self) -> usize {
        self.messages().waiting.len()
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many messages were returned to the queue so far.
    pub fn given_back(&self) -> usize {
        self.messages().given_back
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> usize {
        self.messages().dead.len()
    }
}

#[async_trait]
impl Queue for SimQueue {
    async fn send(&self, message: &Message, delay: u32) -> Result<(), InfraError> {
        let body = serde_json::to_string(message).map_err(|error| InfraError::new(error.to_string()))?;
        let post = || {
            self.post(self.transport.executor.now() + u64::from(delay) * 1000, body);
            Ok(())
        };
        self.transport.call("SendMessage", None, post).await
    }
}
