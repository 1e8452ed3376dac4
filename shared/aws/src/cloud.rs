//! The reads of the engine's cloud over EC2: each method uses one API and returns EC2's result as it is. The changes
//! are in `cloud_write.rs`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, VpcAttributeName};
use peerd_core::cidr::IpNet;
use peerd_core::{
    DnsSupport, IngressRule, PeeringId, PeeringView, PrefixListId, Quotas, RouteTable, RouteTableId, Scope,
    SecurityGroup, SecurityGroupId, Vpc, VpcId, VpcRef, tags,
};
use peerd_engine::{CloudError, CloudRead, ErrorKind};

use crate::convert::{self, Malformed};
use crate::errors;
use crate::ingress;
use crate::quotas;
use crate::rate_limiter::{ApiRateLimiter, Bucket};
use crate::regions;
use crate::sessions::Sessions;

/// The largest page size of EC2. A describe without a page size uses a smaller token bucket.
const PAGE: i32 = 1000;
/// The largest page size of DescribeRouteTables.
const PAGE_OF_TABLES: i32 = 100;
/// The largest page size of GetManagedPrefixListEntries.
const PAGE_OF_LISTS: i32 = 100;
/// The maximum number of values of one filter.
const VALUES: usize = 200;

/// EC2 in every scope, within EC2's rate limits.
pub struct AwsCloud {
    pub(crate) sessions: Sessions,
    rate_limiter: ApiRateLimiter,
}

impl AwsCloud {
    /// Creates a cloud with these sessions.
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

    pub(crate) async fn filtered_vpcs(&self, scope: &Scope, filters: Vec<Filter>) -> Result<Vec<Vpc>, CloudError> {
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

    async fn filtered_rules(&self, scope: &Scope, filter: Filter) -> Result<Vec<IngressRule>, CloudError> {
        let call = format!("DescribeSecurityGroupRules in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeSecurityGroupRules")).await;
        let mut pages =
            ec2.describe_security_group_rules().max_results(PAGE).filters(filter).into_paginator().items().send();
        let mut rules = Vec::new();
        while let Some(rule) = pages.next().await {
            let rule = rule.map_err(|error| errors::cloud(&call, error))?;
            rules.extend(ingress::rule(scope, &rule).map_err(|error| malformed(&call, error))?);
        }
        Ok(rules)
    }
}

#[async_trait]
impl CloudRead for AwsCloud {
    /// Reads only VPCs with a tag of peerd: a VPC that is missing from the result requests no mesh.
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
        self.filtered_rules(scope, filter(&format!("tag:{}", tags::MANAGED_BY), ["*"])).await
    }

    async fn ingress_rules_of(
        &self,
        scope: &Scope,
        groups: &BTreeSet<SecurityGroupId>,
    ) -> Result<Vec<IngressRule>, CloudError> {
        let ids: Vec<&str> = groups.iter().map(SecurityGroupId::as_str).collect();
        let mut rules = Vec::new();
        for some in ids.chunks(VALUES) {
            rules.extend(self.filtered_rules(scope, filter("group-id", some.iter().copied())).await?);
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
        let mut cidrs = BTreeSet::new();
        while let Some(entry) = pages.next().await {
            let entry = entry.map_err(|error| errors::cloud(&call, error))?;
            cidrs.insert(convert::entry(&entry).map_err(|error| malformed(&call, error))?);
        }
        Ok(cidrs)
    }

    async fn quotas(&self, scope: &Scope) -> Result<Quotas, CloudError> {
        quotas::read(&self.sessions, scope).await
    }

    async fn is_region_off(&self, scope: &Scope) -> Result<bool, CloudError> {
        regions::is_off(&self.sessions, scope).await
    }

    /// EC2 returns one attribute per call.
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

pub(crate) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
}

pub(crate) fn malformed(call: &str, error: Malformed) -> CloudError {
    let source = Some(error.into());
    CloudError { source, ..CloudError::new(ErrorKind::Invalid, call) }
}
