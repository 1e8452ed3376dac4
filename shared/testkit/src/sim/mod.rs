//! The simulator: stories made up by chance, one per seed, played in virtual time and judged at every step.
//!
//! [`run`] plays one; [`shrink`] cuts one that broke a promise down to what is needed to break it.

mod acting;
mod author;
mod climate;
mod coverage;
mod oracle;
mod play;
mod shrink;
mod story;

pub use coverage::Coverage;
pub use oracle::Violation;
pub use shrink::{Shrunk, shrink};
pub use story::{Happening, Scene};

use crate::chance::Chance;
use crate::world::Climate;
use play::{Play, Script};

/// How many stories of a thousand are fair: all their happenings are told by events, nothing fails, and no sweep comes.
const FAIR: u32 = 200;

/// Conditions, and what happens under them.
#[derive(Debug, Clone)]
pub struct Story {
    /// The conditions.
    pub climate: Climate,
    /// What happens.
    pub scenes: Vec<Scene>,
    /// Whether events alone must do.
    pub fair: bool,
}

impl Story {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let fair = chance.permille(FAIR);
        let climate = climate::make_up(&mut chance, seed, fair);
        let scenes = author::make_up(&mut chance, fair, climate.organized);
        Self { climate, scenes, fair }
    }

    /// Plays it.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn play(&self, coverage: &mut Coverage) -> Result<(), Violation> {
        let script = Script { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        Play::new(&script, coverage, false).perform(&script)
    }

    /// Plays it and writes down all that happens; the last line says what was broken.
    pub fn transcript(&self) -> Vec<String> {
        let script = Script { climate: &self.climate, scenes: &self.scenes, fair: self.fair };
        let mut coverage = Coverage::default();
        let mut play = Play::new(&script, &mut coverage, true);
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
