"""Passes requests on to ministack, over kept connections, in the name of the caller's account.

ministack takes the account from the access key when that is a 12-digit number, so the proxy puts the
account's id in the key's place. Signatures do not matter: ministack does not check them.
"""

import http.client
import threading
import time

from sandbox.wire import AwsRequest, Response

# hypercorn closes a connection that was idle for 75 s; a request on a closed one could not safely be sent
# again.
_IDLE_LIMIT_S = 50
_TIMEOUT_S = 330  # the longest invocation that the templates allow is 300 s
# Headers of one connection, and those that http.client and the gateway's server set anew.
_REPLACED = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "expect"}


class Proxy:
    """One connection per thread, so that nothing is shared and nothing needs a lock."""

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
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._local.used = time.monotonic()
        # The length of what a HEAD request leaves out is a part of its answer.
        dropped = _REPLACED - {"content-length"} if method == "HEAD" else _REPLACED
        kept = [(n, v) for n, v in answer.getheaders() if n.lower() not in dropped]
        return Response(answer.status, kept, content)

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
    """The header of the sandbox's own calls to ministack, which reads nothing but the scope from it."""
    scope = f"{account}/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
