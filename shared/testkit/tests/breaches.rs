//! Would the simulator notice? Each rule is broken on purpose, and the stories must tell.
#![cfg(feature = "breakable")]

use peerd_core::Rule;
use peerd_testkit::sim::{self, Coverage};

/// Stories in which a breach must show.
const STORIES: u64 = 1000;

/// The first story that shows the breach, and what it breaks.
fn found(rule: Rule) -> Option<(u64, String)> {
    rule.break_during(|| {
        (0..STORIES).find_map(|seed| {
            let broken = sim::run(seed, &mut Coverage::default()).err()?;
            Some((seed, broken.to_string()))
        })
    })
}

#[test]
fn every_rule_that_is_broken_on_purpose_is_found_within_a_thousand_stories() {
    let mut missed = Vec::new();
    for rule in Rule::ALL {
        match found(rule) {
            Some((seed, broken)) => println!("{rule:?}: seed {seed}: {broken}"),
            None => missed.push(rule),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
