use std::path::PathBuf;

use insta::assert_snapshot;
use peerd_core::{Quota, cidr};
use peerd_testkit::user_actions::table;
use peerd_testkit::{AwsBehavior, MINUTE, SimConfig, World, account, mesh};

use crate::simulated_aws::Site;

const STACK: [&str; 4] = ["--stack", "peerd", "--role", "operator"];

/// Two members whose routes a user has deleted, without an event.
fn without_routes() -> Site {
    let (mut site, _) = Site::with_pair();
    site.world.events_lost = true;
    for (of, to) in [("web", "10.2.0.0/16"), ("data", "10.1.0.0/16")] {
        site.world.delete_route(&table(of), &cidr::parse(to).unwrap()).unwrap();
    }
    site
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("peerd-{}-{name}", std::process::id()))
}

/// Runs a command on the deployment.
fn run(site: &mut Site, words: &[&str]) -> String {
    site.run_words(&[words, &STACK].concat())
}

#[test]
fn what_is_pending_is_planned_and_applied() {
    let mut site = without_routes();
    run(&mut site, &["plan", "--detailed-exitcode"]);
    run(&mut site, &["apply"]);
    site.answers = Some(vec!["yes"]);
    run(&mut site, &["apply"]);
    run(&mut site, &["plan", "--detailed-exitcode"]);
    assert_snapshot!(site.session);
}

#[test]
fn a_saved_plan_is_applied_once() {
    let mut site = without_routes();
    let file = file("plan.json");
    run(&mut site, &["plan", "--out", file.to_str().unwrap()]);
    run(&mut site, &["apply", file.to_str().unwrap()]);
    run(&mut site, &["apply", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    run(&mut site, &["apply", "prod"]);
    assert_snapshot!(site.session.replace(file.to_str().unwrap(), "plan.json"));
}

#[test]
fn a_saved_plan_is_drawn_as_it_leaves_the_meshes() {
    let mut site = without_routes();
    site.world.events_lost = true;
    site.member("new", 3);
    let file = file("drawn.json");
    let name = file.to_str().unwrap();
    run(&mut site, &["plan", "prod", "--out", name]);
    site.run_words(&["map", "--from", name, "--format", "mermaid"]);
    run(&mut site, &["map", "prod", "--format", "mermaid"]);
    std::fs::remove_file(&file).unwrap();
    assert_snapshot!(site.session.replace(name, "plan.json"));
}

#[test]
fn what_could_not_be_read_is_not_planned_as_fine() {
    let mut site = without_routes();
    site.world.set_denied(&account(2), true);
    run(&mut site, &["plan", "--detailed-exitcode"]);
    run(&mut site, &["apply", "--yes"]);
    run(&mut site, &["explain", "vpc-web", "vpc-data"]);
    run(&mut site, &["plan", "staging", "--verbose"]);
    assert_snapshot!(site.session);
}

#[test]
fn a_pause_holds_changes_back() {
    let mut site = without_routes();
    site.run("mesh pause prod");
    site.world.rest();
    run(&mut site, &["plan", "--detailed-exitcode"]);
    run(&mut site, &["apply", "--yes"]);
    assert_snapshot!(site.session);
}

/// The runs of other meshes leave the status tag of the VPC alone: without it, no run would read the VPC again.
#[test]
fn a_removal_that_is_held_back_keeps_the_status_tag() {
    let (mut site, [web, _]) = Site::with_pair();
    let policy = serde_json::from_str(r#"{"deletes":{"count":0,"percent":0}}"#).unwrap();
    site.world.declare(&mesh("prod"), policy);
    site.world.rest();
    site.world.pass(10 * MINUTE);
    site.world.events_lost = true;
    site.world.untag(&web).unwrap();
    let output = run(&mut site, &["plan"]);
    assert!(!output.contains("staging: - vpc"), "{output}");
    let output = run(&mut site, &["apply", "--yes"]);
    assert!(output.starts_with("exit 6"), "{output}");
    for _ in 0..2 {
        assert_eq!(site.world.status(&web).as_deref(), Some("waiting prod: removal needs confirmation"));
        site.world.sweep();
        site.world.rest();
    }
}

/// What another principal keeps reverting rests for a while, and no command calls that fine.
#[test]
fn a_change_that_rests_is_held_back_and_explained() {
    let (mut site, _) = Site::with_pair();
    for _ in 0..4 {
        site.world.pass(MINUTE);
        site.world.delete_route(&table("web"), &cidr::parse("10.2.0.0/16").unwrap()).unwrap();
        site.world.rest();
    }
    run(&mut site, &["plan", "--detailed-exitcode"]);
    run(&mut site, &["apply", "--yes"]);
    run(&mut site, &["explain", "vpc-web", "vpc-data"]);
    assert_snapshot!(site.session);
}

/// A quota that only AWS's refusal reveals holds changes back.
#[test]
fn a_refusal_because_of_a_quota_is_held_back() {
    let quotas = [(Quota::Routes, 1)].into_iter().collect();
    let behavior = AwsBehavior { quotas, tells_quotas: false, ..AwsBehavior::default() };
    let mut site = Site { world: World::new(&SimConfig { behavior, ..SimConfig::default() }), ..Site::new() };
    for (name, account) in [("web", 1), ("data", 2), ("batch", 3)] {
        site.member(name, account);
    }
    site.world.rest();
    let output = run(&mut site, &["apply", "--yes"]);
    assert!(output.starts_with("exit 6"), "{output}");
    assert!(output.contains("Held back:") && output.contains("RouteLimitExceeded"), "{output}");
}

#[test]
fn apply_leaves_the_status_of_a_vpc_that_left_a_paused_mesh() {
    let (mut site, [web, _]) = Site::with_pair();
    site.run("mesh pause prod");
    site.world.rest();
    site.world.untag(&web).unwrap();
    site.world.rest();
    run(&mut site, &["apply", "--yes"]);
    assert_eq!(site.world.status(&web).as_deref(), Some("joined prod"));
}

#[test]
fn a_mesh_that_is_named_twice_is_planned_once() {
    let (mut site, _) = Site::with_pair();
    let output = run(&mut site, &["plan", "prod", "prod"]);
    assert_eq!(output.matches("prod: ").count(), 1, "{output}");
}

#[test]
fn a_mesh_that_is_no_longer_declared_is_planned_once_for_what_stays() {
    let (mut site, _) = Site::with_pair();
    site.run("mesh declare lab");
    for name in ["web", "data"] {
        let vpc = site
            .world
            .cloud
            .aws()
            .vpcs()
            .find(|vpc| vpc.vpc_ref.id.as_str() == format!("vpc-{name}"))
            .unwrap()
            .vpc_ref
            .clone();
        site.world.tag(&vpc, "lab").unwrap();
    }
    site.world.rest();
    site.run_and_rest("mesh undeclare lab --yes");
    site.session.clear();
    run(&mut site, &["plan", "--detailed-exitcode"]);
    site.run("status");
    site.run("status lab");
    assert_snapshot!(site.session);
}

#[test]
fn a_file_alone_makes_a_mesh() {
    let mut site = Site::new();
    let key = file("key");
    let config = file("peerd.toml");
    std::fs::write(&key, "the-key-of-the-simulated-deployment").unwrap();
    std::fs::write(
        &config,
        format!(
            "accounts = [\"111111111111\", \"222222222222\"]\nregions = [\"us-east-1\"]\nrole = \"operator\"\nseal_key_file = \"{}\"\n\
             \n[meshes.laptop]\n",
            key.display()
        ),
    )
    .unwrap();
    site.world.events_lost = true;
    let [web, data] = [(1, "web"), (2, "data")]
        .map(|(n, name)| site.world.vpc(name, peerd_testkit::scope(n, 0), &format!("10.{n}.0.0/16"), "laptop"));
    let at = ["--file", config.to_str().unwrap()];
    site.run_words(&[&["plan", "--detailed-exitcode"][..], &at].concat());
    site.run_words(&[&["apply", "--yes"][..], &at].concat());
    assert!(site.world.connected(&web, &data));
    site.run_words(&[&["explain", "web", "10.2.0.7", "--port", "tcp/443"][..], &at].concat());
    assert_snapshot!(site.session.replace(config.to_str().unwrap(), "peerd.toml"));
    std::fs::remove_file(key).unwrap();
    std::fs::remove_file(config).unwrap();
}
