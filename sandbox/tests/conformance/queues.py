"""SQS: redrive and FIFO."""

import json
import time
import uuid

from sandbox.tests.conformance.probe import HOME, HUB, check, client


def run() -> None:
    s = client("sqs", HUB, HOME)
    dq = s.create_queue(QueueName="dlq" + uuid.uuid4().hex[:6])["QueueUrl"]
    da = s.get_queue_attributes(QueueUrl=dq, AttributeNames=["All"])["Attributes"]["QueueArn"]
    q = s.create_queue(
        QueueName="w" + uuid.uuid4().hex[:6],
        Attributes={
            "VisibilityTimeout": "1",
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": da, "maxReceiveCount": "2"}),
        },
    )["QueueUrl"]
    s.send_message(QueueUrl=q, MessageBody="x")
    n = 0
    for _ in range(6):
        m = s.receive_message(QueueUrl=q, WaitTimeSeconds=1, AttributeNames=["All"]).get("Messages")
        n += bool(m)
        time.sleep(1.1)
    d = s.receive_message(QueueUrl=dq, WaitTimeSeconds=1).get("Messages")
    check("sqs.visibility + redrive to DLQ", n == 2 and bool(d), f"received {n}, dlq={bool(d)}")
    f = s.create_queue(
        QueueName="f" + uuid.uuid4().hex[:6] + ".fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    for _ in range(2):
        s.send_message(QueueUrl=f, MessageBody="same", MessageGroupId="vpc-1")
    s.send_message(QueueUrl=f, MessageBody="other", MessageGroupId="vpc-1")
    a = s.receive_message(QueueUrl=f, MaxNumberOfMessages=1).get("Messages", [])
    b = s.receive_message(QueueUrl=f, MaxNumberOfMessages=10).get("Messages", [])
    check(
        "sqs.FIFO dedup + group lock",
        len(a) == 1 and len(b) == 0 and a[0]["Body"] == "same",
        (len(a), len(b)),
    )
