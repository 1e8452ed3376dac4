"""The resources that Describe calls return, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

HUB = "111111111111"
ACCOUNTS = (HUB, "222222222222", "333333333333")
HOME_REGION = "us-east-1"
REGIONS = (HOME_REGION, "eu-west-1")
DEPLOYMENT = "peerd"

ENV = "peerd:env"
MANAGED_BY = "peerd:managed-by"
SEAL = "peerd:seal"
STATUS = "peerd:status"
ALLOW = "peerd:allow"
PORTS = "peerd:ports"
MESH_KEY_PREFIX = "peerd:env/"

# A peering in any other state no longer exists, but Describe calls return it for hours or days
# (https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html).
LIVE = frozenset({"initiating-request", "pending-acceptance", "provisioning", "active"})


@dataclass(frozen=True, order=True)
class Scope:
    """One account and Region: what one set of credentials and one endpoint can read."""

    account: str
    region: str


@dataclass(frozen=True, order=True)
class Vpc:
    """The identity of a VPC; its state at some time is its `VpcView`."""

    account: str
    region: str
    id: str

    @property
    def scope(self) -> Scope:
        """Returns the account and Region of the VPC."""
        return Scope(self.account, self.region)

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True)
class Route:
    """One route of a route table; the target is an id."""

    destination: str
    target: str
    state: str


@dataclass(frozen=True)
class RouteTable:
    """A route table; `gateway` means that it is associated with a gateway, not with subnets."""

    id: str
    main: bool
    gateway: bool
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Peering:
    """A peering connection as one side sees it; status and tags may differ on the other side."""

    id: str
    status: str
    requester: Vpc
    accepter: Vpc
    tags: Mapping[str, str]

    @property
    def live(self) -> bool:
        """Returns whether the peering is active or may become active."""
        return self.status in LIVE

    @property
    def managed(self) -> bool:
        """Returns whether this side carries peerd's ownership tag."""
        return self.tags.get(MANAGED_BY) == DEPLOYMENT

    def between(self, one: Vpc, other: Vpc) -> bool:
        """Returns whether the peering connects these two, in either direction."""
        return {self.requester, self.accepter} == {one, other}


@dataclass(frozen=True)
class IngressRule:
    """An ingress rule of a security group; `text` is, for example, `tcp/443 10.0.0.0/20`."""

    id: str
    text: str
    tags: Mapping[str, str]

    @property
    def managed(self) -> bool:
        """Returns whether the rule carries peerd's ownership tag."""
        return self.tags.get(MANAGED_BY) == DEPLOYMENT

    @property
    def meshes(self) -> frozenset[str]:
        """Returns the meshes in the rule's tags."""
        return frozenset(
            key.removeprefix(MESH_KEY_PREFIX) for key in self.tags if key.startswith(MESH_KEY_PREFIX)
        )


@dataclass(frozen=True)
class SecurityGroup:
    """A security group as its own account and Region describes it, with its ingress rules."""

    id: str
    vpc: Vpc
    tags: Mapping[str, str]
    rules: tuple[IngressRule, ...]


@dataclass(frozen=True)
class VpcView:
    """One VPC as its own account and Region describes it."""

    vpc: Vpc
    blocks: frozenset[str]
    tags: Mapping[str, str]
    tables: tuple[RouteTable, ...]
    peerings: tuple[Peering, ...]

    @property
    def status(self) -> str:
        """Returns peerd's status tag, or an empty string."""
        return self.tags.get(STATUS, "")

    @property
    def routed_tables(self) -> tuple[RouteTable, ...]:
        """Returns the route tables of the subnets."""
        return tuple(table for table in self.tables if not table.gateway)

    def live_peerings(self, other: Vpc) -> list[Peering]:
        """Returns the live peerings with that VPC."""
        return [peering for peering in self.peerings if peering.live and peering.between(self.vpc, other)]


Snapshot = Mapping[Vpc, VpcView]
"""Several VPCs, read one after the other, without those that no longer exist."""
