"""What peerd tells on the hub's bus, heard as any listener hears it: by a rule and a queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.client.model import ACCOUNTS, HOME_REGION, HUB, REGIONS
from tests.e2e.world import World, hub_outputs

_, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
STRANGER = "444444444444"
_NAME = "e2e-listener"


class Listener:
    """Somebody with a rule on the hub's bus."""

    def __init__(self, world: World) -> None:
        self._sqs, self._events = world.sessions.client("sqs"), world.sessions.client("events")
        self._bus = hub_outputs(world.sessions)["BusArn"].rpartition("/")[2]
        self._queue = self._sqs.create_queue(QueueName=_NAME)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        self._events.put_rule(
            Name=_NAME, EventBusName=self._bus, EventPattern=json.dumps({"source": ["peerd"]})
        )
        target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
        self._events.put_targets(Rule=_NAME, EventBusName=self._bus, Targets=[target])
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def listen(self) -> None:
        """Takes what has arrived."""
        answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            self.heard.append((event["detail-type"], event["detail"]))
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    def leave(self) -> None:
        """Takes rule and queue away."""
        self._events.remove_targets(Rule=_NAME, EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name=_NAME, EventBusName=self._bus)
        self._sqs.delete_queue(QueueUrl=self._queue)


@pytest.fixture
def listener(world: World) -> Iterator[Listener]:
    """A listener that hears what happens from now on."""
    someone = Listener(world)
    yield someone
    someone.leave()


def until_heard(world: World, listener: Listener, detail_type: str, *words: str) -> dict[str, Any]:
    """Waits for a notice that has all of these words in it."""

    def matching() -> list[dict[str, Any]]:
        listener.listen()
        found = [detail for kind, detail in listener.heard if kind == detail_type]
        return [detail for detail in found if all(word in json.dumps(detail) for word in words)]

    world.eventually(lambda: [] if matching() else [f"no {detail_type} with {words} in {listener.heard}"])
    return matching()[-1]


def test_a_listener_hears_what_changed_and_not_what_stayed(world: World, listener: Listener) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.settle(one, other)

    told = until_heard(world, listener, "peerd Mesh Changed", one.id, other.id, "+ route")

    assert (told["version"], told["deployment"], told["mesh"]) == (1, "peerd", "prod")
    assert told["changed"]["outcome"] in {"applied", "waiting"}
    listener.heard.clear()
    world.control.sweep()
    world.quiet()
    listener.listen()
    assert listener.heard == []


def test_a_finding_is_told_when_it_opens_and_when_it_is_resolved(world: World, listener: Listener) -> None:
    block = world.cidr()
    one, twin = world.vpc(HUB, HOME, cidr=block, mesh="prod"), world.vpc(THIRD, HOME, cidr=block, mesh="prod")

    opened = until_heard(world, listener, "peerd Finding Opened", one.id, twin.id, "overlap")
    world.untag(twin)
    resolved = until_heard(world, listener, "peerd Finding Resolved", one.id, twin.id, "overlap")

    assert opened["opened"]["remedy"]
    assert (resolved["resolved"]["kind"], resolved["resolved"]["subject"]) == (
        opened["opened"]["kind"],
        opened["opened"]["subject"],
    )
    assert resolved["serial"] > opened["serial"]


def test_a_request_of_a_stranger_is_not_accepted_and_is_told(world: World, listener: Listener) -> None:
    member = world.vpc(SECOND, HOME, mesh="prod")
    world.until_status(member, "joined prod")
    stranger = world.sessions.client("ec2", STRANGER, HOME_REGION)
    theirs = stranger.create_vpc(CidrBlock=world.cidr())["Vpc"]["VpcId"]
    marks = [{"Key": "peerd:managed-by", "Value": "peerd"}, {"Key": "peerd:env", "Value": "prod"}]
    made = stranger.create_vpc_peering_connection(
        VpcId=theirs,
        PeerVpcId=member.id,
        PeerOwnerId=member.account,
        PeerRegion=member.region,
        TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": marks}],
    )
    request = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    world.control.sweep()
    until_heard(world, listener, "peerd Finding Opened", "stranger", request, STRANGER)
    world.quiet()
    seen = [peering for peering in world.look(member).peerings if peering.id == request]
    assert [peering.status for peering in seen] == ["pending-acceptance"]

    world.ec2(member).reject_vpc_peering_connection(VpcPeeringConnectionId=request)
    until_heard(world, listener, "peerd Finding Resolved", "stranger", request)
    stranger.delete_vpc(VpcId=theirs)
