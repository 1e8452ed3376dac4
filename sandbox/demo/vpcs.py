"""The six VPCs of the demonstration, created through the same AWS calls that any client makes."""

from dataclasses import dataclass

from sandbox.client.model import ACCOUNTS, ENV, REGIONS, Vpc
from sandbox.client.sessions import Sessions

MESH = "prod"


@dataclass(frozen=True)
class DemoVpc:
    """The properties of one VPC of the demonstration."""

    name: str
    account: str
    region: str
    blocks: tuple[str, ...]
    ipv6: bool = False
    extra_table: bool = False

    @property
    def features(self) -> str:
        """Returns its additional features, for display."""
        names = ["IPv6"] if self.ipv6 else []
        return ", ".join(names + (["a second route table"] if self.extra_table else []))


DEMO_VPCS = (
    DemoVpc("web", ACCOUNTS[0], REGIONS[0], ("10.10.0.0/16",)),
    DemoVpc("search", ACCOUNTS[0], REGIONS[1], ("10.20.0.0/16", "10.21.0.0/16")),
    DemoVpc("api", ACCOUNTS[1], REGIONS[0], ("10.30.0.0/16",), ipv6=True),
    DemoVpc("batch", ACCOUNTS[1], REGIONS[1], ("10.40.0.0/16", "10.41.0.0/16")),
    DemoVpc("data", ACCOUNTS[2], REGIONS[0], ("10.50.0.0/16",), extra_table=True),
    DemoVpc("archive", ACCOUNTS[2], REGIONS[1], ("10.60.0.0/16",)),
)


def create(sessions: Sessions, vpc_spec: DemoVpc) -> Vpc:
    """Creates the VPC, with no tag but its name."""
    ec2 = sessions.client("ec2", vpc_spec.account, vpc_spec.region)
    first, *others = vpc_spec.blocks
    name = {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": vpc_spec.name}]}
    created = ec2.create_vpc(
        CidrBlock=first, AmazonProvidedIpv6CidrBlock=vpc_spec.ipv6, TagSpecifications=[name]
    )
    vpc = Vpc(vpc_spec.account, vpc_spec.region, created["Vpc"]["VpcId"])
    for block in others:
        ec2.associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock=block)
    if vpc_spec.extra_table:
        ec2.create_route_table(VpcId=vpc.id)
    return vpc


def join(sessions: Sessions, vpc: Vpc) -> None:
    """Adds the mesh tag to the VPC, which is all that a user of peerd does."""
    sessions.ec2(vpc.scope).create_tags(Resources=[vpc.id], Tags=[{"Key": ENV, "Value": MESH}])


def leave(sessions: Sessions, vpc: Vpc) -> None:
    """Removes the mesh tag from the VPC."""
    sessions.ec2(vpc.scope).delete_tags(Resources=[vpc.id], Tags=[{"Key": ENV}])
