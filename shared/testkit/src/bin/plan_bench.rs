//! `plan_bench MESHES MEMBERS TABLES`: plans every mesh of a converged deployment once, and prints the time and the peak memory as JSON.
#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::process::ExitCode;
use std::time::Instant;

use peerd_core::{ObservedIndex, plan_on};
use peerd_testkit::converged::{Converged, Size};
use serde_json::json;

fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [meshes, members, tables] = numbers[..] else {
        println!("usage: plan_bench MESHES MEMBERS TABLES");
        return ExitCode::FAILURE;
    };
    let deployment = Converged::new(Size { meshes, members, tables });
    let before = peak_kb();
    let begun = Instant::now();
    let index = ObservedIndex::new(&deployment.observed);
    let indexed = begun.elapsed();
    let changes: usize = deployment.desired.iter().map(|desired| plan_on(desired, &index).0.actions().count()).sum();
    let took = begun.elapsed();
    let result = json!({
        "meshes": meshes, "vpcs": deployment.observed.vpcs.len(), "peerings": deployment.observed.peerings.len(),
        "routes": deployment.routes(), "changes": changes, "index_seconds": indexed.as_secs_f64(), "seconds": took.as_secs_f64(), "observed_mb": before / 1024,
        "peak_mb": peak_kb() / 1024,
    });
    println!("{result}");
    ExitCode::from(u8::from(changes != 0))
}

/// The most memory that the process has had, in KB (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// What a plan costs, in allocations: they are the same on every machine and at every load.
#[cfg(test)]
mod tests {
    use std::alloc::System;

    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

    use super::*;

    #[global_allocator]
    static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// The allocations of a plan of one mesh of 20 VPCs with 760 routes. The test fails at a tenth more, and at a fifth less, so that
    /// the figure stays true.
    const ALLOCATIONS: usize = 25_000;

    /// The allocations of the plan of the first of so many converged meshes.
    fn allocations(meshes: usize) -> usize {
        let Converged { desired, observed } = Converged::new(Size { meshes, members: 20, tables: 2 });
        let index = ObservedIndex::new(&observed);
        let region = Region::new(ALLOCATOR);
        let (plan, report) = plan_on(&desired[0], &index);
        let counted = region.change().allocations;
        assert!(plan.is_empty() && report.questions.is_empty(), "{plan}{report:?}");
        counted
    }

    /// In one test: others at the same time would be counted too.
    #[test]
    fn a_plan_costs_what_its_mesh_has_and_not_what_all_meshes_have() {
        let (alone, among_ten) = (allocations(1), allocations(10));
        assert!(among_ten * 100 <= alone * 105, "{among_ten} allocations among ten meshes, {alone} alone");
        assert!(alone * 10 <= ALLOCATIONS * 11 && alone * 10 >= ALLOCATIONS * 8, "{alone} allocations");
    }
}
