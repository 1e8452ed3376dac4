"""AWS clients of an outsider: any keys, one endpoint, the role `sandbox-admin` of whichever account."""

import threading
from typing import Any

import boto3
from botocore.config import Config

from sandbox.client.model import HOME_REGION, HUB, Scope

ROLE = "arn:aws:iam::{account}:role/sandbox-admin"
SESSION_NAME = "outsider"
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "max_attempts": 4},
)


class Sessions:
    """Makes each client once and keeps it. Safe to share between threads."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        # One boto3 session for all accounts: each parses EC2's service model anew, which takes a while.
        self._boto = boto3.Session()
        self._lock = threading.Lock()
        self._credentials: dict[str, dict[str, str]] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, account: str = HUB, region: str = HOME_REGION) -> Any:
        """A client of that service, as the administrator of that account."""
        key = (service, account, region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(service, region, self._assume(account))
            return self._clients[key]

    def ec2(self, scope: Scope) -> Any:
        """The EC2 client of that account and Region."""
        return self.client("ec2", scope.account, scope.region)

    def _assume(self, account: str) -> dict[str, str]:
        if account not in self._credentials:
            anyone = {"aws_access_key_id": "AKIAOUTSIDER00000000", "aws_secret_access_key": "any"}
            sts = self._make("sts", HOME_REGION, anyone)
            answer = sts.assume_role(RoleArn=ROLE.format(account=account), RoleSessionName=SESSION_NAME)
            keys = answer["Credentials"]
            self._credentials[account] = {
                "aws_access_key_id": keys["AccessKeyId"],
                "aws_secret_access_key": keys["SecretAccessKey"],
                "aws_session_token": keys["SessionToken"],
            }
        return self._credentials[account]

    def _make(self, service: str, region: str, credentials: dict[str, str]) -> Any:
        return self._boto.client(
            service, region_name=region, endpoint_url=self.endpoint, config=_CONFIG, **credentials
        )
