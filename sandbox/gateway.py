"""The endpoint of the sandbox: routes every AWS request to moto (in this process) or ministack (a child).

The signature scope of a request has its service. The gateway authorizes the calls of roles, applies latency
and faults, writes the call log, and passes EC2's calls to the event emitter. It does not depend on the
semantics of any service.
"""

import http.client
import io
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import waitress
from moto.ec2.models import ec2_backends
from waitress.server import BaseWSGIServer

from sandbox.control import CallLog, ControlPlane, Fault, Faults
from sandbox.ec2 import identity
from sandbox.events import EventEmitter
from sandbox.iam.authorizer import Authorizer
from sandbox.iam.denials import denial_response
from sandbox.proxy import Proxy
from sandbox.settings import SETTINGS
from sandbox.wire import (
    AwsRequest,
    NotSigned,
    Response,
    error_code,
    error_response,
    parse_request,
    unsigned_response,
)

IN_PROCESS = {"ec2", "sts", "organizations", "servicequotas", "cloudtrail"}
# Services whose calls are serialized: the events of a call depend on the trails at the time of the call.
_LOCKED = {"ec2", "cloudtrail"}
# A waiting request (latency, a delay, the lock of EC2) occupies a thread. There are enough threads for the
# calls that the waiting requests depend on.
_THREADS = 256

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gateway:
    """The WSGI application."""

    def __init__(
        self,
        moto: WsgiApp,
        proxy: Proxy,
        emitter: EventEmitter,
        faults: Faults,
        calls: CallLog,
        control: ControlPlane,
        authorizer: Authorizer,
        kill_functions: Callable[[], object],
    ) -> None:
        self._moto = moto
        self._proxy = proxy
        self._emitter = emitter
        self._faults = faults
        self._calls = calls
        self._control = control
        self._authorizer = authorizer
        self._kill_functions = kill_functions
        # moto's EC2 is not thread-safe, and the events must have the order of the changes.
        self._moto_lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, target = environ["REQUEST_METHOD"], environ["REQUEST_URI"]
        body = environ["wsgi.input"].read()
        path = target.partition("?")[0]
        if path.startswith("/_sandbox/"):
            response = self._control.handle(method, path, body)
        else:
            response = self._handle_aws(method, target, _headers(environ), body)
        lengths = [] if method == "HEAD" else [("Content-Length", str(len(response.body)))]
        start_response(
            f"{response.status} {http.client.responses.get(response.status, 'Unknown')}",
            [*response.headers, *lengths],
        )
        return [response.body]

    def _handle_aws(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Response:
        try:
            request = parse_request(method, target, headers, body)
        except NotSigned as reason:
            return unsigned_response(reason)
        caller = identity.principal(request.access_key)
        account = _target_account(request) or caller.account
        if latency := SETTINGS.latency_ms:
            time.sleep(latency / 1000)
        try:
            response = self._denied(request, caller) or self._serve(request, caller, account)
        except Exception as error:  # noqa: BLE001 - an error response, so that the server keeps running
            traceback.print_exc(file=sys.stderr)
            message = f"the sandbox failed at {request.service} {request.action}: {error!r}"
            response = error_response(request, "InternalFailure", message, 500)
        self._calls.add(
            request.service,
            request.action,
            account,
            request.region,
            caller.arn,
            error_code(request, response),
        )
        return response

    def _denied(self, request: AwsRequest, caller: identity.Principal) -> Response | None:
        """Returns the error of a call that the deployed policies deny, before any fault applies."""
        denied = self._authorizer.authorize_call(request, caller)
        return None if denied is None else self._failed(request, caller, denial_response(request, denied))

    def _failed(self, request: AwsRequest, caller: identity.Principal, error: Response) -> Response:
        """Returns the error of a call without effect. EC2 also has an event for it."""
        if request.service == "ec2":
            with self._moto_lock:
                self._emitter.observe(request, error, caller)
        return error

    def _serve(self, request: AwsRequest, caller: identity.Principal, account: str) -> Response:
        fault = self._faults.match(request.service, request.action, account, request.region, caller.arn)
        if fault is not None and fault.delay_ms:
            time.sleep(fault.delay_ms / 1000)
        if fault is None or not fault.fails:
            return self._forward(request, caller)
        return self._fail(request, caller, fault)

    def _fail(self, request: AwsRequest, caller: identity.Principal, fault: Fault) -> Response:
        error = error_response(request, fault.error_code, fault.error_message, fault.error_status)
        if fault.when == "after":
            self._forward(request, caller)
        else:
            self._failed(request, caller, error)
        if fault.kill:
            self._kill_functions()
        return error

    def _forward(self, request: AwsRequest, caller: identity.Principal) -> Response:
        if request.service not in IN_PROCESS:
            return self._proxy.forward(request, caller.account)
        if request.service not in _LOCKED:
            # Not under the lock: AssumeRole reads the role from ministack, which may be waiting for this
            # gateway to register the keys of a function.
            return call_wsgi(self._moto, request)
        with self._moto_lock:
            response = call_wsgi(self._moto, request)
            if request.service == "ec2":
                self._emitter.observe(request, response, caller)
        return response


def _target_account(request: AwsRequest) -> str | None:
    """Returns the account of the role for AssumeRole, else None."""
    role = request.form.get("RoleArn", "").split(":")
    if request.service == "sts" and request.action == "AssumeRole" and len(role) > 5:
        return role[4]
    return None


def call_wsgi(app: WsgiApp, request: AwsRequest) -> Response:
    """Runs a WSGI application in this thread on a parsed request."""
    path, _, query = request.target.partition("?")
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.header("content-type"),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = "HTTP_" + name.upper().replace("-", "_")
        if key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
            environ[key] = value
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [status, headers]

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = started
    kept = [(n, v) for n, v in headers if n.lower() not in ("content-length", "connection")]
    return Response(int(status.split()[0]), kept, body)


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        (key[5:].replace("_", "-").title(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    if environ.get("CONTENT_TYPE"):
        found.append(("Content-Type", environ["CONTENT_TYPE"]))
    return found


def make_server(app: WsgiApp, listener: socket.socket) -> BaseWSGIServer:
    """Creates a server on a listening socket; `run()` serves until the process exits."""
    return waitress.create_server(
        app,
        sockets=[listener],
        threads=_THREADS,
        channel_timeout=600,  # SDKs keep idle connections open
        connection_limit=10_000,  # a function process has dozens; above the limit, new connections wait
        asyncore_use_poll=True,  # select() is limited to 1,024 files
        ident=None,
        clear_untrusted_proxy_headers=False,
        max_request_body_size=2**31,
    )


def read_tags(account: str, region: str, resource_id: str) -> dict[str, str]:
    """Returns the current tags of a resource in its account and Region."""
    return dict(ec2_backends[account][region].tags.get(resource_id, {}))
