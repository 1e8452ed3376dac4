//! A slice of what `make sim` plays by the hundred thousand, for every run of the tests.

use peerd_testkit::sim::{Coverage, Story, shrink};

/// Enough to meet every kind of fault, few enough for a build without optimisation.
const STORIES: u64 = 200;

#[test]
fn no_story_breaks_a_promise() {
    for seed in 0..STORIES {
        let story = Story::of(seed);
        if let Err(violation) = story.play(&mut Coverage::default()) {
            panic!("seed {seed} {}\nreplay: make sim SEED={seed}", shrink(&story, violation));
        }
    }
}

#[test]
fn a_story_that_is_played_again_is_the_same_to_the_last_call() {
    for seed in [1, 14, 33] {
        assert_eq!(Story::of(seed).transcript(), Story::of(seed).transcript());
    }
}
