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
pub fn generate(rng: &mut SimRng, seed: u64, fair: bool) -> SimConfig {
    SimConfig {
        seed,
        behavior: behavior(rng, fair),
        faults: if fair { fair_faults(rng) } else { faults(rng) },
        workers: Some(usize::try_from(rng.within(&(1..=5))).unwrap_or(1)),
        batch: Some(*rng.choose(&[1, 3, 100]).unwrap_or(&100)),
        organized: !fair && rng.chance_per_mille(400),
    }
}

fn behavior(rng: &mut SimRng, fair: bool) -> AwsBehavior {
    let slow = rng.chance_per_mille(500);
    let up_to = |rng: &mut SimRng, most: u64| if slow { 0..=rng.log_uniform(&(1..=most)) } else { 0..=0 };
    let tight = !fair && rng.chance_per_mille(150);
    AwsBehavior {
        initiating: up_to(rng, 20 * SECOND),
        crossing: up_to(rng, 2 * MINUTE),
        provisioning: up_to(rng, 2 * MINUTE),
        opening: up_to(rng, 20 * SECOND),
        deleting: up_to(rng, MINUTE),
        associating: up_to(rng, MINUTE),
        quotas: if tight { quotas(rng) } else { Quotas::default() },
        tells_quotas: fair || rng.chance_per_mille(800),
        write_bucket: (!fair && rng.chance_per_mille(150)).then_some((2, 1)),
        delete_takes_peerings: rng.chance_per_mille(500),
        repeated_create_tags: rng.chance_per_mille(500),
        same_route_twice: rng.chance_per_mille(500),
        ..AwsBehavior::default()
    }
}

fn quotas(rng: &mut SimRng) -> Quotas {
    let few = |quota| match quota {
        Quota::Peerings => [1, 2, 3],
        Quota::Requests | Quota::Rules => [1, 2, quota.default_value()],
        Quota::Routes => [1, 2, 4],
    };
    let mut quota = |quota: Quota| {
        let value =
            if rng.chance_per_mille(250) { quota.default_value() } else { *rng.choose(&few(quota)).unwrap_or(&1) };
        (quota, value)
    };
    Quota::ALL.map(&mut quota).into_iter().collect()
}

fn fair_faults(rng: &mut SimRng) -> FaultProfile {
    FaultProfile {
        latency: 1..=rng.log_uniform(&(1..=300)),
        staleness: if rng.chance_per_mille(500) { rng.log_uniform(&(1..=FAIR_STALENESS)) } else { 0 },
        lease: if rng.chance_per_mille(500) { 1000 } else { 0 },
        ..FaultProfile::default()
    }
}

/// Generates a fault profile. Each kind of fault is, independently, absent, rare or common: all faults together would
/// hide one another.
fn faults(rng: &mut SimRng) -> FaultProfile {
    let often = |rng: &mut SimRng, most: u32| match rng.within(&(0..=2)) {
        0 => 0,
        1 => most / 10,
        _ => most,
    };
    FaultProfile {
        latency: 1..=rng.log_uniform(&(1..=2 * SECOND)),
        slow: often(rng, 50),
        staleness: if rng.chance_per_mille(400) { rng.log_uniform(&(1..=20 * SECOND)) } else { 0 },
        fault_rate: often(rng, 100),
        port_fault_rate: often(rng, 50),
        crash: often(rng, 20),
        lease: *rng.choose(&[0, 0, 20, 1000]).unwrap_or(&0),
        lost: often(rng, 500),
        doubled: often(rng, 200),
        late: often(rng, 300),
        ..FaultProfile::default()
    }
}
