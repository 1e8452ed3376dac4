"""EventBridge: patterns, targets, buses of other accounts and Regions, CloudTrail."""

import json
import time
import uuid
from typing import Any

from botocore.exceptions import ClientError

from sandbox.client.queues import create_event_queue
from sandbox.tests.conformance.probe import (
    AWAY,
    FIRST,
    HOME,
    HUB,
    check,
    client,
    failure,
    make_vpc,
    record,
)

PATTERNS = [
    ("prefix", {"source": [{"prefix": "aws."}]}, True),
    ("anything-but", {"source": [{"anything-but": ["aws.ec2"]}]}, False),
    ("exists false", {"detail": {"errorCode": [{"exists": False}]}}, True),
    ("suffix", {"detail": {"eventName": [{"suffix": "Vpc"}]}}, True),
    ("wildcard", {"detail": {"eventName": [{"wildcard": "Create*"}]}}, True),
    ("equals-ignore-case", {"source": [{"equals-ignore-case": "AWS.EC2"}]}, True),
    ("numeric", {"detail": {"n": [{"numeric": [">", 3, "<=", 5]}]}}, True),
    ("cidr", {"detail": {"sourceIPAddress": [{"cidr": "10.0.0.0/8"}]}}, True),
    ("$or", {"$or": [{"source": ["x"]}, {"detail": {"eventName": ["CreateVpc"]}}]}, True),
    (
        "nested+list",
        {
            "source": ["aws.ec2"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventSource": ["ec2.amazonaws.com"], "eventName": ["CreateVpc", "DeleteVpc"]},
        },
        True,
    ),
    ("non-match", {"detail": {"eventName": ["DeleteVpc"]}}, False),
    ("anything-but prefix", {"detail": {"eventName": [{"anything-but": {"prefix": "Describe"}}]}}, True),
]
EVENT = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "AWS API Call via CloudTrail",
    "source": "aws.ec2",
    "account": FIRST,
    "time": "2026-01-01T00:00:00Z",
    "region": HOME,
    "resources": [],
    "detail": {
        "eventVersion": "1.08",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "CreateVpc",
        "awsRegion": HOME,
        "sourceIPAddress": "10.1.2.3",
        "n": 5,
        "responseElements": {"vpc": {"vpcId": "vpc-1"}},
    },
}


def _of_hub(service: str, account: str = HUB, region: str = HOME) -> Any:
    return client(service, account, region)


def drain(sq: Any, url: str, wait: float = 3) -> list[str]:
    out = []
    t0 = time.time()
    while time.time() - t0 < wait:
        m = sq.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for x in m:
            out.append(x["Body"])
            sq.delete_message(QueueUrl=url, ReceiptHandle=x["ReceiptHandle"])
        if m and wait <= 3:
            break
    return out


def run() -> None:
    """Runs all checks; all rules have the same queue as their target."""
    ev, sq = _of_hub("events"), _of_hub("sqs")
    q, qa = create_event_queue(sq, "q" + uuid.uuid4().hex[:6])
    patterns(ev)
    filtered(ev, sq, q, qa)
    transformed(ev, sq, q, qa)
    over_buses(ev, sq, q, qa)
    scheduled(ev, qa)
    of_calls()


def patterns(ev: Any) -> None:
    """TestEventPattern with a dozen kinds of patterns."""
    bad = []
    for n, pat, want in PATTERNS:
        x = failure(ev.test_event_pattern, EventPattern=json.dumps(pat), Event=json.dumps(EVENT))
        if x:
            bad.append((n, x[0]))
        elif failure.value.get("Result") != want:
            bad.append((n, failure.value.get("Result")))
        if x and x[2] in (404, 500, 501) and len(bad) > 2:
            break
    check("eb.TestEventPattern (12 cases)", not bad, bad)


def filtered(ev: Any, sq: Any, q: str, qa: str) -> None:
    """A rule, the envelope of an event, and events that only AWS can put."""
    ev.put_rule(
        Name="r1",
        EventPattern=json.dumps({"source": ["peerd.test"], "detail": {"eventName": [{"prefix": "Create"}]}}),
    )
    ev.put_targets(Rule="r1", Targets=[{"Id": "1", "Arn": qa}])
    r = ev.put_events(
        Entries=[
            {"Source": "peerd.test", "DetailType": "t", "Detail": json.dumps({"eventName": "CreateVpc"})},
            {"Source": "peerd.test", "DetailType": "t", "Detail": json.dumps({"eventName": "DeleteVpc"})},
        ]
    )
    m = drain(sq, q)
    check(
        "eb.PutEvents -> SQS, pattern filtered",
        len(m) == 1 and json.loads(m[0])["detail"]["eventName"] == "CreateVpc",
        m[:1] or r.get("Entries"),
    )
    if m:
        b = json.loads(m[0])
        check(
            "eb.envelope fields",
            all(
                k in b
                for k in (
                    "version",
                    "id",
                    "detail-type",
                    "source",
                    "account",
                    "time",
                    "region",
                    "resources",
                    "detail",
                )
            )
            and b["region"] == HOME,
            {k: b.get(k) for k in ("account", "time", "region", "resources")},
        )
    x = failure(
        ev.put_events,
        Entries=[
            {
                "Source": "aws.ec2",
                "DetailType": "AWS API Call via CloudTrail",
                "Detail": json.dumps({"eventName": "CreateVpc"}),
            }
        ],
    )
    record("eb.PutEvents source aws.*", "note", x or failure.value.get("Entries"))


def transformed(ev: Any, sq: Any, q: str, qa: str) -> None:
    """An input transformer."""
    try:
        ev.put_rule(Name="r2", EventPattern=json.dumps({"source": ["peerd.tr"]}))
        ev.put_targets(
            Rule="r2",
            Targets=[
                {
                    "Id": "1",
                    "Arn": qa,
                    "InputTransformer": {
                        "InputPathsMap": {"n": "$.detail.eventName", "a": "$.account"},
                        "InputTemplate": '{"name": <n>, "acct": <a>}',
                    },
                }
            ],
        )
        ev.put_events(
            Entries=[
                {"Source": "peerd.tr", "DetailType": "t", "Detail": json.dumps({"eventName": "CreateVpc"})}
            ]
        )
        m = drain(sq, q)
        check("eb.InputTransformer", len(m) == 1 and json.loads(m[0]).get("name") == "CreateVpc", m)
    except (ClientError, KeyError, ValueError) as x:
        record("eb.InputTransformer", "wrong", x)


def over_buses(ev: Any, sq: Any, q: str, qa: str) -> None:
    """Buses of other accounts and Regions."""
    try:  # cross account / region bus
        ev2 = _of_hub("events", FIRST, HOME)
        evh = _of_hub("events", HUB, HOME)
        evh.create_event_bus(Name="hub-bus")
        evh.put_permission(
            EventBusName="hub-bus", StatementId="first", Principal=FIRST, Action="events:PutEvents"
        )
        _create_forward_role(f"arn:aws:events:{HOME}:{HUB}:event-bus/hub-bus")
        evh.put_rule(Name="rb", EventBusName="hub-bus", EventPattern=json.dumps({"source": ["peerd.x"]}))
        evh.put_targets(Rule="rb", EventBusName="hub-bus", Targets=[{"Id": "1", "Arn": qa}])
        ev2.put_rule(Name="fwd", EventPattern=json.dumps({"source": ["peerd.x"]}))
        ev2.put_targets(
            Rule="fwd",
            Targets=[
                {
                    "Id": "1",
                    "Arn": f"arn:aws:events:{HOME}:{HUB}:event-bus/hub-bus",
                    "RoleArn": f"arn:aws:iam::{FIRST}:role/fwd",
                }
            ],
        )
        ev2.put_events(Entries=[{"Source": "peerd.x", "DetailType": "t", "Detail": "{}"}])
        m = drain(sq, q)
        check("eb.rule -> other account's bus -> SQS", len(m) == 1, m)
        ev3 = _of_hub("events", FIRST, AWAY)
        ev3.put_rule(Name="fwd", EventPattern=json.dumps({"source": ["peerd.x"]}))
        ev3.put_targets(
            Rule="fwd",
            Targets=[
                {
                    "Id": "1",
                    "Arn": f"arn:aws:events:{HOME}:{HUB}:event-bus/hub-bus",
                    "RoleArn": f"arn:aws:iam::{FIRST}:role/fwd",
                }
            ],
        )
        ev3.put_events(Entries=[{"Source": "peerd.x", "DetailType": "t", "Detail": "{}"}])
        m = drain(sq, q)
        check("eb.rule -> other region's bus -> SQS", len(m) == 1, m)
    except (ClientError, KeyError, ValueError) as x:
        record("eb.rule -> other account's bus -> SQS", "wrong", x)


def _create_forward_role(bus: str) -> None:
    """Creates the role with which rules of the first account send to a bus."""
    iam, assume, put = _of_hub("iam", FIRST), "sts:AssumeRole", "events:PutEvents"
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": assume}
    permission = {"Effect": "Allow", "Action": put, "Resource": bus}
    iam.create_role(RoleName="fwd", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(
        RoleName="fwd", PolicyName="forward", PolicyDocument=json.dumps({"Statement": [permission]})
    )


def scheduled(ev: Any, qa: str) -> None:
    """A rule with a schedule."""
    try:
        ev.put_rule(Name="sch", ScheduleExpression="rate(1 minute)")
        ev.put_targets(Rule="sch", Targets=[{"Id": "1", "Arn": qa}])
        record("eb.schedule rule accepted", "ok")
    except (ClientError, KeyError, ValueError) as x:
        record("eb.schedule rule accepted", "wrong", x)


def of_calls() -> None:
    """The CloudTrail event of a call."""
    try:
        ea = _of_hub("events", FIRST, HOME)
        sa = _of_hub("sqs", FIRST, HOME)
        q2, q2a = create_event_queue(sa, "ct")
        ea.put_rule(Name="ct", EventPattern=json.dumps({"source": ["aws.ec2"]}))
        ea.put_targets(Rule="ct", Targets=[{"Id": "1", "Arn": q2a}])
        make_vpc(FIRST, HOME, "10.120.0.0/16", "ct")
        m = drain(sa, q2, 4)
        check("ct.CreateVpc -> 'AWS API Call via CloudTrail' event", len(m) > 0, m[:1] or "no event")
    except (ClientError, KeyError, ValueError) as x:
        record("ct.CreateVpc -> 'AWS API Call via CloudTrail' event", "wrong", x)
    try:
        ct = _of_hub("cloudtrail", FIRST, HOME)
        e = ct.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateVpc"}])[
            "Events"
        ]
        record("ct.LookupEvents", "ok" if e else "wrong", f"{len(e)} events")
    except (ClientError, KeyError, ValueError) as x:
        record("ct.LookupEvents", "missing", x)
