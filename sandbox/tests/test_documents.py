"""The commands of the AWS CLI in the documents: each names a real operation and real parameters."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    it for folder in ("", "docs", "docs/adr", "guardrails", "sandbox") for it in (ROOT / folder).glob("*.md")
)
# https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html
GLOBAL = {"--region", "--profile", "--output", "--query", "--no-cli-pager", "--no-paginate"}
# Commands that are not operations of an API, and the parameters that the documents use.
CUSTOM = {
    "cloudformation deploy": {"--stack-name", "--template-file", "--capabilities", "--parameter-overrides"},
    "logs tail": {"--follow", "--since"},
    "configure export-credentials": {"--format"},
    "sso login": set(),
}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yields the commands of the AWS CLI in code blocks and in code, with their documents."""
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
        inline = re.findall(r"`(aws [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        lines = "\n".join([*blocks, *inline]).replace("\\\n", " ").splitlines()
        for line in lines:
            for found in re.finditer(r"(?:^|\(|\"|\s)(aws [a-z0-9-]+ [a-z0-9-]+.*)", line.split("   #")[0]):
                yield document.name, _words(found[1])


def _words(command: str) -> list[str]:
    """Splits a command; a substitution ends at its bracket."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();|&")
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    for word in lexer:
        if word in {")", ";", "|", "&&"}:
            break
        words.append(word)
    return words


def problems(words: list[str]) -> list[str]:
    """Returns why a command is not one of the AWS CLI."""
    _, service, operation, *rest = words
    given = {word.split("=")[0] for word in rest if word.startswith("--")} - GLOBAL
    if (known := CUSTOM.get(f"{service} {operation}")) is not None:
        return [f"{it} is not known" for it in sorted(given - known)]
    if operation == "wait":
        return []
    try:
        model = ServiceModel(Loader().load_service_model(service, "service-2"))
    except Exception as error:  # noqa: BLE001
        return [str(error)]
    names = {xform_name(it, "-"): it for it in model.operation_names}
    if operation not in names:
        return [f"{service} has no {operation}"]
    shape = model.operation_model(names[operation]).input_shape
    members = shape.members if shape else {}
    known = {f"--{xform_name(it, '-')}" for it in members}
    known |= {
        f"--no-{xform_name(it, '-')}" for it, member in members.items() if member.type_name == "boolean"
    }
    return [f"{it} is no parameter of {service} {operation}" for it in sorted(given - known)]


def test_the_documents_have_commands() -> None:
    assert len(list(commands())) > 30


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("aws ec2 create-tag --resources vpc-1", "ec2 has no create-tag"),
        ("aws ec2 create-tags --ids vpc-1", "--ids is no parameter of ec2 create-tags"),
        ("aws cloudformation deploy --template spoke.yaml", "--template is not known"),
    ],
)
def test_a_wrong_command_is_noticed(command: str, problem: str) -> None:
    assert problems(command.split()) == [problem]


def test_every_command_of_the_aws_cli_names_real_parameters() -> None:
    found = {f"{name}: {' '.join(words)}": problems(words) for name, words in commands()}
    assert {command: why for command, why in found.items() if why} == {}
