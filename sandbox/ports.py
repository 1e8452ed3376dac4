"""Ports of 127.0.0.1 for servers that listen later."""

import contextlib
import random
import socket


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nothing listens on now.

    It is below the range from which systems choose ports for outgoing connections (32768 and up on Linux,
    49152 and up elsewhere): one of those could be taken before the server listens.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
