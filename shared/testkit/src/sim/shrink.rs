//! Shrinking: reducing a scenario that breaks a promise to what is needed to break the same promise.

use super::{Coverage, Scenario, Step, Violation};
use crate::aws::AwsBehavior;
use crate::faults::FaultProfile;

/// A shrunk scenario.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The scenario.
    pub scenario: Scenario,
    /// The promise that it breaks.
    pub violation: Violation,
}

/// Removes steps, then kinds of faults, then behaviors of AWS, as long as the scenario breaks the same promise.
pub fn shrink(scenario: &Scenario, violation: Violation) -> Shrunk {
    let mut shrunk = Shrunk { scenario: scenario.clone(), violation };
    while shrunk.drop_scenes() | shrunk.simplify() {}
    shrunk
}

impl Shrunk {
    /// Keeps a simpler scenario if it breaks the same promise.
    fn keep(&mut self, simpler: Scenario) -> bool {
        match simpler.play(&mut Coverage::default()) {
            Err(violation) if violation.promise == self.violation.promise => {
                self.violation = violation;
                self.scenario = simpler;
                true
            }
            _ => false,
        }
    }

    fn drop_scenes(&mut self) -> bool {
        let mut dropped = false;
        let mut size = self.scenario.steps.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < self.scenario.steps.len() {
                let end = (start + size).min(self.scenario.steps.len());
                let mut simpler = self.scenario.clone();
                let removed: u64 = simpler.steps.drain(start..end).map(|step| step.after).sum();
                // The following steps keep their times, so that they coincide with the same sweeps.
                if let Some(next) = simpler.steps.get_mut(start) {
                    next.after += removed;
                }
                match self.keep(simpler) {
                    true => dropped = true,
                    false => start = end,
                }
            }
            size /= 2;
        }
        dropped
    }

    fn simplify(&mut self) -> bool {
        let fine = FaultProfile::default();
        let plain = AwsBehavior::default();
        let weathers: [fn(&mut FaultProfile, &FaultProfile); 11] = [
            |faults, fine| faults.crash = fine.crash,
            |faults, fine| faults.lease = fine.lease,
            |faults, fine| faults.fault_rate = fine.fault_rate,
            |faults, fine| faults.port_fault_rate = fine.port_fault_rate,
            |faults, fine| faults.lost = fine.lost,
            |faults, fine| faults.doubled = fine.doubled,
            |faults, fine| faults.late = fine.late,
            |faults, fine| faults.slow = fine.slow,
            |faults, fine| faults.staleness = fine.staleness,
            |faults, fine| faults.latency = fine.latency.clone(),
            |faults, _| faults.staleness /= 2,
        ];
        let natures: [fn(&mut AwsBehavior, &AwsBehavior); 8] = [
            |behavior, plain| behavior.initiating = plain.initiating.clone(),
            |behavior, plain| behavior.crossing = plain.crossing.clone(),
            |behavior, plain| behavior.provisioning = plain.provisioning.clone(),
            |behavior, plain| behavior.deleting = plain.deleting.clone(),
            |behavior, plain| behavior.associating = plain.associating.clone(),
            |behavior, plain| behavior.write_bucket = plain.write_bucket,
            |behavior, plain| behavior.quotas = plain.quotas.clone(),
            |behavior, plain| behavior.tells_quotas = plain.tells_quotas,
        ];
        let mut simplified = false;
        for change in weathers {
            simplified |= self.try_climate(|scenario| change(&mut scenario.config.faults, &fine));
        }
        for change in natures {
            simplified |= self.try_climate(|scenario| change(&mut scenario.config.behavior, &plain));
        }
        simplified | self.try_climate(|scenario| scenario.config.workers = Some(1))
    }

    fn try_climate(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut simpler = self.scenario.clone();
        change(&mut simpler);
        let changed = format!("{:?}", simpler.config) != format!("{:?}", self.scenario.config);
        changed && self.keep(simpler)
    }
}

impl std::fmt::Display for Shrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Scenario { config, steps, fair } = &self.scenario;
        writeln!(f, "violated: {}", self.violation)?;
        writeln!(f, "{:?}\n{:?}", config.faults, config.behavior)?;
        writeln!(f, "workers {:?}, batches {:?}, fair {fair}", config.workers, config.batch)?;
        steps.iter().try_for_each(|step: &Step| writeln!(f, "  {step}"))
    }
}
