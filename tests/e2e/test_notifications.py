"""The events that peerd publishes on the hub's event bus, received through a rule and a queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.client.model import ACCOUNTS, HOME_REGION, HUB, REGIONS
from sandbox.client.queues import create_event_queue
from tests.e2e.world import World, hub_outputs

_, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
UNKNOWN_ACCOUNT = "444444444444"
_NAME = "e2e-listener"


class Listener:
    """A rule on the hub's event bus with a queue as its target."""

    def __init__(self, world: World) -> None:
        self._sqs, self._events = world.sessions.client("sqs"), world.sessions.client("events")
        self._bus = hub_outputs(world.sessions)["BusArn"].rpartition("/")[2]
        queue = create_event_queue(self._sqs, _NAME)
        self._queue = queue.url
        pattern = json.dumps({"source": ["peerd"]})
        self._events.put_rule(Name=_NAME, EventBusName=self._bus, EventPattern=pattern)
        target = {"Id": "queue", "Arn": queue.arn}
        self._events.put_targets(Rule=_NAME, EventBusName=self._bus, Targets=[target])
        self.received: list[tuple[str, dict[str, Any]]] = []

    def receive(self) -> None:
        """Receives the messages in the queue."""
        response = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        for message in response.get("Messages", []):
            event = json.loads(message["Body"])
            self.received.append((event["detail-type"], event["detail"]))
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    def delete(self) -> None:
        """Deletes the rule and the queue."""
        self._events.remove_targets(Rule=_NAME, EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name=_NAME, EventBusName=self._bus)
        self._sqs.delete_queue(QueueUrl=self._queue)


@pytest.fixture
def listener(world: World) -> Iterator[Listener]:
    """A listener that receives the events from now on."""
    listener = Listener(world)
    yield listener
    listener.delete()


def until_received(world: World, listener: Listener, detail_type: str, *words: str) -> dict[str, Any]:
    """Waits for an event that contains all of these words."""

    def matching() -> list[dict[str, Any]]:
        listener.receive()
        found = [detail for kind, detail in listener.received if kind == detail_type]
        return [detail for detail in found if all(word in json.dumps(detail) for word in words)]

    world.eventually(lambda: [] if matching() else [f"no {detail_type} with {words} in {listener.received}"])
    return matching()[-1]


def test_a_listener_receives_changes_and_nothing_without_a_change(world: World, listener: Listener) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_settled(one, other)

    event = until_received(world, listener, "peerd Mesh Changed", one.id, other.id, "+ route")

    assert (event["version"], event["deployment"], event["mesh"]) == (1, "peerd", "prod")
    assert event["changed"]["outcome"] in {"applied", "waiting"}
    listener.received.clear()
    world.control.sweep()
    world.until_idle()
    listener.receive()
    assert listener.received == []


def test_a_finding_is_published_when_it_opens_and_when_it_is_resolved(
    world: World, listener: Listener
) -> None:
    block = world.cidr()
    one, twin = world.vpc(HUB, HOME, cidr=block, mesh="prod"), world.vpc(THIRD, HOME, cidr=block, mesh="prod")

    opened = until_received(world, listener, "peerd Finding Opened", one.id, twin.id, "overlap")
    world.untag(twin)
    resolved = until_received(world, listener, "peerd Finding Resolved", one.id, twin.id, "overlap")

    assert opened["opened"]["remedy"]
    assert (resolved["resolved"]["kind"], resolved["resolved"]["subject"]) == (
        opened["opened"]["kind"],
        opened["opened"]["subject"],
    )
    assert resolved["serial"] > opened["serial"]


def test_a_request_from_an_unknown_account_is_not_accepted_and_is_published(
    world: World, listener: Listener
) -> None:
    member = world.vpc(SECOND, HOME, mesh="prod")
    world.until_status(member, "joined prod")
    ec2 = world.sessions.client("ec2", UNKNOWN_ACCOUNT, HOME_REGION)
    requester = ec2.create_vpc(CidrBlock=world.cidr())["Vpc"]["VpcId"]
    tags = [{"Key": "peerd:managed-by", "Value": "peerd"}, {"Key": "peerd:env", "Value": "prod"}]
    created = ec2.create_vpc_peering_connection(
        VpcId=requester,
        PeerVpcId=member.id,
        PeerOwnerId=member.account,
        PeerRegion=member.region,
        TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": tags}],
    )
    request = created["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    world.control.sweep()
    until_received(world, listener, "peerd Finding Opened", "unknown-requester", request, UNKNOWN_ACCOUNT)
    world.until_idle()
    requests = [peering for peering in world.view(member).peerings if peering.id == request]
    assert [peering.status for peering in requests] == ["pending-acceptance"]

    world.ec2(member).reject_vpc_peering_connection(VpcPeeringConnectionId=request)
    until_received(world, listener, "peerd Finding Resolved", "unknown-requester", request)
    ec2.delete_vpc(VpcId=requester)
