//! The simulator: stories made up by chance, one per seed, played in virtual time and judged at every step.
//!
//! [`run`] plays one; [`shrink`] cuts one that broke a promise down to what is needed to break it.

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

/// How many stories of a thousand are fair: all their happenings are told by events, nothing fails, and no sweep comes.
const FAIR: u32 = 200;

/// Conditions, and what happens under them.
#[derive(Debug, Clone)]
pub struct Story {
    /// The conditions.
    pub climate: SimConfig,
    /// What happens.
    pub scenes: Vec<Step>,
    /// Whether events alone must do.
    pub fair: bool,
}

impl Story {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = SimRng::new(seed);
        let fair = chance.permille(FAIR);
        let climate = config_generator::make_up(&mut chance, seed, fair);
        let scenes = generator::make_up(&mut chance, fair, climate.organized);
        Self { climate, scenes, fair }
    }

    /// Plays it.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn play(&self, coverage: &mut Coverage) -> Result<(), Violation> {
        let script = ScenarioInput { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        SimRun::new(&script, coverage, false).perform(&script)
    }

    /// Plays it and writes down all that happens; the last line says what was broken.
    pub fn transcript(&self) -> Vec<String> {
        let script = ScenarioInput { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        let mut coverage = Coverage::default();
        let mut play = SimRun::new(&script, &mut coverage, true);
        let ended = play.perform(&script);
        let mut lines = play.transcript();
        lines.push(match ended {
            Ok(()) => "no promise was broken".to_owned(),
            Err(violation) => format!("BROKEN: {violation}"),
        });
        lines
    }
}

/// Plays the story of a seed.
///
/// # Errors
/// The first promise that is broken.
pub fn run(seed: u64, coverage: &mut Coverage) -> Result<(), Violation> {
    Story::of(seed).play(coverage)
}
