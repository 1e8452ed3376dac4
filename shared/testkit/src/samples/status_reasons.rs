//! A sample of every reason in a status tag.

use peerd_core::status::StatusReason;
use peerd_core::{Denial, Finding, RouteTarget, cidr};

use crate::world::{mesh, scope};

/// Returns every reason.
#[expect(clippy::expect_used, reason = "a list of literals")]
pub fn samples() -> Vec<StatusReason> {
    let (cidr, other) = ("10.1.0.0/16", "10.1.128.0/17");
    let [cidr, other] = [cidr, other].map(|text| cidr::parse(text).expect("a CIDR block"));
    let vpc = || "vpc-1".parse().expect("a VPC");
    let table = || "rtb-1".parse().expect("a table");
    let peering = || "pcx-1".parse().expect("a peering");
    let rejected =
        Finding::CidrNotAdmitted { vpc: peerd_core::VpcRef::new(scope(1, 0), vpc()), mesh: mesh("prod"), cidr };
    vec![
        StatusReason::PeeringRequested,
        StatusReason::PeeringPending,
        StatusReason::PeeringInState("provisioning".to_owned()),
        StatusReason::TooManyRequests,
        StatusReason::AddingRoutes,
        StatusReason::ReplacingRoutes,
        StatusReason::UnreadableScope(scope(1, 0)),
        StatusReason::UnreadablePrefixList("pl-1".parse().expect("a list")),
        StatusReason::BackingOff,
        StatusReason::RemovalNeedsConfirmation,
        StatusReason::QuotaRefused,
        StatusReason::PeeringQuota(vpc()),
        StatusReason::RouteQuota(table()),
        StatusReason::CidrOverlap(cidr, other),
        StatusReason::OwnCidrOverlap(cidr),
        StatusReason::RouteOverlap { cidr, routed_cidr: other, routed_peer: vpc() },
        StatusReason::ForeignRoute { table: table(), cidr, target: RouteTarget::Other("tgw-1".to_owned()) },
        StatusReason::ForeignPeering(peering()),
        StatusReason::FailedPeering(peering()),
        StatusReason::InvalidMeshName,
        StatusReason::TooManyMeshes,
        StatusReason::Denied(Denial::NotDeclared),
        StatusReason::RejectedAdvertisement(Box::new(rejected)),
        StatusReason::NotShown(3),
    ]
}
