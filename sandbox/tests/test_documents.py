"""The documents: their commands of the AWS CLI are real, and they say what an operator needs to know."""

import re
import shlex
from collections.abc import Iterable, Iterator
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

# What an operator needs to know, the document, and its passages in their order. Headings before and after a
# passage say in which section it is.
PASSAGES = [
    (
        "how to install the command line",
        "deploy.md",
        ("## 1. Before", "cargo install --locked --path cli", "## 2. The hub"),
    ),
    (
        "that a member account names an organization trail by its ARN",
        "deploy.md",
        (
            "a member account must specify an organization trail by its ARN",
            "aws cloudtrail get-trail-status --name TRAIL_ARN",
            "aws cloudtrail get-event-selectors --trail-name TRAIL_ARN",
        ),
    ),
    (
        "that an opt-in Region is enabled first",
        "deploy.md",
        (
            "**Opt-in Regions**",
            "enable them in every account",
            "aws account get-region-opt-status",
            "## 2. The hub",
        ),
    ),
    (
        "what service control policies must allow",
        "deploy.md",
        (
            "**Service control policies** must allow",
            "create IAM roles and EventBridge rules",
            "deploy and tag with roles that it exempts",
            "## 2. The hub",
        ),
    ),
    (
        "that a mesh of the stack is active at once, and how to begin with a paused one",
        "deploy.md",
        (
            "A mesh in `Meshes` is active from the start",
            "so declare it, paused, before you tag VPCs",
            "## 5. Verify",
            "peerd mesh declare prod --policy prod.json --paused",
            "aws ec2 create-tags",
            "peerd mesh resume prod",
        ),
    ),
    (
        "that each hub has a name of its own, and that a file is a deployment, too",
        "deploy.md",
        (
            "Give each hub of an organization its own name (`Deployment`)",
            "Two deployments must not read the same accounts and Regions",
            "`peerd apply --file peerd.toml` is a deployment of its own in this respect",
        ),
    ),
    (
        "that a file and a deployment do not share a name and a key",
        "peerd-toml.md",
        ("Do not use a file and a deployment with the same name and the same key",),
    ),
    (
        "that a delegation policy is saved before it is replaced",
        "deploy.md",
        (
            "`put-resource-policy` replaces it",
            "save the current policy, and add the statement to it",
            "aws organizations describe-resource-policy --query ResourcePolicy.Content",
            "then edit the file",
            "aws organizations put-resource-policy",
        ),
    ),
    (
        "how to check the hub",
        "deploy.md",
        (
            "Verify the hub",
            "peerd status #",
            "peerd account list #",
            "peerd doctor ``` All checks of `the hub`",
        ),
    ),
    (
        "how to check the first mesh",
        "deploy.md",
        (
            "## 5. Verify",
            "`peerd status prod` reports `pairs: 1 active`",
            "`peerd account list` shows",
            "## 6. Changing",
        ),
    ),
    (
        "how to read the external ID again",
        "deploy.md",
        (
            "section 3 reads it from the hub's stack",
            "## 3. The spokes",
            "EXTERNAL_ID=$(aws cloudformation describe-stacks",
            "ParameterKey=='ExternalId'",
            "aws cloudformation create-stack-set",
            'ParameterKey=ExternalId,ParameterValue="${EXTERNAL_ID:?}"',
            'ExternalId="${EXTERNAL_ID:?}"',
        ),
    ),
    (
        "that a StackSet needs trusted access first",
        "deploy.md",
        (
            "A StackSet with service-managed permissions needs trusted access",
            "aws cloudformation activate-organizations-access",
            "aws cloudformation create-stack-set",
        ),
    ),
    (
        "that a StackSet is deleted after its instances",
        "deploy.md",
        (
            "until it has finished, `delete-stack-set` fails",
            "aws cloudformation delete-stack-instances",
            "aws cloudformation list-stack-instances",
            "# repeat it until the list is empty",
            "aws cloudformation delete-stack-set",
        ),
    ),
    (
        "that the name of the table is noted before the stack is deleted",
        "deploy.md",
        (
            "Note the name of the table and the ARN of the secret first",
            "Outputs[?OutputKey=='TableName' || OutputKey=='SealSecretArn']",
            "aws cloudformation delete-stack --stack-name peerd ",
            "aws dynamodb delete-table --table-name TABLE_NAME",
        ),
    ),
    (
        "that the bucket of SAM remains",
        "deploy.md",
        ("## 7. Removing", "`aws-sam-cli-managed-default` with the S3 bucket of `sam deploy` also remains"),
    ),
    (
        "how to stop all functions without dead letters",
        "operations.md",
        (
            "## Stopping everything",
            "aws lambda list-event-source-mappings",
            "aws lambda update-event-source-mapping",
            "--no-enabled",
            "Do not set the reserved concurrency of the functions to 0",
        ),
    ),
    (
        "that a mesh of the stack has the default policy after it is undeclared",
        "policies.md",
        (
            "peerd mesh undeclare prod",
            "existing peerings and routes stay; a mesh of the stack gets the default policy",
        ),
    ),
    (
        "that the default policy may be wider",
        "glossary.md",
        (
            "| undeclare |",
            "a mesh of the stack parameter `Meshes` has the default policy again, which may be wider",
        ),
    ),
    (
        "the same in the help of the command",
        "cli.md",
        (
            "## `peerd mesh undeclare`",
            "a mesh of the stack gets the default one",
            "**Usage:** `peerd mesh undeclare",
        ),
    ),
]


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


def absent(text: str, passages: Iterable[str]) -> list[str]:
    """Returns the passages that are missing in a text, or too early; line breaks do not count."""
    text, position, missing = " ".join(text.split()), 0, []
    for passage in passages:
        found = text.find(passage, position)
        if found < 0:
            missing.append(passage)
        else:
            position = found + len(passage)
    return missing


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


def test_a_passage_that_is_missing_or_too_late_is_noticed() -> None:
    text = "First save\nthe policy. Then replace it."
    assert absent(text, ["save the policy", "replace it"]) == []
    assert absent(text, ["save the policy", "delete it"]) == ["delete it"]
    assert absent(text, ["replace it", "save the policy"]) == ["save the policy"]


@pytest.mark.parametrize(
    ("document", "passages"),
    [pytest.param(document, passages, id=what) for what, document, passages in PASSAGES],
)
def test_a_document_says_what_an_operator_needs_to_know(document: str, passages: tuple[str, ...]) -> None:
    assert absent((ROOT / "docs" / document).read_text(), passages) == []
