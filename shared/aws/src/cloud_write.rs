//! The changes of peerd in EC2: each method makes one call.

use async_trait::async_trait;
use aws_sdk_ec2::types::{PeeringConnectionOptionsRequest, ResourceType, VpcPeeringConnection};
use peerd_core::cidr::IpNet;
use peerd_core::{
    Pair, PeeringId, PeeringStatus, PeeringView, Permission, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId,
    Tags, VpcRef,
};
use peerd_engine::{CloudError, CloudWrite};

use crate::cloud::{AwsCloud, malformed};
use crate::convert::{self, Malformed};
use crate::errors;
use crate::ingress;
use crate::rate_limiter::Bucket;

impl AwsCloud {
    async fn tag(&self, scope: &Scope, id: &str, tags: &Tags) -> Result<(), CloudError> {
        let ec2 = self.ec2(scope, Bucket::Tag("CreateTags")).await;
        let answer = ec2.create_tags().resources(id).set_tags(Some(convert::sdk_tags(tags))).send().await;
        answer.map(drop).map_err(|error| errors::cloud(format!("CreateTags of {id} in {scope}"), error))
    }

    async fn untag(&self, scope: &Scope, id: &str, keys: &[&str]) -> Result<(), CloudError> {
        let tags = keys.iter().map(|key| aws_sdk_ec2::types::Tag::builder().key(*key).build()).collect();
        let ec2 = self.ec2(scope, Bucket::Tag("DeleteTags")).await;
        let answer = ec2.delete_tags().resources(id).set_tags(Some(tags)).send().await;
        answer.map(drop).map_err(|error| errors::cloud(format!("DeleteTags of {id} in {scope}"), error))
    }

    /// Sets one tag, or removes it if there is no value.
    pub(crate) async fn set_tag(
        &self,
        scope: &Scope,
        id: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), CloudError> {
        match value {
            Some(value) => self.tag(scope, id, &Tags::from([(key.to_owned(), value.to_owned())])).await,
            None => self.untag(scope, id, &[key]).await,
        }
    }
}

#[async_trait]
impl CloudWrite for AwsCloud {
    async fn create_peering(&self, pair: &Pair, tags: &Tags) -> Result<PeeringView, CloudError> {
        let call = format!("CreateVpcPeeringConnection of {pair}");
        let (requester, accepter) = (pair.requester(), pair.accepter());
        let ec2 = self.ec2(&requester.scope, Bucket::Write("CreateVpcPeeringConnection")).await;
        let specification = convert::tagged(ResourceType::VpcPeeringConnection, tags);
        let answer = ec2
            .create_vpc_peering_connection()
            .vpc_id(requester.id.as_str())
            .peer_vpc_id(accepter.id.as_str())
            .peer_owner_id(accepter.scope.account.as_str())
            .peer_region(accepter.scope.region.as_str())
            .tag_specifications(specification)
            .send()
            .await
            .map_err(|error| errors::cloud(&call, error))?;
        view(&call, &requester.scope, answer.vpc_peering_connection())
    }

    async fn accept_peering(&self, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
        let call = format!("AcceptVpcPeeringConnection of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("AcceptVpcPeeringConnection")).await;
        let answer = ec2.accept_vpc_peering_connection().vpc_peering_connection_id(id.as_str()).send().await;
        let answer = answer.map_err(|error| errors::cloud(&call, error))?;
        Ok(view(&call, scope, answer.vpc_peering_connection())?.status)
    }

    async fn delete_peering(&self, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
        let call = format!("DeleteVpcPeeringConnection of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("DeleteVpcPeeringConnection")).await;
        let answer = ec2.delete_vpc_peering_connection().vpc_peering_connection_id(id.as_str()).send().await;
        answer.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn tag_peering(&self, scope: &Scope, id: &PeeringId, tags: &Tags) -> Result<(), CloudError> {
        self.tag(scope, id.as_str(), tags).await
    }

    async fn untag_peering(&self, scope: &Scope, id: &PeeringId, keys: &[&str]) -> Result<(), CloudError> {
        self.untag(scope, id.as_str(), keys).await
    }

    async fn set_dns(&self, vpc: &VpcRef, id: &PeeringId, requester: bool, on: bool) -> Result<(), CloudError> {
        let call = format!("ModifyVpcPeeringConnectionOptions of {id} for {vpc}");
        let option = PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(on).build();
        let ec2 = self.ec2(&vpc.scope, Bucket::Write("ModifyVpcPeeringConnectionOptions")).await;
        let request = ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(id.as_str());
        let request = match requester {
            true => request.requester_peering_connection_options(option),
            false => request.accepter_peering_connection_options(option),
        };
        request.send().await.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn create_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        let call = format!("CreateRoute {destination} to {peering} in {table} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("CreateRoute")).await;
        let (v4, v6) = by_family(destination);
        let request = ec2.create_route().route_table_id(table.as_str()).vpc_peering_connection_id(peering.as_str());
        let answer = request.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6).send().await;
        answer.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn replace_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        let call = format!("ReplaceRoute {destination} to {peering} in {table} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("ReplaceRoute")).await;
        let (v4, v6) = by_family(destination);
        let request = ec2.replace_route().route_table_id(table.as_str()).vpc_peering_connection_id(peering.as_str());
        let answer = request.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6).send().await;
        answer.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn delete_route(&self, scope: &Scope, table: &RouteTableId, destination: &IpNet) -> Result<(), CloudError> {
        let call = format!("DeleteRoute {destination} in {table} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("DeleteRoute")).await;
        let (v4, v6) = by_family(destination);
        let request = ec2.delete_route().route_table_id(table.as_str());
        let answer = request.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6).send().await;
        answer.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn authorize_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        permission: &Permission,
        description: &str,
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError> {
        let call = format!("AuthorizeSecurityGroupIngress of {permission} in {group} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("AuthorizeSecurityGroupIngress")).await;
        let request = ec2.authorize_security_group_ingress().group_id(group.as_str());
        let request = request
            .ip_permissions(ingress::permission(permission, description))
            .tag_specifications(convert::tagged(ResourceType::SecurityGroupRule, tags));
        let answer = request.send().await.map_err(|error| errors::cloud(&call, error))?;
        let id = answer.security_group_rules().first().and_then(|rule| rule.security_group_rule_id());
        let id = convert::required(id, "securityGroupRuleId").and_then(|id| Ok(id.parse()?));
        id.map_err(|error| malformed(&call, error))
    }

    async fn revoke_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
    ) -> Result<(), CloudError> {
        let call = format!("RevokeSecurityGroupIngress of {rule} in {group} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("RevokeSecurityGroupIngress")).await;
        let request = ec2.revoke_security_group_ingress().group_id(group.as_str());
        let answer = request.security_group_rule_ids(rule.as_str()).send().await;
        answer.map(drop).map_err(|error| errors::cloud(call, error))
    }

    async fn set_rule_tag(
        &self,
        scope: &Scope,
        rule: &SecurityGroupRuleId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), CloudError> {
        self.set_tag(scope, rule.as_str(), key, value).await
    }

    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        self.set_tag(&vpc.scope, vpc.id.as_str(), key, value).await
    }
}

fn view(call: &str, scope: &Scope, peering: Option<&VpcPeeringConnection>) -> Result<PeeringView, CloudError> {
    let peering = peering.ok_or(Malformed::Missing("vpcPeeringConnection"));
    peering.and_then(|peering| convert::peering(scope, peering)).map_err(|error| malformed(call, error))
}

/// Returns the parameters of a CIDR block: EC2 has one for each address family.
fn by_family(cidr: &IpNet) -> (Option<String>, Option<String>) {
    match cidr {
        IpNet::V4(cidr) => (Some(cidr.to_string()), None),
        IpNet::V6(cidr) => (None, Some(cidr.to_string())),
    }
}
