//! The queue: messages can arrive late or more than once; after five failed deliveries they are dead letters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_engine::{Clock, Delivery, InfraError, Message, Queue, Timestamp};

use crate::transport::Transport;

/// `maxReceiveCount` of the queues in template.yaml.
const MOST_RECEIVES: u32 = 5;

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
    wire: Arc<Transport>,
    parcels: Mutex<Parcels>,
}

#[derive(Default)]
struct Parcels {
    waiting: BTreeMap<(Timestamp, u64), SimMessage>,
    posted: u64,
    given_back: usize,
    dead: Vec<SimMessage>,
}

impl SimQueue {
    /// Creates an empty queue.
    pub fn new(wire: Arc<Transport>) -> Self {
        Self { wire, parcels: Mutex::default() }
    }

    fn parcels(&self) -> MutexGuard<'_, Parcels> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message that arrives at a given time.
    pub fn post(&self, at: Timestamp, body: String) {
        let mut parcels = self.parcels();
        parcels.posted += 1;
        let number = parcels.posted;
        parcels.waiting.insert((at, number), SimMessage { number, body, received: 0 });
    }

    /// Receives at most `most` messages that have arrived.
    pub fn receive(&self, now: Timestamp, most: usize) -> Vec<SimMessage> {
        let mut parcels = self.parcels();
        let due: Vec<_> = parcels.waiting.range(..=(now, u64::MAX)).map(|(key, _)| *key).take(most).collect();
        let parcels = due.iter().filter_map(|key| parcels.waiting.remove(key));
        parcels.map(|parcel| SimMessage { received: parcel.received + 1, ..parcel }).collect()
    }

    /// Returns an unhandled message to the queue; a message that was received too often becomes a dead letter.
    pub fn give_back(&self, parcel: SimMessage, at: Timestamp) {
        let mut parcels = self.parcels();
        parcels.given_back += 1;
        if parcel.received >= MOST_RECEIVES {
            parcels.dead.push(parcel);
        } else {
            parcels.waiting.insert((at, parcel.number), parcel);
        }
    }

    /// Returns the time when the next message arrives.
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.parcels().waiting.keys().next().map(|(at, _)| *at)
    }

    /// Returns the number of waiting messages.
    pub fn len(&self) -> usize {
        self.parcels().waiting.len()
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many messages were returned to the queue so far.
    pub fn given_back(&self) -> usize {
        self.parcels().given_back
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> usize {
        self.parcels().dead.len()
    }
}

#[async_trait]
impl Queue for SimQueue {
    async fn send(&self, message: &Message, delay: u32) -> Result<(), InfraError> {
        let body = serde_json::to_string(message).map_err(|error| InfraError::new(error.to_string()))?;
        let post = || {
            self.post(self.wire.stage.now() + u64::from(delay) * 1000, body);
            Ok(())
        };
        self.wire.call("SendMessage", None, post).await
    }
}
