//! How many calls a sweep without changes may make.

use peerd_engine::observe::READS_PER_SCOPE;

use super::oracle::Violation;
use crate::world::World;

/// Calls for each scope besides the reads: whether its Region is enabled, its quotas, and the rules of groups that lost their
/// tags.
const PER_SCOPE: usize = 3;
/// Calls for each VPC: its two DNS attributes.
const PER_VPC: usize = 2;

/// Checks the number of calls of a sweep that changed nothing.
///
/// # Errors
/// Returns a violation if there were more than the scopes and the resources of members account for.
pub fn check(world: &World, calls: u64) -> Result<(), Violation> {
    let aws = world.cloud.aws();
    let scopes = world.scopes();
    let lists: usize = aws.tables().map(|table| table.prefix_list_routes.len()).sum();
    let most = scopes * (READS_PER_SCOPE + PER_SCOPE) + aws.vpcs().count() * PER_VPC + lists;
    if usize::try_from(calls).is_ok_and(|calls| calls <= most) {
        return Ok(());
    }
    let by = format!("a sweep without changes made {calls} calls, and {most} are enough for {scopes} scopes");
    Err(Violation {
        promise: "the calls of a sweep depend on the scopes, not on the meshes or on what tags contain",
        by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_that_reads_the_scopes_for_each_mesh_makes_too_many_calls() {
        let world = World::default();
        let of_a_mesh = u64::try_from(world.scopes() * READS_PER_SCOPE).unwrap();
        assert!(check(&world, of_a_mesh).is_ok());
        assert!(check(&world, of_a_mesh * u64::try_from(world.declared().len()).unwrap()).is_err());
    }
}
