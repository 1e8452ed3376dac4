"""The error of a denied call, as each service returns it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html. EC2's error has another code
and an encoded message: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

import base64
import json

from sandbox.iam.model import Recorded
from sandbox.wire import AwsRequest, Response, error_response

# Services with the query protocol, and SQS, which kept the codes of that protocol. Services with the JSON
# protocol return AccessDeniedException.
_ACCESS_DENIED = {"sts", "iam", "cloudformation", "sqs", "sns", "s3"}
_FORBIDDEN = 403
# The status of a client error in the JSON protocol, except for REST services.
_BAD_REQUEST = 400


def denial_message(denied: Recorded) -> str:
    """Returns AWS's sentence about a denied check."""
    check = denied.check
    action = check.action.lower() if check.action.startswith("sqs:") else check.action
    subject = (
        f"User: {denied.caller.arn} is not authorized to perform: {action} on resource: {check.resource}"
    )
    return f"{subject} {denied.decision.reason}"


def denial_response(request: AwsRequest, denied: Recorded) -> Response:
    """Returns the error response of the request's service."""
    message = denial_message(denied)
    if request.service == "ec2":
        encoded = base64.urlsafe_b64encode(json.dumps(denied.as_dict()).encode()).decode()
        text = f"You are not authorized to perform this operation. {message}. "
        text += f"Encoded authorization failure message: {encoded}"
        return error_response(request, "UnauthorizedOperation", text, _FORBIDDEN)
    if request.service in _ACCESS_DENIED:
        return error_response(request, "AccessDenied", message, _FORBIDDEN)
    status = _BAD_REQUEST if request.header("x-amz-target") else _FORBIDDEN
    return error_response(request, "AccessDeniedException", message, status)
