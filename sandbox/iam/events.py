"""The condition keys of events:PutEvents, and the principals of the services in the templates.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services
"""

EVENTS = "events.amazonaws.com"
LAMBDA = "lambda.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"


def event_keys(source: str, detail_type: str, forwarded: bool) -> dict[str, str | list[str]]:
    """Returns the keys of one event. `events:source` is multivalued."""
    return {
        "events:source": [source],
        "events:detail-type": detail_type,
        "events:eventBusInvocation": "true" if forwarded else "false",
    }
