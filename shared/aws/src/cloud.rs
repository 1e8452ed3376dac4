//! The engine's cloud over EC2: each method one call, with EC2's answers as they are.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::{
    AttributeBooleanValue, Filter, PeeringConnectionOptionsRequest, ResourceType, VpcAttributeName,
    VpcPeeringConnection,
};
use peerd_core::cidr::IpNet;
use peerd_core::{
    DnsSupport, IngressRule, Pair, PeeringId, PeeringStatus, PeeringView, Permission, PrefixListId, Quotas, RouteTable,
    RouteTableId, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, Vpc, VpcId, VpcRef, tags,
};
use peerd_engine::{CloudError, CloudRead, CloudWrite, ErrorKind};

use crate::convert::{self, Malformed};
use crate::errors;
use crate::ingress;
use crate::quotas;
use crate::rate_limiter::{ApiRateLimiter, Bucket};
use crate::regions;
use crate::sessions::Sessions;

/// The largest pages that EC2 gives; a describe without a page size draws on a smaller bucket.
const PAGE: i32 = 1000;
/// DescribeRouteTables gives no more at once.
const PAGE_OF_TABLES: i32 = 100;
/// GetManagedPrefixListEntries gives no more at once.
const PAGE_OF_LISTS: i32 = 100;
/// Values that one filter takes.
const VALUES: usize = 200;

/// EC2 in every scope, at EC2's pace.
pub struct AwsCloud {
    sessions: Sessions,
    rate_limiter: ApiRateLimiter,
}

impl AwsCloud {
    /// A cloud over these sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, rate_limiter: ApiRateLimiter::default() }
    }

    pub(crate) async fn ec2(&self, scope: &Scope, bucket: Bucket) -> aws_sdk_ec2::Client {
        self.rate_limiter.take(scope, bucket).await;
        self.sessions.ec2(scope).await
    }

    pub(crate) async fn config(&self, scope: &Scope) -> aws_config::SdkConfig {
        self.sessions.of(scope).await
    }

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

    /// Sets, or with no value removes, one tag.
    async fn set_tag(&self, scope: &Scope, id: &str, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        match value {
            Some(value) => self.tag(scope, id, &Tags::from([(key.to_owned(), value.to_owned())])).await,
            None => self.untag(scope, id, &[key]).await,
        }
    }

    async fn filtered_vpcs(&self, scope: &Scope, filters: Vec<Filter>) -> Result<Vec<Vpc>, CloudError> {
        let call = format!("DescribeVpcs in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeVpcs")).await;
        let mine = filter("owner-id", [scope.account.as_str()]);
        let request = ec2.describe_vpcs().max_results(PAGE).filters(mine).set_filters(Some(filters));
        let mut pages = request.into_paginator().items().send();
        let mut vpcs = Vec::new();
        while let Some(vpc) = pages.next().await {
            let vpc = vpc.map_err(|error| errors::cloud(&call, error))?;
            vpcs.extend(convert::vpc(scope, &vpc).map_err(|error| malformed(&call, error))?);
        }
        Ok(vpcs)
    }
}

#[async_trait]
impl CloudRead for AwsCloud {
    /// Only VPCs that wear a tag of ours are asked for: one that is missing from the answer asks for no mesh.
    async fn vpcs(&self, scope: &Scope) -> Result<Vec<Vpc>, CloudError> {
        self.filtered_vpcs(scope, vec![filter("tag-key", [tags::ENV, tags::STATUS])]).await
    }

    async fn vpcs_by_id(&self, scope: &Scope, ids: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError> {
        let ids: Vec<&str> = ids.iter().map(VpcId::as_str).collect();
        let mut vpcs = Vec::new();
        for some in ids.chunks(VALUES) {
            vpcs.extend(self.filtered_vpcs(scope, vec![filter("vpc-id", some.iter().copied())]).await?);
        }
        Ok(vpcs)
    }

    async fn peerings(&self, scope: &Scope) -> Result<Vec<PeeringView>, CloudError> {
        let call = format!("DescribeVpcPeeringConnections in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeVpcPeeringConnections")).await;
        let mut pages = ec2.describe_vpc_peering_connections().max_results(PAGE).into_paginator().items().send();
        let mut peerings = Vec::new();
        while let Some(peering) = pages.next().await {
            let peering = peering.map_err(|error| errors::cloud(&call, error))?;
            peerings.push(convert::peering(scope, &peering).map_err(|error| malformed(&call, error))?);
        }
        Ok(peerings)
    }

    async fn peering(&self, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError> {
        let call = format!("DescribeVpcPeeringConnections of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeVpcPeeringConnections")).await;
        let request = ec2.describe_vpc_peering_connections().vpc_peering_connection_ids(id.as_str());
        match request.send().await {
            Ok(answer) => {
                let first = answer.vpc_peering_connections().first();
                first
                    .map(|peering| convert::peering(scope, peering))
                    .transpose()
                    .map_err(|error| malformed(&call, error))
            }
            Err(error) => match errors::cloud(call, error) {
                error if error.code == "InvalidVpcPeeringConnectionID.NotFound" => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn route_tables(&self, scope: &Scope) -> Result<Vec<RouteTable>, CloudError> {
        let call = format!("DescribeRouteTables in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeRouteTables")).await;
        let mut pages = ec2.describe_route_tables().max_results(PAGE_OF_TABLES).into_paginator().items().send();
        let mut tables = Vec::new();
        while let Some(table) = pages.next().await {
            let table = table.map_err(|error| errors::cloud(&call, error))?;
            tables.extend(convert::route_table(scope, &table).map_err(|error| malformed(&call, error))?);
        }
        Ok(tables)
    }

    async fn route_table(&self, scope: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError> {
        let call = format!("DescribeRouteTables of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeRouteTables")).await;
        match ec2.describe_route_tables().route_table_ids(id.as_str()).send().await {
            Ok(answer) => match answer.route_tables().first() {
                Some(table) => convert::route_table(scope, table).map_err(|error| malformed(&call, error)),
                None => Ok(None),
            },
            Err(error) => match errors::cloud(call, error) {
                error if error.code == "InvalidRouteTableID.NotFound" => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn ingress_rules(&self, scope: &Scope) -> Result<Vec<IngressRule>, CloudError> {
        let call = format!("DescribeSecurityGroupRules in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeSecurityGroupRules")).await;
        let marked = filter(&format!("tag:{}", tags::MANAGED_BY), ["*"]);
        let mut pages =
            ec2.describe_security_group_rules().max_results(PAGE).filters(marked).into_paginator().items().send();
        let mut rules = Vec::new();
        while let Some(rule) = pages.next().await {
            let rule = rule.map_err(|error| errors::cloud(&call, error))?;
            rules.extend(ingress::rule(scope, &rule).map_err(|error| malformed(&call, error))?);
        }
        Ok(rules)
    }

    async fn security_groups(&self, scope: &Scope) -> Result<Vec<SecurityGroup>, CloudError> {
        let call = format!("DescribeSecurityGroups in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeSecurityGroups")).await;
        let allowing = filter("tag-key", [tags::ALLOW]);
        let mut pages =
            ec2.describe_security_groups().max_results(PAGE).filters(allowing).into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            let group = group.map_err(|error| errors::cloud(&call, error))?;
            groups.extend(ingress::group(scope, &group).map_err(|error| malformed(&call, error))?);
        }
        Ok(groups)
    }

    async fn vpc_of_group(&self, scope: &Scope, id: &SecurityGroupId) -> Result<Option<VpcRef>, CloudError> {
        let call = format!("DescribeSecurityGroups of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeSecurityGroups")).await;
        match ec2.describe_security_groups().group_ids(id.as_str()).send().await {
            Ok(answer) => {
                let first = answer.security_groups().first();
                first.map(|group| ingress::owner(scope, group)).transpose().map_err(|error| malformed(&call, error))
            }
            Err(error) => match errors::cloud(call, error) {
                error if error.code == "InvalidGroup.NotFound" => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn prefix_list(&self, scope: &Scope, id: &PrefixListId) -> Result<BTreeSet<IpNet>, CloudError> {
        let call = format!("GetManagedPrefixListEntries of {id} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("GetManagedPrefixListEntries")).await;
        let request = ec2.get_managed_prefix_list_entries().prefix_list_id(id.as_str()).max_results(PAGE_OF_LISTS);
        let mut pages = request.into_paginator().items().send();
        let mut blocks = BTreeSet::new();
        while let Some(entry) = pages.next().await {
            let entry = entry.map_err(|error| errors::cloud(&call, error))?;
            blocks.insert(convert::entry(&entry).map_err(|error| malformed(&call, error))?);
        }
        Ok(blocks)
    }

    async fn quotas(&self, scope: &Scope) -> Result<Quotas, CloudError> {
        quotas::read(&self.sessions, scope).await
    }

    async fn is_region_off(&self, scope: &Scope) -> Result<bool, CloudError> {
        regions::is_off(&self.sessions, scope).await
    }

    /// EC2 tells one attribute a call.
    async fn dns_support(&self, vpc: &VpcRef) -> Result<DnsSupport, CloudError> {
        let attribute = |name: VpcAttributeName| async move {
            let call = format!("DescribeVpcAttribute {name} of {vpc}");
            let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeVpcAttribute")).await;
            let answer = ec2.describe_vpc_attribute().vpc_id(vpc.id.as_str()).attribute(name).send().await;
            answer.map_err(|error| errors::cloud(call, error))
        };
        let (hostnames, support) = futures::try_join!(
            attribute(VpcAttributeName::EnableDnsHostnames),
            attribute(VpcAttributeName::EnableDnsSupport)
        )?;
        let is_on = |value: Option<&AttributeBooleanValue>| value.and_then(AttributeBooleanValue::value);
        Ok(DnsSupport {
            hostnames: is_on(hostnames.enable_dns_hostnames()).unwrap_or_default(),
            support: is_on(support.enable_dns_support()).unwrap_or_default(),
        })
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
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError> {
        let call = format!("AuthorizeSecurityGroupIngress of {permission} in {group} in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("AuthorizeSecurityGroupIngress")).await;
        let request = ec2.authorize_security_group_ingress().group_id(group.as_str());
        let request = request
            .ip_permissions(ingress::permission(permission))
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

    async fn mark_rule(
        &self,
        scope: &Scope,
        rule: &SecurityGroupRuleId,
        key: &str,
        on: bool,
    ) -> Result<(), CloudError> {
        self.set_tag(scope, rule.as_str(), key, on.then_some("")).await
    }

    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        self.set_tag(&vpc.scope, vpc.id.as_str(), key, value).await
    }
}

pub(crate) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
}

fn view(call: &str, scope: &Scope, peering: Option<&VpcPeeringConnection>) -> Result<PeeringView, CloudError> {
    let peering = peering.ok_or(Malformed::Missing("vpcPeeringConnection"));
    peering.and_then(|peering| convert::peering(scope, peering)).map_err(|error| malformed(call, error))
}

pub(crate) fn malformed(call: &str, error: Malformed) -> CloudError {
    let source = Some(error.into());
    CloudError { source, ..CloudError::new(ErrorKind::Invalid, call) }
}

/// EC2 takes the two families in two parameters.
fn by_family(block: &IpNet) -> (Option<String>, Option<String>) {
    match block {
        IpNet::V4(block) => (Some(block.to_string()), None),
        IpNet::V6(block) => (None, Some(block.to_string())),
    }
}
