//! How many calls a sweep without changes may make.

use peerd_engine::observe::READS_PER_SCOPE;

use super::oracle::Violation;
use crate::world::World;

/// Calls for each scope in the scan of its account: its VPCs, and whether its Region is enabled.
const PER_SCOPE: usize = 2;
/// Calls of a run for each scope besides the reads: its quotas, and the rules of groups that lost their tags.
const PER_SCOPE_OF_RUN: usize = 2;
/// Calls of a run for each VPC: its two DNS attributes.
const PER_VPC: usize = 2;

/// Checks the number of calls of a sweep that changed nothing.
///
/// # Errors
/// Returns a violation if there were more than the declared meshes, the scopes and the resources of members account for.
pub fn check(world: &World, calls: u64) -> Result<(), Violation> {
    let aws = world.cloud.aws();
    let (scopes, meshes) = (world.scopes(), world.declared().len());
    let lists: usize = aws.tables().map(|table| table.prefix_list_routes.len()).sum();
    let of_run = scopes * (READS_PER_SCOPE + PER_SCOPE_OF_RUN) + aws.vpcs().count() * PER_VPC + lists;
    let most = scopes * PER_SCOPE + meshes * of_run;
    if usize::try_from(calls).is_ok_and(|calls| calls <= most) {
        return Ok(());
    }
    let by = format!(
        "a sweep without changes made {calls} calls, and {most} are enough for {scopes} scopes and {meshes} meshes"
    );
    Err(Violation { promise: "the calls of a sweep depend on what is declared, not on what tags contain", by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_with_a_run_for_an_undeclared_mesh_makes_too_many_calls() {
        let world = World::default();
        let of_a_run = world.scopes() * READS_PER_SCOPE;
        let as_declared = u64::try_from(world.declared().len() * of_a_run).unwrap();
        assert!(check(&world, as_declared).is_ok());
        assert!(check(&world, 2 * as_declared).is_err());
    }
}
