//! The subnets, network ACLs, security groups and network interfaces of VPCs: read for `peerd explain`, and never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use aws_sdk_ec2::types::{self, NetworkAclEntry, RuleAction};
use peerd_core::cidr::{self, IpNet};
use peerd_core::{
    GroupRule, GroupRulePeer, GroupRules, InterfaceAddress, NetworkAcl, NetworkAclRule, NetworkInterface, PrefixListId,
    Scope, Subnet, Traffic, Vpc, VpcRef,
};
use peerd_engine::{CloudError, CloudRead, NetworkRead};

use crate::cloud::{AwsCloud, filter, malformed};
use crate::convert::{Malformed, required};
use crate::errors;
use crate::ingress;
use crate::rate_limiter::Bucket;

#[async_trait]
impl NetworkRead for AwsCloud {
    async fn vpcs_named(&self, scope: &Scope, name: Option<&str>) -> Result<Vec<Vpc>, CloudError> {
        let by_name = name.map(|name| filter("tag:Name", [name])).into_iter().collect();
        self.filtered_vpcs(scope, by_name).await
    }

    async fn interfaces_with(&self, vpc: &VpcRef, address: IpAddr) -> Result<Vec<InterfaceAddress>, CloudError> {
        let name = if address.is_ipv4() { "addresses.private-ip-address" } else { "ipv6-addresses.ipv6-address" };
        let filters = vec![filter("vpc-id", [vpc.id.as_str()]), filter(name, [address.to_string().as_str()])];
        self.interfaces(&vpc.scope, filters, Some(address)).await
    }

    async fn interface(&self, scope: &Scope, id: &str) -> Result<Option<InterfaceAddress>, CloudError> {
        let found = self.interfaces(scope, vec![filter("network-interface-id", [id])], None).await?;
        Ok(found.into_iter().next())
    }

    async fn subnets(&self, vpc: &VpcRef) -> Result<Vec<Subnet>, CloudError> {
        let call = format!("DescribeSubnets of {vpc}");
        let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeSubnets")).await;
        let request = ec2.describe_subnets().filters(filter("vpc-id", [vpc.id.as_str()]));
        let subnets = request.into_paginator().items().send().try_collect().await;
        let subnets = subnets.map_err(|error| errors::cloud(&call, error))?;
        subnets.iter().map(|one| subnet(one).map_err(|error| malformed(&call, error))).collect()
    }

    async fn acls(&self, vpc: &VpcRef) -> Result<Vec<NetworkAcl>, CloudError> {
        let call = format!("DescribeNetworkAcls of {vpc}");
        let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeNetworkAcls")).await;
        let request = ec2.describe_network_acls().filters(filter("vpc-id", [vpc.id.as_str()]));
        let acls = request.into_paginator().items().send().try_collect().await;
        let acls: Vec<types::NetworkAcl> = acls.map_err(|error| errors::cloud(&call, error))?;
        acls.iter().map(|one| acl(one).map_err(|error| malformed(&call, error))).collect()
    }

    async fn group_rules(&self, vpc: &VpcRef) -> Result<Vec<GroupRules>, CloudError> {
        let call = format!("DescribeSecurityGroups of {vpc}");
        let ec2 = self.ec2(&vpc.scope, Bucket::Read("DescribeSecurityGroups")).await;
        let request = ec2.describe_security_groups().filters(filter("vpc-id", [vpc.id.as_str()]));
        let groups = request.into_paginator().items().send().try_collect().await;
        let groups: Vec<types::SecurityGroup> = groups.map_err(|error| errors::cloud(&call, error))?;
        let lists = self.lists_of(&vpc.scope, &groups).await;
        groups.iter().map(|one| group(one, &lists).map_err(|error| malformed(&call, error))).collect()
    }
}

impl AwsCloud {
    async fn interfaces(
        &self,
        scope: &Scope,
        filters: Vec<types::Filter>,
        address: Option<IpAddr>,
    ) -> Result<Vec<InterfaceAddress>, CloudError> {
        let call = format!("DescribeNetworkInterfaces in {scope}");
        let ec2 = self.ec2(scope, Bucket::Read("DescribeNetworkInterfaces")).await;
        let request = ec2.describe_network_interfaces().set_filters(Some(filters));
        let interfaces = request.into_paginator().items().send().try_collect().await;
        let interfaces = interfaces.map_err(|error| errors::cloud(&call, error))?;
        interfaces.iter().map(|one| interface(one, address).map_err(|error| malformed(&call, error))).collect()
    }

    /// Reads the CIDR blocks of the prefix lists that rules name, without the lists that cannot be read.
    async fn lists_of(&self, scope: &Scope, groups: &[types::SecurityGroup]) -> Lists {
        let rules = groups.iter().flat_map(|group| group.ip_permissions().iter().chain(group.ip_permissions_egress()));
        let ids: BTreeSet<&str> =
            rules.flat_map(types::IpPermission::prefix_list_ids).filter_map(|it| it.prefix_list_id()).collect();
        let mut lists = Lists::new();
        for id in ids {
            let Ok(list) = id.parse::<PrefixListId>() else { continue };
            match self.prefix_list(scope, &list).await {
                Ok(cidrs) => drop(lists.insert(id.to_owned(), cidrs)),
                Err(error) => tracing::debug!(list = id, %error, "prefix list not read"),
            }
        }
        lists
    }
}

/// The CIDR blocks of prefix lists by id.
type Lists = BTreeMap<String, BTreeSet<IpNet>>;

fn interface(interface: &types::NetworkInterface, address: Option<IpAddr>) -> Result<InterfaceAddress, Malformed> {
    let primary = || interface.private_ip_address().or_else(|| interface.ipv6_addresses().first()?.ipv6_address());
    let address = match address {
        Some(address) => address,
        None => required(primary(), "privateIpAddress")?.parse()?,
    };
    let groups = interface.groups().iter().filter_map(|group| group.group_id()).map(str::to_owned).collect();
    Ok(InterfaceAddress {
        vpc: required(interface.vpc_id(), "vpcId")?.parse()?,
        address,
        interface: NetworkInterface {
            id: required(interface.network_interface_id(), "networkInterfaceId")?.to_owned(),
            subnet: required(interface.subnet_id(), "subnetId")?.to_owned(),
            groups,
        },
    })
}

fn subnet(subnet: &types::Subnet) -> Result<Subnet, Malformed> {
    let v6 = subnet.ipv6_cidr_block_association_set().iter().filter_map(|it| it.ipv6_cidr_block());
    let cidrs = subnet.cidr_block().into_iter().chain(v6).map(cidr::parse).collect::<Result<_, _>>()?;
    Ok(Subnet { id: required(subnet.subnet_id(), "subnetId")?.to_owned(), cidrs })
}

fn acl(acl: &types::NetworkAcl) -> Result<NetworkAcl, Malformed> {
    let rules = acl.entries().iter().filter_map(|entry| rule(entry).transpose()).collect::<Result<_, _>>()?;
    let subnets = acl.associations().iter().filter_map(|it| it.subnet_id()).map(str::to_owned).collect();
    Ok(NetworkAcl { id: required(acl.network_acl_id(), "networkAclId")?.to_owned(), subnets, rules })
}

/// Converts a rule. Returns none for a rule without a CIDR block, which the API does not create.
fn rule(entry: &NetworkAclEntry) -> Result<Option<NetworkAclRule>, Malformed> {
    let Some(cidr) = entry.cidr_block().or(entry.ipv6_cidr_block()) else { return Ok(None) };
    let cidr = cidr::parse(cidr)?;
    Ok(Some(NetworkAclRule {
        number: entry.rule_number().unwrap_or(i32::MAX),
        egress: entry.egress().unwrap_or_default(),
        allows: entry.rule_action() == Some(&RuleAction::Allow),
        traffic: acl_traffic(entry, &cidr),
        cidr,
    }))
}

/// Converts the traffic of a rule. A network ACL has protocol numbers, and ICMP types beside the ports
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAclEntry.html>).
fn acl_traffic(entry: &NetworkAclEntry, cidr: &IpNet) -> Traffic {
    let ports = entry.port_range().map(|range| (range.from(), range.to()));
    let icmp = entry.icmp_type_code().map(|icmp| (icmp.r#type(), icmp.code()));
    let (protocol, (first, last)) = match entry.protocol().unwrap_or_default() {
        "6" => ("tcp", ports.unwrap_or_default()),
        "17" => ("udp", ports.unwrap_or_default()),
        "1" => ("icmp", icmp.unwrap_or_default()),
        "58" => ("icmpv6", icmp.unwrap_or_default()),
        other => (other, ports.unwrap_or_default()),
    };
    ingress::traffic(protocol, first, last, cidr)
}

fn group(group: &types::SecurityGroup, lists: &Lists) -> Result<GroupRules, Malformed> {
    let rules = |permissions: &[types::IpPermission]| -> Result<Vec<GroupRule>, Malformed> {
        let rules: Result<Vec<Vec<GroupRule>>, Malformed> =
            permissions.iter().map(|permission| group_rules(permission, lists)).collect();
        Ok(rules?.into_iter().flatten().collect())
    };
    Ok(GroupRules {
        id: required(group.group_id(), "groupId")?.to_owned(),
        ingress: rules(group.ip_permissions())?,
        egress: rules(group.ip_permissions_egress())?,
    })
}

fn group_rules(permission: &types::IpPermission, lists: &Lists) -> Result<Vec<GroupRule>, Malformed> {
    let protocol = required(permission.ip_protocol(), "ipProtocol")?;
    let to = |cidr: IpNet| GroupRule {
        traffic: ingress::traffic(protocol, permission.from_port(), permission.to_port(), &cidr),
        peer: GroupRulePeer::Cidr(cidr),
    };
    let v4 = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip());
    let v6 = permission.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6());
    let mut rules: Vec<GroupRule> = v4.chain(v6).map(|cidr| cidr::parse(cidr).map(to)).collect::<Result<_, _>>()?;

    // The address family of a group or a list is not known here; it matters only for the name of ICMP.
    let any = |peer: GroupRulePeer| {
        let protocol = if protocol == "icmpv6" || protocol == "58" { "icmp" } else { protocol };
        let v4 = IpNet::default();
        GroupRule { traffic: ingress::traffic(protocol, permission.from_port(), permission.to_port(), &v4), peer }
    };
    let groups = permission.user_id_group_pairs().iter().filter_map(|pair| pair.group_id());
    rules.extend(groups.map(|group| any(GroupRulePeer::Group(group.to_owned()))));
    for list in permission.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id()) {
        match lists.get(list) {
            Some(cidrs) => rules.extend(cidrs.iter().copied().map(to)),
            None => rules.push(any(GroupRulePeer::UnreadableList(list.to_owned()))),
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{IcmpTypeCode, IpPermission, IpRange, PortRange, PrefixListId as ListId, UserIdGroupPair};

    use super::*;

    #[test]
    fn a_network_acl_rule_is_read_with_its_cidr_and_its_traffic() {
        let entry =
            NetworkAclEntry::builder().rule_number(100).egress(true).rule_action(RuleAction::Allow).protocol("-1");
        let read = rule(&entry.clone().cidr_block("0.0.0.0/0").build()).unwrap().unwrap();
        assert!(read.traffic == Traffic::All && read.allows && read.egress && read.number == 100);
        let ports = PortRange::builder().from(22).to(80).build();
        let tcp = entry.clone().protocol("6").port_range(ports).ipv6_cidr_block("::/0").build();
        let tcp = rule(&tcp).unwrap().unwrap();
        assert_eq!((tcp.traffic, tcp.cidr), (Traffic::Tcp(22, 80), "::/0".parse::<IpNet>().unwrap()));
        let ping = |kind| {
            let icmp = IcmpTypeCode::builder().r#type(kind).code(-1).build();
            let entry = entry.clone().protocol("1").icmp_type_code(icmp).cidr_block("10.0.0.0/8").build();
            rule(&entry).unwrap().unwrap().traffic
        };
        assert_eq!((ping(-1), ping(8)), (Traffic::Icmp, Traffic::Other("protocol icmp 8--1".to_owned())));
        assert!(rule(&entry.build()).unwrap().is_none());
    }

    #[test]
    fn the_peers_of_group_rules_are_cidr_blocks_groups_and_the_cidr_blocks_of_prefix_lists() {
        let permission = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(443)
            .to_port(443)
            .ip_ranges(IpRange::builder().cidr_ip("10.1.0.0/16").build())
            .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-2").build())
            .prefix_list_ids(ListId::builder().prefix_list_id("pl-1").build())
            .prefix_list_ids(ListId::builder().prefix_list_id("pl-2").build())
            .build();
        let lists = Lists::from([("pl-1".to_owned(), ["10.9.0.0/16".parse().unwrap()].into())]);
        let rules = group_rules(&permission, &lists).unwrap();
        let cidr = |text: &str| GroupRulePeer::Cidr(text.parse().unwrap());
        assert!(rules.iter().all(|rule| rule.traffic == Traffic::Tcp(443, 443)));
        assert_eq!(
            rules.into_iter().map(|rule| rule.peer).collect::<Vec<_>>(),
            [
                cidr("10.1.0.0/16"),
                GroupRulePeer::Group("sg-2".to_owned()),
                cidr("10.9.0.0/16"),
                GroupRulePeer::UnreadableList("pl-2".to_owned()),
            ]
        );
    }
}
