//! Idempotent calls: a call succeeds if the resource already has the wanted state.
//!
//! EC2 returns the same error for a repeated call and for a call that came too late. Only another read distinguishes
//! the two.

use peerd_core::cidr::IpNet;
use peerd_core::observed::RouteTarget;
use peerd_core::{
    PeeringId, PeeringStatus, Permission, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId, Tags, VpcRef,
};

use crate::error::{CloudError, ErrorKind};
use crate::ports::{Cloud, CloudWrite};

/// Accepts a request, unless it is already accepted. Returns the new status.
///
/// # Errors
/// EC2's error; `InvalidStateTransition` for a peering that is neither active nor provisioning.
pub async fn accepted(cloud: &dyn Cloud, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
    match cloud.accept_peering(scope, id).await {
        Err(error) if error.code == "InvalidStateTransition" => match status(cloud, scope, id).await? {
            Some(status @ (PeeringStatus::Active | PeeringStatus::Provisioning)) => Ok(status),
            _ => Err(error),
        },
        answer => answer,
    }
}

/// Deletes a peering, unless it is already deleted or being deleted.
///
/// # Errors
/// EC2's error; `InvalidStateTransition` for a peering that is still live.
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

/// Adds a route for a CIDR block to this peering, unless it exists.
///
/// # Errors
/// EC2's error; `RouteAlreadyExists` if the CIDR block has a route with another target, which stays.
pub async fn routed(
    cloud: &dyn Cloud,
    scope: &Scope,
    table: &RouteTableId,
    cidr: &IpNet,
    peering: &PeeringId,
) -> Result<(), CloudError> {
    let error = match cloud.create_route(scope, table, cidr, peering).await {
        Err(error) if error.code == "RouteAlreadyExists" => error,
        answer => return answer,
    };
    let read = cloud.route_table(scope, table).await?;
    match read.as_ref().and_then(|read| read.created_route(cidr)).map(|route| &route.target) {
        Some(RouteTarget::Peering(found)) if found == peering => Ok(()),
        Some(_) => Err(error),
        None => Err(CloudError { kind: ErrorKind::NotReady, ..error }), // it exists but is not visible yet
    }
}

/// Deletes the route for a CIDR block, if it exists.
///
/// # Errors
/// EC2's error.
pub async fn unrouted(
    cloud: &dyn CloudWrite,
    scope: &Scope,
    table: &RouteTableId,
    cidr: &IpNet,
) -> Result<(), CloudError> {
    match cloud.delete_route(scope, table, cidr).await {
        Err(error) if matches!(error.code.as_str(), "InvalidRoute.NotFound" | "InvalidRouteTableID.NotFound") => Ok(()),
        answer => answer,
    }
}

/// Adds an ingress rule, unless a rule with the same permission exists. Returns the id of a new rule.
///
/// # Errors
/// EC2's error.
pub async fn authorized(
    cloud: &dyn CloudWrite,
    scope: &Scope,
    group: &SecurityGroupId,
    permission: &Permission,
    description: &str,
    tags: &Tags,
) -> Result<Option<SecurityGroupRuleId>, CloudError> {
    match cloud.authorize_ingress(scope, group, permission, description, tags).await {
        Err(error) if error.code == "InvalidPermission.Duplicate" => Ok(None),
        answer => answer.map(Some),
    }
}

/// Deletes an ingress rule, unless the rule or its group no longer exists.
///
/// # Errors
/// EC2's error.
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

/// Sets a tag of a VPC, or removes it if there is no value. It is no error to remove a tag of a deleted VPC.
///
/// # Errors
/// EC2's error.
pub async fn tagged(cloud: &dyn CloudWrite, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
    match cloud.tag_vpc(vpc, key, value).await {
        Err(error) if value.is_none() && error.code == "InvalidVpcID.NotFound" => Ok(()),
        answer => answer,
    }
}
