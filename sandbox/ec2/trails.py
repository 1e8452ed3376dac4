"""CloudTrail's trails: which an account has, in which Regions they are visible, and which events they log.

EventBridge receives only the calls that a trail logs:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html. So every account
has a trail with the home Region us-east-1, which logs all management events of every Region until it is
stopped or deleted. Trails write nothing to their bucket, which need not exist.
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
    """Patches moto's CloudTrail with the rules below."""
    CloudTrailBackend.__init__ = _with_first_trail(CloudTrailBackend.__init__)
    CloudTrailBackend.create_trail = _create_trail(CloudTrailBackend.create_trail)
    CloudTrailBackend.describe_trails = _describe_trails(CloudTrailBackend.describe_trails)
    CloudTrailBackend.get_trail = _find_in_home_region
    CloudTrailBackend.get_trail_status = lambda self, name: _find(self, name).status
    CloudTrailBackend.get_event_selectors = _get_event_selectors
    CloudTrailBackend.delete_trail = lambda self, name: self.trails.pop(
        _find_in_home_region(self, name).trail_name
    )
    CloudTrailResponse.get_trail = _get_trail
    CloudTrailResponse.describe_trails = _describe_named(CloudTrailResponse.describe_trails)
    Trail.check_bucket_exists = lambda self: None
    Trail.description = _description(Trail.description)
    Trail.put_event_selectors = _put_event_selectors
    Trail.get_event_selectors = _selectors


def is_logged(account: str, region: str, record: dict[str, Any]) -> bool:
    """Returns whether a trail that is visible in the account and Region logs this write event."""
    trails = cloudtrail_backends[account][region].describe_trails(include_shadow_trails=True)
    return any(trail.status.is_logging and _selects(trail, record) for trail in trails)


# ---------------------------------------------------------------- the trails of an account


def _with_first_trail(init: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: CloudTrailBackend, region_name: str, account_id: str) -> None:
        init(self, region_name, account_id)
        if region_name == HOME_REGION:
            bucket = f"{FIRST_TRAIL}-{account_id}"
            options = {"is_global": True, "is_multi_region": True, "log_validation": True}
            unset = dict.fromkeys(
                ("s3_key_prefix", "sns_topic_name", "cw_log_group_arn", "cw_role_arn", "kms_key_id")
            )
            trail = Trail(
                account_id,
                region_name,
                FIRST_TRAIL,
                bucket,
                is_org_trail=False,
                **options,
                **unset,
            )
            trail.start_logging()
            self.trails[FIRST_TRAIL] = trail

    return __init__


def _create_trail(create: Callable[..., Trail]) -> Callable[..., Trail]:
    """moto replaces a trail of the same name."""

    def create_trail(self: CloudTrailBackend, name: str, *rest: Any) -> Trail:
        if name in self.trails:
            message = f"Trail {name} already exists for customer: {self.account_id}"
            raise JsonRESTError("TrailAlreadyExistsException", message)
        return create(self, name, *rest)

    return create_trail


def _describe_trails(describe: Callable[..., list[Trail]]) -> Callable[..., list[Trail]]:
    """moto creates a Region's state on first use, and the first trail must be visible before that."""

    def describe_trails(self: CloudTrailBackend, include_shadow_trails: bool) -> list[Trail]:
        _ = cloudtrail_backends[self.account_id][HOME_REGION]
        return describe(self, include_shadow_trails)

    return describe_trails


def _describe_named(describe: Callable[[CloudTrailResponse], str]) -> Callable[[CloudTrailResponse], str]:
    """moto ignores trailNameList. A trail of another Region is found by its ARN only.

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
    """Returns the names of a trail in a Region."""
    return {trail.arn, trail.trail_name} if trail.region_name == region else {trail.arn}


def _find(self: CloudTrailBackend, name_or_arn: str) -> Trail:
    """For read calls: by name in the home Region, by ARN in any Region. The error always contains an ARN.

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


def _find_in_home_region(self: CloudTrailBackend, name_or_arn: str) -> Trail:
    """For write calls, which are allowed in the home Region only.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html
    """
    trail = _find(self, name_or_arn)
    if trail.region_name != self.region_name:
        message = f"Trail {trail.arn} can only be changed from its home region {trail.region_name}"
        raise JsonRESTError("InvalidHomeRegionException", message)
    return trail


def _get_trail(self: CloudTrailResponse) -> str:
    trail = _find(self.cloudtrail_backend, self._get_param("Name"))
    return json.dumps({"Trail": trail.description(include_region=True)})


def _description(describe: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def description(self: Trail, include_region: bool = False) -> dict[str, Any]:
        custom = bool(self.event_selectors or self.advanced_event_selectors)
        return describe(self, include_region) | {"HasCustomEventSelectors": custom}

    return description


# ---------------------------------------------------------------- event selectors


def _get_event_selectors(self: CloudTrailBackend, trail_name: str) -> tuple[str, Any, Any]:
    trail = _find(self, trail_name)
    return trail.arn, *trail.get_event_selectors()


def _put_event_selectors(self: Trail, basic: list[Any] | None, advanced: list[Any] | None) -> None:
    """Selectors of one kind replace those of the other; moto keeps both.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html
    """
    if bool(basic) == bool(advanced):
        message = "Either EventSelectors or AdvancedEventSelectors must be given, and not both."
        raise JsonRESTError("InvalidEventSelectorsException", message)
    self.event_selectors = [_DEFAULT_SELECTOR | selector for selector in basic or []]
    self.advanced_event_selectors = advanced or []


def _selectors(self: Trail) -> tuple[list[Any] | None, list[Any] | None]:
    """A trail has selectors of one kind, and by default one selector; moto has no default."""
    if self.advanced_event_selectors:
        return None, self.advanced_event_selectors
    return self.event_selectors or [_DEFAULT_SELECTOR], None


def _selects(trail: Trail, record: dict[str, Any]) -> bool:
    basic, advanced = trail.get_event_selectors()
    if advanced:
        return any(all(_field_matches(field, record) for field in one["FieldSelectors"]) for one in advanced)
    return any(one["IncludeManagementEvents"] and one["ReadWriteType"] != "ReadOnly" for one in basic or [])


def _field_matches(selector: dict[str, Any], record: dict[str, Any]) -> bool:
    value: Any = record
    for step in selector["Field"].split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    for operator, matches in _OPERATORS.items():
        wanted, unwanted = selector.get(operator), selector.get(f"Not{operator}", [])
        if wanted and not any(matches(text, one) for one in wanted):
            return False
        if any(matches(text, one) for one in unwanted):
            return False
    return True
