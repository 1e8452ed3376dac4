use std::sync::atomic::Ordering;

use insta::assert_snapshot;
use peerd_core::Policy;
use peerd_testkit::{AwsBehavior, MINUTE, SimConfig, World, mesh, scope};

use crate::simulated_aws::Site;

#[test]
fn a_mesh_that_is_well() {
    let (mut site, _) = Site::with_pair();
    for command in ["status", "status prod", "mesh list", "mesh show prod", "history prod --runs 1", "doctor"] {
        site.run(command);
    }
    assert_snapshot!(site.session);
}

#[test]
fn the_life_of_a_mesh() {
    let (mut site, [web, data]) = Site::with_pair();
    site.run_and_rest("mesh pause prod");
    site.run("status prod");
    site.run_and_rest("mesh declare prod");
    site.run_and_rest("mesh resume prod");
    assert!(site.world.connected(&web, &data));
    site.run_and_rest("mesh drain prod --yes");
    assert!(!site.world.connected(&web, &data));
    site.run("status prod");
    site.run_and_rest("mesh declare lab --paused");
    site.run_and_rest("mesh undeclare lab");
    site.run("mesh undeclare lab");
    site.run("status lab");
    assert_snapshot!(site.session);
}

#[test]
fn a_decision_that_deletes_is_refused_without_a_terminal() {
    let (mut site, [web, data]) = Site::with_pair();
    site.run_and_rest("mesh drain prod");
    assert!(site.world.connected(&web, &data));
    assert_snapshot!(site.session);
}

#[test]
fn only_yes_at_a_terminal_makes_a_decision_that_deletes() {
    let (mut site, [web, data]) = Site::with_pair();
    for (answer, stays) in [("y", true), ("", true), ("no", true), ("yes", false)] {
        site.answers = Some(vec![answer]);
        site.run_and_rest("mesh drain prod");
        assert_eq!(site.world.connected(&web, &data), stays, "{answer}");
    }
    assert_snapshot!(site.session);
}

#[test]
fn undeclaring_a_mesh_of_the_stack_asks_before_it_opens() {
    let (mut site, [web, data]) = Site::with_pair();
    let policy = std::env::temp_dir().join(format!("peerd-{}-limited.json", std::process::id()));
    std::fs::write(&policy, r#"{"admit":{"accounts":["111111111111"]}}"#).unwrap();
    site.run_words(&["mesh", "declare", "prod", "--yes", "--policy", policy.to_str().unwrap()]);
    site.world.rest();
    assert!(!site.world.connected(&web, &data));
    site.session.clear();
    site.run_and_rest("mesh undeclare prod");
    site.answers = Some(vec!["no"]);
    site.run_and_rest("mesh undeclare prod");
    assert!(!site.world.connected(&web, &data));
    site.answers = Some(vec!["yes"]);
    site.run_and_rest("mesh undeclare prod");
    assert!(site.world.connected(&web, &data));
    std::fs::remove_file(policy).unwrap();
    assert_snapshot!(site.session);
}

#[test]
fn a_mass_delete_waits_for_a_confirmation() {
    let mut site = Site::new();
    let vpcs: Vec<_> = (0..8)
        .map(|n| site.world.vpc(&format!("v{n}"), scope(1 + n % 3, 0), &format!("10.{n}.0.0/16"), "prod"))
        .collect();
    site.world.rest();
    site.run("confirm prod");
    for vpc in &vpcs {
        site.world.untag(vpc).unwrap();
    }
    site.world.pass(20 * MINUTE);
    site.run("status prod");
    site.run("plan prod --stack peerd --role operator --detailed-exitcode");
    site.run_and_rest("confirm prod");
    site.answers = Some(vec!["yes"]);
    site.run_and_rest("confirm prod");
    site.run("status prod");
    assert!(site.world.store.kept(&mesh("prod")).findings.is_empty());
    assert_snapshot!(site.session);
}

#[test]
fn who_decided_is_in_the_history_and_resuming_leaves_no_policy_behind() {
    let (mut site, _) = Site::with_pair();
    site.run_and_rest("mesh pause prod");
    site.run("mesh list");
    site.run_and_rest("mesh resume prod");
    site.run("mesh list");
    site.run_and_rest("mesh drain prod --yes");
    site.run("history prod --runs 1");
    assert_snapshot!(site.session);
}

#[test]
fn policies_that_disagree_about_a_peering_are_a_finding_of_both_meshes() {
    let mut site = Site::new();
    for (n, name) in [(1, "web"), (2, "data")] {
        site.world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod+staging");
    }
    site.world.rest();
    let peering = site.world.cloud.aws().peerings().next().unwrap().id.clone();
    site.run_and_rest(&format!("adopt --mesh prod {peering} --yes"));
    site.run_and_rest(&format!("release --mesh staging {peering} --yes"));
    site.run("status prod");
    site.run("status staging");
    assert_snapshot!(site.session);
}

#[test]
fn a_peering_is_released_and_adopted() {
    let (mut site, _) = Site::with_pair();
    let peering = site.world.cloud.aws().peerings().next().unwrap().id.clone();
    site.run("adopt --mesh prod pcx-nosuch");
    site.run_and_rest(&format!("release --mesh staging {peering}"));
    site.run_and_rest(&format!("release --mesh prod {peering} --yes"));
    site.run("status prod");
    site.run_and_rest(&format!("adopt --mesh prod {peering}"));
    site.run("status prod");
    assert_snapshot!(site.session);
}

#[test]
fn a_policy_that_an_adoption_makes_too_large_is_refused() {
    let (mut site, _) = Site::with_pair();
    let peering = site.world.cloud.aws().peerings().next().unwrap().id.clone();
    let many = (0..19_000).map(|n| format!("pcx-{n:017x}").parse().unwrap()).collect();
    site.world.declare(&mesh("prod"), Policy { release: many, ..Policy::default() });
    site.world.rest();
    let output = site.run(&format!("release --mesh prod {peering} --yes"));
    assert!(output.starts_with("exit 1") && output.contains("380 KB fit in the table"), "{output}");
}

#[test]
fn dead_letters_are_redriven() {
    let mut site = Site::new();
    site.world.sweep();
    site.world.rest();
    site.dead_letters.store(2, Ordering::Relaxed);
    site.run("doctor");
    site.run("redrive");
    site.run("doctor");
    assert_snapshot!(site.session);
}

#[test]
fn what_a_mutation_prints_as_json() {
    let (mut site, _) = Site::with_pair();
    for command in [
        "mesh pause prod --json",
        "status prod --json",
        "mesh list --json",
        "mesh drain prod --json",
        "status nosuch --json",
    ] {
        site.run_and_rest(command);
    }
    assert_snapshot!(site.session);
}

#[test]
fn status_waits_until_no_vpc_waits() {
    let behavior = AwsBehavior { provisioning: 2 * MINUTE..=2 * MINUTE, ..AwsBehavior::default() };
    let mut site = Site { world: World::new(&SimConfig { behavior, ..SimConfig::default() }), ..Site::new() };
    site.member("web", 1);
    site.member("data", 2);
    site.world.pass(MINUTE);
    let output = site.run("status prod --wait 30");
    assert!(output.starts_with("exit 6") && output.contains("waiting"), "{output}");
    let output = site.run("status prod --wait 300");
    assert!(output.starts_with("exit 0") && output.contains("pairs: 1 active"), "{output}");
}
