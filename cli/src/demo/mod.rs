//! `peerd demo`: a mesh forms, heals and shrinks, in the simulated AWS of the test kit and in virtual time.

mod picture;
mod scenario;
mod scene;

use std::time::Duration;

use clap::Args;

use crate::shell::Shell;
use scenario::{Cue, Kind};

/// How much slower than virtual time a terminal shows the changes, and the limits of a pause.
const SLOWDOWN: u64 = 2;
const PAUSES: std::ops::RangeInclusive<u64> = 60..=700;
/// The pauses before and after a chapter's heading, in milliseconds.
const CHAPTER: u64 = 1800;

/// The arguments of `peerd demo`.
#[derive(Args)]
pub struct Arguments {
    /// Print the picture of the README
    #[arg(long, hide = true)]
    svg: bool,
}

/// Shows the demo line by line on a terminal, and returns it elsewhere.
///
/// # Errors
/// When a line cannot be written.
pub async fn run(Arguments { svg }: Arguments, shell: &Shell<'_>) -> anyhow::Result<String> {
    let cues = scenario::play();
    if svg {
        return Ok(picture::animated(&cues));
    }
    if !shell.terminal.is_live() {
        return Ok(cues.iter().map(|cue| format!("{}\n", cue.text)).collect());
    }
    for cue in &cues {
        shell.timer.sleep(pause(cue)).await;
        shell.terminal.print(&format!("{}\n", cue.text), false)?;
        shell.terminal.picture(&cue.scene);
    }
    Ok(String::new())
}

/// The pause before a cue.
fn pause(cue: &Cue) -> Duration {
    Duration::from_millis(match cue.kind {
        Kind::Frame => *PAUSES.start(),
        Kind::Chapter => CHAPTER,
        Kind::Change | Kind::Note => (cue.after * SLOWDOWN).clamp(*PAUSES.start(), *PAUSES.end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_has_every_step_and_that_it_is_a_simulation() {
        let cues = scenario::play();
        let text: String = cues.iter().map(|cue| format!("{}\n", cue.text)).collect();
        for says in [
            "This is a simulation",
            "+ peering",
            "its tag peerd:status is `joined prod`",
            "the route of vpc-web points to pcx-",
            "they are connected again",
            "its tag peerd:status is `joined prod. refused prod",
            "! overlap",
            "! unreadable",
            "0 traces of the mesh are left on it",
            "That was a simulation",
        ] {
            assert!(text.contains(says), "{says} is not in:\n{text}");
        }
        assert!(!text.contains("refused that"), "{text}");
        assert_eq!(cues, scenario::play(), "the demo is deterministic");
    }

    #[test]
    fn the_scene_follows_the_changes() {
        let cues = scenario::play();
        let at = |says: &str| &cues.iter().find(|cue| cue.text.contains(says)).unwrap().scene;
        let joined = at("each has a peering with");
        assert_eq!(joined.lines().filter(|line| line.ends_with("joined prod")).count(), 3, "{joined}");
        let row = |scene: &str| scene.lines().find(|line| line.starts_with("web")).unwrap().to_owned();
        assert!(row(joined).contains("2         3"), "{joined}");
        let deleted = at("- route web 10.2.0.0/16");
        assert!(row(deleted).contains("2         2"), "{deleted}");
        let left = &cues.last().unwrap().scene;
        assert!(row(left).contains("0         0"), "{left}");
    }

    #[test]
    fn a_terminal_shows_the_scenario_within_a_minute() {
        let cues = scenario::play();
        let whole: Duration = cues.iter().map(pause).sum();
        assert!(whole < Duration::from_secs(60) && whole > Duration::from_secs(10), "{whole:?}");
    }
}
