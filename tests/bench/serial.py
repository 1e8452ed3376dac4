"""The calls of the bound, made by one client strictly one after the other."""

import os
import time
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from sandbox.client.model import Scope, Vpc
from tests.bench import bound, lab

_DESCRIBES = (
    "describe_vpcs",
    "describe_vpc_peering_connections",
    "describe_route_tables",
    "describe_security_groups",
    "describe_security_group_rules",
)


def measure(binaries: Path, size: int, delay_ms: int) -> dict[str, Any]:
    """Forms a mesh without peerd in a new sandbox; peerd sees nothing of it."""
    with lab.started(binaries) as running:
        running.control.drop_events(True)
        vpcs = running.create_vpcs(lab.spread(size))
        client = _Client(running, vpcs)
        with running.delayed_ec2(delay_ms):
            load = os.getloadavg()[0]
            started = time.monotonic()
            client.form()
            seconds = time.monotonic() - started
    wanted = bound.forming([vpc.scope for vpc in vpcs], lab.TABLES).total
    if client.calls != wanted:
        raise AssertionError(f"the bound has {wanted} calls, the client made {client.calls}")
    return {
        "vpcs": size,
        "delay_ms": delay_ms,
        "load": load,
        "calls": client.calls,
        "seconds": seconds,
        "mean_ms": 1000 * seconds / client.calls,
    }


class _Client:
    """Makes the calls and counts them."""

    def __init__(self, running: lab.Lab, vpcs: list[Vpc]) -> None:
        self.calls = 0
        self._running = running
        self._vpcs = vpcs
        self._blocks: dict[Vpc, str] = {}
        self._tables: dict[Vpc, list[str]] = {}
        for vpc in vpcs:
            ec2 = running.sessions.ec2(vpc.scope)
            self._blocks[vpc] = ec2.describe_vpcs(VpcIds=[vpc.id])["Vpcs"][0]["CidrBlock"]
            found = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc.id]}])
            self._tables[vpc] = [table["RouteTableId"] for table in found["RouteTables"]]

    def form(self) -> None:
        """Makes the calls of the bound."""
        for scope in {vpc.scope for vpc in self._vpcs}:
            for name in _DESCRIBES:
                self._call(scope, name)
        peerings = {frozenset(pair): self._peer(*pair) for pair in combinations(self._vpcs, 2)}
        for vpc, peer in permutations(self._vpcs, 2):
            for table in self._tables[vpc]:
                route = {
                    "DestinationCidrBlock": self._blocks[peer],
                    "VpcPeeringConnectionId": peerings[frozenset((vpc, peer))],
                }
                self._call(vpc.scope, "create_route", RouteTableId=table, **route)
        for vpc in self._vpcs:
            self._call(
                vpc.scope, "create_tags", Resources=[vpc.id], Tags=[{"Key": "status", "Value": "joined"}]
            )

    def _peer(self, requester: Vpc, accepter: Vpc) -> str:
        tags = [{"Key": "Name", "Value": f"{requester} - {accepter}"}]
        created = self._call(
            requester.scope,
            "create_vpc_peering_connection",
            VpcId=requester.id,
            PeerVpcId=accepter.id,
            PeerOwnerId=accepter.account,
            PeerRegion=accepter.region,
            TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": tags}],
        )
        peering = created["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        self._call(accepter.scope, "accept_vpc_peering_connection", VpcPeeringConnectionId=peering)
        if requester.scope != accepter.scope:
            self._call(accepter.scope, "create_tags", Resources=[peering], Tags=tags)
        return peering

    def _call(self, scope: Scope, name: str, **arguments: Any) -> Any:
        operation: Callable[..., Any] = getattr(self._running.sessions.ec2(scope), name)
        self.calls += 1
        return operation(**arguments)
