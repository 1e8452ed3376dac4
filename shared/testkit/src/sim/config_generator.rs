//! Generation of a scenario's random conditions: the behavior of AWS, the faults, the number of workers.

use peerd_core::{Quota, Quotas};

use crate::aws::{AwsBehavior, MINUTE, SECOND};
use crate::faults::FaultProfile;
use crate::rng::SimRng;
use crate::world::SimConfig;

/// The maximum staleness of describe calls in a fair scenario, which must converge by events alone: after an event,
/// peerd repeats its reads for longer than that.
const FAIR_STALENESS: u64 = 5 * SECOND;

/// Generates the conditions. Under fair conditions, no event is lost, no call fails, and AWS keeps all its guarantees.
pub fn make_up(chance: &mut SimRng, seed: u64, fair: bool) -> SimConfig {
    SimConfig {
        seed,
        nature: nature(chance, fair),
        weather: if fair { fair_weather(chance) } else { weather(chance) },
        workers: Some(usize::try_from(chance.within(&(1..=5))).unwrap_or(1)),
        batch: Some(*chance.pick(&[1, 3, 100]).unwrap_or(&100)),
        organized: !fair && chance.permille(400),
    }
}

fn nature(chance: &mut SimRng, fair: bool) -> AwsBehavior {
    let slow = chance.permille(500);
    let up_to = |chance: &mut SimRng, most: u64| if slow { 0..=chance.scaled(&(1..=most)) } else { 0..=0 };
    let tight = !fair && chance.permille(150);
    AwsBehavior {
        initiating: up_to(chance, 20 * SECOND),
        crossing: up_to(chance, 2 * MINUTE),
        provisioning: up_to(chance, 2 * MINUTE),
        opening: up_to(chance, 20 * SECOND),
        deleting: up_to(chance, MINUTE),
        associating: up_to(chance, MINUTE),
        quotas: if tight { quotas(chance) } else { Quotas::default() },
        tells_quotas: fair || chance.permille(800),
        write_bucket: (!fair && chance.permille(150)).then_some((2, 1)),
        delete_takes_peerings: chance.permille(500),
        repeated_create_tags: chance.permille(500),
        same_route_twice: chance.permille(500),
        ..AwsBehavior::default()
    }
}

fn quotas(chance: &mut SimRng) -> Quotas {
    let few = |quota| match quota {
        Quota::Peerings => [1, 2, 3],
        Quota::Requests | Quota::Rules => [1, 2, quota.at_first()],
        Quota::Routes => [1, 2, 4],
    };
    let mut quota = |quota: Quota| {
        let granted = if chance.permille(250) { quota.at_first() } else { *chance.pick(&few(quota)).unwrap_or(&1) };
        (quota, granted)
    };
    Quota::ALL.map(&mut quota).into_iter().collect()
}

fn fair_weather(chance: &mut SimRng) -> FaultProfile {
    FaultProfile {
        latency: 1..=chance.scaled(&(1..=300)),
        staleness: if chance.permille(500) { chance.scaled(&(1..=FAIR_STALENESS)) } else { 0 },
        ..FaultProfile::default()
    }
}

/// Generates a fault profile. Each kind of fault is, independently, absent, rare or common: all faults together would
/// hide one another.
fn weather(chance: &mut SimRng) -> FaultProfile {
    let often = |chance: &mut SimRng, most: u32| match chance.within(&(0..=2)) {
        0 => 0,
        1 => most / 10,
        _ => most,
    };
    FaultProfile {
        latency: 1..=chance.scaled(&(1..=2 * SECOND)),
        slow: often(chance, 50),
        staleness: if chance.permille(400) { chance.scaled(&(1..=20 * SECOND)) } else { 0 },
        trouble: often(chance, 100),
        port_trouble: often(chance, 50),
        death: often(chance, 20),
        lost: often(chance, 500),
        doubled: often(chance, 200),
        late: often(chance, 300),
        ..FaultProfile::default()
    }
}
