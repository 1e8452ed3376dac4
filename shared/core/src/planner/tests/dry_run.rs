//! Forecasts.

use super::world::{World, scope};
use crate::*;

fn lines(world: &World) -> Vec<String> {
    let PlannedRun { steps, report } = forecast(&world.desired, &world.observed).unwrap();
    assert!(report.questions.is_empty(), "{report:?}");
    steps.iter().map(|step| step.action.to_string()).collect()
}

#[test]
fn a_forecast_lists_all_steps_that_the_runs_make() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    let predicted = lines(&world);
    assert!(predicted[0].starts_with("+ peering vpc-a") && predicted.len() == 7, "{predicted:#?}");
    let pairs = forecast(&world.desired, &world.observed).unwrap().steps;
    let pair = Pair::of(&a, &b);
    assert!(pairs.iter().all(|step| step.pair == pair || matches!(step.action, Action::SetStatus { .. })));
    let mut done = world.settle().0;
    done.retain(|line| !line.contains("status waiting"));
    assert_eq!(done, predicted);
    assert_eq!(lines(&world), Vec::<String>::new());
}

#[test]
fn a_forecast_stops_at_an_open_question() {
    let mut world = World::new();
    world.observed.inputs.run_histories.clear();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    let PlannedRun { steps, report } = forecast(&world.desired, &world.observed).unwrap();
    assert!(
        steps.is_empty() && report.questions.contains(&InputRequest::RunHistory(world.desired.mesh.clone())),
        "{report:?}"
    );
}
