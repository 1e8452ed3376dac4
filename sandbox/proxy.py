"""Forwards requests to ministack over persistent connections, for the caller's account.

ministack uses a 12-digit access key as the account id, so the proxy replaces the key with the account id.
ministack does not verify signatures.
"""

import http.client
import threading
import time

from sandbox.wire import AwsRequest, Response

# hypercorn closes a connection after 75 idle seconds, and a request on a closed connection cannot be retried
# safely.
_IDLE_LIMIT_S = 50
_TIMEOUT_S = 330  # the longest invocation that the templates allow is 300 s
# Headers of one connection, and headers that http.client and the gateway's server set themselves.
_REPLACED = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "expect"}


class Proxy:
    """One connection per thread, so that no lock is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()

    def forward(self, request: AwsRequest, account: str) -> Response:
        headers = {
            name: value.replace(f"Credential={request.access_key}/", f"Credential={account}/")
            if name.lower() == "authorization"
            else value
            for name, value in request.headers
            if name.lower() not in _REPLACED
        }
        target = request.target.replace(
            f"X-Amz-Credential={request.access_key}%2F", f"X-Amz-Credential={account}%2F"
        )
        return self.send(request.method, target, headers, request.body)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        connection = self._connection()
        try:
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._local.used = time.monotonic()
        # The response to a HEAD request has the length of the omitted body.
        dropped = _REPLACED - {"content-length"} if method == "HEAD" else _REPLACED
        kept = [(n, v) for n, v in response.getheaders() if n.lower() not in dropped]
        return Response(response.status, kept, content)

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self._local, "connection", None)
        if connection is not None and time.monotonic() - self._local.used > _IDLE_LIMIT_S:
            connection.close()
            connection = None
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
            self._local.connection, self._local.used = connection, time.monotonic()
        return connection


def authorization(account: str, region: str, service: str) -> str:
    """Returns the header of the sandbox's calls to ministack, which reads only the scope."""
    scope = f"{account}/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
