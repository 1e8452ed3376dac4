"""Finds the operation of a REST request (lambda, scheduler, ...) in botocore's model of the service."""

import re
from functools import cache

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

# The service in a signature scope can differ from botocore's name.
_MODEL_NAMES = {"s3": "s3", "lambda": "lambda", "scheduler": "scheduler", "execute-api": "apigateway"}


def rest_action(service: str, method: str, path: str) -> str:
    """Returns, for example, `Invoke` for lambda's POST /2015-03-31/functions/f/invocations."""
    if service != "s3":  # S3 also distinguishes operations by query string and headers
        for op_method, pattern, name in _operations(service):
            if op_method == method and pattern.fullmatch(path):
                return name
    return f"{method} {path}"


@cache
def _operations(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    try:
        model = Loader().load_service_model(_MODEL_NAMES.get(service, service), "service-2")
    except UnknownServiceError:
        return []
    found = []
    for name, operation in model["operations"].items():
        http = operation["http"]
        uri = http["requestUri"].partition("?")[0]
        pattern = "".join(_as_regex(part) for part in re.split(r"(\{[^}]+\})", uri))
        found.append((http["method"], re.compile(pattern.rstrip("/") + "/?"), name, uri.count("{")))
    # /functions/{name} also matches fixed paths, so the patterns with the fewest placeholders come first.
    return [(method, pattern, name) for method, pattern, name, _ in sorted(found, key=lambda row: row[3])]


def _as_regex(part: str) -> str:
    if part.endswith("+}"):
        return ".+"
    return "[^/]+" if part.startswith("{") else re.escape(part)
