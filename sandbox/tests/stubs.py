"""Stubs for tests of the gateway."""

from sandbox.control import CallLog, ControlPlane, Faults
from sandbox.ec2 import identity
from sandbox.ec2.identity import Principal
from sandbox.iam.authorizer import Authorizer
from sandbox.iam.policies import Policies
from sandbox.wire import AwsRequest, Response


class GatewayStubs:
    """The faults, call log and policies of a gateway, with a control plane that controls nothing else.

    It stands in for ministack, which always succeeds, and for the emitter, and records what reaches them.
    """

    def __init__(self, policies: Policies) -> None:
        self.faults, self.calls, self.authorizer = Faults(), CallLog(), Authorizer()
        self.authorizer.replace_policies(policies)
        self.forwarded: list[tuple[str, str]] = []
        self.observed: list[tuple[str, int]] = []
        self.control = ControlPlane(
            self.faults,
            self.calls,
            self.authorizer,
            sweep=list,
            drop_events=lambda drop: None,
            kill_functions=dict,
            activity=dict,
            advance_queues=lambda failed: {},
            register_key=identity.register_key,
        )

    def forward(self, request: AwsRequest, account: str) -> Response:
        """Records a call to ministack."""
        self.forwarded.append((request.action, account))
        return Response(200, [("Content-Type", "application/json")], b"{}")

    def observe(self, request: AwsRequest, response: Response, principal: Principal) -> None:
        """Records a call that the emitter gets."""
        self.observed.append((request.action, response.status))
