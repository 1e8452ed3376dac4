"""In-process clients of the patched moto: boto3's requests go to the WSGI application without a socket."""

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
    """The part of a urllib3 response that botocore reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._data


def _handle(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    url = urlsplit(request.url)
    headers = {
        name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    client = Client(ec2.application())
    response = client.open(
        url.path or "/",
        method=request.method,
        base_url=f"https://{url.netloc}",
        query_string=url.query,
        headers=headers,
        data=request.body,
    )
    return AWSResponse(request.url, response.status_code, dict(response.headers), _Body(response.data))


def client(
    service: str, access_key: str, region: str = "us-east-1", token: str | None = None, **more: Any
) -> Any:
    """Returns a boto3 client of the patched moto."""
    created = _SESSION.client(
        service,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key="any",
        aws_session_token=token,
        **more,
    )
    created.meta.events.register(f"before-send.{service}", _handle)
    return created


@dataclass
class Side:
    """One account and Region, with the operations of the tests."""

    account: str
    region: str

    def __post_init__(self) -> None:
        self.ec2 = client("ec2", self.account, self.region)

    def vpc(self, cidr: str, *more: str, tags: dict[str, str] | None = None) -> str:
        """Creates a VPC and returns its id."""
        vpc = self.ec2.create_vpc(CidrBlock=cidr, **specification("vpc", tags))["Vpc"]["VpcId"]
        for block in more:
            self.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)
        return vpc

    def request(
        self, vpc: str, other: "Side", peer: str, tags: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Requests a peering."""
        return self.ec2.create_vpc_peering_connection(
            VpcId=vpc,
            PeerVpcId=peer,
            PeerOwnerId=other.account,
            PeerRegion=other.region,
            **specification("vpc-peering-connection", tags),
        )["VpcPeeringConnection"]

    def accept(self, peering: str) -> dict[str, Any]:
        """Accepts a peering."""
        response = self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return response["VpcPeeringConnection"]

    def delete(self, peering: str) -> None:
        """Deletes a peering."""
        self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)

    def peerings(self, **filters: str) -> list[dict[str, Any]]:
        """Returns the peerings that match the filters, for example `status_code="active"`."""
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return self.ec2.describe_vpc_peering_connections(Filters=wanted)["VpcPeeringConnections"]

    def state(self, peering: str) -> str | None:
        """Returns the state of a peering on this side, or None if it is not visible."""
        found = [one for one in self.peerings() if one["VpcPeeringConnectionId"] == peering]
        return found[0]["Status"]["Code"] if found else None

    def tags(self, peering: str) -> dict[str, str]:
        """Returns the tags of a peering on this side."""
        (found,) = self.peerings(vpc_peering_connection_id=peering)
        return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}

    def main_table(self, vpc: str) -> str:
        """Returns the id of a VPC's main route table."""
        wanted = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
        return self.ec2.describe_route_tables(Filters=wanted)["RouteTables"][0]["RouteTableId"]

    def routes(self, table: str) -> dict[str, str]:
        """Returns the state of each route of a table, by destination."""
        (found,) = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return {
            route.get("DestinationCidrBlock") or route["DestinationIpv6CidrBlock"]: route["State"]
            for route in found["Routes"]
        }


def specification(kind: str, tags: dict[str, str] | None) -> dict[str, Any]:
    """Returns the tag parameter of a create call."""
    if not tags:
        return {}
    tag_list = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tag_list}]}


class Refused:
    """`with refused("Code") as error:` expects an error with that code; `error.message` is its message."""

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
