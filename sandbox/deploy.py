"""Deploys the real template.yaml (with `sam deploy`) and spoke.yaml (with CreateStack) into the sandbox.

It replaces `sam build` without compiling: the CodeUri of the template refers to packages of existing
binaries. The rest of the templates is unchanged.
"""

import concurrent.futures
import json
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

from sandbox.iam.denials import denial_message
from sandbox.iam.events import SCHEDULER
from sandbox.iam.model import Check, Delivery, Recorded
from sandbox.ministack_host import inherited_environment

HUB = "111111111111"
ACCOUNTS = (HUB, "222222222222", "333333333333")
REGIONS = ("us-east-1", "eu-west-1")
HUB_REGION = REGIONS[0]
MESHES = ("prod", "staging", "shared")
DEPLOYMENT = "peerd"
EXTERNAL_ID = "peerd-sandbox"
UNIT = "meshes"
HUB_STACK = "peerd"
SPOKE_STACK = "peerd-spoke"
_GUARDRAILS = Path(__file__).resolve().parent.parent / "guardrails" / "scp.json"
_BUCKET = "peerd-sandbox-code"
_DEPLOY_WITHIN_S = 600

Progress = Callable[[str], None]


class DeploymentFailed(RuntimeError):
    """A stack or function could not be deployed; the message has its name and the reason."""


@dataclass(frozen=True)
class Project:
    """The directories of the templates and of the functions' binaries."""

    templates: Path
    functions: Path


class Clients:
    """boto3 clients of an endpoint; the account id is the access key."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._session = boto3.Session()  # one for all clients, since each session parses the service models
        self._config = Config(
            connect_timeout=5, read_timeout=120, retries={"total_max_attempts": 1}, proxies={}
        )

    def client(self, service: str, account: str = HUB, region: str = HUB_REGION) -> Any:
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="sandbox",
            config=self._config,
        )


def check_binaries(project: Project) -> None:
    """Raises DeploymentFailed when a binary that the template names is missing."""
    for name in _function_binaries(_read_template(project)).values():
        binary = project.functions / name
        if not os.access(binary, os.X_OK):
            raise DeploymentFailed(
                f"{binary} is missing or not executable: build the functions first (make build)"
            )


def organize(organizations: Any) -> tuple[str, str]:
    """Creates the hub's organization with a unit from which peerd reads accounts; returns the ids of both."""
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    root = organizations.list_roots()["Roots"][0]["Id"]
    created = organizations.create_organizational_unit(ParentId=root, Name=UNIT)
    return organization, created["OrganizationalUnit"]["Id"]


def attach_guardrails(organizations: Any) -> str:
    """Attaches the service control policy to the root, as an administrator does, and returns its id.

    The sandbox does not evaluate it.
    """
    root, kind = organizations.list_roots()["Roots"][0]["Id"], "SERVICE_CONTROL_POLICY"
    organizations.enable_policy_type(RootId=root, PolicyType=kind)
    created = organizations.create_policy(
        Name=DEPLOYMENT, Description="Who may write peerd's tags", Type=kind, Content=_GUARDRAILS.read_text()
    )
    policy_id = created["Policy"]["PolicySummary"]["Id"]
    organizations.attach_policy(PolicyId=policy_id, TargetId=root)
    return policy_id


def deploy_all(endpoint: str, private: str, project: Project, work: Path, progress: Progress) -> None:
    """Deploys the hub, then six spokes in parallel, and verifies that the functions receive events.

    `private` is ministack's endpoint, for calls that are not part of the call log.
    """
    clients = Clients(private)
    build = write_build_directory(project, work / "build")
    started = time.monotonic()
    organizations = Clients(endpoint).client("organizations")
    organization, unit = organize(organizations)
    attach_guardrails(organizations)
    sam_deploy(endpoint, clients, build, organization, unit, work)
    progress(f"hub stack deployed in {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    spoke = (project.templates / "spoke.yaml").read_text()
    scopes = [(account, region) for account in ACCOUNTS for region in REGIONS]
    cloudformation = {scope: clients.client("cloudformation", *scope) for scope in scopes}
    _run_in_parallel(lambda scope: create_spoke(cloudformation[scope], scope, spoke), scopes)
    progress(f"{len(scopes)} spoke stacks deployed in {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    verify_functions(clients)
    progress(f"functions verified in {time.monotonic() - started:.1f} s")


def _run_in_parallel(work: Callable[[Any], None], items: list[Any]) -> None:
    """Runs in parallel and raises the first failure. An interrupt does not wait for the others."""
    pool = concurrent.futures.ThreadPoolExecutor(len(items))
    try:
        list(pool.map(work, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ---------------------------------------------------------------- the hub


def write_build_directory(project: Project, build: Path) -> Path:
    """Writes the output of `sam build`: a package per function, and the template, whose path it returns."""
    template = _read_template(project)
    build.mkdir(parents=True, exist_ok=True)
    packages = {build / f"{name}.zip": binary for name, binary in _function_binaries(template).items()}
    _run_in_parallel(
        lambda package: _zip_bootstrap(project.functions / packages[package], package), list(packages)
    )
    for package in packages:
        resource = template["Resources"][package.stem]
        resource["Properties"]["CodeUri"] = package.name
        for key in ("BuildMethod", "BuildProperties"):
            resource["Metadata"].pop(key, None)
    built = build / "template.yaml"
    built.write_text(yaml_dump(template))
    return built


def sam_deploy(
    endpoint: str, clients: Clients, template: Path, organization: str, unit: str, work: Path
) -> None:
    clients.client("s3").create_bucket(Bucket=_BUCKET)
    parameters = {
        "Deployment": DEPLOYMENT,
        "Meshes": ",".join(MESHES),
        "Accounts": ",".join(ACCOUNTS),
        "OrganizationalUnits": unit,
        "OrganizationId": organization,
        "Regions": ",".join(REGIONS),
        "ExternalId": EXTERNAL_ID,
        "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
    }
    command = [str(Path(sys.executable).with_name("sam")), "deploy", "--template-file", str(template)]
    command += ["--stack-name", HUB_STACK, "--s3-bucket", _BUCKET, "--region", HUB_REGION]
    command += ["--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    command += ["--no-confirm-changeset", "--no-progressbar", "--parameter-overrides"]
    command += [f"{name}={value}" for name, value in parameters.items()]
    home = work / "home"
    _write_sam_settings(home)
    variables = {
        "HOME": str(home),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": HUB,
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",  # ministack has no rate limit; the default is 5 s
    }
    try:
        result = subprocess.run(
            command,
            check=False,
            env=inherited_environment() | variables,
            cwd=template.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEPLOY_WITHIN_S,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        raise DeploymentFailed(
            f"sam deploy did not end within {_DEPLOY_WITHIN_S} s:\n{output[-3000:]}"
        ) from error
    (work / "sam-deploy.log").write_text(result.stdout)
    if result.returncode:
        raise DeploymentFailed(f"sam deploy of template.yaml failed:\n{result.stdout[-3000:]}")


def _write_sam_settings(home: Path) -> None:
    """Writes SAM's settings to the home directory; without them SAM checks PyPI for a new version."""
    settings = home / ".aws-sam" / "metadata.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"telemetryEnabled": False, "lastVersionCheck": time.time()}))


def _read_template(project: Project) -> dict[str, Any]:
    return yaml_parse((project.templates / "template.yaml").read_text())


def _function_binaries(template: dict[str, Any]) -> dict[str, str]:
    found = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            found[logical_id] = resource["Metadata"]["BuildProperties"]["Binary"]
    return found


def _zip_bootstrap(binary: Path, package: Path) -> None:
    """Compresses with the lowest level: a debug build is large and is copied several times."""
    info = zipfile.ZipInfo("bootstrap")
    info.external_attr = 0o100755 << 16
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(info, binary.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)


# ---------------------------------------------------------------- the spokes


def create_spoke(cloudformation: Any, scope: tuple[str, str], body: str) -> None:
    """Creates one stack instance, as a StackSet does in that account and Region."""
    parameters = {
        "HubAccount": HUB,
        "HubRegion": HUB_REGION,
        "Deployment": DEPLOYMENT,
        "ExternalId": EXTERNAL_ID,
        "HomeRegion": HUB_REGION,
    }
    name = f"spoke.yaml in {scope[0]} {scope[1]}"
    try:
        cloudformation.create_stack(
            StackName=SPOKE_STACK,
            TemplateBody=body,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        deadline = time.monotonic() + _DEPLOY_WITHIN_S
        while time.monotonic() < deadline:
            stack = cloudformation.describe_stacks(StackName=SPOKE_STACK)["Stacks"][0]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return
            if not stack["StackStatus"].endswith("CREATE_IN_PROGRESS"):
                raise DeploymentFailed(f"{name} failed: {_stack_failures(cloudformation)}")
            time.sleep(0.05)
    except (BotoCoreError, ClientError) as error:
        raise DeploymentFailed(f"{name} failed: {error}") from error
    raise DeploymentFailed(f"{name} was not complete within {_DEPLOY_WITHIN_S} s")


def _stack_failures(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=SPOKE_STACK)["StackEvents"]
    failed = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]
    return "; ".join(failed) or "CloudFormation reports no resource"


# ---------------------------------------------------------------- verification


def verify_functions(clients: Clients) -> None:
    """Verifies that each function handles an empty batch and has an enabled event source mapping."""
    functions = clients.client("lambda")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    names = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
    if not names:
        raise DeploymentFailed("the hub stack has no functions")
    for name in names:
        states = [m["State"] for m in mappings if m["FunctionArn"].endswith(f":function:{name}")]
        if states != ["Enabled"]:
            raise DeploymentFailed(f"{name}: its event source mapping is {states or 'missing'}, not Enabled")
    _run_in_parallel(lambda name: _ping(functions, name), names)


def _ping(functions: Any, name: str) -> None:
    response = functions.invoke(FunctionName=name, Payload=json.dumps({"Records": []}))
    output = response["Payload"].read().decode(errors="replace")
    if "FunctionError" in response:
        raise DeploymentFailed(f"{name} failed on an empty batch: {output}")


# ---------------------------------------------------------------- the schedule


def fire_schedules(clients: Clients, authorize: Callable[[Delivery], Recorded | None]) -> list[str]:
    """Sends every enabled schedule's input to its target, like EventBridge Scheduler; returns a summary.

    The schedule's role must permit that, as `authorize` decides.
    """
    scheduler, queues = clients.client("scheduler"), clients.client("sqs")
    sent = []
    for summary in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=summary["Name"], GroupName=summary.get("GroupName", "default"))
        target = schedule["Target"]
        queue = target["Arn"].rpartition(":")[2]
        if schedule["State"] != "ENABLED" or ":sqs:" not in target["Arn"]:
            continue
        if (denied := authorize(_delivery_of(schedule))) is not None:
            sent.append(f"{summary['Name']} -> {queue}: {denial_message(denied)}")
            continue
        url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody=target["Input"])
        sent.append(f"{summary['Name']} -> {queue}: {target['Input']}")
    return sent


def _delivery_of(schedule: dict[str, Any]) -> Delivery:
    """Returns what a schedule needs; the source that AWS states is the schedule's group.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    _, _, _, region, account, name = schedule["Arn"].split(":", 5)
    target = schedule["Target"]
    return Delivery(
        account,
        (Check("sqs:SendMessage", target["Arn"], region=region),),
        source=f"arn:aws:scheduler:{region}:{account}:schedule-group/{name.split('/')[1]}",
        service=SCHEDULER,
        role=target["RoleArn"],
    )
