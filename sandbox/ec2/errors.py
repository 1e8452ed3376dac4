"""EC2's errors with AWS's codes and messages.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from moto.ec2.exceptions import EC2ClientError


def client_error(code: str, message: str) -> EC2ClientError:
    """Returns an error to raise, with AWS's code and message."""
    return EC2ClientError(code, message)
