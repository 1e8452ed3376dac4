//! The reads of `peerd explain` and the checks of `peerd doctor`. Every VPC has one subnet with all its CIDR blocks and the network ACL that AWS creates
//! with it, and there are no network interfaces
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html>).

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use peerd_core::aws_error::brief;
use peerd_core::cidr::IpNet;
use peerd_core::network_filters::{GroupRule, GroupRulePeer};
use peerd_core::{
    Check, Deployment, Examined, GroupRules, InterfaceAddress, NetworkAcl, NetworkAclRule, Scope, Subnet, Traffic, Vpc,
    VpcRef, tags,
};
use peerd_engine::error::chain;
use peerd_engine::{CloudError, CloudRead, Examine, NetworkRead};

use super::cloud::SimCloud;

#[async_trait]
impl NetworkRead for SimCloud {
    async fn vpcs_named(&self, scope: &Scope, name: Option<&str>) -> Result<Vec<Vpc>, CloudError> {
        let mut vpcs = self.vpcs(scope).await?;
        vpcs.retain(|vpc| name.is_none_or(|name| vpc.tags.get(tags::NAME).is_some_and(|of| of == name)));
        Ok(vpcs)
    }

    async fn interfaces_with(&self, vpc: &VpcRef, _: IpAddr) -> Result<Vec<InterfaceAddress>, CloudError> {
        self.read("DescribeNetworkInterfaces", &vpc.scope, |_, _| Vec::new()).await
    }

    async fn interface(&self, scope: &Scope, _: &str) -> Result<Option<InterfaceAddress>, CloudError> {
        self.read("DescribeNetworkInterfaces", scope, |_, _| None).await
    }

    async fn subnets(&self, vpc: &VpcRef) -> Result<Vec<Subnet>, CloudError> {
        let of_vpc = |cidrs| Subnet { id: subnet_of(vpc), cidrs };
        self.read("DescribeSubnets", &vpc.scope, |aws, time| {
            aws.seen_vpc(vpc, time).map(|vpc| of_vpc(vpc.cidrs)).into_iter().collect()
        })
        .await
    }

    async fn acls(&self, vpc: &VpcRef) -> Result<Vec<NetworkAcl>, CloudError> {
        let rule = |egress| NetworkAclRule {
            number: 100,
            egress,
            allows: true,
            traffic: Traffic::All,
            cidr: IpNet::default(),
        };
        let id = vpc.id.as_str().replacen("vpc", "acl", 1);
        let acl = NetworkAcl { id, subnets: [subnet_of(vpc)].into(), rules: [false, true].map(rule).into() };
        self.read("DescribeNetworkAcls", &vpc.scope, |_, _| vec![acl]).await
    }

    async fn group_rules(&self, vpc: &VpcRef) -> Result<Vec<GroupRules>, CloudError> {
        self.read("DescribeSecurityGroups", &vpc.scope, |aws, _| {
            let groups = aws.groups().filter(|(_, group)| group.vpc == *vpc);
            groups
                .map(|(id, group)| GroupRules {
                    id: id.to_string(),
                    ingress: group
                        .rules
                        .values()
                        .map(|rule| allowing(&rule.permission.traffic, rule.permission.from))
                        .collect(),
                    egress: vec![allowing(&Traffic::All, IpNet::default())],
                })
                .collect()
        })
        .await
    }
}

#[async_trait]
impl Examine for SimCloud {
    async fn examine_all(&self, scopes: BTreeSet<Scope>, _: &Deployment, _: Option<&str>) -> Vec<Examined> {
        let mut examined = Vec::new();
        for scope in scopes {
            let check = match self.vpcs(&scope).await {
                Ok(_) => Check::pass("the role is assumed and reads VPCs"),
                Err(error) => Check::fail(brief(&chain(&error)), "deploy spoke.yaml there"),
            };
            examined.push(Examined { scope, checks: vec![check] });
        }
        examined
    }
}

fn allowing(traffic: &Traffic, cidr: IpNet) -> GroupRule {
    GroupRule { traffic: traffic.clone(), peer: GroupRulePeer::Cidr(cidr) }
}

fn subnet_of(vpc: &VpcRef) -> String {
    vpc.id.as_str().replacen("vpc", "subnet", 1)
}
