//! Defects that the simulator found, each with the shortest scenario that shows it. The doc comments describe the
//! defect or the promise, the test names what peerd does now.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;

use peerd_core::{Quota, Quotas, cidr};
use peerd_testkit::sim::{Coverage, Operation, Scenario, Step};
use peerd_testkit::{AwsBehavior, FaultProfile, MINUTE, SECOND, SimConfig, World, account, mesh, scope};

/// Returns the number by which an operation selects a scope: an account by its number, and Region 0 or 1.
fn at(account: u32, region: u32) -> u32 {
    (0..18).find(|place| place % 3 + 1 == account && place / 3 % 2 == region).unwrap()
}

fn vpc(scope: u32, cidrs: &str, meshes: &'static str) -> Operation {
    Operation::MakeVpc { scope, cidrs: cidrs.to_owned(), meshes }
}

/// Runs operations, each a number of milliseconds after the previous one.
fn play(fair: bool, config: SimConfig, steps: &[(u64, Operation)]) {
    let steps = steps.iter().map(|(after, operation)| Step { after: *after, operation: operation.clone() });
    let scenario = Scenario { config, steps: steps.collect(), fair };
    if let Err(violation) = scenario.play(&mut Coverage::default()) {
        panic!("{violation}\n{}", scenario.transcript().join("\n"));
    }
}

fn quotas(values: &[(Quota, usize)]) -> Quotas {
    values.iter().copied().collect()
}

fn behavior(behavior: AwsBehavior) -> SimConfig {
    SimConfig { behavior, ..SimConfig::default() }
}

/// A run whose describe call was older than a VPC's tag removed the VPC from the index, and no later event about its
/// routes found its mesh.
#[test]
fn a_stale_read_does_not_remove_a_new_member_from_the_index() {
    for seed in 0..40 {
        let faults = FaultProfile { staleness: 2 * SECOND, ..FaultProfile::default() };
        let config = SimConfig { seed, faults, batch: Some(1), workers: Some(3), ..SimConfig::default() };
        let cidr = "172.16.2.0/24".to_owned();
        let steps = [
            (1, vpc(at(2, 1), "10.4.0.0/16", "prod staging")),
            (5, Operation::Associate { vpc: 0, cidr }),
            (215, Operation::MakeTable { vpc: 0, is_edge_associated: false }),
        ];
        play(true, config, &steps);
    }
}

/// Writing status tags is not progress: after about ten minutes, a mesh that cannot continue waits for the next sweep.
#[test]
fn status_updates_do_not_renew_the_retry_budget() {
    let behavior =
        AwsBehavior { quotas: quotas(&[(Quota::Peerings, 2)]), delete_takes_peerings: true, ..AwsBehavior::default() };
    let faults = FaultProfile { fault_rate: 100, port_fault_rate: 50, ..FaultProfile::default() };
    let config = SimConfig { seed: 183, behavior, faults, workers: Some(1), batch: Some(3), ..SimConfig::default() };
    let steps = [
        (10, vpc(at(2, 0), "10.1.0.0/16", "prod")),
        (442, vpc(at(1, 0), "10.2.0.0/16", "prod")),
        (1020, vpc(at(3, 0), "10.3.0.0/16", "prod")),
        (10 * MINUTE, vpc(at(1, 1), "10.4.0.0/16 2600:1f18:4::/56", "prod staging")),
        (MINUTE, Operation::Week),
    ];
    play(false, config, &steps);
}

/// A route to a dead peering stayed forever if no VPC had its CIDR block any longer.
#[test]
fn a_route_of_a_dead_peering_to_a_cidr_of_no_vpc_is_removed() {
    let steps = [
        (1, vpc(at(1, 0), "10.1.0.0/16", "prod")),
        (500, vpc(at(2, 0), "10.3.0.0/16 100.64.3.0/24", "prod")),
        (9 * SECOND, Operation::PutPeeringRoute { peering: 0, cidr: "2600:1f18:104::/56".to_owned() }),
        (1, Operation::DeletePeering { nth: 0, by_accepter: true }),
    ];
    play(true, SimConfig::default(), &steps);
}

/// If a quota prevented a new peering in place of a deleted one, the blackhole routes stayed until AWS no longer listed
/// the deleted peering.
#[test]
fn routes_of_a_dead_peering_are_removed_if_a_quota_prevents_its_successor() {
    let config = behavior(AwsBehavior {
        quotas: quotas(&[(Quota::Peerings, 2), (Quota::Requests, 1)]),
        ..AwsBehavior::default()
    });
    let steps = [
        (76, vpc(at(2, 0), "10.2.0.0/16", "prod")),
        (5, vpc(at(3, 0), "10.3.0.0/16", "prod")),
        (206, vpc(at(2, 0), "10.4.0.0/16 2600:1f18:4::/56 100.64.4.0/24", "staging")),
        (12, vpc(at(3, 1), "10.5.0.0/16 2600:1f18:5::/56", "prod")),
        (1, Operation::Tag { vpc: 290, meshes: "prod staging" }),
        (7255, Operation::DeletePeering { nth: 472, by_accepter: true }),
    ];
    play(false, config, &steps);
}

/// The runs of two meshes kept rewriting a status tag that could not hold the entries of both.
#[test]
fn a_truncated_status_is_not_rewritten_by_each_of_its_meshes() {
    let steps = [
        (1, vpc(at(3, 0), "10.1.0.0/16", "nosuch prod")),
        (1, vpc(at(2, 0), "10.1.0.0/17", "prod")),
        (1, vpc(at(1, 0), "10.1.0.0/18", "prod")),
        (1, vpc(at(1, 1), "10.1.0.0/19", "prod")),
        (1, vpc(at(2, 1), "10.1.0.0/20 10.7.0.0/16", "prod")),
    ];
    play(false, SimConfig::default(), &steps);
}

/// peerd tried forever to accept its own request beside an active foreign peering.
#[test]
fn an_owned_request_beside_an_active_foreign_peering_is_deleted() {
    for seed in 0..20 {
        let config = SimConfig {
            seed,
            ..behavior(AwsBehavior { crossing: 20 * SECOND..=20 * SECOND, ..AwsBehavior::default() })
        };
        let steps = [
            (14, vpc(at(1, 1), "10.1.0.0/16", "prod")),
            (95, vpc(at(3, 0), "10.3.0.0/16", "prod")),
            (5 * SECOND, Operation::PeerByHand { from: 1, to: 0, accept: false }),
            (MINUTE, Operation::Sweep),
        ];
        play(false, config, &steps);
    }
}

/// The index entries of an unreadable account prove nothing.
#[test]
fn the_index_entries_of_an_unreadable_account_prove_nothing() {
    let config = SimConfig { faults: FaultProfile { lost: 1000, ..FaultProfile::default() }, ..SimConfig::default() };
    let steps = [
        (55, vpc(at(2, 1), "10.1.0.0/16", "prod")),
        (5 * SECOND, vpc(at(1, 0), "10.3.0.0/16", "prod")),
        (20 * MINUTE, Operation::Tag { vpc: 1, meshes: "prod staging" }),
        (SECOND, Operation::Tag { vpc: 0, meshes: "staging" }),
        (SECOND, Operation::AccountOutage { account: 1, minutes: 51 }),
    ];
    play(false, config, &steps);
}

/// If two runs create routes in one table to overlapping CIDR blocks of two peers at the same time, peerd deletes one
/// of the routes.
#[test]
fn of_two_routes_that_overlap_one_is_removed() {
    for seed in 0..60 {
        let faults = FaultProfile { latency: 1..=1067, late: 300, ..FaultProfile::default() };
        let config = SimConfig { seed, faults, workers: Some(4), batch: Some(1), ..SimConfig::default() };
        let steps = [
            (1, vpc(at(3, 0), "10.3.0.0/16", "prod")),
            (30, vpc(at(2, 0), "10.4.0.0/16 2600:1f18:4::/56", "prod")),
            (297, vpc(at(3, 0), "10.6.0.0/16", "prod")),
            (14, Operation::Associate { vpc: 2, cidr: "10.4.128.0/17".to_owned() }),
        ];
        play(false, config, &steps);
    }
}

/// A run created routes to a VPC in a scope that it had no reason to read, because of the index entry.
#[test]
fn an_indexed_vpc_in_a_scope_that_a_run_did_not_read_is_not_a_member() {
    for seed in 0..60 {
        let faults = FaultProfile { latency: 1..=300, ..FaultProfile::default() };
        let config = SimConfig { seed, faults, workers: Some(4), batch: Some(1), ..SimConfig::default() };
        let steps = [
            (1, vpc(at(1, 0), "10.1.0.0/16", "prod staging")),
            (834, vpc(at(2, 1), "10.4.0.0/16 2600:1f18:4::/56", "staging")),
            (15 * MINUTE, Operation::Tag { vpc: 1, meshes: "prod" }),
            (517, Operation::Untag { vpc: 1 }),
            (441, Operation::DeleteRoute { nth: 1 }),
        ];
        play(true, config, &steps);
    }
}

/// After one batch with two meshes, a VPC kept the status entry of the mesh that it had left.
#[test]
fn a_vpc_that_left_a_mesh_loses_its_status_entry() {
    let config = SimConfig { workers: Some(1), batch: Some(3), ..SimConfig::default() };
    let steps = [
        (5345, vpc(at(2, 1), "10.2.0.0/16", "prod+staging")),
        (11 * MINUTE, vpc(at(1, 0), "10.5.0.0/16", "staging,prod")),
        (6, Operation::Tag { vpc: 1, meshes: "prod/$x" }),
    ];
    play(true, config, &steps);
}

/// A run that had read a VPC before it joined again removed it from the index.
#[test]
fn a_vpc_that_rejoins_during_a_run_stays_in_the_index() {
    for seed in 0..60 {
        let faults = FaultProfile { latency: 1..=134, ..FaultProfile::default() };
        let config = SimConfig { seed, faults, workers: Some(4), batch: Some(1), ..SimConfig::default() };
        let steps = [
            (56, vpc(at(1, 1), "10.3.0.0/16", "prod")),
            (8, vpc(at(2, 1), "10.4.0.0/16", "prod")),
            (10 * MINUTE, Operation::Untag { vpc: 0 }),
            (1580, Operation::Tag { vpc: 0, meshes: "prod" }),
        ];
        play(true, config, &steps);
    }
}

/// A CIDR block that a VPC had received before its account became unreadable was also routed to a new member.
#[test]
fn a_route_to_an_unreadable_account_stays_whatever_the_index_says() {
    let config = behavior(AwsBehavior { associating: 10 * SECOND..=10 * SECOND, ..AwsBehavior::default() });
    let steps = [
        (26, vpc(at(1, 0), "10.1.0.0/16", "prod")),
        (355, vpc(at(3, 0), "10.2.0.0/16", "prod")),
        (MINUTE, Operation::Associate { vpc: 1, cidr: "10.7.128.0/17".to_owned() }),
        (4 * MINUTE, Operation::AccountOutage { account: 2, minutes: 44 }),
        (8 * MINUTE, vpc(at(1, 1), "10.7.0.0/16", "prod")),
    ];
    play(false, config, &steps);
}

/// Every run first tried the routes for which a full table had no capacity, and used up the API rate that other calls
/// needed.
#[test]
fn calls_that_always_fail_do_not_starve_others() {
    let behavior = AwsBehavior {
        quotas: quotas(&[(Quota::Routes, 2)]),
        write_bucket: Some((2, 1)),
        delete_takes_peerings: true,
        ..AwsBehavior::default()
    };
    let faults = FaultProfile { latency: 1..=20, ..FaultProfile::default() };
    let config = SimConfig { seed: 4334, behavior, faults, workers: Some(1), batch: Some(1), ..SimConfig::default() };
    let steps = [
        (1, vpc(353, "10.1.0.0/16 100.64.1.0/24", "prod")),
        (1009, vpc(46, "10.3.0.0/16 2600:1f18:3::/56", "prod")),
        (312, vpc(506, "10.4.0.0/16", "prod")),
        (63, vpc(220, "10.5.0.0/16", "prod")),
        (2770, vpc(284, "10.6.0.0/16", "prod/$x")),
        (656, vpc(286, "10.7.0.0/16", "prod")),
        (1921, vpc(880, "10.8.0.0/16 2600:1f18:8::/56", "prod")),
        (3123, Operation::AccountOutage { account: 839, minutes: 2 }),
    ];
    play(false, config, &steps);
}

/// The index entry of a VPC had the CIDR blocks of an older read and the mesh of a newer one, a state that the VPC
/// never had. When its account became unreadable, peerd created routes from this entry.
#[test]
fn an_index_entry_is_a_state_that_the_vpc_had() {
    let mut world = World::default();
    world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16 2600:1f18:2::/56", "staging");
    world.rest();
    world.events_lost = true;
    world.disassociate(&b, &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
    world.tag(&b, "prod").unwrap();
    world.events_lost = false;
    world.table("b2", &b);
    world.rest();
    assert!(world.target("a", "2600:1f18:2::/56").is_some());
    world.set_denied(&account(2), true);
    world.ask(&mesh("prod"), BTreeSet::new());
    world.rest();
    assert_eq!(world.target("a", "10.2.0.0/16"), None);
}

/// A run that read the old tag of a VPC that had left requested a peering with it. When the follow-up run started, the
/// VPC was no longer in the index: only its side listed the request, and no run read that side.
#[test]
fn a_follow_up_reads_what_a_run_created_from_a_stale_read() {
    let behavior = AwsBehavior { crossing: 2 * MINUTE..=2 * MINUTE, ..AwsBehavior::default() };
    for seed in 0..60 {
        let faults = FaultProfile { latency: 1..=300, staleness: 3 * SECOND, ..FaultProfile::default() };
        let (behavior, workers, batch) = (behavior.clone(), Some(3), Some(3));
        let config = SimConfig { seed, behavior, faults, workers, batch, ..SimConfig::default() };
        let steps = [
            (1, vpc(at(2, 0), "10.1.0.0/16", "staging")),
            (2 * MINUTE, vpc(at(3, 1), "10.6.0.0/16", "staging")),
            (1900, Operation::Untag { vpc: 0 }),
        ];
        play(true, config, &steps);
    }
}

/// After a stale read, the index still listed a VPC that had left its mesh. When the VPC joined again, another stale
/// read removed it from the index.
#[test]
fn a_stale_index_entry_does_not_remove_a_vpc_that_rejoins() {
    for seed in 0..60 {
        let faults = FaultProfile { latency: 1..=21, staleness: 2500, ..FaultProfile::default() };
        let behavior = AwsBehavior { repeated_create_tags: true, same_route_twice: true, ..AwsBehavior::default() };
        let config = SimConfig { seed, faults, behavior, workers: Some(5), batch: Some(100), ..SimConfig::default() };
        let steps = [
            (7, vpc(at(1, 1), "10.1.0.0/16", "prod")),
            (1, vpc(at(2, 1), "10.2.0.0/16", "prod")),
            (81, vpc(at(1, 0), "10.3.0.0/16", "prod")),
            (713, Operation::Untag { vpc: 1 }),
            (14 * MINUTE, Operation::Tag { vpc: 1, meshes: "prod" }),
        ];
        play(true, config, &steps);
    }
}

/// A user removed the seal from the one side of a peering that a run read, and the index was lost: the run
/// treated the peering as foreign, did not read its other end, and revoked the rule for it.
#[test]
fn a_peering_without_the_seal_on_one_side_is_read_from_both() {
    let steps = [
        (196, vpc(at(1, 0), "10.1.0.0/16", "prod")),
        (3, vpc(at(3, 1), "10.2.0.0/16", "prod")),
        (5 * MINUTE, Operation::MakeGroup { vpc: 0, meshes: "prod", ports: Some("tcp/443") }),
        (MINUTE, Operation::LoseIndex),
        (9, Operation::StripTag { nth: 0, of_accepter: false, key: "peerd:seal" }),
        (MINUTE, Operation::Tag { vpc: 0, meshes: "prod staging" }),
    ];
    play(false, SimConfig { workers: Some(1), batch: Some(1), ..SimConfig::default() }, &steps);
}

/// While a Region was unreadable and the index was lost, a run ignored a peering whose tag a user had changed to
/// another mesh, and revoked the rule for its VPC.
#[test]
fn a_rule_for_a_vpc_that_is_unreadable_and_not_indexed_is_kept() {
    let steps = [
        (241, vpc(at(2, 1), "10.1.0.0/16", "prod")),
        (5, vpc(at(3, 0), "10.2.0.0/16", "prod")),
        (10 * MINUTE, Operation::MakeGroup { vpc: 1, meshes: "prod", ports: Some("tcp/443") }),
        (16 * MINUTE, Operation::RegionOutage { region: 1, minutes: 2 }),
        (649, Operation::LoseIndex),
        (5518, Operation::RetagPeering { nth: 0, of_accepter: true }),
    ];
    play(false, SimConfig { workers: Some(1), ..SimConfig::default() }, &steps);
}

/// A VPC lost a CIDR block that another member also advertises: the route moved to that member, and the same pass
/// revoked the rule that allowed the CIDR block.
#[test]
fn a_rule_stays_when_its_cidr_moves_to_another_peering() {
    let group = |ports| Operation::MakeGroup { vpc: 0, meshes: "prod", ports };
    for seed in 0..20 {
        let steps = [
            (1, vpc(at(1, 0), "10.3.0.0/16", "prod")),
            (400, vpc(at(2, 1), "10.4.0.0/16 2600:1f18:4::/56", "prod")),
            (5, vpc(at(3, 0), "10.4.0.0/16", "prod")),
            (2 * MINUTE, group(Some("icmp tcp/443"))),
            (5 * MINUTE, Operation::Disassociate { vpc: 1, nth: 0 }),
        ];
        play(true, SimConfig { seed, workers: Some(2), batch: Some(1), ..SimConfig::default() }, &steps);
        let behavior =
            AwsBehavior { quotas: quotas(&[(Quota::Requests, 1), (Quota::Rules, 3)]), ..AwsBehavior::default() };
        let faults = FaultProfile { port_fault_rate: 50, ..FaultProfile::default() };
        let steps = [&steps[..3], &[(20 * MINUTE, group(None)), (7 * MINUTE, steps[4].1.clone())]].concat();
        play(false, SimConfig { seed, behavior, faults, workers: Some(4), ..SimConfig::default() }, &steps);
    }
}

/// One run deleted the routes of a mesh whose policy no longer selects the tables, while another run, which had still
/// read these routes, revoked a rule. The rule allowed addresses that these routes sent to another VPC. No traffic was
/// interrupted, and the oracle must not report an interruption.
#[test]
fn a_revoked_rule_is_judged_by_the_routes_that_its_run_observed() {
    let behavior = AwsBehavior { opening: 0..=252, ..AwsBehavior::default() };
    let faults = FaultProfile { latency: 1..=1832, ..FaultProfile::default() };
    let config = SimConfig {
        seed: 1_795_720_449_524,
        behavior,
        faults,
        workers: Some(5),
        batch: Some(3),
        ..SimConfig::default()
    };
    let steps = [
        (6, vpc(362, "10.1.0.0/16", "prod")),
        (5000, vpc(398, "10.2.0.0/16", "prod")),
        (3511, vpc(190, "10.1.0.0/16", "prod")),
        (4067, vpc(277, "10.4.0.0/16", "prod")),
        (411, vpc(453, "10.5.0.0/16", "prod")),
        (247_260, Operation::MakeGroup { vpc: 15, meshes: "prod staging", ports: None }),
        (475_582, Operation::Advertise { vpc: 841, parts: Some(317) }),
        (1630, Operation::Declare { mesh: "prod", policy: r#"{"routes":{"tables":"tagged"}}"# }),
    ];
    play(false, config, &steps);
}

/// A run of one mesh requested a peering that only another mesh wanted, because a dead peering of the pair was still tagged for the
/// first. The VPC had left by then, no run of the other mesh followed, and the peering stayed until the next sweep.
#[test]
fn a_peering_is_requested_only_by_a_run_of_a_mesh_that_wants_it() {
    let faults = FaultProfile { latency: 1..=3, staleness: 327, ..FaultProfile::default() };
    let behavior =
        AwsBehavior { crossing: 0..=13_603, provisioning: 0..=1956, opening: 0..=1, ..AwsBehavior::default() };
    for seed in 0..40 {
        let (faults, behavior) = (faults.clone(), behavior.clone());
        let config = SimConfig { seed, faults, behavior, workers: Some(1), batch: Some(1), ..SimConfig::default() };
        let steps = [
            (4, vpc(at(1, 0), "10.2.0.0/16", "prod")),
            (5, vpc(at(1, 1), "10.3.0.0/16", "prod")),
            (20 * MINUTE, Operation::Tag { vpc: 1, meshes: "staging" }),
            (MINUTE, Operation::Tag { vpc: 0, meshes: "staging,prod" }),
            (822, Operation::Untag { vpc: 0 }),
        ];
        play(true, config, &steps);
    }
}
