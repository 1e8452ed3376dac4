//! A sample of every check of a path between two VPCs.

use std::collections::BTreeSet;

use peerd_core::ids::{PeeringId, RouteTableId, VpcId, VpcRef};
use peerd_core::{Denial, Finding, PathCheck, cidr};

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
    let acl = |egress, all| PathCheck::NetworkAclDenies {
        acl: "acl-1".to_owned(),
        subnets: 2,
        vpc: id("a"),
        peer: id("b"),
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
    let groups = |allowing| PathCheck::SecurityGroupsAllow { vpc: id("a"), peer: id("b"), allowing, groups: 3 };
    let denied = |denial, decisive| PathCheck::NotAdmitted { mesh: mesh("prod"), vpc: id("b"), denial, decisive };
    vec![
        PathCheck::SameVpc,
        PathCheck::VpcRead { vpc: a.clone() },
        PathCheck::VpcNotTagged { vpc: a },
        PathCheck::UnreadableScope { scope: scope(2, 1), role: "peerd-spoke".to_owned(), error: error.clone() },
        PathCheck::UnknownScope { scope: scope(2, 1) },
        PathCheck::CommonMeshes { meshes: both },
        PathCheck::InvalidMeshName { vpc: id("a"), name: "prod!".to_owned() },
        PathCheck::NoCommonMesh { vpcs: [id("a"), id("b")], requested: [one.clone(), BTreeSet::new()] },
        PathCheck::ConnectedBy { meshes: one },
        denied(Denial::Account(account(2)), true),
        denied(Denial::NotDeclared, false),
        PathCheck::NoHub { mesh: prod.clone(), decisive: true },
        PathCheck::NoHub { mesh: prod.clone(), decisive: false },
        PathCheck::Paused { mesh: prod.clone() },
        PathCheck::ActivePeering { peering: peering() },
        PathCheck::InactivePeering { peering: peering(), state: "pending-acceptance".to_owned() },
        PathCheck::NoPeering { mesh: prod.clone() },
        PathCheck::CidrOverlap { ours: cidr, theirs: cidr },
        PathCheck::ForeignPeering { peering: peering(), mesh: prod.clone(), is_active: true },
        PathCheck::ForeignPeering { peering: peering(), mesh: prod.clone(), is_active: false },
        PathCheck::FailedPeering { peering: peering(), error: error.clone() },
        PathCheck::NothingAdvertised { peer: id("b") },
        PathCheck::UnmanagedTable { table: table(), vpc: id("a") },
        PathCheck::NoRoute { table: table(), vpc: id("a"), cidr, mesh: prod.clone(), why: None },
        PathCheck::NoRoute { table: table(), vpc: id("a"), cidr, mesh: prod, why: Some(Box::new(why)) },
        PathCheck::NoRouteOverForeign { table: table(), vpc: id("a"), cidr, peering: peering() },
        PathCheck::PartRoutedElsewhere { table: table(), vpc: id("a"), part: cidr, cidr, target: "igw-1".to_owned() },
        elsewhere("tgw-1", false),
        elsewhere("vgw-1", true),
        PathCheck::CidrNotAdmitted { peer: id("b"), cidr },
        PathCheck::CompleteTables { vpc: id("a"), peer: id("b"), complete: 2, tables: 3 },
        PathCheck::UnreadableNetworkAcls { vpc: id("a"), error: error.clone() },
        acl(false, true),
        acl(true, false),
        PathCheck::UnreadableSecurityGroups { vpc: id("a"), error },
        groups(1),
        groups(0),
    ]
}
