"""Clients of the overlay in this process: boto3's requests go to the WSGI application without a socket."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from werkzeug.test import Client

from sandbox import ec2

_SESSION = boto3.Session()


class _Body:
    """What botocore reads of a urllib3 response."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._data


def _answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    url = urlsplit(request.url)
    headers = {
        name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    client = Client(ec2.application())
    got = client.open(
        url.path or "/",
        method=request.method,
        base_url=f"https://{url.netloc}",
        query_string=url.query,
        headers=headers,
        data=request.body,
    )
    return AWSResponse(request.url, got.status_code, dict(got.headers), _Body(got.data))


def client(
    service: str, access_key: str, region: str = "us-east-1", token: str | None = None, **more: Any
) -> Any:
    """A boto3 client whose calls end in the overlay."""
    made = _SESSION.client(
        service,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key="any",
        aws_session_token=token,
        **more,
    )
    made.meta.events.register(f"before-send.{service}", _answer)
    return made


@dataclass
class Side:
    """One account and Region, and shorthands for what tests do in it."""

    account: str
    region: str

    def __post_init__(self) -> None:
        self.ec2 = client("ec2", self.account, self.region)

    def vpc(self, cidr: str, *more: str, tags: dict[str, str] | None = None) -> str:
        """Makes a VPC."""
        made = self.ec2.create_vpc(CidrBlock=cidr, **specification("vpc", tags))["Vpc"]["VpcId"]
        for block in more:
            self.ec2.associate_vpc_cidr_block(VpcId=made, CidrBlock=block)
        return made

    def request(
        self, vpc: str, other: "Side", peer: str, tags: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Asks for a peering."""
        return self.ec2.create_vpc_peering_connection(
            VpcId=vpc,
            PeerVpcId=peer,
            PeerOwnerId=other.account,
            PeerRegion=other.region,
            **specification("vpc-peering-connection", tags),
        )["VpcPeeringConnection"]

    def accept(self, peering: str) -> dict[str, Any]:
        """Accepts a peering."""
        answer = self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return answer["VpcPeeringConnection"]

    def delete(self, peering: str) -> None:
        """Deletes a peering."""
        self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)

    def peerings(self, **filters: str) -> list[dict[str, Any]]:
        """Every peering that describes show, narrowed by `status_code="active"` and the like."""
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return self.ec2.describe_vpc_peering_connections(Filters=wanted)["VpcPeeringConnections"]

    def state(self, peering: str) -> str | None:
        """The state of a peering as this side sees it; None where it sees none."""
        found = [one for one in self.peerings() if one["VpcPeeringConnectionId"] == peering]
        return found[0]["Status"]["Code"] if found else None

    def tags(self, peering: str) -> dict[str, str]:
        """The tags of a peering as this side sees them."""
        (found,) = self.peerings(vpc_peering_connection_id=peering)
        return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}

    def main_table(self, vpc: str) -> str:
        """The id of a VPC's main route table."""
        wanted = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
        return self.ec2.describe_route_tables(Filters=wanted)["RouteTables"][0]["RouteTableId"]

    def routes(self, table: str) -> dict[str, str]:
        """The state of each route of a table, by destination."""
        (found,) = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return {
            route.get("DestinationCidrBlock") or route["DestinationIpv6CidrBlock"]: route["State"]
            for route in found["Routes"]
        }


def specification(kind: str, tags: dict[str, str] | None) -> dict[str, Any]:
    """The parameter of a create call that tags what it makes."""
    if not tags:
        return {}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]}


class Refused:
    """`with refused("Code") as why:` expects EC2 to refuse with that code; `why.message` is its sentence."""

    def __init__(self, code: str) -> None:
        self._code, self.message = code, ""

    def __enter__(self) -> "Refused":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> bool:
        if error is None:
            pytest.fail(f"the call succeeded; {self._code} was expected")
        if not isinstance(error, ClientError):
            return False
        assert error.response["Error"]["Code"] == self._code, str(error)
        self.message = error.response["Error"]["Message"]
        return True
