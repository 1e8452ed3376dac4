//! Policies that operators declare, and the tags other than `peerd:env`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use peerd_core::{DnsSupport, Finding, FindingKind, Policy, PolicyError, VpcRef, cidr, tags};
use peerd_engine::Outcome;
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, mesh, scope};

/// Creates three members of prod in three accounts and runs until they are connected.
fn prod() -> (World, [VpcRef; 3]) {
    let mut world = World::default();
    let vpcs = [(1, "a"), (2, "b"), (3, "c")].map(|(n, name)| {
        let cidr = format!("10.{n}.0.0/16");
        world.vpc(name, scope(n, 0), &cidr, "prod")
    });
    world.rest();
    world.pass(MINUTE);
    (world, vpcs)
}

/// Declares a mesh with a policy and runs until nothing is left to do.
pub fn declare(world: &mut World, name: &str, policy: &str) {
    let policy = Policy::read(&mut serde_json::Deserializer::from_str(policy)).unwrap();
    world.declare(&mesh(name), policy);
    world.rest();
}

/// Returns the route tables, of those with these names, that have routes besides the local ones.
fn routed<'a>(world: &World, names: &[&'a str]) -> Vec<&'a str> {
    let aws = world.cloud.aws();
    let leads =
        |name: &str| aws.table(&table(name)).is_some_and(|table| table.routes.iter().any(|route| route.is_static));
    names.iter().copied().filter(|name| leads(name)).collect()
}

fn leads(world: &World, name: &str, cidr: &str) -> bool {
    let cidr = cidr::parse(cidr).unwrap();
    world.cloud.aws().table(&table(name)).unwrap().created_route(&cidr).is_some()
}

/// A policy takes effect immediately: peerd creates what it allows, and deletes what it no longer allows.
#[test]
fn a_vpc_that_is_no_longer_admitted_is_disconnected_and_gets_the_reason() {
    let (mut world, [a, b, c]) = prod();
    declare(&mut world, "prod", r#"{"admit":{"accounts":["111111111111","333333333333"]}}"#);
    assert!(world.connected(&a, &c));
    assert!(!world.connected(&a, &b) && !world.connected(&b, &c));
    assert_eq!(world.status(&b).as_deref(), Some("refused prod: account 222222222222 is not admitted"));
    assert_eq!(routed(&world, &["b"]), Vec::<&str>::new());
    declare(&mut world, "prod", "{}");
    assert!(world.connected(&a, &b) && world.connected(&b, &c));
}

/// In a hub-and-spoke mesh, hubs are connected with every member and spokes only with hubs; a hub is a VPC that the policy
/// names, and a tag alone makes none.
#[test]
fn roles_decide_in_a_hub_and_spoke_mesh() {
    let (mut world, [a, b, c]) = prod();
    world.mark(&a, tags::ROLE, Some("hub")).unwrap();
    world.mark(&b, tags::ROLE, Some("Hub")).unwrap();
    world.mark(&c, tags::ROLE, Some("hub")).unwrap();
    declare(&mut world, "prod", r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-a","vpc-b"]}}"#);
    assert!(world.connected(&a, &b) && world.connected(&a, &c) && !world.connected(&b, &c));
    assert!(world.status(&c).unwrap().contains("the policy of prod does not name it in `hubs`"));
    declare(&mut world, "prod", r#"{"topology":"hub-and-spoke","hubs":{"accounts":["111111111111","333333333333"]}}"#);
    assert!(world.connected(&b, &c));
    world.mark(&c, tags::ROLE, Some("spoke")).unwrap();
    world.rest();
    assert!(!world.connected(&b, &c));
}

/// A mesh has at most as many members as its policy allows: the earliest members keep their slots, and the next VPC
/// joins when a member leaves.
#[test]
fn a_mesh_admits_as_many_members_as_its_policy_allows() {
    let mut world = World::default();
    declare(&mut world, "prod", r#"{"admit":{"members":2}}"#);
    let [c, b, a] = [(1, "c"), (2, "b"), (3, "a")].map(|(n, name)| {
        let vpc = world.vpc(name, scope(n, 0), &format!("10.{n}.0.0/16"), "prod");
        world.rest();
        vpc
    });
    assert!(world.connected(&c, &b) && world.peering(&a, &b).is_none());
    assert_eq!(world.status(&a).as_deref(), Some("refused prod: mesh is full (2 members)"));
    world.untag(&c).unwrap();
    world.rest();
    assert!(world.connected(&a, &b));
}

/// A VPC advertises only parts of its own CIDR blocks; a change keeps the peering, and peers never lose the route to
/// addresses that the VPC still advertises.
#[test]
fn peers_get_routes_to_what_a_vpc_advertises() {
    let (mut world, [a, b, _]) = prod();
    let (peering, _) = world.peering(&a, &b).unwrap();
    world.mark(&b, tags::CIDRS, Some("10.2.0.0/17 10.2.128.0/18")).unwrap();
    world.rest();
    assert!(leads(&world, "a", "10.2.0.0/17") && leads(&world, "a", "10.2.128.0/18"));
    assert!(!leads(&world, "a", "10.2.0.0/16"));
    assert_eq!(world.peering(&a, &b).unwrap().0, peering);
}

/// A word in `peerd:cidrs` that is no part of the VPC's own CIDR blocks may be a typo: peerd reports it, routes nothing for it, and
/// takes no route away until the tag is corrected.
#[test]
fn a_typo_in_what_a_vpc_advertises_takes_no_route_away() {
    let (mut world, [_, b, _]) = prod();
    world.mark(&b, tags::CIDRS, Some("10.2.0.0/17 0.0.0.0/0")).unwrap();
    world.rest();
    assert!(leads(&world, "a", "10.2.0.0/17") && !leads(&world, "a", "0.0.0.0/0"));
    assert!(leads(&world, "a", "10.2.0.0/16"), "the route from before the typo stays");
    assert!(world.status(&b).unwrap().contains("`0.0.0.0/0` in peerd:cidrs is not within its own CIDR blocks"));
    world.mark(&b, tags::CIDRS, Some("10.2.0.0/17")).unwrap();
    world.rest();
    assert!(leads(&world, "a", "10.2.0.0/17") && !leads(&world, "a", "10.2.0.0/16"));
}

/// peerd does not route addresses that a policy excludes or that are outside the ranges that it admits.
#[test]
fn a_policy_limits_what_is_routed() {
    let (mut world, [_, b, _]) = prod();
    world.associate(&b, &cidr::parse("100.64.2.0/24").unwrap()).unwrap();
    world.associate(&b, &cidr::parse("172.16.2.0/24").unwrap()).unwrap();
    world.rest();
    assert!(leads(&world, "a", "100.64.2.0/24") && leads(&world, "a", "172.16.2.0/24"));
    let policy =
        r#"{"admit":{"cidrs":["10.0.0.0/8","100.64.0.0/10"]},"routes":{"exclude":["100.64.0.0/10","10.2.128.0/17"]}}"#;
    declare(&mut world, "prod", policy);
    assert!(leads(&world, "a", "10.2.0.0/17"));
    for cidr in ["100.64.2.0/24", "172.16.2.0/24", "10.2.0.0/16"] {
        assert!(!leads(&world, "a", cidr), "{cidr}");
    }
    assert!(world.status(&b).unwrap().contains("172.16.2.0/24 is not in the ranges that prod admits"));
}

/// By default, peerd routes private addresses and IPv6 addresses that Amazon provided, and reports all others; a policy can
/// admit them.
#[test]
fn public_addresses_of_a_member_are_routed_only_if_the_policy_admits_them() {
    let (mut world, [_, b, _]) = prod();
    for cidr in ["8.8.0.0/16", "2a05:d000::/56", "2600:1f18::/56"] {
        world.associate(&b, &cidr::parse(cidr).unwrap()).unwrap();
    }
    world.rest();
    assert!(leads(&world, "a", "2600:1f18::/56"));
    assert!(!leads(&world, "a", "8.8.0.0/16") && !leads(&world, "a", "2a05:d000::/56"));
    assert!(world.status(&b).unwrap().contains("8.8.0.0/16 is not in the ranges that prod admits"));
    declare(&mut world, "prod", r#"{"admit":{"cidrs":["private","amazon-ipv6","8.8.0.0/16"]}}"#);
    assert!(
        leads(&world, "a", "8.8.0.0/16") && leads(&world, "a", "2600:1f18::/56") && leads(&world, "a", "10.2.0.0/16")
    );
    declare(&mut world, "prod", r#"{"admit":{"cidrs":["10.0.0.0/8"]}}"#);
    assert!(leads(&world, "a", "10.2.0.0/16") && !leads(&world, "a", "2600:1f18::/56"));
    declare(&mut world, "prod", "{}");
    assert!(!leads(&world, "a", "8.8.0.0/16") && leads(&world, "a", "2600:1f18::/56"));
}

/// peerd adds no route to a CIDR block to which a gateway propagates a route: a static route would override it.
#[test]
fn a_propagated_route_is_not_overridden() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    world.cloud.aws().propagate(&table("a"), &cidr::parse("10.2.0.0/16").unwrap());
    world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod");
    world.rest();
    world.pass(MINUTE);
    assert!(!leads(&world, "a", "10.2.0.0/16") && leads(&world, "b", "10.1.0.0/16"));
    assert!(world.status(&a).unwrap().contains("a routes 10.2.0.0/16 to vgw-1"));
}

/// peerd creates routes in the tables that the policy selects and in tables with `peerd:routes=manage`; in tables with
/// `peerd:routes=ignore`, it deletes only the routes to deleted peerings.
#[test]
fn route_tables_are_selected_by_the_policy_and_their_own_tag() {
    let (mut world, [a, ..]) = prod();
    for name in ["second", "managed", "ignored", "eligible"] {
        world.table(name, &a);
    }
    world.mark_table(&table("managed"), tags::ROUTES, Some("manage"));
    world.mark_table(&table("eligible"), tags::ELIGIBLE, Some("true"));
    world.rest();
    world.mark_table(&table("ignored"), tags::ROUTES, Some("ignore"));
    world.rest();
    let names = ["a", "second", "managed", "ignored", "eligible"];
    assert_eq!(routed(&world, &names), names);
    declare(&mut world, "prod", r#"{"routes":{"tables":"main"}}"#);
    assert_eq!(routed(&world, &names), ["a", "managed", "ignored"]);
    declare(&mut world, "prod", r#"{"routes":{"tables":"tagged"}}"#);
    assert_eq!(routed(&world, &names), ["managed", "ignored", "eligible"]);
}

/// peerd changes nothing of a paused mesh, neither in its runs nor in those of other meshes; it reports pending changes
/// and makes them when the mesh resumes.
#[test]
fn a_pause_suppresses_pending_changes() {
    let (mut world, [a, b, c]) = prod();
    declare(&mut world, "prod", r#"{"mode":"paused"}"#);
    let cidr = cidr::parse("10.2.0.0/16").unwrap();
    world.delete_route(&table("a"), &cidr).unwrap();
    world.untag(&c).unwrap();
    world.tag(&a, "prod staging").unwrap();
    world.tag(&b, "prod staging").unwrap();
    world.rest();
    world.sweep();
    world.rest();
    assert!(!leads(&world, "a", "10.2.0.0/16"));
    assert!(world.peering(&a, &c).is_some() && world.peering(&b, &c).is_some());
    let runs = world.store.take_runs();
    let last = runs.iter().rfind(|run| run.mesh == mesh("prod")).unwrap();
    assert_eq!(last.outcome, Outcome::Paused);
    assert!(last.report.suppressed.iter().any(|action| action.to_string().starts_with("+ route rtb-a")));
    let due = world.store.kept(&mesh("prod")).suppressed;
    assert!(due.iter().any(|line| line.starts_with("+ route rtb-a")), "{due:?}");
    declare(&mut world, "prod", "{}");
    assert!(world.connected(&a, &b) && world.peering(&a, &c).is_none());
    assert_eq!(world.traces(&c), Vec::<String>::new());
    assert_eq!(world.store.kept(&mesh("prod")).suppressed, Vec::<String>::new());
}

/// peerd takes a draining mesh down, routes first and regardless of the delete limits; the members keep their tags and
/// get a status.
#[test]
fn a_draining_mesh_is_torn_down() {
    let mut world = World::default();
    let vpcs: Vec<VpcRef> =
        (1..=7).map(|n| world.vpc(&format!("d{n}"), scope(1, 0), &format!("10.{n}.0.0/16"), "prod")).collect();
    world.rest();
    world.pass(MINUTE);
    declare(&mut world, "prod", r#"{"mode":"draining"}"#);
    for vpc in &vpcs {
        assert_eq!(world.status(vpc).as_deref(), Some("refused prod: mesh is draining"));
        assert!(world.cloud.aws().vpc(vpc).unwrap().tags.contains_key(tags::ENV));
    }
    let live = world.cloud.aws().peerings().filter(|peering| peering.status().is_live()).count();
    assert_eq!(live, 0);
    declare(&mut world, "prod", "{}");
    assert!(world.connected(&vpcs[0], &vpcs[6]));
}

/// If a stored policy is invalid, peerd changes nothing of that mesh, reports the invalid field, and reconciles all
/// other meshes.
#[test]
fn an_unreadable_policy_delays_no_other_mesh() {
    let (mut world, [a, _, c]) = prod();
    let error = PolicyError { field: "topology".to_owned(), why: "unknown variant `ring`".to_owned() };
    world.declare(&mesh("prod"), Policy::unreadable(&error));
    world.untag(&c).unwrap();
    let d = world.vpc("d", scope(1, 1), "10.4.0.0/16", "staging");
    let e = world.vpc("e", scope(2, 1), "10.5.0.0/16", "staging");
    world.rest();
    assert!(world.peering(&a, &c).is_some());
    assert!(world.connected(&d, &e));
    let runs = world.store.take_runs();
    let run = runs.iter().rfind(|run| run.mesh == mesh("prod")).unwrap();
    assert!(run.report.findings.iter().any(|finding| finding.message().contains("policy field `topology`")));
}

/// If two meshes disagree about a pair, peerd uses the CIDR blocks and route tables that either of them selects and the
/// tags of the mesh that comes first by name; a pause takes precedence over everything.
#[test]
fn disagreements_of_meshes_about_a_pair_are_resolved() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod staging");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "prod staging");
    declare(&mut world, "staging", r#"{"tags":{"team":"blue"}}"#);
    declare(&mut world, "prod", r#"{"routes":{"exclude":["10.2.0.0/16"]},"tags":{"team":"red"}}"#);
    assert!(world.connected(&a, &b) && leads(&world, "a", "10.2.0.0/16"));
    let (id, _) = world.peering(&a, &b).unwrap();
    let has_tag = |world: &World, vpc: &VpcRef| {
        world.cloud.aws().peerings().find(|peering| peering.id == id).unwrap().tags(&vpc.scope)["team"].clone()
    };
    assert_eq!((has_tag(&world, &a), has_tag(&world, &b)), ("red".to_owned(), "red".to_owned()));
    let runs = world.store.take_runs();
    let findings = runs.iter().rfind(|run| run.mesh == mesh("prod")).unwrap().report.findings.iter();
    let said: Vec<String> = findings.map(|finding| finding.message()).collect();
    assert!(
        said[0].contains("disagree about the tag `team`") && said[1].contains("route different CIDR blocks"),
        "{said:?}"
    );
}

/// After a policy adopts a peering, peerd owns it, without an interruption; after a policy releases it, the peering
/// loses its ownership tag and seal and keeps its routes.
#[test]
fn peerings_are_adopted_and_released_without_an_interruption() {
    let mut world = World::default();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "");
    let b = world.vpc("b", scope(2, 0), "10.2.0.0/16", "");
    let id = world.request_peering(&a, &b, &peerd_core::Tags::new()).unwrap();
    world.pass(MINUTE);
    world.accept_peering(&b.scope, &id).unwrap();
    world.pass(MINUTE);
    let target = peerd_core::RouteTarget::Peering(id.clone());
    world.put_route(&table("a"), &cidr::parse("10.2.0.0/16").unwrap(), &target).unwrap();
    world.tag(&a, "prod").unwrap();
    world.tag(&b, "prod").unwrap();
    world.rest();
    assert!(world.status(&a).unwrap().contains("foreign peering"), "{:?}", world.status(&a));
    declare(&mut world, "prod", &format!(r#"{{"adopt":["{id}"]}}"#));
    assert!(world.connected(&a, &b));
    assert_eq!(world.peering(&a, &b).unwrap().0, id);
    declare(&mut world, "prod", &format!(r#"{{"release":["{id}"]}}"#));
    world.untag(&b).unwrap();
    world.rest();
    assert!(leads(&world, "a", "10.2.0.0/16") && leads(&world, "b", "10.1.0.0/16"));
    let aws = world.cloud.aws();
    let peering = aws.peerings().find(|peering| peering.id == id).unwrap();
    assert!(peering.status().is_live());
    for key in [tags::MANAGED_BY, tags::SEAL] {
        assert!([&a, &b].iter().all(|vpc| !peering.tags(&vpc.scope).contains_key(key)));
    }
}

/// DNS names resolve across a peering as the policies of its meshes declare, and only if both VPCs support it; peerd
/// reports a VPC that does not.
#[test]
fn dns_resolution_follows_the_policy_and_the_attributes_of_both_vpcs() {
    let (mut world, [a, b, c]) = prod();
    let has = DnsSupport { hostnames: true, support: true };
    for vpc in [&a, &b] {
        world.set_dns_support(vpc, has).unwrap();
    }
    world.store.take_runs();
    declare(&mut world, "prod", r#"{"dns":"on"}"#);
    assert_eq!(resolving(&world), ["vpc-a", "vpc-b"], "c has no DNS host names");
    let reported: Vec<Finding> = world.store.take_runs().pop().unwrap().report.findings.into_iter().collect();
    assert_eq!(
        reported.iter().map(|it| (it.kind(), it.subject())).collect::<Vec<_>>(),
        [(FindingKind::Dns, c.to_string())]
    );

    world.set_dns_support(&c, has).unwrap();
    world.rest();
    assert_eq!(resolving(&world), ["vpc-a", "vpc-a", "vpc-b", "vpc-b", "vpc-c", "vpc-c"]);
    let (peering, _) = world.peering(&a, &b).unwrap();
    world.set_dns_option(&peering, &a, false).unwrap();
    world.rest();
    assert_eq!(resolving(&world).len(), 6, "peerd enables again what a user disabled");
    declare(&mut world, "prod", "{}");
    world.set_dns_option(&peering, &a, false).unwrap();
    world.rest();
    assert_eq!(resolving(&world).len(), 5, "a mesh without a DNS setting does not change it");
    declare(&mut world, "prod", r#"{"dns":"off"}"#);
    assert_eq!(resolving(&world), Vec::<String>::new());
}

/// Returns the VPCs whose DNS names resolve in their peer, once for each live peering.
fn resolving(world: &World) -> Vec<String> {
    let aws = world.cloud.aws();
    let live = aws.peerings().filter(|peering| peering.status().is_live());
    let on = live.flat_map(|peering| peering.ends().into_iter().filter(|vpc| peering.resolves(vpc)));
    let mut names: Vec<String> = on.map(|vpc| vpc.id.to_string()).collect();
    names.sort();
    names
}
