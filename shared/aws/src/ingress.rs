//! Security groups and their ingress rules: conversions from and to the SDK's types.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroup as SdkSecurityGroup, SecurityGroupRule};
use peerd_core::cidr::{self, IpNet};
use peerd_core::{IngressRule, Permission, Scope, SecurityGroup, Traffic, VpcRef};

use crate::convert::{Malformed, required, tags};

/// Converts a security group of the scope's own account. Returns none for a group that another account shares with it.
pub fn group(scope: &Scope, group: &SdkSecurityGroup) -> Result<Option<SecurityGroup>, Malformed> {
    if group.owner_id().is_some_and(|owner| owner != scope.account.as_str()) {
        return Ok(None);
    }
    let id = required(group.group_id(), "groupId")?.parse()?;
    let vpc = owner(scope, group)?;
    let others = group.ip_permissions().iter();
    let others = others.map(|it| it.user_id_group_pairs().len() + it.prefix_list_ids().len()).sum();
    Ok(Some(SecurityGroup { id, vpc, tags: tags(group.tags()), open: open(group)?, others }))
}

/// Returns the permissions of a group whose source is a CIDR block, with their descriptions.
pub fn open(group: &SdkSecurityGroup) -> Result<BTreeMap<Permission, String>, Malformed> {
    let mut open = BTreeMap::new();
    for permission in group.ip_permissions() {
        let v4 = permission.ip_ranges().iter().map(|range| (range.cidr_ip(), range.description()));
        let v6 = permission.ipv6_ranges().iter().map(|range| (range.cidr_ipv6(), range.description()));
        for (cidr, description) in v4.chain(v6) {
            let from = cidr::parse(required(cidr, "cidrIp")?)?;
            let protocol = required(permission.ip_protocol(), "ipProtocol")?;
            let traffic = traffic(protocol, permission.from_port(), permission.to_port(), &from);
            open.insert(Permission { traffic, from }, description.unwrap_or_default().to_owned());
        }
    }
    Ok(open)
}

/// Returns the VPC of a group.
pub fn owner(scope: &Scope, group: &SdkSecurityGroup) -> Result<VpcRef, Malformed> {
    Ok(VpcRef::new(scope.clone(), required(group.vpc_id(), "vpcId")?.parse()?))
}

/// Converts an ingress rule whose source is a CIDR block. Returns none for any other rule, which peerd never creates.
pub fn rule(scope: &Scope, rule: &SecurityGroupRule) -> Result<Option<IngressRule>, Malformed> {
    let cidr = rule.cidr_ipv4().or(rule.cidr_ipv6());
    let (Some(cidr), Some(false)) = (cidr, rule.is_egress()) else { return Ok(None) };
    let from = cidr::parse(cidr)?;
    let traffic = traffic(required(rule.ip_protocol(), "ipProtocol")?, rule.from_port(), rule.to_port(), &from);
    Ok(Some(IngressRule {
        id: required(rule.security_group_rule_id(), "securityGroupRuleId")?.parse()?,
        scope: scope.clone(),
        group: required(rule.group_id(), "groupId")?.parse()?,
        permission: Permission { traffic, from },
        description: rule.description().unwrap_or_default().to_owned(),
        tags: tags(rule.tags()),
    }))
}

/// Converts a protocol and ports. EC2 returns the well-known protocols by name, ICMP types and codes as ports, and -1
/// for all of them (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>).
pub fn traffic(protocol: &str, first: Option<i32>, last: Option<i32>, from: &IpNet) -> Traffic {
    let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
    let every = (first.unwrap_or(-1), last.unwrap_or(-1)) == (-1, -1);
    match (protocol, port(first), port(last)) {
        ("-1", ..) => Traffic::All,
        ("tcp", Some(first), Some(last)) => Traffic::Tcp(first, last),
        ("udp", Some(first), Some(last)) => Traffic::Udp(first, last),
        ("icmp", ..) if every && matches!(from, IpNet::V4(_)) => Traffic::Icmp,
        ("icmpv6" | "58", ..) if every && matches!(from, IpNet::V6(_)) => Traffic::Icmp,
        _ => Traffic::Other(format!("protocol {protocol} {}-{}", first.unwrap_or(-1), last.unwrap_or(-1))),
    }
}

/// Converts a permission into the parameter of a call.
pub fn permission(Permission { traffic, from }: &Permission, description: &str) -> IpPermission {
    let v6 = matches!(from, IpNet::V6(_));
    let (protocol, first, last) = match traffic {
        Traffic::All => ("-1", -1, -1),
        Traffic::Icmp if v6 => ("icmpv6", -1, -1),
        Traffic::Icmp => ("icmp", -1, -1),
        Traffic::Tcp(first, last) => ("tcp", i32::from(*first), i32::from(*last)),
        Traffic::Udp(first, last) => ("udp", i32::from(*first), i32::from(*last)),
        Traffic::Other(words) => (words.as_str(), -1, -1), // peerd never requests it; EC2 rejects it
    };
    let permission = IpPermission::builder().ip_protocol(protocol).from_port(first).to_port(last);
    let cidr = from.to_string();
    match v6 {
        true => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).description(description).build()).build(),
        false => permission.ip_ranges(IpRange::builder().cidr_ip(cidr).description(description).build()).build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_permission_round_trips() {
        for from in ["10.0.0.0/16", "2600:1f18::/56"].map(|cidr| cidr::parse(cidr).unwrap()) {
            for wanted in [Traffic::All, Traffic::Icmp, Traffic::Tcp(443, 443), Traffic::Udp(0, u16::MAX)] {
                let asked = permission(&Permission { traffic: wanted.clone(), from }, "text");
                let (v4, v6) = (asked.ip_ranges().first(), asked.ipv6_ranges().first());
                let cidr = v4.and_then(IpRange::cidr_ip).or(v6.and_then(Ipv6Range::cidr_ipv6)).unwrap();
                let protocol = asked.ip_protocol().unwrap();
                assert_eq!(cidr::parse(cidr), Ok(from));
                assert_eq!(traffic(protocol, asked.from_port(), asked.to_port(), &from), wanted);
            }
        }
    }

    #[test]
    fn unsupported_traffic_is_displayed_in_ec2_terms() {
        let v4 = cidr::parse("10.0.0.0/16").unwrap();
        let echo = traffic("icmp", Some(8), Some(0), &v4);
        assert_eq!(echo.to_string(), "protocol icmp 8-0");
        assert_eq!(traffic("50", None, None, &v4).to_string(), "protocol 50 -1--1");
        assert_eq!(traffic("icmpv6", Some(-1), Some(-1), &v4).to_string(), "protocol icmpv6 -1--1");
    }
}
