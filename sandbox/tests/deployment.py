"""A hub, its spokes and its operators as rendered templates, and hostile calls and deliveries to them.

The accounts: the hub, a spoke in the units of the hub (that of `network`), a spoke in the organization and in
no unit, a listed spoke of another organization, and a spoke of an outsider whose role trusts the hub as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sandbox.iam.evaluate import ASSUME_ROLE, decide
from sandbox.iam.events import EVENTS, LAMBDA, SCHEDULER, event_keys
from sandbox.iam.model import Caller, Check, Value
from sandbox.iam.policies import Policies
from sandbox.tests.network import ACCOUNT, PARTNER, REGION, Calls
from sandbox.tests.templates import Stack, combined

HUB, OUTSIDE, LISTED, FOREIGN = "111111111111", "710000000004", "710000000005", "710000000006"
SECRET = "secret"
ORGANIZATION, UNIT = "o-aaaaaaaaaa", "ou-abcd-11111111"
BUS = f"arn:aws:events:{REGION}:{HUB}:event-bus/peerd"
FUNCTIONS = ("vpc-events", "peering-events", "drift-repair")
_OTHER_UNIT, _OTHER_ORGANIZATION = "ou-abcd-22222222", "o-bbbbbbbbbb"
_NARROW = {"Peers": PARTNER, "RouteTables": "tagged", "PolicyTags": "team"}


@dataclass(frozen=True)
class Call:
    """A call with its caller: AWS permits it if it permits each of its checks."""

    name: str
    caller: Caller
    checks: tuple[Check, ...]

    def is_allowed(self, policies: Policies) -> bool:
        return all(decide(self.caller, check, policies).allowed for check in self.checks)


def session(role: str, account: str, function: str | None = None) -> Caller:
    """Returns the caller with a session of a role."""
    arn = f"arn:aws:iam::{account}:role/{role}"
    return Caller(f"arn:aws:sts::{account}:assumed-role/{role}/s", account, role=arn, function=function)


def hub(**parameters: str) -> Policies:
    """Returns the policies of the hub."""
    given = {"Accounts": f"{HUB},{LISTED}", "OrganizationalUnits": UNIT, "OrganizationId": ORGANIZATION}
    given |= {"Meshes": "prod", "Regions": REGION, "ExternalId": SECRET}
    return Stack("template.yaml", HUB, REGION, **given | parameters).policies()


def spoke(account: str, **parameters: str) -> Policies:
    """Returns the policies of a spoke; by default with every narrowing parameter."""
    given = {"HubAccount": HUB, "HubRegion": REGION, "HomeRegion": REGION, "ExternalId": SECRET, **_NARROW}
    return Stack("spoke.yaml", account, REGION, **given | parameters).policies()


def operators(account: str, **parameters: str) -> Policies:
    """Returns the policies of the roles for operators; by default with every narrowing parameter."""
    given = {"HubAccount": HUB, "HubRegion": REGION, "ApplyRole": "true", **_NARROW}
    given |= {role: f"arn:aws:iam::{HUB}:role/{role.lower()}" for role in ("Readers", "Appliers")}
    return Stack("operator.yaml", account, REGION, **given | parameters).policies()


def everything() -> Policies:
    """Returns the policies of all stacks."""
    spokes = [spoke(account) for account in (ACCOUNT, OUTSIDE, LISTED, FOREIGN)]
    return combined(hub(), *spokes, operators(HUB), operators(ACCOUNT))


# ---------------------------------------------------------------- hostile calls


def hostile_calls(on_network: Calls) -> Iterator[Call]:
    """Returns calls that the policies deny; `on_network` are those of EC2 in the spoke."""
    for role in ("peerd-spoke", "peerd-operator-apply"):
        for name, checks in on_network.items():
            yield Call(f"{role}: {name}", session(role, ACCOUNT), checks)
    yield from _events()
    yield from _publications()
    yield from _assumptions()
    yield from _deliveries()


def _put(name: str, caller: Caller, keys: dict[str, Value], *without: str) -> Call:
    given = {key: value for key, value in keys.items() if key not in without}
    return Call(name, caller, (Check("events:PutEvents", BUS, given, REGION),))


def _of(organization: str, unit: str) -> dict[str, Value]:
    return {
        "aws:PrincipalOrgID": organization,
        "aws:PrincipalOrgPaths": [f"{organization}/r-abcd/{unit}/"],
    }


def _events() -> Iterator[Call]:
    """Events of accounts: who may send them, and which."""
    forwarded, direct = (event_keys("aws.ec2", "Tag Change", forwarded=it) for it in (True, False))
    member, outside = _of(ORGANIZATION, UNIT), _of(ORGANIZATION, _OTHER_UNIT)
    forward = "peerd-forward-us-east-1"
    yield _put("an event of another unit", session(forward, OUTSIDE), outside | forwarded)
    yield _put(
        "an event of the same unit of another organization",
        session(forward, FOREIGN),
        _of(_OTHER_ORGANIZATION, UNIT) | forwarded,
    )
    listed = _of(_OTHER_ORGANIZATION, _OTHER_UNIT)
    for kind, account, keys in (("member", ACCOUNT, member), ("listed account", LISTED, listed)):
        of_peerd = event_keys("peerd", "Mesh Changed", forwarded=True)
        caller, user = session(forward, account), Caller(f"arn:aws:iam::{account}:user/u", account)
        yield _put(f"an event of peerd from a {kind}", caller, keys | of_peerd)
        yield _put(f"an event of EC2 that a {kind} makes up", user, keys | direct)
        yield _put(f"an event without a source from a {kind}", caller, keys | forwarded, "events:source")


def _publications() -> Iterator[Call]:
    """Events of peerd's own roles under another name."""
    keys = event_keys("aws.ec2", "Tag Change", forwarded=False)
    for role in (*(f"peerd-{it}" for it in FUNCTIONS), "peerd-operator-apply"):
        yield _put(f"{role}: an event of EC2", session(role, HUB), keys)
        yield _put(f"{role}: an event without a source", session(role, HUB), keys, "events:source")


def _assumptions() -> Iterator[Call]:
    """Roles that are assumed: by other programs, in other accounts, by other principals."""
    own_role = "peerd-vpc-events"
    function = session(own_role, HUB, f"arn:aws:lambda:{REGION}:{HUB}:function:{own_role}")
    thief = replace(function, function=None)
    for name, caller, account, external_id, more in (
        ("the role of a member by another program", thief, ACCOUNT, SECRET, _in_organization()),
        ("the role of a listed account by another program", thief, LISTED, SECRET, {}),
        ("the role of an unlisted account of another organization", function, FOREIGN, SECRET, {}),
        ("the role of a member with another external id", function, ACCOUNT, "guess", _in_organization()),
    ):
        keys = {"sts:ExternalId": external_id, **more}
        role = f"arn:aws:iam::{account}:role/peerd-spoke"
        yield Call(name, caller, (Check(ASSUME_ROLE, role, keys, REGION),))
    intruder = Caller(f"arn:aws:iam::{HUB}:user/intruder", HUB)
    for role in ("peerd-operator-read", "peerd-operator-apply"):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        yield Call(f"{role} by an administrator of the hub", intruder, (Check(ASSUME_ROLE, arn),))


def _in_organization() -> dict[str, Value]:
    return {"aws:ResourceOrgID": ORGANIZATION}


def _deliveries() -> Iterator[Call]:
    """What AWS services do for other functions, rules and schedules."""
    for function in FUNCTIONS:
        arn = f"arn:aws:lambda:{REGION}:{OUTSIDE}:function:x"
        yield _assumed(f"{function} for a function of another account", LAMBDA, f"peerd-{function}", arn)
    forward = "peerd-forward-us-east-1"
    for account, rule in ((ACCOUNT, "other"), (OUTSIDE, "peerd-vpc-tags")):
        arn = f"arn:aws:events:{REGION}:{account}:rule/{rule}"
        yield _assumed(f"forwarding by {rule} of {account}", EVENTS, forward, arn, ACCOUNT)
    for account, group in ((HUB, "other"), (OUTSIDE, "default")):
        arn = f"arn:aws:scheduler:{REGION}:{account}:schedule-group/{group}"
        yield _assumed(f"a schedule of {group} of {account}", SCHEDULER, "peerd-SweepRole-GENERATED", arn)
    for queue in ("vpc-events", "peering-events", "vpc-events-dead-letters", "peering-events-dead-letters"):
        rule = f"arn:aws:events:{REGION}:{OUTSIDE}:rule/peerd/peerd-vpc-tags"
        check = Check("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{HUB}:peerd-{queue}", _source(rule), REGION)
        yield Call(f"a message of another account's rule for {queue}", _service(EVENTS, OUTSIDE), (check,))


def _assumed(name: str, service: str, role: str, source: str, account: str = HUB) -> Call:
    arn = f"arn:aws:iam::{account}:role/{role}"
    return Call(name, _service(service, account), (Check(ASSUME_ROLE, arn, _source(source), REGION),))


def _service(name: str, account: str) -> Caller:
    return Caller(name, account, service=name)


def _source(arn: str) -> dict[str, Value]:
    return {"aws:SourceArn": arn, "aws:SourceAccount": arn.split(":")[4]}
