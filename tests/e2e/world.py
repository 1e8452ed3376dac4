"""The state of a test: AWS calls to one endpoint, and the control plane.

A `World` records the VPCs that it creates, so that it can delete them and check that peerd left nothing.
"""

import ipaddress
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.client import checks
from sandbox.client.control import Control
from sandbox.client.model import (
    ACCOUNTS,
    ENV,
    HOME_REGION,
    HUB,
    REGIONS,
    Peering,
    Scope,
    SecurityGroup,
    Snapshot,
    Vpc,
    VpcView,
)
from sandbox.client.observe import live_peerings, observe, security_groups
from sandbox.client.sessions import Sessions
from tests.e2e import waiting
from tests.e2e.waiting import Problems

# Above this number of deletions, and 30 % of a mesh, a run waits for an operator's confirmation.
_MAX_DELETES_PER_RUN = 10
# The calls of one observation in each account and Region.
READS = (
    "DescribeVpcs",
    "DescribeVpcPeeringConnections",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSecurityGroupRules",
)
_WRITES = ("Create", "Delete", "Accept", "Reject", "Replace", "Modify", "Associate", "Disassociate")
_WRITES += ("Authorize", "Revoke")


def address_ranges(block: str = "10.0.0.0/8") -> Iterator[str]:
    """Returns the /20 blocks of a block: CIDR blocks that no other test of the session uses."""
    return (str(subnet) for subnet in ipaddress.ip_network(block).subnets(new_prefix=20))


class World:
    """The resources of one test, and the operations on them."""

    def __init__(self, sessions: Sessions, control: Control, ranges: Iterator[str]) -> None:
        self.sessions = sessions
        self.control = control
        self._ranges = ranges
        self._vpcs: list[Vpc] = []
        self._lock = threading.Lock()

    # -- operations ------------------------------------------------------------------------------------------

    def cidr(self) -> str:
        """Returns a CIDR block that nothing else in this session uses."""
        with self._lock:
            return next(self._ranges)

    def vpc(
        self,
        account: str = HUB,
        region: str = HOME_REGION,
        cidr: str | None = None,
        mesh: str | None = None,
        cidrs: Iterable[str] = (),
        ipv6: bool = False,
    ) -> Vpc:
        """Creates a VPC; with a mesh, the call that creates it also sets its tag."""
        ec2 = self.sessions.client("ec2", account, region)
        tags = [{"Key": "Name", "Value": f"e2e-{len(self._vpcs)}"}]
        if mesh is not None:
            tags.append({"Key": ENV, "Value": mesh})
        created = ec2.create_vpc(
            CidrBlock=cidr or self.cidr(),
            AmazonProvidedIpv6CidrBlock=ipv6,
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
        )
        vpc = Vpc(account, region, created["Vpc"]["VpcId"])
        with self._lock:
            self._vpcs.append(vpc)
        for extra in cidrs:
            self.associate_cidr(vpc, extra)
        return vpc

    def tag(self, vpc: Vpc, mesh: str) -> None:
        """Sets `peerd:env`."""
        self.ec2(vpc).create_tags(Resources=[vpc.id], Tags=[{"Key": ENV, "Value": mesh}])

    def untag(self, vpc: Vpc) -> None:
        """Removes `peerd:env`."""
        self.ec2(vpc).delete_tags(Resources=[vpc.id], Tags=[{"Key": ENV}])

    def associate_cidr(self, vpc: Vpc, cidr: str) -> str:
        """Adds an IPv4 CIDR block and returns its association id."""
        created = self.ec2(vpc).associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock=cidr)
        return created["CidrBlockAssociation"]["AssociationId"]

    def associate_ipv6(self, vpc: Vpc) -> str:
        """Adds an Amazon-provided IPv6 CIDR block and returns its association id."""
        created = self.ec2(vpc).associate_vpc_cidr_block(VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
        return created["Ipv6CidrBlockAssociation"]["AssociationId"]

    def disassociate_cidr(self, vpc: Vpc, association: str) -> None:
        """Removes a CIDR block."""
        self.ec2(vpc).disassociate_vpc_cidr_block(AssociationId=association)

    def route_table(self, vpc: Vpc) -> str:
        """Adds a route table and returns its id."""
        return self.ec2(vpc).create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]

    def internet_gateway(self, vpc: Vpc) -> str:
        """Attaches an internet gateway and returns its id."""
        gateway = self.ec2(vpc).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2(vpc).attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
        return gateway

    def main_table(self, vpc: Vpc) -> str:
        """Returns the id of the main route table."""
        return self.snapshot(vpc)[vpc].tables[0].id

    def create_peering(self, requester: Vpc, accepter: Vpc, accept: bool = True) -> str:
        """Creates an unmanaged peering and returns its id."""
        created = self.ec2(requester).create_vpc_peering_connection(
            VpcId=requester.id,
            PeerVpcId=accepter.id,
            PeerOwnerId=accepter.account,
            PeerRegion=accepter.region,
        )
        peering = created["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        if accept:
            self.ec2(accepter).accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return peering

    def delete_vpc(self, vpc: Vpc) -> None:
        """Deletes a VPC and its dependencies, as the console does."""
        ec2 = self.ec2(vpc)
        for table in ec2.describe_route_tables(Filters=_of(vpc))["RouteTables"]:
            if not any(association.get("Main") for association in table["Associations"]):
                for association in table["Associations"]:
                    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
                ec2.delete_route_table(RouteTableId=table["RouteTableId"])
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc.id]}]
        for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
            ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc.id)
            ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
        for group in ec2.describe_security_groups(Filters=_of(vpc))["SecurityGroups"]:
            if group["GroupName"] != "default":
                ec2.delete_security_group(GroupId=group["GroupId"])
        ec2.delete_vpc(VpcId=vpc.id)
        self._vpcs.remove(vpc)

    # -- observations ----------------------------------------------------------------------------------------

    def ec2(self, vpc: Vpc) -> Any:
        """Returns the EC2 client of the VPC's account and Region."""
        return self.sessions.ec2(vpc.scope)

    def snapshot(self, *vpcs: Vpc) -> Snapshot:
        """Returns the current state of these VPCs."""
        return observe(self.sessions, vpcs)

    def view(self, vpc: Vpc) -> VpcView:
        """Returns the current state of one VPC."""
        return self.snapshot(vpc)[vpc]

    def status(self, vpc: Vpc) -> str:
        """Returns the tag `peerd:status`, or an empty string if the VPC is not visible yet."""
        return "".join(view.status for view in self.snapshot(vpc).values())

    def routes(self, vpc: Vpc) -> dict[str, str]:
        """Returns the routes of the main table: destination to target."""
        return {route.destination: route.target for route in self.view(vpc).tables[0].routes}

    def groups(self, *vpcs: Vpc) -> list[SecurityGroup]:
        """Returns the current security groups of these VPCs."""
        return [group for vpc in vpcs for group in security_groups(self.sessions, vpc.scope, vpc)]

    def peering(self, one: Vpc, other: Vpc) -> Peering:
        """Returns the one live peering between these two."""
        found = self.view(one).live_peerings(other)
        assert len(found) == 1, f"expected one live peering between {one} and {other}, found {found}"
        return found[0]

    def peerd_calls(self) -> list[dict[str, Any]]:
        """Returns the logged EC2 calls of peerd's role."""
        return [
            call
            for call in self.control.calls()
            if call["service"] == "ec2" and ":assumed-role/peerd-spoke/" in (call["principal"] or "")
        ]

    def peerd_writes(self) -> list[dict[str, Any]]:
        """Returns the `peerd_calls` that write."""
        return [call for call in self.peerd_calls() if call["action"].startswith(_WRITES)]

    def orphaned_resources(self, *members: Vpc) -> list[str]:
        """Returns the managed resources in any scope that a full mesh of these members does not need."""
        scopes = [Scope(account, region) for account in ACCOUNTS for region in REGIONS]
        peerings = [peering for scope in scopes for peering in live_peerings(self.sessions, scope)]
        groups = [group for scope in scopes for group in security_groups(self.sessions, scope)]
        orphaned = checks.orphaned_peerings(peerings, members) + checks.orphaned_rules(groups, members)
        return orphaned + checks.dangling_routes(self.snapshot(*self._vpcs))

    # -- waiting ---------------------------------------------------------------------------------------------

    def eventually(self, problems: Problems) -> float:
        """Waits until no problem remains; returns the elapsed seconds."""
        return waiting.until(self.control, problems)

    def until_connected(self, *vpcs: Vpc, meshes: str | None = None) -> float:
        """Waits until every pair of these is connected."""
        return self.eventually(lambda: checks.full_mesh_problems(self.snapshot(*vpcs), vpcs, meshes))

    def sweep_until(self, problems: Problems) -> float:
        """Starts sweeps, as the schedule does, until no problem remains."""
        return waiting.sweep_until(self.control, problems)

    def sweep_until_connected(self, *vpcs: Vpc) -> float:
        """Starts sweeps until every pair of these is connected."""
        return self.sweep_until(lambda: checks.full_mesh_problems(self.snapshot(*vpcs), vpcs))

    def until_disconnected(self, one: Vpc, other: Vpc) -> float:
        """Waits until no peering connects these two."""
        return self.eventually(lambda: checks.isolation_problems(self.snapshot(one, other), one, other))

    def until_clean(self, *vpcs: Vpc) -> float:
        """Waits until these have no managed resources."""
        return self.eventually(lambda: _each(self.snapshot(*vpcs), vpcs, checks.cleanup_problems))

    def until_status(self, vpc: Vpc, *words: str) -> str:
        """Waits until an entry of the status starts with the first word and contains the others."""
        self.eventually(lambda: _status_problems(self.status(vpc), words, vpc))
        return self.status(vpc)

    def until_settled(self, *vpcs: Vpc) -> None:
        """Waits until these are one mesh, their status tags are `joined`, and peerd is idle."""
        self.until_connected(*vpcs)
        for vpc in vpcs:
            self.until_status(vpc, "joined")
        self.until_idle()

    def until_idle(self) -> None:
        """Waits until peerd has no work left, including delayed messages."""
        waiting.until_idle(self.control)

    def dead_letters(self) -> dict[str, int]:
        """Returns the number of messages in each dead-letter queue."""
        sqs = self.sessions.client("sqs")
        urls = {
            name: url for name, url in hub_outputs(self.sessions).items() if name.endswith("DeadLettersUrl")
        }
        assert urls, "the outputs of the hub stack contain no dead-letter queue"
        count = "ApproximateNumberOfMessages"
        return {
            name: int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[count])["Attributes"][count])
            for name, url in urls.items()
        }

    # -- clean-up --------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Removes the VPCs from their meshes, waits until peerd releases them, and deletes them."""
        self.control.faults()
        self.control.drop_events(False)
        # A Describe call may not return a new VPC yet, and a VPC that is omitted here stays in its mesh.
        self.eventually(
            lambda: [f"{vpc} is not visible" for vpc in set(self._vpcs) - set(self.snapshot(*self._vpcs))]
        )
        snapshot = self.snapshot(*self._vpcs)
        peerings = {it.id for view in snapshot.values() for it in view.peerings if it.live and it.managed}
        try:
            for vpc in snapshot:
                self.untag(vpc)
                if len(peerings) > _MAX_DELETES_PER_RUN:
                    self.until_clean(vpc)
            self.until_clean(*snapshot)
            self.eventually(lambda: checks.orphaned_rules(self.groups(*snapshot), []))
        finally:
            self._delete(list(snapshot))

    def _delete(self, vpcs: list[Vpc]) -> None:
        for vpc, view in self.snapshot(*vpcs).items():
            for peering in view.peerings:
                if peering.live and peering.requester == vpc:
                    self.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=peering.id)
        for vpc in vpcs:
            self.delete_vpc(vpc)


def hub_outputs(sessions: Sessions) -> dict[str, str]:
    """Returns the outputs of the hub stack."""
    for stack in sessions.client("cloudformation").describe_stacks()["Stacks"]:
        outputs = {it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])}
        if "VpcEventsQueueUrl" in outputs:
            return outputs
    raise AssertionError("no stack in the hub account has the output VpcEventsQueueUrl")


def _of(vpc: Vpc) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc.id]}]


def _each(
    snapshot: Snapshot, vpcs: Iterable[Vpc], problems: Callable[[Snapshot, Vpc], list[str]]
) -> list[str]:
    return [problem for vpc in vpcs for problem in problems(snapshot, vpc)]


def _status_problems(status: str, words: tuple[str, ...], vpc: Vpc) -> list[str]:
    first, rest = words[0], words[1:]
    for entry in status.split(". "):
        if entry.startswith(first) and all(word in entry for word in rest):
            return []
    return [f"the status of {vpc} should contain {' ... '.join(words)!r}, is {status!r}"]
