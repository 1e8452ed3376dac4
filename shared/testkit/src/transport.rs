//! The transport of every call of every port, with latency and fault injection: a call can fail before or after it
//! takes effect, and can crash its worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerd_core::Scope;
use peerd_engine::Clock;

use crate::executor::VirtualExecutor;
use crate::faults::{Fault, FaultProfile, FaultTiming, Troubled};
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
    pub stage: Arc<VirtualExecutor>,
    state: Mutex<State>,
}

struct State {
    weather: FaultProfile,
    chance: SimRng,
    /// Ordered faults, each for the next call of that name.
    ordered: Vec<(&'static str, Fault, FaultTiming)>,
    /// The call, counted from one, at which its worker crashes.
    last_call: Option<(u64, FaultTiming)>,
    made: u64,
    calls: Option<Vec<Call>>,
    struck: BTreeMap<InjectedFault, u64>,
    diary: Option<Vec<String>>,
}

/// A fault that was injected into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InjectedFault {
    /// A call failed.
    Fault(Fault, FaultTiming),
    /// A worker crashed.
    Death(FaultTiming),
}

#[derive(Clone, Copy)]
struct Fate {
    there: u64,
    back: u64,
    strike: Option<InjectedFault>,
}

impl Transport {
    /// Creates a transport with a fault profile and a random number generator.
    pub fn new(stage: Arc<VirtualExecutor>, weather: FaultProfile, chance: SimRng) -> Self {
        let state = State {
            weather,
            chance,
            ordered: Vec::new(),
            last_call: None,
            made: 0,
            calls: Some(Vec::new()),
            struck: BTreeMap::new(),
            diary: None,
        };
        Self { stage, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call. Its effect, if the call gets that far, takes place at one instant.
    pub async fn call<T, E: Troubled + std::fmt::Display>(
        &self,
        name: &'static str,
        scope: Option<&Scope>,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let fate = self.state().fate(name, scope);
        self.stage.sleep(fate.there).await;
        if let Some(strike) = fate.strike {
            self.diarise(|| format!("{name}{}: injected {strike:?}", at(scope)));
        }
        let answer = match fate.strike {
            Some(InjectedFault::Death(FaultTiming::Before)) => self.stage.die().await,
            Some(InjectedFault::Fault(trouble, FaultTiming::Before)) => Err(E::troubled(name, trouble)),
            None | Some(InjectedFault::Death(FaultTiming::After) | InjectedFault::Fault(_, FaultTiming::After)) => {
                effect()
            }
        };
        if let Err(error) = &answer {
            self.diarise(|| format!("{name}{}: {error}", at(scope)));
        }
        self.stage.sleep(fate.back).await;
        match fate.strike {
            Some(InjectedFault::Death(FaultTiming::After)) => self.stage.die().await,
            Some(InjectedFault::Fault(trouble, FaultTiming::After)) => Err(E::troubled(name, trouble)),
            _ => answer,
        }
    }

    /// Returns the random staleness of a describe call that is made now, in milliseconds.
    pub fn staleness(&self) -> u64 {
        let State { weather, chance, .. } = &mut *self.state();
        match weather.staleness {
            most if most > 0 && chance.permille(300) => chance.within(&(0..=most)),
            _ => 0,
        }
    }

    /// Replaces the fault profile.
    pub fn set_weather(&self, weather: FaultProfile) {
        self.state().weather = weather;
    }

    /// Returns the fault profile.
    pub fn weather(&self) -> FaultProfile {
        self.state().weather.clone()
    }

    /// Injects a fault into the next call of this name.
    pub fn order_trouble(&self, call: &'static str, trouble: Fault, moment: FaultTiming) {
        self.state().ordered.push((call, trouble, moment));
    }

    /// Crashes the worker that makes the `nth` call from now, counted from one.
    pub fn order_death(&self, nth: u64, moment: FaultTiming) {
        let mut state = self.state();
        state.last_call = Some((state.made + nth, moment));
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
        self.state().diary = Some(Vec::new());
    }

    /// Returns the trace since the previous call of this function.
    pub fn take_diary(&self) -> Vec<String> {
        self.state().diary.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Adds a line to the trace, if it was started.
    pub fn diarise(&self, line: impl FnOnce() -> String) {
        let mut state = self.state();
        if let Some(diary) = &mut state.diary {
            let worker = self.stage.acting();
            diary.push(format!("{:>12}  worker {worker}: {}", clock(self.stage.now()), line()));
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
    fn fate(&mut self, name: &'static str, scope: Option<&Scope>) -> Fate {
        self.made += 1;
        if let Some(calls) = &mut self.calls {
            calls.push(Call { name, scope: scope.cloned() });
        }
        let strike = self.strike(name, scope.is_some());
        if let Some(strike) = strike {
            *self.struck.entry(strike).or_default() += 1;
        }
        let Self { weather, chance, .. } = self;
        let slow = chance.permille(weather.slow);
        let latency = if slow { &weather.slow_latency } else { &weather.latency };
        Fate { there: chance.within(latency), back: chance.within(latency), strike }
    }

    fn strike(&mut self, name: &'static str, of_cloud: bool) -> Option<InjectedFault> {
        if let Some((_, moment)) = self.last_call.filter(|(nth, _)| *nth == self.made) {
            return Some(InjectedFault::Death(moment));
        }
        if let Some(next) = self.ordered.iter().position(|(call, ..)| *call == name) {
            let (_, trouble, moment) = self.ordered.remove(next);
            return Some(InjectedFault::Fault(trouble, moment));
        }
        let Self { weather, chance, .. } = self;
        if chance.permille(weather.death) {
            return Some(InjectedFault::Death(*chance.pick(&[FaultTiming::Before, FaultTiming::After])?));
        }
        if !chance.permille(if of_cloud { weather.trouble } else { weather.port_trouble }) {
            return None;
        }
        let trouble = *chance.pick(&Fault::ALL)?;
        let moments: &[FaultTiming] =
            if trouble.may_come_after() { &[FaultTiming::Before, FaultTiming::After] } else { &[FaultTiming::Before] };
        Some(InjectedFault::Fault(trouble, *chance.pick(moments)?))
    }
}
