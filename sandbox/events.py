"""The events that AWS emits for EC2 calls: "AWS API Call via CloudTrail" and "Tag Change on Resource".

The gateway calls `observe` under its lock, so that the events of a resource have the order of its changes.
One thread delivers them to the default bus of the caller's account and Region, without delaying or failing
the call. Delivery is best effort, as on AWS: a failure is reported on stderr.
https://docs.aws.amazon.com/eventbridge/latest/ref/event-delivery-level.html
"""

import json
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox import cloudtrail
from sandbox.ec2.identity import Principal
from sandbox.proxy import Proxy, authorization
from sandbox.wire import AwsRequest, Response

TagReader = Callable[[str, str, str], dict[str, str]]
TrailCheck = Callable[[str, str, dict[str, Any]], bool]

# Resource types with tag change events: the prefix of their ids, and the element of the create response that
# contains the id.
_TAGGED_TYPES = {
    "vpc-": "vpc",
    "rtb-": "route-table",
    "sg-": "security-group",
    "sgr-": "security-group-rule",
    "pcx-": "vpc-peering-connection",
    "subnet-": "subnet",
    "igw-": "internet-gateway",
}
_ID_ELEMENTS = (
    ("vpc", "vpcId"),
    ("routeTable", "routeTableId"),
    ("vpcPeeringConnection", "vpcPeeringConnectionId"),
    ("subnet", "subnetId"),
    ("internetGateway", "internetGatewayId"),
)


@dataclass(frozen=True)
class Event:
    """An entry of PutEvents, and the account and Region of its default bus."""

    account: str
    region: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    resources: tuple[str, ...] = ()


class TagHistory:
    """The last known tags of each resource, to find the keys that a call changed and to count the versions.

    `read_tags(account, region, resource_id)` returns the current tags.
    """

    def __init__(self, read_tags: TagReader) -> None:
        self._read_tags = read_tags
        self._known: dict[tuple[str, str, str], tuple[int, dict[str, str]]] = {}

    def change(self, account: str, region: str, resource_id: str) -> Event | None:
        """Returns the event, or None if no tag changed or the resource type has no events."""
        prefix = resource_id.partition("-")[0] + "-"
        if prefix not in _TAGGED_TYPES:
            return None
        key = (account, region, resource_id)
        version, before = self._known.get(key, (0, {}))
        after = self._read_tags(account, region, resource_id)
        changed = sorted(tag for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag))
        if not changed:
            return None
        self._known[key] = (version + 1, after)
        kind = _TAGGED_TYPES[prefix]
        detail = {
            "changed-tag-keys": changed,
            "service": "ec2",
            "resource-type": kind,
            "version": version + 1,
            "tags": after,
        }
        arn = f"arn:aws:ec2:{region}:{account}:{kind}/{resource_id}"
        return Event(account, region, "aws.tag", "Tag Change on Resource", detail, (arn,))


class EventEmitter:
    """Creates the events of calls and delivers them in one worker thread.

    `is_logged(account, region, record)` returns whether a trail logs the call; other calls have no event.
    """

    def __init__(self, proxy: Proxy, emitter: str, read_tags: TagReader, is_logged: TrailCheck) -> None:
        self._proxy = proxy
        self._emitter = emitter
        self._tags = TagHistory(read_tags)
        self._is_logged = is_logged
        self._dropping = threading.Event()
        self._counts = threading.Lock()
        self._emitted = self._delivered = 0
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._deliver_all, name="sandbox-events", daemon=True)
        self._worker.start()

    def drop(self, dropping: bool) -> None:
        """While dropping, events are lost: those of new calls and those not delivered yet."""
        if dropping:
            self._dropping.set()
        else:
            self._dropping.clear()

    def observe(self, request: AwsRequest, response: Response, principal: Principal) -> None:
        """Emits the events of one EC2 call. Must be called in the order in which the calls take effect."""
        if not cloudtrail.is_write(request.action):
            return
        # Also while dropping, since the tag history must stay current.
        for event in self._events_of(request, response, principal):
            if not self._dropping.is_set():
                with self._counts:
                    self._emitted += 1
                self._queue.put(event)

    def counts(self) -> tuple[int, int]:
        """Returns the number of events emitted since the start, and how many of those are pending."""
        with self._counts:
            return self._emitted, self._emitted - self._delivered

    def stop(self) -> None:
        self._queue.put(None)
        self._worker.join(timeout=5)

    def _events_of(self, request: AwsRequest, response: Response, principal: Principal) -> list[Event]:
        error = cloudtrail.failure(response.body) if response.status >= 400 else None
        detail = cloudtrail.record(request, response, principal, error)
        account, region = principal.account, request.region
        call = Event(account, region, "aws.ec2", "AWS API Call via CloudTrail", detail)
        events = [call] if self._is_logged(account, region, detail) else []
        if error is None:
            changes = (self._tags.change(account, region, resource) for resource in tagged_resources(detail))
            events += [change for change in changes if change is not None]
        return events

    def _deliver_all(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                if not self._dropping.is_set():
                    self._deliver(event)
            except Exception as error:  # noqa: BLE001 - the thread must deliver the following events
                lost = f"event {event.detail_type} of {event.account} {event.region}"
                print(f"sandbox: {lost} is lost: {error!r}", file=sys.stderr)
            finally:
                with self._counts:
                    self._delivered += 1

    def _deliver(self, event: Event) -> None:
        entry = {
            "Source": event.source,
            "DetailType": event.detail_type,
            "Detail": json.dumps(event.detail, separators=(",", ":")),
            "Resources": list(event.resources),
        }
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AWSEvents.PutEvents",
            "Authorization": authorization(event.account, event.region, "events"),
        }
        body = json.dumps({"Entries": [entry], "SandboxEmitter": self._emitter}).encode()
        response = self._proxy.send("POST", "/", headers, body)
        if response.status != 200 or json.loads(response.body)["FailedEntryCount"]:
            raise RuntimeError(f"PutEvents returned {response.status}: {response.body[:300]!r}")


def tagged_resources(detail: dict[str, Any]) -> list[str]:
    """Returns the ids of the resources whose tags a successful call may have changed."""
    parameters, elements = detail["requestParameters"], detail["responseElements"] or {}
    if detail["eventName"] in ("CreateTags", "DeleteTags"):
        items = parameters.get("resourcesSet", {}).get("items", [])
        return [item["resourceId"] for item in items]
    if "tagSpecificationSet" not in parameters:
        return []
    found = [elements[outer][inner] for outer, inner in _ID_ELEMENTS if inner in elements.get(outer, {})]
    rules = elements.get("securityGroupRuleSet", {}).get("items", [])
    found += [rule["securityGroupRuleId"] for rule in rules]
    return found + ([elements["groupId"]] if "groupId" in elements else [])
