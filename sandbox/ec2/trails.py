"""CloudTrail's trails: which an account has, in which Regions they are seen, and which events they log.

EventBridge tells of calls only what a trail logs:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html. So every account
begins with a trail, home in us-east-1, that logs all management events of every Region, until somebody stops
or deletes it. Nothing is written to the bucket of a trail, nor need there be one.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.cloudtrail.exceptions import TrailNotFoundException
from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

HOME_REGION = "us-east-1"
FIRST_TRAIL = "management-events"
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html
_DEFAULT_SELECTOR: dict[str, Any] = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "Equals": str.__eq__,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}


def install() -> None:
    """Lays the rules over moto's CloudTrail."""
    CloudTrailBackend.__init__ = _with_first_trail(CloudTrailBackend.__init__)
    CloudTrailBackend.create_trail = _create_trail(CloudTrailBackend.create_trail)
    CloudTrailBackend.describe_trails = _describe_trails(CloudTrailBackend.describe_trails)
    CloudTrailBackend.get_trail = _at_home
    CloudTrailBackend.get_trail_status = lambda self, name: _seen(self, name).status
    CloudTrailBackend.get_event_selectors = _get_event_selectors
    CloudTrailBackend.delete_trail = lambda self, name: self.trails.pop(_at_home(self, name).trail_name)
    CloudTrailResponse.get_trail = _get_trail
    CloudTrailResponse.describe_trails = _describe_named(CloudTrailResponse.describe_trails)
    Trail.check_bucket_exists = lambda self: None
    Trail.description = _description(Trail.description)
    Trail.put_event_selectors = _put_event_selectors
    Trail.get_event_selectors = _selectors


def is_logged(account: str, region: str, record: dict[str, Any]) -> bool:
    """Whether a trail that is seen in that account and Region logs a management event that writes."""
    trails = cloudtrail_backends[account][region].describe_trails(include_shadow_trails=True)
    return any(trail.status.is_logging and _selects(trail, record) for trail in trails)


# ---------------------------------------------------------------- which trails there are


def _with_first_trail(init: Callable[..., None]) -> Callable[..., None]:
    def begin(self: CloudTrailBackend, region_name: str, account_id: str) -> None:
        init(self, region_name, account_id)
        if region_name == HOME_REGION:
            bucket = f"{FIRST_TRAIL}-{account_id}"
            switches = {"is_global": True, "is_multi_region": True, "log_validation": True}
            nothing = dict.fromkeys(
                ("s3_key_prefix", "sns_topic_name", "cw_log_group_arn", "cw_role_arn", "kms_key_id")
            )
            trail = Trail(
                account_id,
                region_name,
                FIRST_TRAIL,
                bucket,
                is_org_trail=False,
                **switches,
                **nothing,
            )
            trail.start_logging()
            self.trails[FIRST_TRAIL] = trail

    return begin


def _create_trail(create: Callable[..., Trail]) -> Callable[..., Trail]:
    """moto replaces a trail of the same name."""

    def create_trail(self: CloudTrailBackend, name: str, *rest: Any) -> Trail:
        if name in self.trails:
            what = f"Trail {name} already exists for customer: {self.account_id}"
            raise JsonRESTError("TrailAlreadyExistsException", what)
        return create(self, name, *rest)

    return create_trail


def _describe_trails(describe: Callable[..., list[Trail]]) -> Callable[..., list[Trail]]:
    """moto makes what a Region has when it is first used, and the first trail must be seen before that."""

    def describe_trails(self: CloudTrailBackend, include_shadow_trails: bool) -> list[Trail]:
        _ = cloudtrail_backends[self.account_id][HOME_REGION]
        return describe(self, include_shadow_trails)

    return describe_trails


def _describe_named(describe: Callable[[CloudTrailResponse], str]) -> Callable[[CloudTrailResponse], str]:
    """moto overlooks trailNameList. A trail of another Region is found by its ARN alone.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html
    """

    def describe_trails(self: CloudTrailResponse) -> str:
        wanted = self._get_param("trailNameList")
        if not wanted:
            return describe(self)
        seen = self.cloudtrail_backend.describe_trails(include_shadow_trails=True)
        named = [trail for trail in seen if _names(trail, self.region) & set(wanted)]
        return json.dumps({"trailList": [trail.description(include_region=True) for trail in named]})

    return describe_trails


def _names(trail: Trail, region: str) -> set[str]:
    """What a trail is called in a Region."""
    return {trail.arn, trail.trail_name} if trail.region_name == region else {trail.arn}


def _seen(self: CloudTrailBackend, name_or_arn: str) -> Trail:
    """For calls that read: by name at home, by ARN wherever it is seen. The error names an ARN in any case.

    https://github.com/aws/aws-sdk-go-v2/issues/1957, https://github.com/elastic/cloudbeat/pull/1759
    """
    for trail in self.describe_trails(include_shadow_trails=True):
        if name_or_arn in _names(trail, self.region_name):
            return trail
    is_arn = name_or_arn.startswith("arn:")
    arn = (
        name_or_arn
        if is_arn
        else f"arn:aws:cloudtrail:{self.region_name}:{self.account_id}:trail/{name_or_arn}"
    )
    raise TrailNotFoundException(account_id=self.account_id, name=arn)


def _at_home(self: CloudTrailBackend, name_or_arn: str) -> Trail:
    """For calls that write.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html
    """
    trail = _seen(self, name_or_arn)
    if trail.region_name != self.region_name:
        what = f"Trail {trail.arn} can only be changed from its home region {trail.region_name}"
        raise JsonRESTError("InvalidHomeRegionException", what)
    return trail


def _get_trail(self: CloudTrailResponse) -> str:
    trail = _seen(self.cloudtrail_backend, self._get_param("Name"))
    return json.dumps({"Trail": trail.description(include_region=True)})


def _description(describe: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def description(self: Trail, include_region: bool = False) -> dict[str, Any]:
        custom = bool(self.event_selectors or self.advanced_event_selectors)
        return describe(self, include_region) | {"HasCustomEventSelectors": custom}

    return description


# ---------------------------------------------------------------- what they log


def _get_event_selectors(self: CloudTrailBackend, trail_name: str) -> tuple[str, Any, Any]:
    trail = _seen(self, trail_name)
    return trail.arn, *trail.get_event_selectors()


def _put_event_selectors(self: Trail, basic: list[Any] | None, advanced: list[Any] | None) -> None:
    """Either kind takes the place of the other; moto keeps both.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html
    """
    if bool(basic) == bool(advanced):
        what = "Either EventSelectors or AdvancedEventSelectors must be given, and not both."
        raise JsonRESTError("InvalidEventSelectorsException", what)
    self.event_selectors = [_DEFAULT_SELECTOR | selector for selector in basic or []]
    self.advanced_event_selectors = advanced or []


def _selectors(self: Trail) -> tuple[list[Any] | None, list[Any] | None]:
    """A trail has selectors of one kind, and the default where none were put; moto has none then."""
    if self.advanced_event_selectors:
        return None, self.advanced_event_selectors
    return self.event_selectors or [_DEFAULT_SELECTOR], None


def _selects(trail: Trail, record: dict[str, Any]) -> bool:
    basic, advanced = trail.get_event_selectors()
    if advanced:
        return any(all(_holds(field, record) for field in one["FieldSelectors"]) for one in advanced)
    return any(one["IncludeManagementEvents"] and one["ReadWriteType"] != "ReadOnly" for one in basic or [])


def _holds(selector: dict[str, Any], record: dict[str, Any]) -> bool:
    value: Any = record
    for step in selector["Field"].split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    for operator, holds in _OPERATORS.items():
        wanted, unwanted = selector.get(operator), selector.get(f"Not{operator}", [])
        if wanted and not any(holds(text, one) for one in wanted):
            return False
        if any(holds(text, one) for one in unwanted):
            return False
    return True
