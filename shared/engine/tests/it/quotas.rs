//! AWS quotas.

use std::collections::BTreeSet;

use peerd_core::{FindingKind, Quota, Quotas, VpcRef};
use peerd_testkit::aws::AwsBehavior;
use peerd_testkit::{MINUTE, SimConfig, World, scope};

fn granting(values: &[(Quota, usize)], tells_quotas: bool) -> World {
    let quotas: Quotas = values.iter().copied().collect();
    World::new(&SimConfig {
        behavior: AwsBehavior { quotas, tells_quotas, ..AwsBehavior::default() },
        ..SimConfig::default()
    })
}

/// Creates members of prod one after another, in three accounts in turn.
fn join(world: &mut World, names: &[&str]) -> Vec<VpcRef> {
    let mut vpcs = Vec::new();
    for (n, name) in (1..=3).cycle().zip(names) {
        vpcs.push(world.vpc(name, scope(n, 0), &format!("10.{}.0.0/16", vpcs.len()), "prod"));
        world.rest();
        world.pass(MINUTE);
    }
    vpcs
}

/// Returns the subjects of the quota findings of all runs since the previous call.
fn sent(world: &World) -> BTreeSet<String> {
    let findings = world.store.take_runs().into_iter().flat_map(|run| run.report.findings);
    findings.filter(|finding| finding.kind() == FindingKind::Quota).map(|finding| finding.subject()).collect()
}

fn refusals(world: &World) -> Vec<String> {
    world.cloud.answers().into_keys().filter(|code| code.contains("LimitExceeded")).collect()
}

/// peerd reads the quotas before it creates anything: it connects the earliest members, and reports what exceeds a
/// quota.
#[test]
fn quotas_are_respected_before_aws_refuses() {
    let mut world = granting(&[(Quota::Peerings, 1)], true);
    let vpcs = join(&mut world, &["z", "y", "x", "w"]);
    assert!(world.connected(&vpcs[0], &vpcs[1]) && world.connected(&vpcs[2], &vpcs[3]));
    assert_eq!(sent(&world), vpcs.iter().map(ToString::to_string).collect());
    assert_eq!(refusals(&world), Vec::<String>::new());
}

/// The requests of an account and Region have one quota, whichever mesh they are for: meshes that form at the same time share it.
#[test]
fn meshes_that_form_at_the_same_time_request_no_more_peerings_than_may_be_pending() {
    let mut world = granting(&[(Quota::Requests, 2)], true);
    let mut of_mesh = |mesh: &str, first: usize| -> Vec<VpcRef> {
        let vpc = |n: usize| (format!("{mesh}{n}"), format!("10.{}.0.0/16", first + n));
        let vpcs = (0..4).map(vpc);
        vpcs.map(|(name, cidr)| world.vpc(&name, scope(1, 0), &cidr, mesh)).collect()
    };
    let meshes = [of_mesh("prod", 0), of_mesh("staging", 10)];
    world.rest();
    for vpcs in meshes {
        let [first, others @ ..] = &vpcs[..] else { unreachable!() };
        assert!(others.iter().all(|other| world.connected(first, other)));
    }
    assert_eq!(refusals(&world), Vec::<String>::new());
}

#[test]
fn after_a_quota_increase_the_next_sweep_connects_the_rest() {
    let mut world = granting(&[(Quota::Peerings, 1), (Quota::Routes, 1)], true);
    let vpcs = join(&mut world, &["a", "b", "c"]);
    assert!(!world.connected(&vpcs[0], &vpcs[2]));
    sent(&world);
    world.cloud.aws().behavior.quotas = Quotas::default();
    world.sweep();
    world.rest();
    assert!(world.connected(&vpcs[0], &vpcs[2]) && world.connected(&vpcs[1], &vpcs[2]));
    world.sweep();
    world.rest();
    assert_eq!(sent(&world), BTreeSet::new());
}

/// If peerd cannot read the quotas, it assumes the default values and reports what AWS refuses.
#[test]
fn unreadable_quotas_delay_nothing() {
    let mut world = granting(&[(Quota::Peerings, 1)], false);
    let vpcs = join(&mut world, &["a", "b", "c"]);
    assert!(world.connected(&vpcs[0], &vpcs[1]));
    assert!(!sent(&world).is_empty());
    assert!(!refusals(&world).is_empty());
}
