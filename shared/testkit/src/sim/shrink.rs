//! Shrinking: reducing a scenario that breaks a promise to what is needed to break the same promise.

use super::{Coverage, Step, Story, Violation};
use crate::aws::AwsBehavior;
use crate::faults::FaultProfile;

/// A shrunk scenario.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The scenario.
    pub story: Story,
    /// The promise that it breaks.
    pub violation: Violation,
}

/// Removes steps, then kinds of faults, then behaviors of AWS, as long as the scenario breaks the same promise.
pub fn shrink(story: &Story, violation: Violation) -> Shrunk {
    let mut shrunk = Shrunk { story: story.clone(), violation };
    while shrunk.drop_scenes() | shrunk.simplify() {}
    shrunk
}

impl Shrunk {
    /// Keeps a simpler scenario if it breaks the same promise.
    fn keep(&mut self, simpler: Story) -> bool {
        match simpler.play(&mut Coverage::default()) {
            Err(violation) if violation.promise == self.violation.promise => {
                self.violation = violation;
                self.story = simpler;
                true
            }
            _ => false,
        }
    }

    fn drop_scenes(&mut self) -> bool {
        let mut dropped = false;
        let mut size = self.story.scenes.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < self.story.scenes.len() {
                let end = (start + size).min(self.story.scenes.len());
                let mut simpler = self.story.clone();
                let gone: u64 = simpler.scenes.drain(start..end).map(|scene| scene.after).sum();
                // The following steps keep their times, so that they coincide with the same sweeps.
                if let Some(next) = simpler.scenes.get_mut(start) {
                    next.after += gone;
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
        let weathers: [fn(&mut FaultProfile, &FaultProfile); 10] = [
            |weather, fine| weather.death = fine.death,
            |weather, fine| weather.trouble = fine.trouble,
            |weather, fine| weather.port_trouble = fine.port_trouble,
            |weather, fine| weather.lost = fine.lost,
            |weather, fine| weather.doubled = fine.doubled,
            |weather, fine| weather.late = fine.late,
            |weather, fine| weather.slow = fine.slow,
            |weather, fine| weather.staleness = fine.staleness,
            |weather, fine| weather.latency = fine.latency.clone(),
            |weather, _| weather.staleness /= 2,
        ];
        let natures: [fn(&mut AwsBehavior, &AwsBehavior); 8] = [
            |nature, plain| nature.initiating = plain.initiating.clone(),
            |nature, plain| nature.crossing = plain.crossing.clone(),
            |nature, plain| nature.provisioning = plain.provisioning.clone(),
            |nature, plain| nature.deleting = plain.deleting.clone(),
            |nature, plain| nature.associating = plain.associating.clone(),
            |nature, plain| nature.write_bucket = plain.write_bucket,
            |nature, plain| nature.quotas = plain.quotas.clone(),
            |nature, plain| nature.tells_quotas = plain.tells_quotas,
        ];
        let mut simplified = false;
        for change in weathers {
            simplified |= self.try_climate(|story| change(&mut story.climate.weather, &fine));
        }
        for change in natures {
            simplified |= self.try_climate(|story| change(&mut story.climate.nature, &plain));
        }
        simplified | self.try_climate(|story| story.climate.workers = Some(1))
    }

    fn try_climate(&mut self, change: impl FnOnce(&mut Story)) -> bool {
        let mut simpler = self.story.clone();
        change(&mut simpler);
        let changed = format!("{:?}", simpler.climate) != format!("{:?}", self.story.climate);
        changed && self.keep(simpler)
    }
}

impl std::fmt::Display for Shrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Story { climate, scenes, fair } = &self.story;
        writeln!(f, "violated: {}", self.violation)?;
        writeln!(f, "{:?}\n{:?}", climate.weather, climate.nature)?;
        writeln!(f, "workers {:?}, batches {:?}, fair {fair}", climate.workers, climate.batch)?;
        scenes.iter().try_for_each(|scene: &Step| writeln!(f, "  {scene}"))
    }
}
