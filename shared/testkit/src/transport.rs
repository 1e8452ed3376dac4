//! The transport of every call of every port, with latency and fault injection: a call can fail before or after it
//! takes effect, and can crash its worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerd_core::Scope;
use peerd_engine::Clock;

use crate::executor::VirtualExecutor;
use crate::faults::{Fault, FaultProfile, FaultTiming, FromFault, LeaseFault};
use crate::rng::SimRng;

/// A call, for tests that count calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The name of the API.
    pub name: &'static str,
    /// Its account and Region; none for the store, the queue, the bus and AWS Organizations.
    pub scope: Option<Scope>,
}

/// The transport of all calls.
pub struct Transport {
    /// The virtual clock and its sleepers.
    pub executor: Arc<VirtualExecutor>,
    state: Mutex<State>,
}

struct State {
    faults: FaultProfile,
    rng: SimRng,
    /// Ordered faults, each for the next call of that name.
    ordered: Vec<(&'static str, Fault, FaultTiming)>,
    /// The call, counted from one, at which its worker crashes.
    last_call: Option<(u64, FaultTiming)>,
    made: u64,
    /// How many of them were calls of the cloud.
    made_in_cloud: u64,
    calls: Option<Vec<Call>>,
    struck: BTreeMap<InjectedFault, u64>,
    trace: Option<Vec<String>>,
}

/// A fault that was injected into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InjectedFault {
    /// A call failed.
    Fault(Fault, FaultTiming),
    /// A worker crashed.
    Crash(FaultTiming),
}

#[derive(Clone, Copy)]
struct CallPlan {
    there: u64,
    back: u64,
    strike: Option<InjectedFault>,
}

impl Transport {
    /// Creates a transport with a fault profile and a random number generator.
    pub fn new(executor: Arc<VirtualExecutor>, faults: FaultProfile, rng: SimRng) -> Self {
        let state = State {
            faults,
            rng,
            ordered: Vec::new(),
            last_call: None,
            made: 0,
            made_in_cloud: 0,
            calls: Some(Vec::new()),
            struck: BTreeMap::new(),
            trace: None,
        };
        Self { executor, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call. Its effect, if the call gets that far, takes place at one instant.
    pub async fn call<T, E: FromFault + std::fmt::Display>(
        &self,
        name: &'static str,
        scope: Option<&Scope>,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let plan = self.state().plan(name, scope);
        self.executor.sleep(plan.there).await;
        if let Some(strike) = plan.strike {
            self.trace(|| format!("{name}{}: injected {strike:?}", at(scope)));
        }
        let answer = match plan.strike {
            Some(InjectedFault::Crash(FaultTiming::Before)) => self.executor.die().await,
            Some(InjectedFault::Fault(fault, FaultTiming::Before)) => Err(E::from_fault(name, fault)),
            None | Some(InjectedFault::Crash(FaultTiming::After) | InjectedFault::Fault(_, FaultTiming::After)) => {
                effect()
            }
        };
        if let Err(error) = &answer {
            self.trace(|| format!("{name}{}: {error}", at(scope)));
        }
        self.executor.sleep(plan.back).await;
        match plan.strike {
            Some(InjectedFault::Crash(FaultTiming::After)) => self.executor.die().await,
            Some(InjectedFault::Fault(fault, FaultTiming::After)) => Err(E::from_fault(name, fault)),
            _ => answer,
        }
    }

    /// Returns the random staleness of a describe call that is made now, in milliseconds.
    pub fn staleness(&self) -> u64 {
        let State { faults, rng, .. } = &mut *self.state();
        match faults.staleness {
            most if most > 0 && rng.chance_per_mille(300) => rng.within(&(0..=most)),
            _ => 0,
        }
    }

    /// Returns the random fault of a lease that is taken now. With the rate 1000, every lease is doubled: each worker runs as if
    /// there were no leases.
    pub fn lease_fault(&self) -> Option<LeaseFault> {
        let State { faults, rng, .. } = &mut *self.state();
        let is_struck = faults.lease > 0 && rng.chance_per_mille(faults.lease);
        let is_lost = is_struck && faults.lease < 1000 && rng.chance_per_mille(500);
        is_struck.then_some(if is_lost { LeaseFault::Lost } else { LeaseFault::Doubled })
    }

    /// Replaces the fault profile.
    pub fn set_faults(&self, faults: FaultProfile) {
        self.state().faults = faults;
    }

    /// Returns the fault profile.
    pub fn faults(&self) -> FaultProfile {
        self.state().faults.clone()
    }

    /// Injects a fault into the next call of this name.
    pub fn inject_fault(&self, call: &'static str, fault: Fault, moment: FaultTiming) {
        self.state().ordered.push((call, fault, moment));
    }

    /// Crashes the worker that makes the `nth` call from now, counted from one.
    pub fn inject_crash(&self, nth: u64, moment: FaultTiming) {
        let mut state = self.state();
        state.last_call = Some((state.made + nth, moment));
    }

    /// Returns the number of calls of the cloud so far.
    pub fn made_in_cloud(&self) -> u64 {
        self.state().made_in_cloud
    }

    /// Returns the number of calls so far.
    pub fn made(&self) -> u64 {
        self.state().made
    }

    /// Returns the calls since the previous call of this function.
    pub fn take_calls(&self) -> Vec<Call> {
        self.state().calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Disables the list of calls: a simulation makes thousands.
    pub fn keep_no_calls(&self) {
        self.state().calls = None;
    }

    /// Returns how often each fault was injected.
    pub fn struck(&self) -> BTreeMap<InjectedFault, u64> {
        self.state().struck.clone()
    }

    /// Starts the trace.
    pub fn keep_diary(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// Returns the trace since the previous call of this function.
    pub fn take_diary(&self) -> Vec<String> {
        self.state().trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Adds a line to the trace, if it was started.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        let mut state = self.state();
        if let Some(trace) = &mut state.trace {
            let worker = self.executor.acting();
            trace.push(format!("{:>12}  worker {worker}: {}", clock(self.executor.now()), line()));
        }
    }
}

/// Formats a time as days and time of day, for transcripts.
pub fn clock(now: u64) -> String {
    let (days, milliseconds) = (now / 86_400_000 % 1000, now % 86_400_000);
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{days}d {hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}")
}

fn at(scope: Option<&Scope>) -> String {
    scope.map(|scope| format!(" in {scope}")).unwrap_or_default()
}

impl State {
    fn plan(&mut self, name: &'static str, scope: Option<&Scope>) -> CallPlan {
        self.made += 1;
        self.made_in_cloud += u64::from(scope.is_some());
        if let Some(calls) = &mut self.calls {
            calls.push(Call { name, scope: scope.cloned() });
        }
        let strike = self.strike(name, scope.is_some());
        if let Some(strike) = strike {
            *self.struck.entry(strike).or_default() += 1;
        }
        let Self { faults, rng, .. } = self;
        let slow = rng.chance_per_mille(faults.slow);
        let latency = if slow { &faults.slow_latency } else { &faults.latency };
        CallPlan { there: rng.within(latency), back: rng.within(latency), strike }
    }

    fn strike(&mut self, name: &'static str, of_cloud: bool) -> Option<InjectedFault> {
        if let Some((_, moment)) = self.last_call.filter(|(nth, _)| *nth == self.made) {
            return Some(InjectedFault::Crash(moment));
        }
        if let Some(next) = self.ordered.iter().position(|(call, ..)| *call == name) {
            let (_, fault, moment) = self.ordered.remove(next);
            return Some(InjectedFault::Fault(fault, moment));
        }
        let Self { faults, rng, .. } = self;
        if rng.chance_per_mille(faults.crash) {
            return Some(InjectedFault::Crash(*rng.choose(&[FaultTiming::Before, FaultTiming::After])?));
        }
        if !rng.chance_per_mille(if of_cloud { faults.fault_rate } else { faults.port_fault_rate }) {
            return None;
        }
        let fault = *rng.choose(&Fault::ALL)?;
        let moments: &[FaultTiming] =
            if fault.may_come_after() { &[FaultTiming::Before, FaultTiming::After] } else { &[FaultTiming::Before] };
        Some(InjectedFault::Fault(fault, *rng.choose(moments)?))
    }
}
