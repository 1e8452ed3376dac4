//! The simulator: random scenarios, one per seed, run in virtual time and checked after every change.
//!
//! [`run`] runs one; [`shrink`] reduces a scenario that breaks a promise to what is needed to break it.

mod config_generator;
mod coverage;
mod generator;
mod operations;
mod oracle;
mod runner;
mod scenario;
mod shrink;

pub use coverage::Coverage;
pub use oracle::Violation;
pub use scenario::{Operation, Step};
pub use shrink::{Shrunk, shrink};

use crate::rng::SimRng;
use crate::world::SimConfig;
use runner::{ScenarioInput, SimRun};

/// The share of fair scenarios, in a thousand: events report all their operations, nothing fails, and no sweep is
/// scheduled.
const FAIR: u32 = 200;

/// A scenario: conditions and steps.
#[derive(Debug, Clone)]
pub struct Story {
    /// The conditions.
    pub climate: SimConfig,
    /// The steps.
    pub scenes: Vec<Step>,
    /// Whether the mesh must converge by events alone.
    pub fair: bool,
}

impl Story {
    /// Generates the scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = SimRng::new(seed);
        let fair = chance.permille(FAIR);
        let climate = config_generator::make_up(&mut chance, seed, fair);
        let scenes = generator::make_up(&mut chance, fair, climate.organized);
        Self { climate, scenes, fair }
    }

    /// Runs the scenario.
    ///
    /// # Errors
    /// Returns the first violation of a promise.
    pub fn play(&self, coverage: &mut Coverage) -> Result<(), Violation> {
        let script = ScenarioInput { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        SimRun::new(&script, coverage, false).perform(&script)
    }

    /// Runs the scenario and returns its trace; the last line reports the violated promise.
    pub fn transcript(&self) -> Vec<String> {
        let script = ScenarioInput { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        let mut coverage = Coverage::default();
        let mut play = SimRun::new(&script, &mut coverage, true);
        let ended = play.perform(&script);
        let mut lines = play.transcript();
        lines.push(match ended {
            Ok(()) => "no promise was violated".to_owned(),
            Err(violation) => format!("VIOLATED: {violation}"),
        });
        lines
    }
}

/// Runs the scenario of a seed.
///
/// # Errors
/// Returns the first violation of a promise.
pub fn run(seed: u64, coverage: &mut Coverage) -> Result<(), Violation> {
    Story::of(seed).play(coverage)
}
