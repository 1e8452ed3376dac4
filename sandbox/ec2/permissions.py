"""The permissions of security group rules: protocols, ports and sources in AWS's forms.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
"""

import copy
import ipaddress
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from sandbox.ec2.errors import client_error

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_WITH_PORTS = ("tcp", "udp", "icmp", "icmpv6")
_FAMILIES = {"CidrIp": 4, "CidrIpv6": 6}
# The sources of ModifySecurityGroupRules, and how to read each of them from a rule.
_SOURCES = {
    "CidrIpv4": lambda rule: rule.cidr_ipv4,
    "CidrIpv6": lambda rule: rule.cidr_ipv6,
    "PrefixListId": lambda rule: rule.prefix_list_id,
    "ReferencedGroupId": lambda rule: rule.source_group.get("GroupId"),
}


def rules(backend: EC2Backend, group: SecurityGroup, requested: dict[str, Any]) -> list[SecurityGroupRule]:
    """Returns the ingress rules, one for each source, of one permission that moto parsed from a call."""
    protocol = _protocol(requested["ip_protocol"])
    ports = _ports(protocol, requested["from_port"], requested["to_port"])
    blocks = [_canonical(block) for block in requested["ip_ranges"]]
    groups = backend._add_source_group(requested["source_groups"], group.vpc_id)
    lists = requested["prefix_list_ids"] or []
    # moto requires ports for every protocol but -1; `_with_ports` removes them where there are none.
    rules = backend._iterate_security_rules(protocol, group.id, "-1", "-1", blocks, groups, lists)
    return [_with_ports(rule, ports) for rule in rules]


def _with_ports(rule: SecurityGroupRule, ports: tuple[int | None, int | None]) -> SecurityGroupRule:
    rule.from_port, rule.to_port = ports
    return rule


def _protocol(text: Any) -> str:
    if text is None:
        raise client_error(
            "InvalidParameterValue",
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.",
        )
    name = str(text).lower()
    return _PROTOCOLS.get(name, name)


def _ports(protocol: str, first: Any, last: Any) -> tuple[int | None, int | None]:
    """Ports are required for tcp, udp and icmp, optional for icmpv6, and ignored for other protocols."""
    if protocol not in _WITH_PORTS:
        return None, None
    if first is None or last is None:
        if protocol == "icmpv6":
            return -1, -1
        message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
        raise client_error("InvalidParameterValue", message)
    first, last = int(first), int(last)
    if protocol in ("tcp", "udp") and not 0 <= first <= last <= 65535:
        raise client_error("InvalidParameterValue", f"Invalid {protocol.upper()} port range ({first}-{last})")
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
        raise client_error("InvalidParameterValue", f"CIDR block {text} is malformed")
    return str(block)


def weight(backend: EC2Backend, rule: SecurityGroupRule, version: int) -> int:
    """Returns how many rules of an address family this rule counts as."""
    if rule.prefix_list_id:
        known = backend.managed_prefix_lists.get(rule.prefix_list_id)
        return int(known.max_entries or 1) if known else 1
    if rule.source_group:
        return 1
    return int(bool(rule.cidr_ipv4 if version == 4 else rule.cidr_ipv6))


def described_rule(rule: SecurityGroupRule) -> SecurityGroupRule:
    """Returns a rule as responses contain it: -1 if it has no ports, as in public CloudTrail records."""
    result = copy.copy(rule)
    result.from_port = -1 if rule.from_port is None else rule.from_port
    result.to_port = -1 if rule.to_port is None else rule.to_port
    return result


def revoked_rule(rule: SecurityGroupRule) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokedSecurityGroupRule.html"""
    described = described_rule(rule)
    members = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.ip_protocol,
        "FromPort": described.from_port,
        "ToPort": described.to_port,
        "Description": rule.description,
    } | {name: read(rule) for name, read in _SOURCES.items()}
    return {name: value for name, value in members.items() if value is not None}


def modified_rule(rule: SecurityGroupRule, requested: dict[str, Any]) -> SecurityGroupRule:
    """Returns the rule after ModifySecurityGroupRules; the kind of its source cannot change."""
    (given, *more) = [name for name in _SOURCES if requested.get(name) is not None] or [None]
    if given is None:
        message = (
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"
        )
        raise client_error("MissingParameter", message)
    if more:
        message = "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
        raise client_error("InvalidParameterCombination", message)
    if not _SOURCES[given](rule):
        message = f"Invalid rule type for security group rule '{rule.id}'. It is no rule of {given}."
        raise client_error("InvalidParameterValue", message)
    modified, source = copy.copy(rule), requested[given]
    modified.ip_protocol = _protocol(requested.get("IpProtocol"))
    modified.from_port, modified.to_port = _ports(
        modified.ip_protocol, requested.get("FromPort"), requested.get("ToPort")
    )
    if given == "PrefixListId":
        modified.prefix_list_id = source
    elif given == "ReferencedGroupId":
        modified.source_group = rule.source_group | {"GroupId": source}
    else:
        key = "CidrIp" if given == "CidrIpv4" else "CidrIpv6"
        description = {"Description": requested["Description"]} if requested.get("Description") else {}
        modified.ip_range = _canonical({key: source}) | description
    return modified
