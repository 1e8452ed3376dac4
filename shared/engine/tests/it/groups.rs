//! Security group rules.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::tags::{ALLOW, MANAGED_BY, NAME, PORTS, ROUTES};
use peerd_core::{FindingKind, Permission, Quota, SecurityGroupId, SecurityGroupRuleId, Tags, Traffic, VpcRef, cidr};
use peerd_testkit::aws::AwsBehavior;
use peerd_testkit::change_log::Actor;
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, scope};

use crate::policies::declare;

/// Lets the security groups of both meshes allow some ports.
fn with_ports() -> World {
    let mut world = World::default();
    for name in ["prod", "staging"] {
        declare(&mut world, name, r#"{"security_groups":{"ports":["tcp/1-443","udp/53"]}}"#);
    }
    world
}

/// Creates three members of prod in three accounts, and a security group of the first that allows prod on port 443.
fn opened() -> (World, [VpcRef; 3], SecurityGroupId) {
    let mut world = with_ports();
    let vpcs = [(1, "a"), (2, "b"), (3, "c")].map(|(n, name)| {
        let cidr = format!("10.{n}.0.0/16");
        world.vpc(name, scope(n, 0), &cidr, "prod")
    });
    let group = world.group("web", &vpcs[0], &[(ALLOW, "prod"), (PORTS, "tcp/443")]);
    world.rest();
    world.pass(MINUTE);
    (world, vpcs, group)
}

fn lets_in(world: &World, group: &SecurityGroupId) -> Vec<String> {
    let aws = world.cloud.aws();
    let mut lines: Vec<String> =
        aws.group(group).unwrap().rules.values().map(|rule| rule.permission.to_string()).collect();
    lines.sort();
    lines
}

fn rules(world: &World, group: &SecurityGroupId) -> Vec<SecurityGroupRuleId> {
    world.cloud.aws().group(group).unwrap().rules.keys().cloned().collect()
}

/// A security group allows the members of the meshes that its tags name, on the ports that the tags and the policy name,
/// with as few rules as possible.
#[test]
fn rules_follow_membership_and_the_tags_of_the_group() {
    let (mut world, [_, b, _], group) = opened();
    assert_eq!(lets_in(&world, &group), ["tcp/443 from 10.2.0.0/15"]);
    world.untag(&b).unwrap();
    world.rest();
    assert_eq!(lets_in(&world, &group), ["tcp/443 from 10.3.0.0/16"]);
    world.tag(&b, "prod").unwrap();
    world.mark_group(&group, PORTS, Some("udp/53"));
    world.rest();
    assert_eq!(lets_in(&world, &group), ["udp/53 from 10.2.0.0/15"]);
    world.mark_group(&group, ALLOW, None);
    world.rest();
    assert_eq!(lets_in(&world, &group), Vec::<String>::new());
}

/// Without `security_groups` in the policy of a mesh, no security group gets a rule for it, whatever its tags say.
#[test]
fn a_policy_decides_whether_security_groups_are_opened_and_on_which_ports() {
    let (mut world, _, group) = opened();
    declare(&mut world, "prod", "{}");
    assert_eq!(lets_in(&world, &group), Vec::<String>::new());
    declare(&mut world, "prod", r#"{"security_groups":{"ports":["udp/53"]}}"#);
    assert_eq!(lets_in(&world, &group), Vec::<String>::new(), "the group's tag requests another port");
    world.mark_group(&group, PORTS, None);
    world.rest();
    assert_eq!(lets_in(&world, &group), ["udp/53 from 10.2.0.0/15"]);
}

/// A security group allows only CIDR blocks that a route table of its VPC routes to the member that advertises them.
#[test]
fn addresses_without_a_route_to_the_member_are_not_opened() {
    let (mut world, [a, ..], group) = opened();
    assert_eq!(lets_in(&world, &group), ["tcp/443 from 10.2.0.0/15"]);
    world.mark_table(&table("a"), ROUTES, Some("ignore"));
    world.delete_route(&table("a"), &cidr::parse("10.3.0.0/16").unwrap()).unwrap();
    world.rest();
    assert_eq!(lets_in(&world, &group), ["tcp/443 from 10.2.0.0/16"]);
    world.mark_table(&table("a"), ROUTES, None);
    world.rest();
    assert_eq!(lets_in(&world, &group), ["tcp/443 from 10.2.0.0/15"]);
    assert!(world.status(&a).is_some());
}

/// peerd never changes security group rules that another principal created, and restores its own rules that another
/// principal revokes.
#[test]
fn a_foreign_rule_stays_and_a_revoked_owned_rule_is_restored() {
    let (mut world, [a, ..], group) = opened();
    let by_hand = Permission { traffic: Traffic::All, from: cidr::parse("192.0.2.0/24").unwrap() };
    world.open_group(&group, &by_hand, "by hand").unwrap();
    let ours = rules(&world, &group).into_iter().next().unwrap();
    world.revoke_rule(&group, &ours).unwrap();
    world.rest();
    assert_eq!(lets_in(&world, &group), ["all from 192.0.2.0/24", "tcp/443 from 10.2.0.0/15"]);
    world.untag(&a).unwrap();
    world.rest();
    assert_eq!(lets_in(&world, &group), ["all from 192.0.2.0/24"]);
}

/// peerd revokes only rules whose description has a valid seal, whatever their tags; a sealed rule that lost its tags gets
/// them again, or is revoked.
#[test]
fn a_seal_and_not_a_tag_makes_a_rule_one_of_peerd() {
    let (mut world, [a, b, _], group) = opened();
    let by_hand = Permission { traffic: Traffic::All, from: cidr::parse("192.0.2.0/24").unwrap() };
    world.open_group(&group, &by_hand, "by hand").unwrap();
    let forged: Tags =
        [(MANAGED_BY, "peerd"), ("peerd:env/prod", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let ours = |world: &World| {
        let aws = world.cloud.aws();
        let found = aws.group(&group).unwrap().rules.clone();
        found.into_iter().find(|(_, rule)| rule.permission != by_hand).unwrap()
    };
    let tags = ours(&world).1.tags;
    for id in rules(&world, &group) {
        let is_ours = id == ours(&world).0;
        let retag = |current: &mut Tags| *current = if is_ours { Tags::new() } else { forged.clone() };
        world.cloud.aws().tag_rule(Actor::User, &a.scope, &id, retag).unwrap();
    }
    world.sweep();
    world.rest();
    assert_eq!(ours(&world).1.tags, Tags::from_iter(tags.into_iter().filter(|(key, _)| key != NAME)));
    assert_eq!(lets_in(&world, &group), ["all from 192.0.2.0/24", "tcp/443 from 10.2.0.0/15"]);
    let id = ours(&world).0;
    world.cloud.aws().tag_rule(Actor::User, &a.scope, &id, Tags::clear).unwrap();
    world.untag(&b).unwrap();
    world.rest();
    assert_eq!(lets_in(&world, &group), ["all from 192.0.2.0/24", "tcp/443 from 10.3.0.0/16"]);
}

/// A rule that two meshes need has the tags of both, and peerd revokes it when neither needs it any longer.
#[test]
fn leaving_one_of_two_meshes_keeps_the_rule() {
    let (mut world, [a, b, c], group) = opened();
    for vpc in [&a, &b, &c] {
        world.tag(vpc, "prod staging").unwrap();
    }
    world.mark_group(&group, ALLOW, Some("prod staging"));
    world.rest();
    let before = rules(&world, &group);
    world.tag(&a, "staging").unwrap();
    world.rest();
    assert_eq!(rules(&world, &group), before, "the same rule, now only for staging");
    world.mark_group(&group, ALLOW, Some("prod"));
    world.rest();
    assert_eq!(lets_in(&world, &group), Vec::<String>::new());
}

#[test]
fn a_full_security_group_is_reported_and_the_mesh_is_connected() {
    let mut world = with_ports();
    world.cloud.aws().behavior =
        AwsBehavior { quotas: [(Quota::Rules, 1)].into_iter().collect(), ..AwsBehavior::default() };
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    let group = world.group("web", &a, &[(ALLOW, "prod"), (PORTS, "tcp/1 tcp/3")]);
    world.rest();
    assert_eq!(lets_in(&world, &group).len(), 1);
    assert!(world.connected(&a, &b));
    let runs = world.store.take_runs();
    let found = runs.iter().flat_map(|run| &run.report.findings).find(|finding| finding.kind() == FindingKind::Quota);
    assert_eq!(found.unwrap().subject(), "sg-web in 111111111111/us-east-1");
}
