//! The network ACLs and security groups of a VPC: read for `peerd explain`, and never changed.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{self, NetworkAclEntry, RuleAction};
use peerd_core::cidr;
use peerd_core::{CidrSet, NetworkAcl, NetworkAclRule, VpcRef};
use peerd_engine::CloudError;

use crate::cloud::{AwsCloud, filter, malformed};
use crate::convert::{Malformed, required};
use crate::errors;
use crate::ingress;
use crate::rate_limiter::Bucket;

/// The protocol of a rule that matches all protocols.
const EVERYTHING: &str = "-1";

impl AwsCloud {
    /// Reads the network ACLs of a VPC.
    ///
    /// # Errors
    /// AWS's error, or a malformed response.
    pub async fn acls(&self, vpc: &VpcRef) -> Result<Vec<NetworkAcl>, CloudError> {
        let call = format!("DescribeNetworkAcls of {vpc}");
        let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeNetworkAcls")).await;
        let request = ec2.describe_network_acls().filters(filter("vpc-id", [vpc.id.as_str()]));
        let acls = request.into_paginator().items().send().try_collect().await;
        let acls: Vec<types::NetworkAcl> = acls.map_err(|error| errors::cloud(&call, error))?;
        acls.iter().map(|one| acl(one).map_err(|error| malformed(&call, error))).collect()
    }

    /// Reads the CIDR blocks from which each security group of a VPC allows some traffic. Sources that are prefix lists
    /// or other groups are not included.
    ///
    /// # Errors
    /// AWS's error, or a malformed response.
    pub async fn open_groups(&self, vpc: &VpcRef) -> Result<BTreeMap<String, CidrSet>, CloudError> {
        let call = format!("DescribeSecurityGroups of {vpc}");
        let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeSecurityGroups")).await;
        let request = ec2.describe_security_groups().filters(filter("vpc-id", [vpc.id.as_str()]));
        let groups = request.into_paginator().items().send().try_collect().await;
        let groups = groups.map_err(|error| errors::cloud(&call, error))?;
        let mut open = BTreeMap::new();
        for group in &groups {
            let permissions = ingress::open(group).map_err(|error| malformed(&call, error))?;
            let cidrs = permissions.into_keys().map(|permission| permission.from).collect();
            open.insert(group.group_id().unwrap_or_default().to_owned(), cidrs);
        }
        Ok(open)
    }
}

fn acl(acl: &types::NetworkAcl) -> Result<NetworkAcl, Malformed> {
    let rules = acl.entries().iter().filter_map(|entry| rule(entry).transpose()).collect::<Result<_, _>>()?;
    Ok(NetworkAcl {
        id: required(acl.network_acl_id(), "networkAclId")?.to_owned(),
        subnets: acl.associations().len(),
        rules,
    })
}

/// Converts a rule. Returns none for a rule without a CIDR block, which the API does not create.
fn rule(entry: &NetworkAclEntry) -> Result<Option<NetworkAclRule>, Malformed> {
    let Some(cidr) = entry.cidr_block().or(entry.ipv6_cidr_block()) else { return Ok(None) };
    Ok(Some(NetworkAclRule {
        number: entry.rule_number().unwrap_or(i32::MAX),
        egress: entry.egress().unwrap_or_default(),
        allows: entry.rule_action() == Some(&RuleAction::Allow),
        all_traffic: entry.protocol() == Some(EVERYTHING),
        cidr: cidr::parse(cidr)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_acl_rule_is_read_with_its_cidr_and_whether_it_matches_all_traffic() {
        let entry =
            NetworkAclEntry::builder().rule_number(100).egress(true).rule_action(RuleAction::Allow).protocol("-1");
        let read = rule(&entry.clone().cidr_block("0.0.0.0/0").build()).unwrap().unwrap();
        assert!(read.all_traffic && read.allows && read.egress && read.number == 100);
        let tcp = rule(&entry.clone().protocol("6").ipv6_cidr_block("::/0").build()).unwrap().unwrap();
        assert!(!tcp.all_traffic && tcp.cidr == "::/0".parse::<cidr::IpNet>().unwrap());
        assert!(rule(&entry.build()).unwrap().is_none());
    }
}
