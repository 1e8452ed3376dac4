"""Whether a burst of calls is throttled; no expectation, since only faults throttle in the sandbox."""

import threading

from sandbox.tests.conformance.probe import FIRST, HOME, client, failure, record


def run() -> None:
    codes = {}

    def w() -> None:
        c = client("ec2", FIRST, HOME)
        for _ in range(60):
            x = failure(c.describe_vpcs)
            codes[x[0] if x else "ok"] = codes.get(x[0] if x else "ok", 0) + 1

    th = [threading.Thread(target=w) for _ in range(4)]
    [x.start() for x in th]
    [x.join() for x in th]
    record("ec2.throttling", "note", codes)
