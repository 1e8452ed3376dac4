"""The command line with the credentials of a profile of IAM Identity Center."""

import json
from collections.abc import Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.e2e.cli import CommandResult, Peerd

START_URL = "https://example.awsapps.com/start"
ROLE_CREDENTIALS = {
    "accessKeyId": "AKIAOPERATOR00000000",
    "secretAccessKey": "any",
    "sessionToken": "any",
    "expiration": 4_102_444_800_000,
}


class Portal(BaseHTTPRequestHandler):
    """GetRoleCredentials of the portal of IAM Identity Center: it knows one access token."""

    def do_GET(self) -> None:
        known = self.headers["x-amz-sso_bearer_token"] == "valid"
        answer = (
            {"roleCredentials": ROLE_CREDENTIALS}
            if known
            else {"message": "Session token not found or invalid"}
        )
        body = json.dumps(answer).encode()
        self.send_response(200 if known else 401)
        if not known:
            self.send_header("x-amzn-errortype", "UnauthorizedException")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""


@pytest.fixture
def portal() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_profile_of_iam_identity_center_is_used_after_its_login(
    peerd: Peerd, portal: str, tmp_path: Path
) -> None:
    folder = tmp_path / ".aws"
    cache = folder / "sso/cache"
    cache.mkdir(parents=True)
    (folder / "config").write_text(
        "[profile engineer]\nsso_session = work\nsso_account_id = 111111111111\nsso_role_name = Engineers\n"
        f"[sso-session work]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
    )

    def status() -> CommandResult:
        return peerd.run(
            "status",
            HOME=str(tmp_path),
            AWS_PROFILE="engineer",
            AWS_ENDPOINT_URL_SSO=portal,
            AWS_ACCESS_KEY_ID=None,
            AWS_SECRET_ACCESS_KEY=None,
        )

    def log_in(token: str, until: str) -> None:
        entry = {
            "startUrl": START_URL,
            "region": "us-east-1",
            "accessToken": token,
            "expiresAt": until,
        }
        (cache / f"{sha1(b'work', usedforsecurity=False).hexdigest()}.json").write_text(json.dumps(entry))

    def assert_not_logged_in() -> None:
        result = status()
        first, hint, *_ = result.err.splitlines()
        assert (result.code, first, hint) == (
            3,
            "error: you are not logged in to IAM Identity Center, or the session has expired",
            "hint: log in with `aws sso login`",
        )

    assert_not_logged_in()
    log_in("valid", "2020-01-01T00:00:00Z")
    assert_not_logged_in()
    log_in("revoked", "2099-01-01T00:00:00Z")
    assert_not_logged_in()
    log_in("valid", "2099-01-01T00:00:00Z")
    result = status()
    assert (result.code, result.out.split()[0]) == (0, "MESH"), result.err


@pytest.mark.parametrize(
    ("profile", "error"),
    [
        ("nosuch", "there is no such AWS profile"),
        ("process", "peerd cannot read this kind of AWS profile (credential_process or login_session)"),
        ("half", "the AWS profile is not complete"),
    ],
)
def test_a_profile_that_gives_no_credentials_is_reported(
    peerd: Peerd, tmp_path: Path, profile: str, error: str
) -> None:
    (tmp_path / "config").write_text(
        "[profile process]\ncredential_process = /bin/true\n[profile half]\naws_access_key_id = AKIA\n"
    )
    result = peerd.run(
        "status",
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_EC2_METADATA_DISABLED="true",
        AWS_PROFILE=profile,
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    assert (result.code, result.err.splitlines()[0]) == (3, f"error: {error}")


def test_a_profile_without_any_file_of_profiles_is_reported_with_the_way_to_list_them(
    peerd: Peerd, tmp_path: Path
) -> None:
    result = peerd.run(
        "status",
        HOME=str(tmp_path),
        AWS_EC2_METADATA_DISABLED="true",
        AWS_PROFILE="nosuch",
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    assert (result.code, result.err.splitlines()[0]) == (3, "error: there are no AWS credentials")
    assert "set AWS_PROFILE to a profile that `aws configure list-profiles` lists" in result.err


def test_no_command_prints_or_stores_the_credentials(peerd: Peerd, tmp_path: Path) -> None:
    secret = "never-to-be-printed"
    environment = {"AWS_SECRET_ACCESS_KEY": secret, "RUST_LOG": "trace", "HOME": str(tmp_path)}
    for command in (
        ("status",),
        ("doctor",),
        ("plan", "--stack", "peerd", "--role", "sandbox-admin"),
        ("plan", "--stack", "peerd", "--role", "nosuch"),
        ("status", "--stack", "nosuch"),
    ):
        result = peerd.run(*command, directory=tmp_path, **environment)
        assert result.out or result.err
        assert secret not in result.out + result.err
    assert list(tmp_path.iterdir()) == []
