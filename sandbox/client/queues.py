"""A queue as the target of a rule: its policy has to permit EventBridge to send to it.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

import json
from typing import Any, NamedTuple


class Queue(NamedTuple):
    """A queue by its URL and its ARN."""

    url: str
    arn: str


def create_event_queue(sqs: Any, name: str) -> Queue:
    """Creates a queue to which the rules of its own account may send."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": arn.split(":")[4]}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Queue(url, arn)
