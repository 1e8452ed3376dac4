"""AWS clients with one endpoint and the role `sandbox-admin` of any account."""

import threading
from typing import Any

import boto3
from botocore.config import Config

from sandbox.client.model import HOME_REGION, HUB, Scope

ROLE = "arn:aws:iam::{account}:role/sandbox-admin"
SESSION_NAME = "client"
_CONFIG = Config(
    connect_timeout=30,
    read_timeout=120,
    retries={"mode": "standard", "max_attempts": 4},
)


class Sessions:
    """A thread-safe cache of clients."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        # One boto3 session for all accounts: each session parses EC2's service model, which is slow.
        self._boto = boto3.Session()
        self._lock = threading.Lock()
        self._credentials: dict[str, dict[str, str]] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, account: str = HUB, region: str = HOME_REGION) -> Any:
        """Returns a client of that service with the administrator role of that account."""
        key = (service, account, region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._create(service, region, self._assume(account))
            return self._clients[key]

    def ec2(self, scope: Scope) -> Any:
        """Returns the EC2 client of that account and Region."""
        return self.client("ec2", scope.account, scope.region)

    def _assume(self, account: str) -> dict[str, str]:
        if account not in self._credentials:
            credentials = {"aws_access_key_id": "AKIACLIENT0000000000", "aws_secret_access_key": "any"}
            sts = self._create("sts", HOME_REGION, credentials)
            response = sts.assume_role(RoleArn=ROLE.format(account=account), RoleSessionName=SESSION_NAME)
            keys = response["Credentials"]
            self._credentials[account] = {
                "aws_access_key_id": keys["AccessKeyId"],
                "aws_secret_access_key": keys["SecretAccessKey"],
                "aws_session_token": keys["SessionToken"],
            }
        return self._credentials[account]

    def _create(self, service: str, region: str, credentials: dict[str, str]) -> Any:
        return self._boto.client(
            service, region_name=region, endpoint_url=self.endpoint, config=_CONFIG, **credentials
        )
