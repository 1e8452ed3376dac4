//! The calls of a run that are in flight. Calls of different APIs, accounts and Regions have rate limits of their own, so they do
//! not wait for each other.

use std::collections::{BTreeMap, VecDeque};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use peerd_core::{Action, RouteTableId, Scope, Timestamp, api_rate_limits};

use crate::apply::{Applied, Applier};

/// The maximum number of actions in flight for one API of an account and Region.
const MAX_PER_BUCKET: usize = 8;
/// The maximum number of groups of actions in flight.
const MAX_IN_FLIGHT: usize = 64;
/// The share of the outstanding actions that ends before the next plan, as a divisor: plans cost time too.
const SHARE: usize = 8;
/// The least number of actions that end before the next plan, if so many are outstanding.
const MIN_SHARE: usize = 4;

/// The API of an account and Region.
type Bucket = (Scope, &'static str);
/// Actions that are applied together: one, or those that replace or remove routes of one table, which is read before.
type Group = Vec<Action>;
/// A group in flight, which ends with the result of each action.
type InFlight<'a> = BoxFuture<'a, (Bucket, Vec<(Action, Applied)>)>;

/// Actions that wait or are in flight.
pub(crate) struct Calls<'a> {
    applier: &'a Applier<'a>,
    waiting: BTreeMap<Bucket, VecDeque<Group>>,
    in_flight: FuturesUnordered<InFlight<'a>>,
    by_bucket: BTreeMap<Bucket, usize>,
    outstanding: usize,
}

impl<'a> Calls<'a> {
    /// Creates an empty set.
    pub(crate) fn new(applier: &'a Applier<'a>) -> Self {
        let (waiting, in_flight, by_bucket) = (BTreeMap::new(), FuturesUnordered::new(), BTreeMap::new());
        Self { applier, waiting, in_flight, by_bucket, outstanding: 0 }
    }

    /// Whether no action is waiting or in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding == 0
    }

    /// Adds actions that depend neither on each other nor on those in flight.
    ///
    /// Each time, another action is the first. Otherwise calls that fail every time but use the account's rate limit
    /// would always come before the others.
    pub(crate) fn add(&mut self, mut actions: Vec<Action>, now: Timestamp) {
        self.outstanding += actions.len();
        let count = Timestamp::try_from(actions.len().max(1)).unwrap_or(1);
        actions.rotate_left(usize::try_from(now % count).unwrap_or_default());
        let mut by_table: BTreeMap<(Bucket, RouteTableId), Group> = BTreeMap::new();
        for action in actions {
            let bucket = (action.scope().clone(), api_rate_limits::api(&action));
            match action.table_to_read() {
                Some(table) => by_table.entry((bucket, table.clone())).or_default().push(action),
                None => self.waiting.entry(bucket).or_default().push_back(vec![action]),
            }
        }
        for ((bucket, _), group) in by_table {
            self.waiting.entry(bucket).or_default().push_back(group);
        }
    }

    /// Returns the results of a share of the outstanding actions.
    pub(crate) async fn next(&mut self) -> Vec<(Action, Applied)> {
        let share = self.outstanding.div_ceil(SHARE).max(MIN_SHARE).min(self.outstanding);
        let mut results = Vec::new();
        while results.len() < share {
            self.start();
            let Some((bucket, done)) = self.in_flight.next().await else { break };
            self.by_bucket.entry(bucket).and_modify(|count| *count -= 1);
            self.outstanding -= done.len();
            results.extend(done);
        }
        results.sort_by(|a, b| a.0.cmp(&b.0));
        results
    }

    /// Starts what may be in flight now.
    fn start(&mut self) {
        let Self { applier, waiting, in_flight, by_bucket, outstanding: _ } = self;
        let applier: &'a Applier<'a> = applier;
        for (bucket, groups) in waiting.iter_mut() {
            let count = by_bucket.entry(bucket.clone()).or_default();
            while *count < MAX_PER_BUCKET && in_flight.len() < MAX_IN_FLIGHT {
                let Some(group) = groups.pop_front() else { break };
                let bucket = bucket.clone();
                in_flight.push(async move { (bucket, applier.apply(group).await) }.boxed());
                *count += 1;
            }
        }
        waiting.retain(|_, groups| !groups.is_empty());
    }
}
