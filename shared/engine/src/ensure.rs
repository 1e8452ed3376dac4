//! Calls that may be made twice: what already is as it should be is a success.
//!
//! EC2 answers a repeated call with an error, and with the same error a call that came too late. Which of the two it was,
//! only another look can tell.

use peerd_core::cidr::IpNet;
use peerd_core::observed::RouteTarget;
use peerd_core::{
    PeeringId, PeeringStatus, Permission, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId, Tags, VpcRef,
};

use crate::error::{CloudError, ErrorKind};
use crate::ports::{Cloud, CloudWrite};

/// A request that was accepted, by this call or an earlier one, and the state that follows.
///
/// # Errors
/// EC2's, and `InvalidStateTransition` for a peering that is neither active nor about to be.
pub async fn accepted(cloud: &dyn Cloud, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
    match cloud.accept_peering(scope, id).await {
        Err(error) if error.code == "InvalidStateTransition" => match status(cloud, scope, id).await? {
            Some(status @ (PeeringStatus::Active | PeeringStatus::Provisioning)) => Ok(status),
            _ => Err(error),
        },
        answer => answer,
    }
}

/// A peering that is gone or going.
///
/// # Errors
/// EC2's, and `InvalidStateTransition` for a peering that is still alive.
pub async fn deleted(cloud: &dyn Cloud, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
    match cloud.delete_peering(scope, id).await {
        Err(error) if error.code == "InvalidVpcPeeringConnectionID.NotFound" => Ok(()),
        Err(error) if error.code == "InvalidStateTransition" => match status(cloud, scope, id).await? {
            Some(status) if status.is_live() => Err(error),
            _ => Ok(()),
        },
        answer => answer,
    }
}

async fn status(cloud: &dyn Cloud, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringStatus>, CloudError> {
    Ok(cloud.peering(scope, id).await?.map(|view| view.status))
}

/// A route to this peering.
///
/// # Errors
/// EC2's; `RouteAlreadyExists` for a route to the block that leads elsewhere and stays.
pub async fn routed(
    cloud: &dyn Cloud,
    scope: &Scope,
    table: &RouteTableId,
    block: &IpNet,
    peering: &PeeringId,
) -> Result<(), CloudError> {
    let error = match cloud.create_route(scope, table, block, peering).await {
        Err(error) if error.code == "RouteAlreadyExists" => error,
        answer => return answer,
    };
    let read = cloud.route_table(scope, table).await?;
    match read.as_ref().and_then(|read| read.created_route(block)).map(|route| &route.target) {
        Some(RouteTarget::Peering(found)) if found == peering => Ok(()),
        Some(_) => Err(error),
        None => Err(CloudError { kind: ErrorKind::NotReady, ..error }), // it exists and is not described yet
    }
}

/// No route to this block.
///
/// # Errors
/// EC2's.
pub async fn unrouted(
    cloud: &dyn CloudWrite,
    scope: &Scope,
    table: &RouteTableId,
    block: &IpNet,
) -> Result<(), CloudError> {
    match cloud.delete_route(scope, table, block).await {
        Err(error) if matches!(error.code.as_str(), "InvalidRoute.NotFound" | "InvalidRouteTableID.NotFound") => Ok(()),
        answer => answer,
    }
}

/// A block that is let into a group: by a rule of ours, or by what lets it in already.
///
/// # Errors
/// EC2's.
pub async fn authorized(
    cloud: &dyn CloudWrite,
    scope: &Scope,
    group: &SecurityGroupId,
    permission: &Permission,
    tags: &Tags,
) -> Result<Option<SecurityGroupRuleId>, CloudError> {
    match cloud.authorize_ingress(scope, group, permission, tags).await {
        Err(error) if error.code == "InvalidPermission.Duplicate" => Ok(None),
        answer => answer.map(Some),
    }
}

/// A rule that is gone, or gone with its group.
///
/// # Errors
/// EC2's.
pub async fn revoked(
    cloud: &dyn CloudWrite,
    scope: &Scope,
    group: &SecurityGroupId,
    rule: &SecurityGroupRuleId,
) -> Result<(), CloudError> {
    match cloud.revoke_ingress(scope, group, rule).await {
        Err(error)
            if matches!(error.code.as_str(), "InvalidSecurityGroupRuleId.NotFound" | "InvalidGroup.NotFound") =>
        {
            Ok(())
        }
        answer => answer,
    }
}

/// A VPC whose tag has this value, or none. A VPC that is gone wears no tag.
///
/// # Errors
/// EC2's.
pub async fn tagged(cloud: &dyn CloudWrite, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
    match cloud.tag_vpc(vpc, key, value).await {
        Err(error) if value.is_none() && error.code == "InvalidVpcID.NotFound" => Ok(()),
        answer => answer,
    }
}
