//! A slice of what `make sim` plays by the hundred thousand, for every run of the tests.

use peerd_testkit::sim::{Coverage, Story, shrink};

/// Enough to meet every kind of fault, few enough for a build without optimisation.
const STORIES: u64 = 200;

/// Once faults stop, a bounded number of sweeps brings every mesh to its end, and then sweeps change nothing.
#[test]
fn no_story_breaks_a_promise() {
    for seed in 0..STORIES {
        let story = Story::of(seed);
        if let Err(violation) = story.play(&mut Coverage::default()) {
            panic!("seed {seed} {}\nreplay: make sim SEED={seed}", shrink(&story, violation));
        }
    }
}

/// Where no event is lost and nothing fails, events alone bring a mesh to its end.
#[test]
fn fair_stories_need_no_sweep() {
    let fair: Vec<Story> = (STORIES..4 * STORIES).map(Story::of).filter(|story| story.fair).collect();
    assert!(fair.len() > 50, "{} stories are too few", fair.len());
    for story in fair {
        if let Err(violation) = story.play(&mut Coverage::default()) {
            panic!("{}", shrink(&story, violation));
        }
    }
}

#[test]
fn a_story_that_is_played_again_is_the_same_to_the_last_call() {
    for seed in [1, 14, 33] {
        assert_eq!(Story::of(seed).transcript(), Story::of(seed).transcript());
    }
}
