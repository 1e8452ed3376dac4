//! What an operator is shown before a decision: the deletes and creates that would follow, and why it would have no effect.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::{PeeringId, Policy, Tags, VpcRef};
use peerd_engine::what_if::{Consequences, Decision};
use peerd_testkit::{World, account, mesh, scope};

use crate::policies::declare;

/// Two connected members of prod.
fn prod() -> (World, [VpcRef; 2]) {
    let mut world = World::default();
    let vpcs = [(1, "a"), (2, "b")].map(|(n, name)| world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod"));
    world.rest();
    (world, vpcs)
}

fn policy(text: &str) -> Policy {
    Policy::read(&mut serde_json::Deserializer::from_str(text)).unwrap()
}

fn of_prod(world: &mut World, decision: &Decision) -> Consequences {
    world.foresee(decision).remove(&mesh("prod")).unwrap()
}

fn declaring(text: &str) -> Decision {
    Decision::Declare { mesh: mesh("prod"), policy: Box::new(policy(text)) }
}

/// The counts of the steps, without status tags.
fn counts(consequences: &Consequences) -> Vec<(&str, usize)> {
    let counts = consequences.counts.iter().filter(|(kind, _)| !kind.ends_with(" vpc"));
    counts.map(|(kind, count)| (kind.as_str(), *count)).collect()
}

#[test]
fn what_a_new_policy_deletes_and_creates_is_foreseen_and_not_done() {
    let (mut world, [a, b]) = prod();
    let drain = of_prod(&mut world, &declaring(r#"{"mode":"draining"}"#));
    assert_eq!(counts(&drain), [("- peering", 1), ("- route", 2)]);
    assert!(drain.any('-') && !drain.any('+'));
    assert!(world.connected(&a, &b));
    declare(&mut world, "prod", r#"{"admit":{"accounts":["111111111111"]}}"#);
    let open = of_prod(&mut world, &declaring("{}"));
    assert_eq!(counts(&open), [("* peering", 2), ("+ peering", 1), ("+ route", 2)]);
    assert_eq!(counts(&of_prod(&mut world, &Decision::Undeclare { mesh: mesh("prod") })), counts(&open), "the stack's");
    assert!(!world.connected(&a, &b));
}

#[test]
fn blocking_and_removing_an_account_delete_what_leads_to_it() {
    let (mut world, _) = prod();
    for decision in [Decision::Block { account: account(2) }, Decision::Remove { account: account(2) }] {
        let counts = of_prod(&mut world, &decision).counts;
        assert_eq!(counts.get("- peering"), Some(&1), "{decision:?}: {counts:?}");
    }
}

#[test]
fn an_adoption_or_release_without_effect_has_its_reasons() {
    let (mut world, [a, b]) = prod();
    let own = world.peering(&a, &b).unwrap().0;
    let adopt = |world: &mut World, name: &str, peering: &PeeringId| {
        let decision = Decision::Adopt { mesh: mesh(name), peering: peering.clone() };
        world.foresee(&decision).remove(&mesh(name)).unwrap().problems
    };
    let release = |world: &mut World, name: &str, peering: &PeeringId| {
        let decision = Decision::Release { mesh: mesh(name), peering: peering.clone() };
        world.foresee(&decision).remove(&mesh(name)).unwrap().problems
    };
    assert_eq!(adopt(&mut world, "prod", &own), [format!("{own} is peerd's own already")]);
    assert_eq!(release(&mut world, "prod", &own), Vec::<String>::new());
    assert_eq!(release(&mut world, "staging", &own), [format!("{own} is for prod, not for staging")]);

    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "");
    let foreign = world.request_peering(&a, &c, &Tags::new()).unwrap();
    let problems = adopt(&mut world, "prod", &foreign);
    assert!(problems[0].contains("only an active peering can be adopted"), "{problems:?}");
    assert_eq!(problems[1], format!("{c} does not request prod"));
    assert_eq!(
        release(&mut world, "prod", &foreign),
        [format!("{foreign} is not peerd's own, so there is nothing to release")]
    );
    let unknown = "pcx-nosuch".parse().unwrap();
    assert!(release(&mut world, "prod", &unknown)[0].contains("is in none of the accounts and Regions"));
}

#[test]
fn a_mesh_that_adopts_a_peering_of_another_mesh_cannot_release_it() {
    let (mut world, [a, b]) = prod();
    let own = world.peering(&a, &b).unwrap().0;
    declare(&mut world, "staging", &format!(r#"{{"adopt":["{own}"]}}"#));
    let decision = Decision::Release { mesh: mesh("staging"), peering: own.clone() };
    let problems = world.foresee(&decision).remove(&mesh("staging")).unwrap().problems;
    assert_eq!(
        problems,
        [format!(
            "{own} is for prod, not for staging; to end its adoption by staging, declare staging with a policy that does not \
             name it"
        )]
    );
}
