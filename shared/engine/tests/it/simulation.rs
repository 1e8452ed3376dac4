//! The simulator with the first few hundred scenarios, for every run of the tests; `make sim` runs many more.

use peerd_testkit::sim::{Coverage, Scenario, shrink};

/// The number of scenarios: enough for every kind of fault, and few enough for a build without optimization.
const SCENARIOS: u64 = 200;

/// Once faults stop, every mesh converges within a bounded number of sweeps, and later sweeps change nothing.
#[test]
fn no_scenario_violates_a_promise() {
    for seed in 0..SCENARIOS {
        let scenario = Scenario::of(seed);
        if let Err(violation) = scenario.play(&mut Coverage::default()) {
            panic!("seed {seed} {}\nreplay: make sim SEED={seed}", shrink(&scenario, violation));
        }
    }
}

/// If no event is lost and nothing fails, every mesh converges by events alone.
#[test]
fn fair_scenarios_need_no_sweep() {
    let fair: Vec<Scenario> = (SCENARIOS..4 * SCENARIOS).map(Scenario::of).filter(|scenario| scenario.fair).collect();
    assert!(fair.len() > 50, "{} scenarios are too few", fair.len());
    for scenario in fair {
        if let Err(violation) = scenario.play(&mut Coverage::default()) {
            panic!("{}", shrink(&scenario, violation));
        }
    }
}

#[test]
fn a_replayed_scenario_makes_the_same_calls() {
    for seed in [1, 14, 33] {
        assert_eq!(Scenario::of(seed).transcript(), Scenario::of(seed).transcript());
    }
}
