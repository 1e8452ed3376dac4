"""Reads VPCs, route tables, peerings and security groups through Describe calls."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.client.model import (
    IngressRule,
    Peering,
    Route,
    RouteTable,
    Scope,
    SecurityGroup,
    Snapshot,
    Vpc,
    VpcView,
)
from sandbox.client.sessions import Sessions

_TARGETS = (
    "VpcPeeringConnectionId",
    "GatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "TransitGatewayId",
    "EgressOnlyInternetGatewayId",
    "InstanceId",
)
_SOURCES = ("CidrIpv4", "CidrIpv6", "PrefixListId")
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def observe(sessions: Sessions, vpcs: Iterable[Vpc]) -> Snapshot:
    """Reads each of these VPCs in its own account and Region, and omits those that do not exist."""
    by_scope: dict[Scope, list[Vpc]] = {}
    for vpc in vpcs:
        by_scope.setdefault(vpc.scope, []).append(vpc)
    snapshot: dict[Vpc, VpcView] = {}
    for scope, wanted in sorted(by_scope.items()):
        snapshot |= _observe_scope(sessions.ec2(scope), scope, wanted)
    return snapshot


def live_peerings(sessions: Sessions, scope: Scope) -> list[Peering]:
    """Returns every live peering of this account and Region, managed or not."""
    return [peering for peering in _peerings(sessions.ec2(scope), scope) if peering.live]


def security_groups(sessions: Sessions, scope: Scope, *vpcs: Vpc) -> list[SecurityGroup]:
    """Returns the security groups of these VPCs or, if there are none, of all VPCs of the scope."""
    ec2 = sessions.ec2(scope)
    vpc_filter = [{"Name": "vpc-id", "Values": [vpc.id for vpc in vpcs]}] if vpcs else []
    groups = list(_pages(ec2, "describe_security_groups", "SecurityGroups", Filters=vpc_filter))
    group_filter = [{"Name": "group-id", "Values": [group["GroupId"] for group in groups]}]
    wanted = {"Filters": group_filter} if vpcs else {}
    rules: dict[str, list[IngressRule]] = {}
    for rule in _pages(ec2, "describe_security_group_rules", "SecurityGroupRules", **wanted):
        if not rule["IsEgress"]:
            ingress = IngressRule(rule["SecurityGroupRuleId"], _rule_text(rule), _tags(rule))
            rules.setdefault(rule["GroupId"], []).append(ingress)
    return [
        SecurityGroup(
            id=group["GroupId"],
            vpc=Vpc(scope.account, scope.region, group["VpcId"]),
            tags=_tags(group),
            rules=tuple(rules.get(group["GroupId"], ())),
        )
        for group in groups
    ]


def _rule_text(rule: Mapping[str, Any]) -> str:
    """Returns what a rule allows: `all`, `icmp`, `tcp`, `tcp/443` or `tcp/8000-8100`, and the source."""
    protocol, first, last = rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1)
    text = "all" if protocol == "-1" else protocol
    if protocol in ("tcp", "udp") and (first, last) != (0, 65535):
        text += f"/{first}" if first == last else f"/{first}-{last}"
    source = rule.get("ReferencedGroupInfo", {}).get("GroupId") or _first(rule, _SOURCES)
    return f"{text} {source}"


def _observe_scope(ec2: Any, scope: Scope, wanted: list[Vpc]) -> dict[Vpc, VpcView]:
    vpc_filter = [{"Name": "vpc-id", "Values": [vpc.id for vpc in wanted]}]
    described = {vpc["VpcId"]: vpc for vpc in _pages(ec2, "describe_vpcs", "Vpcs", Filters=vpc_filter)}
    tables: dict[str, list[RouteTable]] = {}
    for table in _pages(ec2, "describe_route_tables", "RouteTables", Filters=vpc_filter):
        tables.setdefault(table["VpcId"], []).append(_table(table))
    peerings = _peerings(ec2, scope)
    return {
        vpc: VpcView(
            vpc=vpc,
            blocks=frozenset(_blocks(described[vpc.id])),
            tags=_tags(described[vpc.id]),
            tables=tuple(sorted(tables.get(vpc.id, []), key=lambda table: (not table.main, table.id))),
            peerings=tuple(peering for peering in peerings if vpc in (peering.requester, peering.accepter)),
        )
        for vpc in wanted
        if vpc.id in described
    }


def _pages(ec2: Any, operation: str, key: str, **arguments: Any) -> Iterable[dict[str, Any]]:
    for page in ec2.get_paginator(operation).paginate(**arguments):
        yield from page[key]


def _peerings(ec2: Any, scope: Scope) -> list[Peering]:
    found = _pages(ec2, "describe_vpc_peering_connections", "VpcPeeringConnections")
    return [
        Peering(
            id=peering["VpcPeeringConnectionId"],
            status=peering["Status"]["Code"],
            requester=_end(peering["RequesterVpcInfo"], scope),
            accepter=_end(peering["AccepterVpcInfo"], scope),
            tags=_tags(peering),
        )
        for peering in found
    ]


def _end(info: Mapping[str, str], scope: Scope) -> Vpc:
    return Vpc(info["OwnerId"], info.get("Region", scope.region), info["VpcId"])


def _blocks(vpc: Mapping[str, Any]) -> Iterable[str]:
    for block in vpc.get("CidrBlockAssociationSet", []):
        if block["CidrBlockState"]["State"] == "associated":
            yield block["CidrBlock"]
    for block in vpc.get("Ipv6CidrBlockAssociationSet", []):
        if block["Ipv6CidrBlockState"]["State"] == "associated":
            yield block["Ipv6CidrBlock"]


def _table(table: Mapping[str, Any]) -> RouteTable:
    associations = table.get("Associations", [])
    return RouteTable(
        id=table["RouteTableId"],
        main=any(association.get("Main", False) for association in associations),
        gateway=any(association.get("GatewayId") for association in associations),
        routes=tuple(
            Route(_first(route, _DESTINATIONS), _first(route, _TARGETS), route.get("State", ""))
            for route in table.get("Routes", [])
        ),
    )


def _first(route: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((route[key] for key in keys if route.get(key)), "")


def _tags(resource: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}
