"""Runs `peerd` as an operator of the hub account, and validates its JSON with docs/schemas."""

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
ERROR = Draft202012Validator(json.loads((SCHEMAS / "error.json").read_text()))
CHANGES = {
    *(f"mesh {verb}" for verb in ("declare", "pause", "resume", "drain", "undeclare")),
    *(f"account {verb}" for verb in ("add", "block", "unblock", "remove")),
    "adopt",
    "release",
    "confirm",
}
_GROUPS = ("account", "mesh")


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def write_config(folder: Path, text: str) -> str:
    """Writes a peerd.toml, with a file of seal keys beside it, and returns its path."""
    (folder / "peerd.key").write_text("0123456789abcdef" * 4 + "\n")
    file = folder / "peerd.toml"
    file.write_text(text)
    return str(file)


@cache
def schema_for(command: str) -> Draft202012Validator | None:
    """Returns the schema of a command such as `mesh list`, or None if the command prints no JSON."""
    name = "done" if command in CHANGES else command.replace(" ", "-")
    file = SCHEMAS / f"{name}.json"
    return Draft202012Validator(json.loads(file.read_text())) if file.exists() else None


def command_in(arguments: Sequence[str]) -> str:
    """Returns the command in the arguments, which options may precede."""
    words, rest = [], iter(arguments)
    for word in rest:
        if word == "--stack":
            next(rest, None)
        elif not word.startswith("-"):
            words.append(word)
    return " ".join(words[: 2 if words[:1] and words[0] in _GROUPS else 1])


def is_json_requested(arguments: Sequence[str]) -> bool:
    """Returns whether the arguments request JSON on stdout."""
    by_format = "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    return "--json" in arguments or by_format or command_in(arguments) == "mesh show"


def writes_to_file(arguments: Sequence[str]) -> bool:
    """Returns whether the command writes a map to a file, so that stdout is empty."""
    out = any(word == "-o" or word.split("=")[0] == "--out" for word in arguments)
    return out and command_in(arguments) == "map"


def check_json(command: str, text: str) -> None:
    """Fails unless the text matches the schema of the command, or is empty if the command has no schema."""
    schema = schema_for(command)
    if schema is None:
        assert not text, f"peerd {command} prints output without a schema in docs/schemas: {text[:500]}"
        return
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AssertionError(f"peerd {command} prints invalid JSON ({error}): {text[:500]!r}") from error
    violations = [f"{error.json_path}: {error.message[:500]}" for error in schema.iter_errors(document)]
    assert not violations, f"peerd {command} prints JSON that violates its schema: " + "\n".join(violations)


def check_error(text: str) -> None:
    """Fails unless the last line of stderr is an error that matches its schema."""
    ERROR.validate(json.loads(text.splitlines()[-1]))


class Peerd:
    """Runs the binary `peerd` against one sandbox."""

    def __init__(self, binary: Path, endpoint: str) -> None:
        self.binary = binary.resolve()
        aws = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": HOME_REGION,
            "AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000000",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PEERD_"))
        }
        self.environment = inherited | aws

    def run(
        self, *arguments: str, stdin: str = "", directory: Path | None = None, **environment: str | None
    ) -> CommandResult:
        """Runs a command in a directory and returns its result; None removes a variable from the environment.

        Fails if the command prints JSON that violates its schema.
        """
        changed = self.environment | environment
        done = subprocess.run(
            [self.binary, *arguments],
            cwd=directory,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
            env={name: value for name, value in changed.items() if value is not None},
            check=False,
        )
        # A failure may print nothing. Failed checks, pending changes and partial runs are printed.
        printed = done.stdout or (done.returncode == 0 and not writes_to_file(arguments))
        if printed and is_json_requested(arguments):
            check_json(command_in(arguments), done.stdout)
        elif done.returncode not in (0, 64) and "--json" in arguments:
            check_error(done.stderr)
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command that must succeed, and returns its stdout."""
        result = self.run(*arguments, stdin=stdin)
        assert result.code == 0, f"peerd {' '.join(arguments)} exited with {result.code}: {result.err}"
        return result.out

    def declare(self, mesh: str, **policy: Any) -> None:
        """Declares a mesh with a policy."""
        self.ok("mesh", "declare", mesh, "--yes", "--policy", "-", stdin=json.dumps(policy))
