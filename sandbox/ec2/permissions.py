"""What one rule of a security group lets in: protocols, ports and sources as AWS reads, keeps and shows them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
"""

import copy
import ipaddress
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from sandbox.ec2.errors import fail

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_WITH_PORTS = ("tcp", "udp", "icmp", "icmpv6")
_FAMILIES = {"CidrIp": 4, "CidrIpv6": 6}
# The sources of ModifySecurityGroupRules, and what reads each of them from a rule.
_SOURCES = {
    "CidrIpv4": lambda rule: rule.cidr_ipv4,
    "CidrIpv6": lambda rule: rule.cidr_ipv6,
    "PrefixListId": lambda rule: rule.prefix_list_id,
    "ReferencedGroupId": lambda rule: rule.source_group.get("GroupId"),
}


def rules(backend: EC2Backend, group: SecurityGroup, asked: dict[str, Any]) -> list[SecurityGroupRule]:
    """The ingress rules, one for each source, of one permission as moto reads it from a call."""
    protocol = _protocol(asked["ip_protocol"])
    ports = _ports(protocol, asked["from_port"], asked["to_port"])
    blocks = [_canonical(block) for block in asked["ip_ranges"]]
    groups = backend._add_source_group(asked["source_groups"], group.vpc_id)
    lists = asked["prefix_list_ids"] or []
    # moto wants ports for every protocol but -1; those that have none get theirs taken away again.
    made = backend._iterate_security_rules(protocol, group.id, "-1", "-1", blocks, groups, lists)
    return [_with_ports(rule, ports) for rule in made]


def _with_ports(rule: SecurityGroupRule, ports: tuple[int | None, int | None]) -> SecurityGroupRule:
    rule.from_port, rule.to_port = ports
    return rule


def _protocol(text: Any) -> str:
    if text is None:
        raise fail(
            "InvalidParameterValue",
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.",
        )
    name = str(text).lower()
    return _PROTOCOLS.get(name, name)


def _ports(protocol: str, first: Any, last: Any) -> tuple[int | None, int | None]:
    """Required for tcp, udp and icmp, optional for icmpv6, and of no meaning for the others."""
    if protocol not in _WITH_PORTS:
        return None, None
    if first is None or last is None:
        if protocol == "icmpv6":
            return -1, -1
        message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
        raise fail("InvalidParameterValue", message)
    first, last = int(first), int(last)
    if protocol in ("tcp", "udp") and not 0 <= first <= last <= 65535:
        raise fail("InvalidParameterValue", f"Invalid {protocol.upper()} port range ({first}-{last})")
    return first, last


def _canonical(block: dict[str, str]) -> dict[str, str]:
    """AWS clears host bits: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html.

    IPv6 as an IPv4 range is malformed: https://github.com/aws/aws-cli/issues/2846
    """
    return block | {key: _block(block[key], version) for key, version in _FAMILIES.items() if key in block}


def _block(text: str, version: int) -> str:
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        block = None
    if block is None or block.version != version or "/" not in text:
        raise fail("InvalidParameterValue", f"CIDR block {text} is malformed")
    return str(block)


def weight(backend: EC2Backend, rule: SecurityGroupRule, version: int) -> int:
    """For how many rules of an address family this one counts."""
    if rule.prefix_list_id:
        known = backend.managed_prefix_lists.get(rule.prefix_list_id)
        return int(known.max_entries or 1) if known else 1
    if rule.source_group:
        return 1
    return int(bool(rule.cidr_ipv4 if version == 4 else rule.cidr_ipv6))


def shown(rule: SecurityGroupRule) -> SecurityGroupRule:
    """A rule as answers tell of it: without ports they say -1, as public CloudTrail records show."""
    told = copy.copy(rule)
    told.from_port = -1 if rule.from_port is None else rule.from_port
    told.to_port = -1 if rule.to_port is None else rule.to_port
    return told


def revoked(rule: SecurityGroupRule) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokedSecurityGroupRule.html"""
    told = shown(rule)
    members = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.ip_protocol,
        "FromPort": told.from_port,
        "ToPort": told.to_port,
        "Description": rule.description,
    } | {name: read(rule) for name, read in _SOURCES.items()}
    return {name: value for name, value in members.items() if value is not None}


def changed(rule: SecurityGroupRule, asked: dict[str, Any]) -> SecurityGroupRule:
    """The rule as ModifySecurityGroupRules would have it; a source stays of its kind."""
    (given, *more) = [name for name in _SOURCES if asked.get(name) is not None] or [None]
    if given is None:
        message = (
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"
        )
        raise fail("MissingParameter", message)
    if more:
        message = "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
        raise fail("InvalidParameterCombination", message)
    if not _SOURCES[given](rule):
        message = f"Invalid rule type for security group rule '{rule.id}'. It is no rule of {given}."
        raise fail("InvalidParameterValue", message)
    twin, source = copy.copy(rule), asked[given]
    twin.ip_protocol = _protocol(asked.get("IpProtocol"))
    twin.from_port, twin.to_port = _ports(twin.ip_protocol, asked.get("FromPort"), asked.get("ToPort"))
    if given == "PrefixListId":
        twin.prefix_list_id = source
    elif given == "ReferencedGroupId":
        twin.source_group = rule.source_group | {"GroupId": source}
    else:
        key = "CidrIp" if given == "CidrIpv4" else "CidrIpv6"
        described = {"Description": asked["Description"]} if asked.get("Description") else {}
        twin.ip_range = _canonical({key: source}) | described
    return twin
