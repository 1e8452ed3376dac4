//! A virtual clock, and the workers that it schedules.
//!
//! Nothing here waits: when every worker sleeps, the clock advances to the next wake-up. The order in which workers are
//! polled depends only on what they did, so a run can be repeated exactly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use peerd_engine::{Clock, Timestamp};

/// The start of virtual time, 2026-01-01: not zero, so that a default timestamp is never a valid time.
const BEGINNING: Timestamp = 1_767_225_600_000;

/// A virtual clock with its sleepers.
#[derive(Debug)]
pub struct VirtualExecutor {
    now: AtomicU64,
    sleepers: Mutex<BinaryHeap<Reverse<Sleeper>>>,
    asleep: AtomicU64,
    /// The worker that is executing, and whether it has just crashed.
    acting: AtomicU32,
    crashed: AtomicBool,
}

#[derive(Debug)]
struct Sleeper {
    until: Timestamp,
    number: u64,
    waker: Waker,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.until, self.number).cmp(&(other.until, other.number))
    }
}

impl Default for VirtualExecutor {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(BEGINNING),
            sleepers: Mutex::default(),
            asleep: AtomicU64::new(0),
            acting: AtomicU32::new(0),
            crashed: AtomicBool::new(false),
        }
    }
}

impl Clock for VirtualExecutor {
    fn now(&self) -> Timestamp {
        self.now.load(Ordering::Relaxed)
    }
}

impl VirtualExecutor {
    /// Sleeps for a number of milliseconds; with zero, yields to all other workers that are due.
    pub fn sleep(&self, milliseconds: u64) -> Sleep<'_> {
        Sleep { executor: self, until: self.now() + milliseconds, begun: false }
    }

    /// Returns the time when the next sleeper wakes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.sleepers().peek().map(|Reverse(sleeper)| sleeper.until)
    }

    /// Advances the clock to `time`, unless it is later already, and wakes the first sleeper that is due.
    pub fn advance(&self, time: Timestamp) {
        let now = self.now.fetch_max(time, Ordering::Relaxed).max(time);
        let mut sleepers = self.sleepers();
        if sleepers.peek().is_some_and(|Reverse(sleeper)| sleeper.until <= now)
            && let Some(Reverse(sleeper)) = sleepers.pop()
        {
            sleeper.waker.wake();
        }
    }

    /// Returns the number of the worker that is executing.
    pub fn acting(&self) -> u32 {
        self.acting.load(Ordering::Relaxed)
    }

    /// Crashes the worker that is executing: it never continues.
    pub async fn die(&self) -> ! {
        self.crashed.store(true, Ordering::Relaxed);
        std::future::pending().await
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, BinaryHeap<Reverse<Sleeper>>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sleep in virtual time.
#[derive(Debug)]
pub struct Sleep<'a> {
    executor: &'a VirtualExecutor,
    until: Timestamp,
    begun: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.begun, true) {
            return if self.executor.now() >= self.until { Poll::Ready(()) } else { Poll::Pending };
        }
        let number = self.executor.asleep.fetch_add(1, Ordering::Relaxed);
        let sleeper = Sleeper { until: self.until, number, waker: context.waker().clone() };
        self.executor.sleepers().push(Reverse(sleeper));
        Poll::Pending
    }
}

/// The result of polling a worker.
#[derive(Debug)]
pub enum Turn<T> {
    /// The worker waits for something.
    Waits,
    /// The worker has finished.
    Done(T),
    /// The worker crashed.
    Died,
}

/// One worker.
pub struct Worker<T> {
    number: u32,
    work: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<T> Worker<T> {
    /// Creates a worker that has not started.
    pub fn new(number: u32, work: impl Future<Output = T> + 'static) -> Self {
        Self { number, work: Box::pin(work), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// Returns its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is ready to continue.
    pub fn is_awake(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// Polls it: it continues until it waits, finishes or crashes.
    pub fn act(&mut self, executor: &VirtualExecutor) -> Turn<T> {
        self.woken.0.store(false, Ordering::Relaxed);
        executor.acting.store(self.number, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        let polled = self.work.as_mut().poll(&mut Context::from_waker(&waker));
        match (executor.crashed.swap(false, Ordering::Relaxed), polled) {
            (true, _) => Turn::Died,
            (false, Poll::Ready(done)) => Turn::Done(done),
            (false, Poll::Pending) => Turn::Waits,
        }
    }
}
