"""The six VPCs of the demonstration, made through AWS calls as any outsider would make them."""

from dataclasses import dataclass

from sandbox.client.model import ACCOUNTS, ENV, REGIONS, Vpc
from sandbox.client.sessions import Sessions

MESH = "prod"


@dataclass(frozen=True)
class Character:
    """What one of the VPCs is to look like."""

    name: str
    account: str
    region: str
    blocks: tuple[str, ...]
    ipv6: bool = False
    extra_table: bool = False

    @property
    def special(self) -> str:
        """What sets it apart, in words."""
        words = ["IPv6"] if self.ipv6 else []
        return ", ".join(words + (["a second route table"] if self.extra_table else []))


CAST = (
    Character("web", ACCOUNTS[0], REGIONS[0], ("10.10.0.0/16",)),
    Character("search", ACCOUNTS[0], REGIONS[1], ("10.20.0.0/16", "10.21.0.0/16")),
    Character("api", ACCOUNTS[1], REGIONS[0], ("10.30.0.0/16",), ipv6=True),
    Character("batch", ACCOUNTS[1], REGIONS[1], ("10.40.0.0/16", "10.41.0.0/16")),
    Character("data", ACCOUNTS[2], REGIONS[0], ("10.50.0.0/16",), extra_table=True),
    Character("archive", ACCOUNTS[2], REGIONS[1], ("10.60.0.0/16",)),
)


def create(sessions: Sessions, character: Character) -> Vpc:
    """Creates the VPC, untagged but for its name."""
    ec2 = sessions.client("ec2", character.account, character.region)
    first, *others = character.blocks
    name = {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": character.name}]}
    made = ec2.create_vpc(
        CidrBlock=first, AmazonProvidedIpv6CidrBlock=character.ipv6, TagSpecifications=[name]
    )
    vpc = Vpc(character.account, character.region, made["Vpc"]["VpcId"])
    for block in others:
        ec2.associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock=block)
    if character.extra_table:
        ec2.create_route_table(VpcId=vpc.id)
    return vpc


def join(sessions: Sessions, vpc: Vpc) -> None:
    """Tags the VPC: the one thing that a user of peerd does."""
    sessions.ec2(vpc.scope).create_tags(Resources=[vpc.id], Tags=[{"Key": ENV, "Value": MESH}])


def leave(sessions: Sessions, vpc: Vpc) -> None:
    """Takes the tag away."""
    sessions.ec2(vpc.scope).delete_tags(Resources=[vpc.id], Tags=[{"Key": ENV}])
