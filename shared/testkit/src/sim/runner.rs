//! A story, played: scene by scene in virtual time, every change judged as it happens, and then the ending.

use std::collections::BTreeSet;

use peerd_core::policy::Mode;
use peerd_core::{AccountId, Finding, MeshName, PeeringId, Policy, Quotas, Region, Scope};
use peerd_engine::Timestamp;

use super::coverage::Coverage;
use super::oracle::{Oracle, Outages, Violation};
use super::scenario::Step;
use crate::aws::{DAY, HOUR, MINUTE};
use crate::transport::clock;
use crate::world::{SimConfig, World, account};

/// As the stack's default: a sweep every 15 minutes.
const SCHEDULE: u64 = 15 * MINUTE;
/// Sweeps that must do, once faults have stopped. AWS shows a failed request for two hours, and until then nothing can
/// take its place.
const MOST_SWEEPS: u32 = 16;
/// Sweeps that must do for what can be read while something cannot.
const MOST_SWEEPS_IN_THE_DARK: u32 = 12;
/// Sweeps by which nothing may be left to tell.
const SWEEPS_TO_REST: u32 = 3;
const AT_LAST: &str = "once faults stop, a bounded number of sweeps brings every mesh to its end";
/// Turns that workers take in one story: ten times what the longest takes.
const MOST_STEPS: u64 = 3_000_000;
/// Time in which events alone must do.
const WITHOUT_SWEEPS: u64 = 2 * HOUR;
/// An account that is in no deployment: its role can never be assumed.
pub(super) const STRANGER: u8 = 9;

/// What a play is made of.
pub struct ScenarioInput<'a> {
    /// The conditions.
    pub climate: &'a SimConfig,
    /// What happens.
    pub scenes: &'a [Step],
    /// Whether events alone must do.
    pub fair: bool,
}

/// A play.
pub struct SimRun<'a> {
    pub(super) world: World,
    pub(super) coverage: &'a mut Coverage,
    oracle: Oracle,
    darkness: Vec<(Timestamp, Dark)>,
    next_sweep: Option<Timestamp>,
    transcript: Option<Vec<String>>,
    named: u32,
    /// Whether the table was ever lost.
    lost: bool,
    steps: u64,
}

/// Something that cannot be read.
#[derive(Debug, Clone)]
pub(super) enum Dark {
    Account(AccountId),
    Region(Region),
    Suspended(AccountId),
    Off(Scope),
}

impl<'a> SimRun<'a> {
    /// The stage is set.
    pub fn new(script: &ScenarioInput<'_>, coverage: &'a mut Coverage, keep_transcript: bool) -> Self {
        let world = World::new(script.climate);
        world.wire.keep_no_calls();
        if keep_transcript {
            world.wire.keep_diary();
        }
        world.cloud.aws().set_account_dark(&account(STRANGER), true);
        let SimConfig { nature, weather, .. } = script.climate;
        let oracle = Oracle::new(world.declared(), world.accounts(), weather, nature.quotas.clone());
        let next_sweep = (!script.fair).then(|| world.now() + SCHEDULE);
        let transcript = keep_transcript.then(Vec::new);
        Self { world, coverage, oracle, darkness: Vec::new(), next_sweep, transcript, named: 0, lost: false, steps: 0 }
    }

    /// Plays it to the end.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn perform(&mut self, script: &ScenarioInput<'_>) -> Result<(), Violation> {
        for scene in script.scenes {
            self.run(self.world.now() + scene.after)?;
            self.tell(|now| format!("{:>12}  --- {:?}", clock(now), scene.happening));
            let took_effect = self.act(&scene.happening)?;
            self.coverage.count(if took_effect { "happening" } else { "refused" }, scene.happening.name());
            self.witness()?;
        }
        let ended = self.end(script);
        self.coverage.count_world(&self.world);
        ended
    }

    /// The transcript so far, if one is kept.
    pub fn transcript(&mut self) -> Vec<String> {
        self.transcript.take().unwrap_or_default()
    }

    /// A name that nothing has yet.
    pub(super) fn name(&mut self) -> String {
        self.named += 1;
        self.named.to_string()
    }

    fn tell(&mut self, line: impl FnOnce(Timestamp) -> String) {
        let now = self.world.now();
        if let Some(transcript) = &mut self.transcript {
            transcript.push(line(now));
        }
    }

    /// Lets time pass, with the schedule and the lights.
    pub(super) fn run(&mut self, until: Timestamp) -> Result<(), Violation> {
        loop {
            let light = self.darkness.iter().map(|(until, _)| *until).min();
            let next = [self.next_sweep, light].into_iter().flatten().min().unwrap_or(until).min(until);
            while self.world.step(next) {
                self.witness()?;
                self.steps += 1;
                if self.steps > MOST_STEPS {
                    let by = format!("{MOST_STEPS} turns were taken");
                    return Err(Violation { promise: "workers do not run in circles", by });
                }
            }
            self.world.stage.advance(next);
            self.witness()?;
            let now = self.world.now();
            self.light_up(now);
            if self.next_sweep.is_some_and(|at| at <= now) {
                self.next_sweep = Some(now + SCHEDULE);
                self.sweep();
            }
            if now >= until {
                return Ok(());
            }
        }
    }

    fn sweep(&mut self) {
        self.tell(|now| format!("{:>12}  --- the schedule fires", clock(now)));
        self.world.sweep();
    }

    /// A week in which nobody sweeps, after an hour in which everything could be read and nothing was paused: AWS forgets a
    /// dead peering within two hours, and whose its routes were.
    pub(super) fn week(&mut self) -> Result<(), Violation> {
        self.resume();
        let light = self.darkness.iter().map(|(until, _)| *until).max();
        self.run(light.unwrap_or_default().max(self.world.now()))?;
        let weather = self.world.wire.weather();
        if weather.trouble > 0 {
            self.oracle.blind_until = self.world.now();
        }
        self.world.wire.set_weather(weather.calmed());
        let ended = self.run(self.world.now() + HOUR);
        self.world.wire.set_weather(weather);
        ended?;
        let schedule = self.next_sweep.take();
        let ended = self.run(self.world.now() + 7 * DAY + HOUR);
        self.next_sweep = schedule.map(|_| self.world.now());
        ended
    }

    pub(super) fn darken(&mut self, what: Dark, minutes: u64) {
        set_dark(&self.world, &what, true);
        self.darkness.push((self.world.now() + minutes * MINUTE, what));
    }

    fn light_up(&mut self, now: Timestamp) {
        let (over, on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.darkness).into_iter().partition(|(end, _)| *end <= now);
        if !over.is_empty() {
            self.oracle.blind_until = now;
        }
        over.iter().for_each(|(_, what)| set_dark(&self.world, what, false));
        on.iter().for_each(|(_, what)| set_dark(&self.world, what, true));
        self.darkness = on;
    }

    /// Who cannot be read.
    fn dark(&self) -> Outages {
        let mut dark = Outages::default();
        for (_, what) in &self.darkness {
            match what {
                Dark::Account(account) | Dark::Suspended(account) => drop(dark.accounts.insert(account.clone())),
                Dark::Region(region) => drop(dark.regions.insert(region.clone())),
                Dark::Off(scope) => drop(dark.scopes.insert(scope.clone())),
            }
        }
        dark
    }

    /// Has the oracle judge what has just happened.
    fn witness(&mut self) -> Result<(), Violation> {
        let entries = self.world.cloud.aws().take_ledger();
        self.oracle.learn(self.world.now(), &self.world.store.known_organization(), self.world.store.gone());
        if self.dark().is_any() || self.world.wire.weather().trouble > 0 {
            self.oracle.blind_until = self.world.now();
        }
        if entries.is_empty() && self.transcript.is_none() {
            return Ok(());
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.extend(self.world.wire.take_diary());
            transcript.extend(entries.iter().map(ToString::to_string));
        }
        for entry in entries {
            self.coverage.count_deed(&entry);
            self.oracle.witness(&entry, |worker| self.world.since(worker))?;
        }
        Ok(())
    }

    fn end(&mut self, script: &ScenarioInput<'_>) -> Result<(), Violation> {
        self.resume();
        if script.fair {
            return self.end_by_events();
        }
        self.tell(|now| format!("{:>12}  --- the weather calms down", clock(now)));
        if script.climate.weather.trouble > 0 {
            self.oracle.blind_until = self.world.now();
        }
        self.world.wire.set_weather(script.climate.weather.calmed());
        if self.dark().is_any() {
            self.darkness.iter_mut().for_each(|(until, _)| *until = Timestamp::MAX);
            self.settle("what cannot be read holds nobody else up", MOST_SWEEPS_IN_THE_DARK)?;
            self.darkness.iter_mut().for_each(|(until, _)| *until = 0);
            self.light_up(self.world.now());
            self.tell(|now| format!("{:>12}  --- all can be read", clock(now)));
        }
        self.settle(AT_LAST, MOST_SWEEPS)?;
        self.stay()
    }

    fn end_by_events(&mut self) -> Result<(), Violation> {
        let latest = self.world.now() + WITHOUT_SWEEPS;
        while !self.world.is_at_rest() && self.world.now() < latest {
            self.run(self.world.now() + MINUTE)?;
        }
        self.confirm();
        if self.oracle.confirmed || self.oracle.saw_a_request_fail() {
            // Only a sweep finds that an operator has confirmed, or that AWS no longer shows a request that it failed.
            return self.settle(AT_LAST, MOST_SWEEPS);
        }
        let wrong = self.wrong(false);
        let promise = "events alone bring a mesh to its end where none is lost and nothing fails";
        if wrong.is_empty() { Ok(()) } else { Err(Violation { promise, by: wrong.join("; ") }) }
    }

    fn wrong(&mut self, after_sweeps: bool) -> Vec<String> {
        let dark = self.dark();
        self.oracle.puts.now = self.world.now();
        let ending = self.oracle.ending(&dark);
        let mut wrong = ending.wrong;
        if !dark.is_any() {
            // Where a quota leaves a mesh unfinished, those who left it stay remembered.
            let exactly = after_sweeps && !ending.quota;
            wrong.extend(self.oracle.index(&self.world.store.members_by_mesh(), exactly));
            if after_sweeps && !self.world.store.known_organization().agrees_with(self.world.cloud.aws().organization())
            {
                wrong.push("the organisation is not known as it is".to_owned());
            }
            let (kept, told) = (self.world.store.open_findings(), self.world.bus.open_findings());
            wrong.extend((&kept - &told).iter().map(|(mesh, kind, of)| format!("{kind} {of} of {mesh} was not told")));
            // What was resolved when the table was lost nobody can tell.
            let stale = if self.lost { BTreeSet::new() } else { &told - &kept };
            wrong.extend(stale.iter().map(|(mesh, kind, of)| format!("{kind} {of} of {mesh} is told to be open")));
        }
        wrong
    }

    /// Sweeps until nothing is wrong.
    fn settle(&mut self, promise: &'static str, most: u32) -> Result<(), Violation> {
        self.next_sweep = None;
        let mut wrong = Vec::new();
        for sweeps in 1..=most {
            self.sweep();
            self.run(self.world.now() + SCHEDULE)?;
            self.confirm();
            wrong = self.wrong(true);
            if wrong.is_empty() && (self.world.is_at_rest() || self.dark().is_any()) {
                self.coverage.count("sweeps to the end", format!("{sweeps:2}"));
                return Ok(());
            }
        }
        Err(Violation { promise, by: wrong.join("; ") })
    }

    /// An operator confirms what was held back.
    fn confirm(&mut self) {
        for run in self.world.store.take_runs() {
            self.coverage.count_run(&run);
            let limited = run.report.findings.iter().filter_map(|finding| match finding {
                Finding::DeleteLimit { mesh, .. } => Some(mesh.clone()),
                _ => None,
            });
            for mesh in limited {
                self.tell(|now| format!("{:>12}  --- an operator confirms the deletes of {mesh}", clock(now)));
                self.world.confirm(&mesh);
                self.oracle.confirmed = true;
            }
        }
    }

    /// An operator declares a mesh and has it reconciled.
    pub(super) fn declare(&mut self, mesh: &MeshName, policy: Policy) {
        self.oracle.declare(self.world.now(), mesh, policy.clone());
        self.world.declare(mesh, policy);
    }

    /// An operator has a mesh adopt a peering, or release it.
    pub(super) fn hand_over(&mut self, mesh: &MeshName, id: PeeringId, adopt: bool) {
        let mut policy = self.oracle.policy(mesh);
        policy.hand_over(id, adopt);
        self.declare(mesh, policy);
    }

    /// AWS grants no less than it grants at first.
    pub(super) fn raise_quotas(&mut self) {
        self.world.cloud.aws().nature.quotas = Quotas::default();
        self.oracle.quotas = Quotas::default();
    }

    /// The table is lost.
    pub(super) fn lose_index(&mut self) {
        self.world.store.lose_everything();
        self.lost = true;
        self.oracle.lose_policies(self.world.now(), self.world.declared());
    }

    /// An operator resumes what is paused.
    fn resume(&mut self) {
        for mesh in self.world.declared().clone() {
            let policy = self.oracle.policy(&mesh);
            if policy.mode == Mode::Paused {
                self.tell(|now| format!("{:>12}  --- an operator resumes {mesh}", clock(now)));
                self.declare(&mesh, Policy { mode: Mode::Active, ..policy });
            }
        }
    }

    /// One of the next sweeps changes nothing: a status that two runs wrote at once may take another to be right.
    fn stay(&mut self) -> Result<(), Violation> {
        if self.oracle.ending(&Outages::default()).quota {
            return Ok(()); // every sweep asks AWS again
        }
        for _ in 0..SWEEPS_TO_REST {
            self.sweep();
            let before = self.coverage.changes();
            self.run(self.world.now() + SCHEDULE)?;
            if self.coverage.changes() == before {
                return Ok(());
            }
        }
        let by = format!("each of {SWEEPS_TO_REST} more sweeps made changes");
        Err(Violation { promise: "a mesh that is as it should be is left alone", by })
    }
}

fn set_dark(world: &World, what: &Dark, dark: bool) {
    match what {
        Dark::Account(account) => world.cloud.aws().set_account_dark(account, dark),
        Dark::Region(region) => world.cloud.aws().set_region_dark(region, dark),
        Dark::Suspended(account) => {
            world.cloud.aws().suspend(account, dark);
            if !dark {
                world.store.set_gone(account, false); // an operator takes it back
            }
        }
        Dark::Off(scope) => world.cloud.aws().switch_region(scope, dark),
    }
}
