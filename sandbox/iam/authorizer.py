"""Authorizes calls and deliveries with the deployed policies, and records the decisions."""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from sandbox.ec2.identity import ADMIN_ROLE, Principal
from sandbox.iam import ec2_checks, service_checks
from sandbox.iam.evaluate import ASSUME_ROLE, decide
from sandbox.iam.model import Caller, Check, Decision, Delivery, Recorded
from sandbox.iam.organization import principal_keys, resource_keys
from sandbox.iam.policies import Policies
from sandbox.wire import AwsRequest

# The decisions differ by resource; a long session keeps the latest.
_MAX_RECORDED = 50_000


class Authorizer:
    """The deployed policies and the recorded decisions. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._policies = Policies()
        self._recorded: OrderedDict[str, Recorded] = OrderedDict()

    @property
    def policies(self) -> Policies:
        """Returns the current policies."""
        return self._policies

    def replace_policies(self, policies: Policies) -> None:
        """Sets the policies that apply from now on."""
        self._policies = policies

    def recorded(self) -> list[Recorded]:
        """Returns the distinct decisions since the last reset."""
        with self._lock:
            return list(self._recorded.values())

    def clear(self) -> None:
        """Removes the recorded decisions."""
        with self._lock:
            self._recorded.clear()

    def authorize_call(self, request: AwsRequest, caller: Principal) -> Recorded | None:
        """Returns None if the caller may make the call, else the first check that fails.

        Users and `sandbox-admin` are administrators; only the trust policy of another role restricts them.
        """
        assumes = (request.service, request.action) == ("sts", "AssumeRole")
        if not assumes and not _is_restricted(caller.session_issuer_arn):
            return None
        build = ec2_checks.checks if request.service == "ec2" else service_checks.checks
        checks = [check for check in build(request, caller) if not _is_admin_role(check)]
        role = caller.session_issuer_arn if _is_restricted(caller.session_issuer_arn) else None
        return self._first_denied(
            Caller(caller.arn, caller.account, role=role, function=caller.function_arn), checks
        )

    def authorize_delivery(self, delivery: Delivery) -> Recorded | None:
        """Returns None if the service may act as described, else the first check that fails."""
        account = delivery.account
        source = {"aws:SourceArn": delivery.source, "aws:SourceAccount": account}
        service = Caller(delivery.service or "", account, service=delivery.service)
        if delivery.role is None and delivery.service is not None:
            return self._first_denied(
                service, [replace(check, keys={**check.keys, **source}) for check in delivery.checks]
            )
        if delivery.role is None:
            return self._first_denied(Caller(f"arn:aws:iam::{account}:root", account), delivery.checks)
        if delivery.service is not None:
            denied = self._first_denied(service, [Check(ASSUME_ROLE, delivery.role, source)])
            if denied is not None:
                return denied
        name = delivery.role.rpartition("/")[2]
        arn = (
            f"arn:aws:sts::{account}:assumed-role/{name}/{(delivery.service or 'session').partition('.')[0]}"
        )
        return self._first_denied(Caller(arn, account, role=delivery.role), delivery.checks)

    def _first_denied(self, caller: Caller, checks: Iterable[Check]) -> Recorded | None:
        policies = self._policies
        for check in checks:
            organization = {} if caller.service else principal_keys(caller.account)
            complete = replace(check, keys={**organization, **resource_keys(check), **check.keys})
            recorded = Recorded(caller, complete, decide(caller, complete, policies))
            self._record(recorded)
            if not recorded.decision.allowed:
                return recorded
        return None

    def _record(self, recorded: Recorded) -> None:
        # The same session name is used for all sessions of a role, so that the entries are few.
        key = json.dumps(recorded.as_dict(), sort_keys=True)
        with self._lock:
            self._recorded[key] = recorded
            self._recorded.move_to_end(key)
            if len(self._recorded) > _MAX_RECORDED:
                self._recorded.popitem(last=False)


def reevaluate(recorded: Recorded, policies: Policies) -> Decision:
    """Returns the decision for a recorded check with other policies."""
    return decide(recorded.caller, recorded.check, policies)


def _is_restricted(role: str | None) -> bool:
    return role is not None and role.rpartition("/")[2] != ADMIN_ROLE


def _is_admin_role(check: Check) -> bool:
    return check.action == ASSUME_ROLE and not _is_restricted(check.resource)
