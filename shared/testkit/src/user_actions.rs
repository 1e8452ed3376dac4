//! Changes that users and external tools make in AWS, each with the event that reports it.
//!
//! A call that AWS refuses changes nothing and sends no event: the event rules filter failed calls out.

use peerd_core::cidr::{self, CidrSet, IpNet};
use peerd_core::tags::{self, Tags};
use peerd_core::{
    AccountId, DnsSupport, MeshName, PeeringId, Permission, Policy, RouteTableId, RouteTarget, Scope, SecurityGroupId,
    SecurityGroupRuleId, VpcRef,
};
use peerd_engine::CloudError;
use serde_json::{Value, json};

use crate::change_log::Actor;
use crate::world::World;

/// The result of a call.
pub type Answer = Result<(), CloudError>;

const BY: Actor = Actor::User;

/// Parses CIDR blocks that are separated by spaces.
#[expect(clippy::expect_used, reason = "a test that misspells a CIDR block should fail immediately")]
pub fn blocks_of(cidrs: &str) -> CidrSet {
    cidrs.split_whitespace().map(|cidr| cidr::parse(cidr).expect("a CIDR block")).collect()
}

/// Returns the id of a route table by name.
#[expect(clippy::expect_used, reason = "a test that misspells a name should fail immediately")]
pub fn table(name: &str) -> RouteTableId {
    format!("rtb-{name}").parse().expect("a table name")
}

impl World {
    /// A user creates a VPC with a main route table of the same name, and tags it in the same call if `meshes` is not
    /// empty.
    #[expect(clippy::expect_used, reason = "a test that misspells a name should fail immediately")]
    pub fn vpc(&mut self, name: &str, at: Scope, cidrs: &str, meshes: &str) -> VpcRef {
        let vpc = VpcRef::new(at, format!("vpc-{name}").parse().expect("a VPC name"));
        let asked = (!meshes.is_empty()).then(|| (tags::ENV.to_owned(), meshes.to_owned()));
        let tags: Tags = asked.into_iter().collect();
        self.cloud.aws().create_vpc(BY, &vpc, &blocks_of(cidrs), &tags);
        self.cloud.aws().create_table(BY, &table(name), &vpc, false);
        self.send_api_event(&vpc, "CreateVpc", json!({}), json!({"vpc": {"vpcId": vpc.id}}));
        if !tags.is_empty() {
            self.send_vpc_tag_event(&vpc);
        }
        vpc
    }

    /// A user creates a route table.
    pub fn table(&mut self, name: &str, vpc: &VpcRef) {
        self.cloud.aws().create_table(BY, &table(name), vpc, false);
        self.send_api_event(vpc, "CreateRouteTable", json!({"vpcId": vpc.id}), Value::Null);
    }

    /// A user creates a route table with an edge association.
    pub fn gateway_table(&mut self, name: &str, vpc: &VpcRef) {
        self.cloud.aws().create_table(BY, &table(name), vpc, true);
        self.send_api_event(vpc, "CreateRouteTable", json!({"vpcId": vpc.id}), Value::Null);
    }

    /// A user sets `peerd:env`.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn tag(&mut self, vpc: &VpcRef, meshes: &str) -> Answer {
        self.mark(vpc, tags::ENV, Some(meshes))
    }

    /// A user removes `peerd:env`.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn untag(&mut self, vpc: &VpcRef) -> Answer {
        self.mark(vpc, tags::ENV, None)
    }

    /// A user sets or removes a tag of a VPC that peerd reads.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn mark(&mut self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Answer {
        self.cloud.aws().tag_vpc(BY, vpc, key, value)?;
        self.send_vpc_tag_event(vpc);
        Ok(())
    }

    /// A user sets the DNS attributes of a VPC.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn set_dns_support(&mut self, vpc: &VpcRef, has: DnsSupport) -> Answer {
        self.cloud.aws().set_dns_support(BY, vpc, has)?;
        self.send_api_event(vpc, "ModifyVpcAttribute", json!({"vpcId": vpc.id}), Value::Null);
        Ok(())
    }

    /// A user sets the DNS option of one end of a peering.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn set_dns_option(&mut self, id: &PeeringId, vpc: &VpcRef, on: bool) -> Answer {
        self.cloud.aws().set_dns_option(BY, &vpc.scope, id, vpc, on)?;
        self.send_peering_event(&vpc.scope, "ModifyVpcPeeringConnectionOptions", id);
        Ok(())
    }

    /// A user sets or removes a tag of a route table that peerd reads.
    pub fn mark_table(&mut self, id: &RouteTableId, key: &str, value: Option<&str>) {
        let Some(vpc) = self.owner(id) else { return };
        self.cloud.aws().tag_table(BY, id, key, value);
        self.send_tag_event(&vpc.scope, "route-table", id.as_str());
    }

    /// A user creates a security group, and tags it in the same call.
    #[expect(clippy::expect_used, reason = "a test that misspells a name should fail immediately")]
    pub fn group(&mut self, name: &str, vpc: &VpcRef, tags: &[(&str, &str)]) -> SecurityGroupId {
        let id = format!("sg-{name}").parse().expect("a group name");
        let current: Tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.cloud.aws().create_group(BY, &id, vpc, &current);
        self.send_tag_event(&vpc.scope, "security-group", id.as_str());
        id
    }

    /// A user sets or removes a tag of a security group that peerd reads.
    pub fn mark_group(&mut self, id: &SecurityGroupId, key: &str, value: Option<&str>) {
        let Some(vpc) = self.cloud.aws().group(id).map(|group| group.vpc.clone()) else { return };
        self.cloud.aws().tag_group(BY, id, key, value);
        self.send_tag_event(&vpc.scope, "security-group", id.as_str());
    }

    /// A user adds a rule to a security group.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn open_group(&mut self, id: &SecurityGroupId, permission: &Permission, description: &str) -> Answer {
        let Some(vpc) = self.cloud.aws().group(id).map(|group| group.vpc.clone()) else { return Ok(()) };
        self.cloud.aws().authorize(BY, &vpc.scope, id, permission, description, &Tags::new())?;
        self.send_api_event(&vpc, "AuthorizeSecurityGroupIngress", json!({"groupId": id}), Value::Null);
        Ok(())
    }

    /// A user revokes a rule of a security group.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn revoke_rule(&mut self, id: &SecurityGroupId, rule: &SecurityGroupRuleId) -> Answer {
        let Some(vpc) = self.cloud.aws().group(id).map(|group| group.vpc.clone()) else { return Ok(()) };
        self.cloud.aws().revoke(BY, &vpc.scope, id, rule)?;
        self.send_api_event(&vpc, "RevokeSecurityGroupIngress", json!({"groupId": id}), Value::Null);
        Ok(())
    }

    /// An operator declares a mesh with a policy, and requests a reconcile of it everywhere.
    pub fn declare(&mut self, mesh: &MeshName, policy: Policy) {
        self.store.declare(mesh, policy);
        self.ask_everywhere(mesh);
    }

    /// A user deletes a VPC with its route tables.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn delete_vpc(&mut self, vpc: &VpcRef) -> Answer {
        self.cloud.aws().delete_vpc(BY, vpc)?;
        self.send_api_event(vpc, "DeleteVpc", json!({"vpcId": vpc.id}), Value::Null);
        Ok(())
    }

    /// A user deletes the live peerings of a VPC, then the VPC.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn delete_vpc_and_peerings(&mut self, vpc: &VpcRef) -> Answer {
        let theirs: Vec<PeeringId> = {
            let aws = self.cloud.aws();
            let live = aws.peerings().filter(|peering| peering.status().is_live() && peering.ends().contains(&vpc));
            live.map(|peering| peering.id.clone()).collect()
        };
        for id in theirs {
            self.delete_peering(&vpc.scope, &id)?;
        }
        self.delete_vpc(vpc)
    }

    /// A user associates a CIDR block with a VPC.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn associate(&mut self, vpc: &VpcRef, cidr: &IpNet) -> Answer {
        self.cloud.aws().associate(BY, vpc, cidr)?;
        let request = json!({"AssociateVpcCidrBlockRequest": {"VpcId": vpc.id, "CidrBlock": cidr}});
        self.send_api_event(vpc, "AssociateVpcCidrBlock", request, Value::Null);
        Ok(())
    }

    /// A user disassociates a CIDR block from a VPC.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn disassociate(&mut self, vpc: &VpcRef, cidr: &IpNet) -> Answer {
        self.cloud.aws().disassociate(BY, vpc, cidr)?;
        let response = json!({"DisassociateVpcCidrBlockResponse": {"vpcId": vpc.id}});
        self.send_api_event(vpc, "DisassociateVpcCidrBlock", json!({}), response);
        Ok(())
    }

    /// A user creates a route, or replaces the existing one.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn put_route(&mut self, id: &RouteTableId, cidr: &IpNet, target: &RouteTarget) -> Answer {
        let Some(vpc) = self.owner(id) else { return Ok(()) };
        let exists = self.cloud.aws().table(id).is_some_and(|table| table.created_route(cidr).is_some());
        let name = if exists {
            self.cloud.aws().replace_route(BY, &vpc.scope, id, cidr, target)?;
            "ReplaceRoute"
        } else {
            self.cloud.aws().create_route(BY, &vpc.scope, id, cidr, target)?;
            "CreateRoute"
        };
        self.send_api_event(&vpc, name, json!({"routeTableId": id, "destinationCidrBlock": cidr}), Value::Null);
        Ok(())
    }

    /// A user deletes a route.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn delete_route(&mut self, id: &RouteTableId, cidr: &IpNet) -> Answer {
        let Some(vpc) = self.owner(id) else { return Ok(()) };
        self.cloud.aws().delete_route(BY, &vpc.scope, id, cidr)?;
        self.send_api_event(
            &vpc,
            "DeleteRoute",
            json!({"routeTableId": id, "destinationCidrBlock": cidr}),
            Value::Null,
        );
        Ok(())
    }

    fn owner(&self, id: &RouteTableId) -> Option<VpcRef> {
        self.cloud.aws().table(id).map(|table| table.vpc.clone())
    }

    /// A user deletes a peering from one side.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn delete_peering(&mut self, scope: &Scope, id: &PeeringId) -> Answer {
        self.cloud.aws().delete_peering(BY, scope, id)?;
        self.send_peering_event(scope, "DeleteVpcPeeringConnection", id);
        Ok(())
    }

    /// A user rejects a request.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn reject_peering(&mut self, scope: &Scope, id: &PeeringId) -> Answer {
        self.cloud.aws().reject_peering(BY, scope, id)?;
        self.send_peering_event(scope, "RejectVpcPeeringConnection", id);
        Ok(())
    }

    /// A user requests a peering manually, with or without tags.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn request_peering(&mut self, a: &VpcRef, b: &VpcRef, tags: &Tags) -> Result<PeeringId, CloudError> {
        let id = self.cloud.aws().create_peering(BY, a, b, tags)?.id;
        self.send_peering_event(&a.scope, "CreateVpcPeeringConnection", &id);
        Ok(id)
    }

    /// A user accepts a request manually.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn accept_peering(&mut self, scope: &Scope, id: &PeeringId) -> Answer {
        self.cloud.aws().accept_peering(BY, scope, id)?;
        self.send_peering_event(scope, "AcceptVpcPeeringConnection", id);
        Ok(())
    }

    /// A user changes the tags of one side of a peering. No event rule matches that change.
    ///
    /// # Errors
    /// Returns the error of EC2.
    pub fn retag_peering(&mut self, scope: &Scope, id: &PeeringId, key: &str, value: Option<&str>) -> Answer {
        self.cloud.aws().tag_peering(BY, scope, id, |current| match value {
            Some(value) => drop(current.insert(key.to_owned(), value.to_owned())),
            None => drop(current.remove(key)),
        })
    }

    /// Makes the role of an account unassumable, or assumable again.
    pub fn set_denied(&mut self, account: &AccountId, denied: bool) {
        self.cloud.aws().set_account_unreachable(account, denied);
    }

    fn send_vpc_tag_event(&mut self, vpc: &VpcRef) {
        let Some(tags) = self.cloud.aws().vpc(vpc).map(|seen| seen.tags.clone()) else { return };
        let version = self.tag_version(vpc);
        self.deliver_event(&vpc_tag_event(vpc, &tags, version));
    }

    /// Sends a tag event of a resource other than a VPC. peerd reads only its ARN.
    fn send_tag_event(&mut self, Scope { account, region }: &Scope, kind: &str, id: &str) {
        let arn = format!("arn:aws:ec2:{region}:{account}:{kind}/{id}");
        self.deliver_event(&json!({
            "detail-type": "Tag Change on Resource", "source": "aws.tag", "account": account, "region": region,
            "resources": [arn], "detail": {"service": "ec2", "resource-type": kind, "tags": {}}
        }));
    }

    fn send_peering_event(&mut self, scope: &Scope, name: &str, id: &PeeringId) {
        self.send_api_event_in(scope, name, json!({"vpcPeeringConnectionId": id}), Value::Null);
    }

    fn send_api_event(&mut self, vpc: &VpcRef, name: &str, request: Value, response: Value) {
        self.send_api_event_in(&vpc.scope, name, request, response);
    }

    fn send_api_event_in(&mut self, Scope { account, region }: &Scope, name: &str, request: Value, response: Value) {
        self.deliver_event(&json!({
            "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "account": account, "region": region,
            "detail": {
                "eventName": name, "awsRegion": region, "recipientAccountId": account,
                "userIdentity": {"type": "AssumedRole", "arn": format!("arn:aws:sts::{account}:assumed-role/user/manual")},
                "requestParameters": request, "responseElements": response
            }
        }));
    }
}

/// The event of a change of a VPC's tag `peerd:env`, with all tags after it.
pub(crate) fn vpc_tag_event(vpc: &VpcRef, tags: &Tags, version: u64) -> Value {
    let Scope { account, region } = &vpc.scope;
    let arn = format!("arn:aws:ec2:{region}:{account}:vpc/{}", vpc.id);
    json!({
        "detail-type": "Tag Change on Resource", "source": "aws.tag", "account": account, "region": region,
        "resources": [arn],
        "detail": {
            "changed-tag-keys": [tags::ENV], "service": "ec2", "resource-type": "vpc", "version": version, "tags": tags
        }
    })
}
