//! A sample of every check of a path between two VPCs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use peerd_core::ids::{PeeringId, RouteTableId, VpcId, VpcRef};
use peerd_core::network_acl::LAST_RULE;
use peerd_core::{Denial, Finding, PathCheck, Traffic, cidr};

use crate::world::{account, mesh, scope};

/// Returns every check, with every result that it can have.
#[expect(clippy::expect_used, reason = "a list of literals")]
pub fn samples() -> Vec<PathCheck> {
    let id = |name: &str| -> VpcId { format!("vpc-{name}").parse().expect("a VPC") };
    let a = VpcRef::new(scope(1, 0), id("a"));
    let why = Finding::Paused { mesh: mesh("prod"), pending: 3, paused: BTreeSet::from([mesh("prod")]) };
    let peering = || -> PeeringId { "pcx-1".parse().expect("a peering") };
    let table = || -> RouteTableId { "rtb-1".parse().expect("a table") };
    let cidr = cidr::parse("10.2.0.0/16").expect("a CIDR block");
    let (prod, error) = (mesh("prod"), "denied".to_owned());
    let (one, both) = (BTreeSet::from([mesh("prod")]), ["prod", "staging"].map(mesh).into());
    let acl = |rule, subnets, traffic, egress, all| PathCheck::NetworkAclDenies {
        acl: "acl-1".to_owned(),
        rule,
        subnets,
        vpc: id("a"),
        peer: id("b"),
        traffic,
        cidr,
        egress,
        all,
    };
    let elsewhere = |target: &str, propagated| PathCheck::RoutedElsewhere {
        table: table(),
        vpc: id("a"),
        cidr,
        target: target.to_owned(),
        propagated,
        mesh: mesh("prod"),
    };
    let https = || Some(Traffic::Tcp(443, 443));
    let groups = |allowing, traffic| PathCheck::SecurityGroupsAllow {
        vpc: id("a"),
        peer: id("b"),
        traffic,
        allowing,
        groups: 3,
        mesh: Some(mesh("prod")),
    };
    let interface = |egress, by: Option<&str>| PathCheck::InterfaceGroups {
        interface: "eni-1".to_owned(),
        groups: ["sg-1", "sg-2"].map(str::to_owned).into(),
        traffic: https(),
        peer: "10.2.0.7".to_owned(),
        egress,
        by: by.map(str::to_owned),
        mesh: if egress { None } else { Some(mesh("prod")) },
    };
    let address = IpAddr::from([10, 2, 0, 7]);
    let list = "pl-1".parse().expect("a prefix list");
    let diverted = |decisive| PathCheck::PartRoutedElsewhere {
        table: table(),
        vpc: id("a"),
        part: cidr::parse("10.2.1.0/24").expect("a CIDR block"),
        cidr,
        target: "igw-1".to_owned(),
        decisive,
    };
    let foreign = |mesh, is_active| PathCheck::ForeignPeering { peering: peering(), mesh, is_active };
    let denied = |denial, decisive| PathCheck::NotAdmitted { mesh: mesh("prod"), vpc: id("b"), denial, decisive };
    vec![
        PathCheck::SameVpc,
        PathCheck::VpcRead { vpc: a.clone() },
        PathCheck::VpcNotTagged { vpc: a.clone(), decisive: true },
        PathCheck::VpcNotTagged { vpc: a, decisive: false },
        PathCheck::UnreadableScope { scope: scope(2, 1), role: "peerd-spoke".to_owned(), error: error.clone() },
        PathCheck::UnknownScope { scope: scope(2, 1) },
        PathCheck::CommonMeshes { meshes: both },
        PathCheck::InvalidMeshName { vpc: id("a"), name: "prod!".to_owned(), decisive: true },
        PathCheck::NoCommonMesh { vpcs: [id("a"), id("b")], requested: [one.clone(), BTreeSet::new()], decisive: true },
        PathCheck::ConnectedBy { meshes: one },
        denied(Denial::Account(account(2)), true),
        denied(Denial::NotDeclared, false),
        PathCheck::NoHub { mesh: prod.clone(), decisive: true },
        PathCheck::NoHub { mesh: prod.clone(), decisive: false },
        PathCheck::Paused { mesh: prod.clone() },
        PathCheck::ActivePeering { peering: peering() },
        PathCheck::InactivePeering { peering: peering(), state: "pending-acceptance".to_owned() },
        PathCheck::NoPeering { mesh: prod.clone(), why: None },
        PathCheck::NoPeering { mesh: prod.clone(), why: Some(Box::new(why.clone())) },
        PathCheck::UnwantedPeering { peering: peering() },
        PathCheck::CidrOverlap { ours: cidr, theirs: cidr },
        foreign(Some(prod.clone()), true),
        foreign(Some(prod.clone()), false),
        foreign(None, false),
        PathCheck::FailedPeering { peering: peering(), error: error.clone() },
        PathCheck::NothingAdvertised { peer: id("b") },
        PathCheck::InterfaceFound {
            vpc: id("b"),
            address,
            interface: "eni-1".to_owned(),
            subnet: "subnet-1".to_owned(),
        },
        PathCheck::NoInterface { vpc: id("b"), address },
        PathCheck::UnreadableSubnets { vpc: id("a"), error: error.clone() },
        PathCheck::AddressNotAdvertised { peer: id("b"), address },
        PathCheck::UnmanagedTable { table: table(), vpc: id("a"), decisive: false },
        PathCheck::UnmanagedTable { table: table(), vpc: id("a"), decisive: true },
        PathCheck::UnusedTable { table: table(), vpc: id("a") },
        PathCheck::UnreadablePrefixList { table: table(), list, error: error.clone() },
        PathCheck::AddressRouted { table: table(), vpc: id("a"), address, destination: cidr, peering: peering() },
        PathCheck::NoRoute { table: table(), vpc: id("a"), cidr, mesh: prod.clone(), why: None },
        PathCheck::NoRoute { table: table(), vpc: id("a"), cidr, mesh: prod, why: Some(Box::new(why)) },
        PathCheck::NoRouteOverForeign { table: table(), vpc: id("a"), cidr, peering: peering() },
        diverted(false),
        diverted(true),
        elsewhere("tgw-1", false),
        elsewhere("vgw-1", true),
        PathCheck::CidrNotAdmitted { peer: id("b"), cidr },
        PathCheck::CompleteTables { vpc: id("a"), peer: id("b"), complete: 2, tables: 3 },
        PathCheck::UnreadableNetworkAcls { vpc: id("a"), error: error.clone() },
        acl(100, 1, https(), false, true),
        acl(LAST_RULE, 2, None, true, false),
        PathCheck::UnreadableSecurityGroups { vpc: id("a"), error },
        groups(1, None),
        groups(0, https()),
        interface(false, Some("sg-1")),
        interface(false, None),
        interface(true, None),
        PathCheck::UnreadableGroupList { group: "sg-1".to_owned() },
    ]
}
