//! Runs a scenario step by step in virtual time, checks every change, and checks that the meshes converge in the end.

use std::collections::BTreeSet;

use peerd_core::policy::Mode;
use peerd_core::{AccountId, Finding, MeshName, PeeringId, Policy, Quotas, Region, Scope};
use peerd_engine::Timestamp;

use super::call_bound;
use super::coverage::Coverage;
use super::oracle::{Oracle, Outages, Violation};
use super::scenario::Step;
use crate::aws::{DAY, HOUR, MINUTE};
use crate::transport::clock;
use crate::world::{SimConfig, World, account};

/// The interval of sweeps: 15 minutes, the default of the stack.
const SCHEDULE: u64 = 15 * MINUTE;
/// The maximum number of sweeps until convergence, once faults have stopped. AWS lists a failed request for two hours,
/// and until then no other request can replace it.
const MAX_SWEEPS: u32 = 16;
/// The maximum number of sweeps until the readable part converges during an outage.
const MAX_SWEEPS_IN_THE_DARK: u32 = 12;
/// The maximum number of sweeps until a converged deployment has a sweep without changes.
const SWEEPS_TO_REST: u32 = 3;
const AT_LAST: &str = "once faults stop, every mesh converges within a bounded number of sweeps";
/// The maximum number of polls of workers in one scenario: ten times the number in the longest.
const MAX_STEPS: u64 = 3_000_000;
/// The time in which a mesh must converge by events alone.
const WITHOUT_SWEEPS: u64 = 2 * HOUR;
/// The number of an account that is not in the deployment: its role cannot be assumed.
pub(super) const UNKNOWN_ACCOUNT: u8 = 9;

/// The input of a simulation.
pub struct ScenarioInput<'a> {
    /// The conditions.
    pub config: &'a SimConfig,
    /// The steps.
    pub steps: &'a [Step],
    /// Whether the mesh must converge by events alone.
    pub fair: bool,
}

/// A running simulation.
pub struct SimRun<'a> {
    pub(super) world: World,
    pub(super) coverage: &'a mut Coverage,
    oracle: Oracle,
    outages: Vec<(Timestamp, Outage)>,
    next_sweep: Option<Timestamp>,
    transcript: Option<Vec<String>>,
    named: u32,
    /// Whether the table was lost at some time.
    lost: bool,
    steps: u64,
}

/// The cause of an outage.
#[derive(Debug, Clone)]
pub(super) enum Outage {
    Account(AccountId),
    Region(Region),
    Suspended(AccountId),
    Off(Scope),
}

impl<'a> SimRun<'a> {
    /// Creates the simulation of a scenario.
    pub fn new(scenario_input: &ScenarioInput<'_>, coverage: &'a mut Coverage, keep_transcript: bool) -> Self {
        let world = World::new(scenario_input.config);
        world.transport.keep_no_calls();
        if keep_transcript {
            world.transport.keep_diary();
        }
        world.cloud.aws().set_account_unreachable(&account(UNKNOWN_ACCOUNT), true);
        let SimConfig { behavior, faults, .. } = scenario_input.config;
        let oracle = Oracle::new(world.declared(), world.accounts(), faults, behavior.quotas.clone());
        let next_sweep = (!scenario_input.fair).then(|| world.now() + SCHEDULE);
        let transcript = keep_transcript.then(Vec::new);
        Self { world, coverage, oracle, outages: Vec::new(), next_sweep, transcript, named: 0, lost: false, steps: 0 }
    }

    /// Runs the simulation to its end.
    ///
    /// # Errors
    /// Returns the first violation of a promise.
    pub fn perform(&mut self, scenario_input: &ScenarioInput<'_>) -> Result<(), Violation> {
        for step in scenario_input.steps {
            self.run(self.world.now() + step.after)?;
            self.trace(|now| format!("{:>12}  --- {:?}", clock(now), step.operation));
            let took_effect = self.act(&step.operation)?;
            self.coverage.count(if took_effect { "operation" } else { "refused" }, step.operation.name());
            self.check()?;
        }
        let ended = self.end(scenario_input);
        self.coverage.count_world(&self.world);
        ended
    }

    /// Returns the transcript so far; empty if none is kept.
    pub fn transcript(&mut self) -> Vec<String> {
        self.transcript.take().unwrap_or_default()
    }

    /// Returns a new name.
    pub(super) fn name(&mut self) -> String {
        self.named += 1;
        self.named.to_string()
    }

    fn trace(&mut self, line: impl FnOnce(Timestamp) -> String) {
        let now = self.world.now();
        if let Some(transcript) = &mut self.transcript {
            transcript.push(line(now));
        }
    }

    /// Runs until a time, with the scheduled sweeps and the ends of outages.
    pub(super) fn run(&mut self, until: Timestamp) -> Result<(), Violation> {
        loop {
            let light = self.outages.iter().map(|(until, _)| *until).min();
            let next = [self.next_sweep, light].into_iter().flatten().min().unwrap_or(until).min(until);
            while self.world.step(next) {
                self.check()?;
                self.steps += 1;
                if self.steps > MAX_STEPS {
                    let by = format!("the workers took {MAX_STEPS} steps");
                    return Err(Violation { promise: "workers do not loop endlessly", by });
                }
            }
            self.world.executor.advance(next);
            self.check()?;
            let now = self.world.now();
            self.end_outages(now);
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
        self.trace(|now| format!("{:>12}  --- the schedule fires", clock(now)));
        self.world.sweep();
    }

    /// Runs a week without sweeps, after an hour in which everything can be read and nothing is paused: AWS stops
    /// listing a dead peering within two hours, and then no one can determine whose its routes were.
    pub(super) fn week(&mut self) -> Result<(), Violation> {
        self.resume();
        let light = self.outages.iter().map(|(until, _)| *until).max();
        self.run(light.unwrap_or_default().max(self.world.now()))?;
        let faults = self.world.transport.faults();
        if faults.fault_rate > 0 {
            self.oracle.blind_until = self.world.now();
        }
        self.world.transport.set_faults(faults.without_faults());
        let ended = self.run(self.world.now() + HOUR);
        self.world.transport.set_faults(faults);
        ended?;
        let schedule = self.next_sweep.take();
        let ended = self.run(self.world.now() + 7 * DAY + HOUR);
        self.next_sweep = schedule.map(|_| self.world.now());
        ended
    }

    pub(super) fn begin_outage(&mut self, what: Outage, minutes: u64) {
        set_outage(&self.world, &what, true);
        self.outages.push((self.world.now() + minutes * MINUTE, what));
    }

    fn end_outages(&mut self, now: Timestamp) {
        let (over, on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.outages).into_iter().partition(|(end, _)| *end <= now);
        if !over.is_empty() {
            self.oracle.blind_until = now;
        }
        over.iter().for_each(|(_, what)| set_outage(&self.world, what, false));
        on.iter().for_each(|(_, what)| set_outage(&self.world, what, true));
        self.outages = on;
    }

    /// Returns the current outages.
    fn outages(&self) -> Outages {
        let mut outages = Outages::default();
        for (_, what) in &self.outages {
            match what {
                Outage::Account(account) | Outage::Suspended(account) => drop(outages.accounts.insert(account.clone())),
                Outage::Region(region) => drop(outages.regions.insert(region.clone())),
                Outage::Off(scope) => drop(outages.scopes.insert(scope.clone())),
            }
        }
        outages
    }

    /// Passes the latest changes to the oracle.
    fn check(&mut self) -> Result<(), Violation> {
        let entries = self.world.cloud.aws().take_changes();
        self.oracle.learn(self.world.now(), &self.world.store.known_organization(), self.world.store.removed());
        if self.outages().is_any() || self.world.transport.faults().fault_rate > 0 {
            self.oracle.blind_until = self.world.now();
        }
        if entries.is_empty() && self.transcript.is_none() {
            return Ok(());
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.extend(self.world.transport.take_diary());
            transcript.extend(entries.iter().map(ToString::to_string));
        }
        for entry in entries {
            self.coverage.count_change(&entry);
            self.oracle.check(&entry, |worker| self.world.since(worker))?;
        }
        Ok(())
    }

    fn end(&mut self, scenario_input: &ScenarioInput<'_>) -> Result<(), Violation> {
        self.resume();
        if scenario_input.fair {
            return self.end_by_events();
        }
        self.trace(|now| format!("{:>12}  --- faults stop", clock(now)));
        if scenario_input.config.faults.fault_rate > 0 {
            self.oracle.blind_until = self.world.now();
        }
        self.world.transport.set_faults(scenario_input.config.faults.without_faults());
        if self.outages().is_any() {
            self.outages.iter_mut().for_each(|(until, _)| *until = Timestamp::MAX);
            self.settle("an unreadable scope delays nothing else", MAX_SWEEPS_IN_THE_DARK)?;
            self.outages.iter_mut().for_each(|(until, _)| *until = 0);
            self.end_outages(self.world.now());
            self.trace(|now| format!("{:>12}  --- everything can be read", clock(now)));
        }
        self.settle(AT_LAST, MAX_SWEEPS)?;
        self.stay()
    }

    fn end_by_events(&mut self) -> Result<(), Violation> {
        let latest = self.world.now() + WITHOUT_SWEEPS;
        while !self.world.is_at_rest() && self.world.now() < latest {
            self.run(self.world.now() + MINUTE)?;
        }
        self.confirm();
        if self.oracle.confirmed || self.oracle.saw_a_request_fail() {
            // Only a sweep detects that an operator has confirmed, or that AWS no longer lists a failed request.
            return self.settle(AT_LAST, MAX_SWEEPS);
        }
        let wrong = self.wrong(false);
        let promise = "if no event is lost and nothing fails, every mesh converges by events alone";
        if wrong.is_empty() { Ok(()) } else { Err(Violation { promise, by: wrong.join("; ") }) }
    }

    fn wrong(&mut self, after_sweeps: bool) -> Vec<String> {
        let outages = self.outages();
        self.oracle.creations.now = self.world.now();
        let ending = self.oracle.ending(&outages);
        let mut wrong = ending.wrong;
        if !outages.is_any() {
            // If a quota keeps a mesh from converging, VPCs that left it stay in the index.
            let exactly = after_sweeps && !ending.quota;
            wrong.extend(self.oracle.index(&self.world.store.members_by_mesh(), exactly));
            if after_sweeps && !self.world.store.known_organization().agrees_with(self.world.cloud.aws().organization())
            {
                wrong.push("the organization listing is outdated".to_owned());
            }
            let (kept, sent) = (self.world.store.open_findings(), self.world.bus.open_findings());
            wrong.extend((&kept - &sent).iter().map(|(mesh, kind, of)| format!("{kind} {of} of {mesh} was not sent")));
            // After the loss of the table, no run can report that a finding is resolved.
            let stale = if self.lost { BTreeSet::new() } else { &sent - &kept };
            wrong.extend(stale.iter().map(|(mesh, kind, of)| format!("{kind} {of} of {mesh} is open on the bus")));
        }
        wrong
    }

    /// Sweeps until the meshes have converged.
    fn settle(&mut self, promise: &'static str, most: u32) -> Result<(), Violation> {
        self.next_sweep = None;
        let mut wrong = Vec::new();
        for sweeps in 1..=most {
            self.sweep();
            self.run(self.world.now() + SCHEDULE)?;
            self.confirm();
            wrong = self.wrong(true);
            if wrong.is_empty() && (self.world.is_at_rest() || self.outages().is_any()) {
                self.coverage.count("sweeps until converged", format!("{sweeps:2}"));
                return Ok(());
            }
        }
        Err(Violation { promise, by: wrong.join("; ") })
    }

    /// Confirms the deletes that exceed a limit, as an operator does.
    fn confirm(&mut self) {
        for run in self.world.store.take_runs() {
            self.coverage.count_run(&run);
            let limited = run.report.findings.iter().filter_map(|finding| match finding {
                Finding::DeleteLimit { mesh, deletes, .. } => Some((mesh.clone(), *deletes)),
                _ => None,
            });
            for (mesh, deletes) in limited {
                self.trace(|now| format!("{:>12}  --- an operator confirms {deletes} deletes of {mesh}", clock(now)));
                self.world.confirm(&mesh, deletes);
                self.oracle.confirmed = true;
            }
        }
    }

    /// Declares a mesh and requests a reconcile of it, as an operator does.
    pub(super) fn declare(&mut self, mesh: &MeshName, policy: Policy) {
        self.oracle.declare(self.world.now(), mesh, policy.clone());
        self.world.declare(mesh, policy);
    }

    /// Lets a mesh adopt or release a peering, as an operator does.
    pub(super) fn set_adoption(&mut self, mesh: &MeshName, id: PeeringId, adopt: bool) {
        let mut policy = self.oracle.policy(mesh);
        policy.set_adoption(id, adopt);
        self.declare(mesh, policy);
    }

    /// Raises every quota to its default value.
    pub(super) fn raise_quotas(&mut self) {
        self.world.cloud.aws().behavior.quotas = Quotas::default();
        self.oracle.quotas = Quotas::default();
    }

    /// Deletes the data of the table.
    pub(super) fn lose_index(&mut self) {
        self.world.store.lose_everything();
        self.world.store.record_defaults(self.world.declared()); // as an operator who declares the meshes again
        self.lost = true;
        self.oracle.lose_policies(self.world.now(), self.world.declared());
    }

    /// Resumes the paused meshes, as an operator does.
    fn resume(&mut self) {
        for mesh in self.world.declared().clone() {
            let policy = self.oracle.policy(&mesh);
            if policy.mode == Mode::Paused {
                self.trace(|now| format!("{:>12}  --- an operator resumes {mesh}", clock(now)));
                self.declare(&mesh, Policy { mode: Mode::Active, ..policy });
            }
        }
    }

    /// Checks that one of the next sweeps changes nothing: a status that two runs wrote at the same time can need one
    /// more sweep.
    fn stay(&mut self) -> Result<(), Violation> {
        if self.oracle.ending(&Outages::default()).quota {
            return Ok(()); // every sweep calls AWS again
        }
        for _ in 0..SWEEPS_TO_REST {
            self.sweep();
            let (before, calls) = (self.coverage.changes(), self.world.transport.made_in_cloud());
            self.run(self.world.now() + SCHEDULE)?;
            if self.coverage.changes() == before {
                return call_bound::check(&self.world, self.world.transport.made_in_cloud() - calls);
            }
        }
        let by = format!("each of {SWEEPS_TO_REST} more sweeps made changes");
        Err(Violation { promise: "a converged mesh is not changed", by })
    }
}

fn set_outage(world: &World, what: &Outage, outages: bool) {
    match what {
        Outage::Account(account) => world.cloud.aws().set_account_unreachable(account, outages),
        Outage::Region(region) => world.cloud.aws().set_region_unreachable(region, outages),
        Outage::Suspended(account) => {
            world.cloud.aws().suspend(account, outages);
            if !outages {
                world.store.set_removed(account, false); // an operator registers it again
            }
        }
        Outage::Off(scope) => world.cloud.aws().switch_region(scope, outages),
    }
}
