//! Security groups that allow meshes.

use std::collections::BTreeMap;

use super::world::{World, kinds, mesh, rendered, scope};
use crate::cidr::{self, IpNet};
use crate::finding::FindingKind;
use crate::tags::{ALLOW, CIDRS, MANAGED_BY, PORTS, of_rule};
use crate::*;

impl World {
    pub fn group(&mut self, name: &str, vpc: &VpcRef, current: &[(&str, &str)]) {
        let id: SecurityGroupId = format!("sg-{name}").parse().unwrap();
        let tags = current.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let group = SecurityGroup { id: id.clone(), vpc: vpc.clone(), tags, open: BTreeMap::new(), others: 0 };
        self.observed.ingress.groups.insert(id, group);
    }

    pub fn the_group(&mut self) -> &mut SecurityGroup {
        self.observed.ingress.groups.values_mut().next().unwrap()
    }

    /// Adds an existing rule; it has a seal if it has the ownership tag of this deployment.
    pub fn rule(&mut self, id: &str, group: &str, traffic: &str, from: &str, tags: Tags) {
        let is_sealed = tags::has_ownership_tag(&tags, &self.desired.deployment);
        self.described_rule(id, group, [traffic, from], tags, is_sealed);
    }

    /// Adds an existing rule, with or without a seal.
    pub fn described_rule(&mut self, id: &str, group: &str, [traffic, from]: [&str; 2], tags: Tags, is_sealed: bool) {
        let (id, group): (SecurityGroupRuleId, SecurityGroupId) = (id.parse().unwrap(), group.parse().unwrap());
        let permission = Permission { traffic: traffic.parse().unwrap(), from: cidr::parse(from).unwrap() };
        let scope = match self.observed.ingress.groups.get_mut(&group) {
            Some(group) => group.vpc.scope.clone(),
            None => scope(1, 0),
        };
        let seal = self.desired.seals.description(&scope, &group, &permission);
        let description = if is_sealed { seal } else { "by hand".to_owned() };
        if let Some(group) = self.observed.ingress.groups.get_mut(&group) {
            group.open.insert(permission.clone(), description.clone());
        }
        let rule = IngressRule { id, scope, group, permission, description, tags };
        self.observed.ingress.add_rule(rule, &self.desired.seals);
    }

    pub fn marks(&self, meshes: &[&str]) -> Tags {
        meshes.iter().flat_map(|name| of_rule(&self.desired.deployment, &mesh(name))).collect()
    }

    /// What peerd's rules allow, and for which meshes.
    pub fn lets_in(&self) -> Vec<String> {
        let rules = self.observed.ingress.rules.values();
        let line = |rule: &IngressRule| {
            let meshes: Vec<&str> = tags::meshes_of_rule(&rule.tags).collect();
            format!("{} for {}", rule.permission, meshes.join("+"))
        };
        let mut lines: Vec<String> = rules.map(line).collect();
        lines.sort();
        lines
    }

    pub fn tag_group(&mut self, key: &str, value: &str) {
        self.the_group().tags.insert(key.to_owned(), value.to_owned());
    }
}

/// A policy whose security groups may allow any port.
pub const ANY_PORT: &str = r#"{"security_groups":{"ports":["icmp","tcp/0-65535","udp/0-65535"]}}"#;

pub fn with_any_port(rest: &str) -> String {
    ANY_PORT.replacen('{', &format!("{{{rest},"), 1)
}

/// Two members of prod, joined; prod and staging let security groups allow any port.
pub fn joined() -> (World, VpcRef, VpcRef) {
    let (mut world, a, b) = super::world::joined();
    world.declare("prod", ANY_PORT);
    world.declare("staging", ANY_PORT);
    (world, a, b)
}

/// Two members of prod, joined, and a group of the first that allows prod.
pub fn opened(ports: &str) -> (World, VpcRef, VpcRef) {
    let (mut world, a, b) = joined();
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, ports)]);
    world.settle();
    (world, a, b)
}

#[test]
fn a_group_allows_the_cidrs_of_the_peers_of_its_vpc_for_each_port_range() {
    let (mut world, a, _) = joined();
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/443 icmp")]);
    let (done, findings) = world.settle();
    let scope = "in 111111111111/us-east-1";
    assert_eq!(
        done,
        [
            format!("+ ingress sg-a {scope} icmp from 10.2.0.0/16 for prod"),
            format!("+ ingress sg-a {scope} icmp from 2600:1f18:2::/56 for prod"),
            format!("+ ingress sg-a {scope} tcp/443 from 10.2.0.0/16 for prod"),
            format!("+ ingress sg-a {scope} tcp/443 from 2600:1f18:2::/56 for prod"),
        ]
    );
    assert!(findings.is_empty(), "{findings:?}");
    let rule = world.observed.ingress.rules.values().next().unwrap();
    assert_eq!(rule.tags, world.marks(&["prod"]));
}

#[test]
fn a_group_without_ports_allows_those_of_the_policy_and_one_without_peers_none() {
    let (mut world, a, b) = joined();
    world.declare("prod", r#"{"security_groups":{"ports":["tcp/443"]}}"#);
    world.group("a", &a, &[(ALLOW, "prod")]);
    world.group("b", &b, &[(ALLOW, "staging")]);
    let (_, findings) = world.settle();
    assert_eq!(world.lets_in(), ["tcp/443 from 10.2.0.0/16 for prod", "tcp/443 from 2600:1f18:2::/56 for prod"]);
    assert_eq!(kinds(&findings), [FindingKind::Refused]);
    let finding = findings.first().unwrap();
    assert_eq!(
        finding.to_string(),
        "! refused sg-b of vpc-b (222222222222/eu-west-1): allows staging, of which its VPC is no member; let the VPC join that mesh, \
         or remove the mesh from the group's tag"
    );
}

#[test]
fn adjacent_cidrs_get_one_rule_that_is_added_before_the_narrower_is_revoked() {
    let (mut world, _, _) = opened("tcp/80");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    let (done, _) = world.settle();
    let of_group: Vec<&String> =
        done.iter().filter(|line| line.contains("ingress") && !line.contains("2600")).collect();
    assert_eq!(of_group.len(), 2, "{of_group:?}");
    assert!(
        of_group[0].starts_with("+ ingress sg-a") && of_group[0].contains("tcp/80 from 10.2.0.0/15"),
        "{of_group:?}"
    );
    assert!(
        of_group[1].starts_with("- ingress sg-a") && of_group[1].contains("tcp/80 from 10.2.0.0/16"),
        "{of_group:?}"
    );
}

#[test]
fn rules_for_remaining_peers_are_added_before_those_of_a_leaver_are_revoked() {
    let (mut world, _, b) = opened("tcp/80");
    world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.settle();
    world.set_meshes(&b, "");
    let (plan, _) = world.plan();
    let of_group = |plan: &Plan| -> Vec<String> {
        plan.actions()
            .map(ToString::to_string)
            .filter(|line| line.contains("10.") && line.contains("ingress"))
            .collect()
    };
    assert!(of_group(&plan).iter().all(|line| line.starts_with("+ ingress")), "{plan}");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.3.0.0/16 for prod"]);
}

#[test]
fn rules_follow_the_ports_tag_and_a_group_without_the_allow_tag_keeps_none() {
    let (mut world, ..) = opened("tcp/443");
    world.tag_group(PORTS, "udp/53");
    world.settle();
    assert_eq!(world.lets_in(), ["udp/53 from 10.2.0.0/16 for prod", "udp/53 from 2600:1f18:2::/56 for prod"]);
    world.the_group().tags.remove(ALLOW);
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
    // A describe call with a tag filter does not return such a group at all.
    let (mut world, ..) = opened("tcp/443");
    world.observed.ingress.groups.clear();
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn foreign_rules_stay_and_what_they_allow_needs_no_owned_rule() {
    let (mut world, a, _) = joined();
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/443")]);
    let permission = Permission { traffic: Traffic::Tcp(443, 443), from: cidr::parse("10.2.0.0/16").unwrap() };
    world.the_group().open.insert(permission, "by hand".to_owned());
    world.rule("sgr-other", "sg-a", "udp/1", "10.9.0.0/16", [(MANAGED_BY.to_owned(), "another".to_owned())].into());
    let (done, _) = world.settle();
    assert_eq!(done.len(), 1, "{done:?}");
    assert!(done[0].contains("tcp/443 from 2600:1f18:2::/56"), "{done:?}");
}

#[test]
fn a_rule_for_two_meshes_is_revoked_with_the_last_of_them() {
    let (mut world, a, b) = joined();
    world.set_meshes(&a, "prod staging");
    world.set_meshes(&b, "prod staging");
    world.group("a", &a, &[(ALLOW, "prod staging"), (PORTS, "tcp/80")]);
    world.settle();
    world.desired.mesh = mesh("staging");
    let (done, _) = world.settle();
    assert!(done.contains(&"* ingress sgr-new3 in 111111111111/us-east-1 is also for staging".to_owned()), "{done:?}");
    assert_eq!(
        world.lets_in(),
        ["tcp/80 from 10.2.0.0/16 for prod+staging", "tcp/80 from 2600:1f18:2::/56 for prod+staging"]
    );
    world.set_meshes(&b, "prod");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/16 for prod", "tcp/80 from 2600:1f18:2::/56 for prod"]);
    world.desired.mesh = mesh("prod");
    world.set_meshes(&b, "");
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn a_rule_that_lost_its_mesh_tags_is_tagged_again_or_revoked() {
    let (mut world, ..) = opened("tcp/80");
    let bare: Tags = [(MANAGED_BY.to_owned(), "peerd".to_owned())].into();
    world.observed.ingress.rules.values_mut().for_each(|rule| rule.tags = bare.clone());
    world.rule("sgr-left", "sg-a", "udp/53", "10.2.0.0/16", bare.clone());
    world.rule("sgr-gone", "sg-untagged", "udp/53", "10.2.0.0/16", bare);
    world.desired.mesh = mesh("staging");
    let (done, _) = world.settle();
    assert_eq!(done, ["- ingress sg-untagged in 111111111111/us-east-1 udp/53 from 10.2.0.0/16 by sgr-gone"]);
    world.desired.mesh = mesh("prod");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/16 for prod", "tcp/80 from 2600:1f18:2::/56 for prod"]);
}

#[test]
fn while_a_peer_is_unreadable_no_ingress_rule_is_revoked() {
    let (mut world, a, b) = opened("tcp/80");
    world.tag_group(PORTS, "tcp/80 udp/53");
    world.close(&b.scope);
    let (done, _) = world.settle();
    assert!(done.iter().all(|line| line.contains("status") || line.starts_with("+ ingress")), "{done:?}");
    world.desired.indexed.clear();
    world.the_group().tags.insert(PORTS.to_owned(), "udp/53".to_owned());
    assert!(world.settle().0.iter().all(|line| !line.starts_with("- ingress")), "the index proves nothing");
    world.set_meshes(&a, "");
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new(), "the group's own VPC is proven to have left");
}

#[test]
fn unreadable_groups_are_reported_and_not_changed() {
    let (mut world, a, b) = opened("tcp/80");
    world.observed.unreadable_groups.insert(a.scope.clone(), "DescribeSecurityGroups: denied".to_owned());
    world.set_meshes(&b, "");
    let (done, findings) = world.settle();
    assert!(done.iter().all(|line| !line.contains("ingress")) && !done.is_empty(), "{done:?}");
    assert_eq!(kinds(&findings), [FindingKind::Unreadable, FindingKind::Incomplete]);
    assert_eq!(findings.first().unwrap().subject, "111111111111/us-east-1");
}

#[test]
fn rules_over_the_quota_of_a_group_are_reported_and_the_others_added() {
    let (mut world, a, _) = joined();
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/1 udp/1")]);
    world.the_group().others = 59;
    let (done, findings) = world.settle();
    assert_eq!(done.len(), 2, "one of each family: {done:?}");
    assert_eq!(kinds(&findings), [FindingKind::Quota; 2], "of IPv4 and of IPv6");
    let said = findings.first().unwrap().to_string();
    let said_first = "! quota sg-a in 111111111111/us-east-1: no capacity for udp/1 from 10.2.0.0/16: the quota is 60 ingress rules per security group, for IPv4 and";
    assert!(said.starts_with(said_first), "{said}");
    assert_eq!(world.lets_in(), ["tcp/1 from 10.2.0.0/16 for prod", "tcp/1 from 2600:1f18:2::/56 for prod"]);
}

#[test]
fn near_the_rule_quota_replacements_of_rules_come_before_new_rules() {
    let mut world = World::new();
    world.declare("prod", ANY_PORT);
    let a = world.vpc("a", scope(1, 0), "10.9.0.0/16", "prod");
    world.vpc("b", scope(2, 0), "10.5.0.0/16", "prod");
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/443")]);
    world.settle();
    world.set_quotas(&[(Quota::Rules, 2)]);
    world.vpc("c", scope(2, 0), "10.1.0.0/16", "prod");
    world.vpc("d", scope(3, 0), "10.4.0.0/16", "prod");
    let (done, _) = world.settle();
    let of_group: Vec<&str> = done.iter().map(String::as_str).filter(|line| line.contains("sg-a")).collect();
    assert!(of_group[0].contains("10.4.0.0/15") && of_group[1].starts_with('-'), "{of_group:?}");
    assert_eq!(world.lets_in(), ["tcp/443 from 10.1.0.0/16 for prod", "tcp/443 from 10.4.0.0/15 for prod"]);
}

#[test]
fn a_rule_that_aws_refuses_is_reported_with_its_message_and_not_retried() {
    let (mut world, a, _) = joined();
    world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/1")]);
    let (plan, _) = world.plan();
    world.observed.apply_effect(
        &plan.work[0],
        Effect::Refused("the maximum number of rules".to_owned()),
        &world.desired.seals,
    );
    let (plan, report) = world.plan();
    assert!(plan.work.is_empty(), "{plan}");
    let findings = rendered(&report.findings);
    let finding = findings.first().unwrap();
    assert!(finding.text.ends_with("no capacity for tcp/1 from 10.2.0.0/16: the maximum number of rules"), "{finding}");
}

#[test]
fn invalid_tag_values_of_a_group_are_reported_by_the_runs_of_its_meshes() {
    let (mut world, a, _) = joined();
    world.group("a", &a, &[(ALLOW, "prod $x"), (PORTS, "tcp/443 tpc/80")]);
    let (_, findings) = world.settle();
    let said: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "`$x` in peerd:allow is not a mesh name",
            "`tpc/80` in peerd:ports is invalid: expected tcp/443, udp/53, tcp/8000-8100 or icmp, for example"
        ]
    );
    world.desired.mesh = mesh("staging");
    assert!(world.settle().1.is_empty());
}

#[test]
fn a_cidr_that_the_vpc_routes_to_another_peer_is_not_allowed() {
    let (mut world, a, _) = opened("tcp/80");
    world.vpc("c", scope(3, 0), "10.2.0.0/17", "staging");
    world.set_meshes(&a, "prod staging");
    world.tag_group(ALLOW, "staging");
    world.desired.mesh = mesh("staging");
    world.settle();
    assert_eq!(
        world.lets_in(),
        ["tcp/80 from 10.2.0.0/16 for prod", "tcp/80 from 2600:1f18:2::/56 for prod"],
        "only the run of prod judges them"
    );
    world.desired.mesh = mesh("prod");
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn a_cidr_routed_to_a_foreign_peering_even_a_dead_one_is_not_allowed() {
    for status in [Some(PeeringStatus::Active), Some(PeeringStatus::Deleted), None] {
        let (mut world, a, _) = joined();
        let c = world.vpc("c", scope(3, 0), "10.4.0.0/16", "");
        let foreign = RouteTarget::Peering("pcx-foreign".parse().unwrap());
        world.route("rtb-a", "10.4.0.0/16", foreign);
        if let Some(status) = status {
            world.peering("pcx-foreign", &a, &c, status, &Tags::new());
        }
        world.vpc("d", scope(2, 0), "10.4.0.0/16 100.64.1.0/24", "prod");
        world.group("a", &a, &[(ALLOW, "prod"), (PORTS, "tcp/80")]);
        world.settle();
        let expected = ["10.2.0.0/16", "100.64.1.0/24", "2600:1f18:2::/56"];
        assert_eq!(world.lets_in(), expected.map(|cidr| format!("tcp/80 from {cidr} for prod")));
    }
}

#[test]
fn a_group_allows_what_its_peers_advertise_and_the_mesh_routes() {
    let (mut world, _, b) = opened("tcp/80");
    world.tag(&b, CIDRS, "10.2.0.0/17");
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/17 for prod"]);
    world.declare("prod", &with_any_port(r#""routes":{"exclude":["10.2.64.0/18"]}"#));
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/18 for prod"]);
    world.declare("prod", r#"{"mode":"paused","topology":"hub-and-spoke","hubs":{"vpcs":["vpc-z"]}}"#);
    assert_eq!(world.settle().0, Vec::<String>::new());
    world.declare("prod", &with_any_port(r#""mode":"draining""#));
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn undeclaring_a_mesh_revokes_no_rule() {
    let (mut world, ..) = opened("tcp/80");
    world.desired.declared.remove(&mesh("prod"));
    world.settle();
    assert_eq!(world.lets_in(), ["tcp/80 from 10.2.0.0/16 for prod", "tcp/80 from 2600:1f18:2::/56 for prod"]);
    world.the_group().tags.insert(ALLOW.to_owned(), "staging".to_owned());
    world.settle();
    assert_eq!(world.lets_in(), Vec::<String>::new());
}

#[test]
fn a_rule_stays_while_its_cidr_moves_to_another_member() {
    let (mut world, a, b) = opened("tcp/80");
    let c = world.vpc("c", scope(3, 0), "10.2.0.0/16", "prod");
    world.settle();
    let open = world.lets_in();
    assert!(open.contains(&"tcp/80 from 10.2.0.0/16 for prod".to_owned()), "{open:?}");
    let left = world.observed.vpcs[&b].cidrs.iter().filter(|cidr| !matches!(cidr, IpNet::V4(_))).copied().collect();
    world.observed.vpcs.get_mut(&b).unwrap().cidrs = left;

    let (done, _) = world.settle();

    assert!(!done.iter().any(|line| line.contains("ingress")), "{done:#?}");
    let to_c = world.observed.peerings.values().find(|it| it.ends().contains(&&a) && it.ends().contains(&&c)).unwrap();
    assert!(world.targets("rtb-a").contains(&format!("10.2.0.0/16 {}", to_c.id)), "{:?}", world.targets("rtb-a"));
    assert_eq!(world.lets_in(), open);
}
