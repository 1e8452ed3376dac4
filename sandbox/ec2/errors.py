"""EC2's errors as AWS spells them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from moto.ec2.exceptions import EC2ClientError


def fail(code: str, message: str) -> EC2ClientError:
    """An error to raise, with the code and sentence that AWS gives."""
    return EC2ClientError(code, message)
