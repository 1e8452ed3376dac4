//! The simulator: random scenarios, one per seed, run in virtual time and checked after every change.
//!
//! [`run`] runs one; [`shrink`] reduces a scenario that breaks a promise to what is needed to break it.

mod call_bound;
mod config_generator;
mod coverage;
mod generator;
mod group_operations;
mod operations;
mod oracle;
mod runner;
mod scenario;
mod shrink;

pub use coverage::Coverage;
pub use oracle::Violation;
pub use scenario::{FloodTarget, Operation, Step};
pub use shrink::{Shrunk, shrink};

use crate::rng::SimRng;
use crate::world::SimConfig;
use runner::{ScenarioInput, SimRun};

/// The share of fair scenarios, in a thousand: events report all their operations, nothing fails, and no sweep is
/// scheduled.
const FAIR: u32 = 200;

/// A scenario: conditions and steps.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The conditions.
    pub config: SimConfig,
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether the mesh must converge by events alone.
    pub fair: bool,
}

impl Scenario {
    /// Generates the scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = SimRng::new(seed);
        let fair = rng.chance_per_mille(FAIR);
        let config = config_generator::generate(&mut rng, seed, fair);
        let steps = generator::generate(&mut rng, fair, config.organized);
        Self { config, steps, fair }
    }

    /// Runs the scenario.
    ///
    /// # Errors
    /// Returns the first violation of a promise.
    pub fn play(&self, coverage: &mut Coverage) -> Result<(), Violation> {
        let scenario_input = ScenarioInput { config: &self.config, steps: &self.steps, fair: self.fair };
        SimRun::new(&scenario_input, coverage, false).perform(&scenario_input)
    }

    /// Runs the scenario and returns its trace; the last line reports the violated promise.
    pub fn transcript(&self) -> Vec<String> {
        let scenario_input = ScenarioInput { config: &self.config, steps: &self.steps, fair: self.fair };
        let mut coverage = Coverage::default();
        let mut play = SimRun::new(&scenario_input, &mut coverage, true);
        let ended = play.perform(&scenario_input);
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
    Scenario::of(seed).play(coverage)
}
