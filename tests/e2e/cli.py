"""The command line of peerd, run as an operator of the hub's account runs it.

What it prints as JSON is held against docs/schemas.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from sandbox.client.model import HOME_REGION

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
_GROUPS = ("account", "mesh")


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@cache
def schema_of(command: str) -> Draft202012Validator | None:
    """What says how the JSON of a command looks, such as `mesh list`; nothing if it prints none."""
    file = SCHEMAS / f"{command.replace(' ', '-')}.json"
    return Draft202012Validator(json.loads(file.read_text())) if file.exists() else None


def command_of(arguments: Sequence[str]) -> str:
    """The command among the arguments, which options may stand before."""
    words, rest = [], iter(arguments)
    for word in rest:
        if word == "--stack":
            next(rest, None)
        elif not word.startswith("-"):
            words.append(word)
    return " ".join(words[: 2 if words[:1] and words[0] in _GROUPS else 1])


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether stdout is to be JSON."""
    by_format = "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    return "--json" in arguments or by_format or command_of(arguments) == "mesh show"


def into_a_file(arguments: Sequence[str]) -> bool:
    """Whether a map goes into a file, so that stdout stays empty."""
    out = any(word == "-o" or word.split("=")[0] == "--out" for word in arguments)
    return out and command_of(arguments) == "map"


def check_json(command: str, text: str) -> None:
    """Fails unless this is what the schema of a command says, or nothing, of a command without a schema."""
    schema = schema_of(command)
    if schema is None:
        assert not text, f"peerd {command} prints what docs/schemas does not tell of: {text[:500]}"
        return
    try:
        seen = json.loads(text)
    except ValueError as error:
        raise AssertionError(f"peerd {command} prints no JSON ({error}): {text[:500]!r}") from error
    wrong = [f"{error.json_path}: {error.message[:500]}" for error in schema.iter_errors(seen)]
    assert not wrong, f"peerd {command} prints what its schema does not say: " + "\n".join(wrong)


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
        """Runs a command, whatever comes of it; None takes a variable out of the environment.

        JSON that its schema does not tell of fails.
        """
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
        # A failure may print nothing; a check that fails, a change that is due, a run not done are printed.
        printed = done.stdout or (done.returncode == 0 and not into_a_file(arguments))
        if printed and asks_for_json(arguments):
            check_json(command_of(arguments), done.stdout)
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command that must succeed and answers its output."""
        said = self.run(*arguments, stdin=stdin)
        assert said.code == 0, f"peerd {' '.join(arguments)} ended with {said.code}: {said.err}"
        return said.out

    def declare(self, mesh: str, **policy: Any) -> None:
        """Declares a mesh with a policy."""
        self.ok("mesh", "declare", mesh, "--policy", "-", stdin=json.dumps(policy))
