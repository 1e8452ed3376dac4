"""The command line of peerd, run as an operator of the hub's account runs it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.client.model import HOME_REGION


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


class Peerd:
    """Runs the binary `peerd` against one sandbox."""

    def __init__(self, binary: Path, endpoint: str) -> None:
        self._binary = binary
        aws = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": HOME_REGION,
            "AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000000",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PEERD_"))
        }
        self._environment = inherited | aws

    def run(self, *arguments: str, stdin: str = "", **environment: str | None) -> Said:
        """Runs a command, whatever comes of it; None takes a variable out of the environment."""
        changed = self._environment | environment
        done = subprocess.run(
            [self._binary, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            env={name: value for name, value in changed.items() if value is not None},
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command that must succeed and answers its output."""
        said = self.run(*arguments, stdin=stdin)
        assert said.code == 0, f"peerd {' '.join(arguments)} ended with {said.code}: {said.err}"
        return said.out

    def declare(self, mesh: str, **policy: Any) -> None:
        """Declares a mesh with a policy."""
        self.ok("mesh", "declare", mesh, "--policy", "-", stdin=json.dumps(policy))
