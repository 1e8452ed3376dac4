"""Fixtures of the EC2 tests: a unique account for each test, so that only settings need a reset."""

import itertools
from collections.abc import Iterator

import pytest

from sandbox import ec2
from sandbox.settings import SETTINGS
from sandbox.tests.ec2.sides import Refused, Side

_ACCOUNTS = itertools.count(700_000_000_000)
_DEFAULTS = SETTINGS.as_dict()


@pytest.fixture(autouse=True)
def _reset_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Loading the images, which no test needs, takes 0.1 s for each account.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    ec2.install()
    monkeypatch.setattr(SETTINGS, "_advanced", 0.0)  # monkeypatch resets the time after the test
    yield
    SETTINGS.update(_DEFAULTS)


@pytest.fixture
def ours() -> Side:
    """A unique account, in us-east-1."""
    return Side(str(next(_ACCOUNTS)), "us-east-1")


@pytest.fixture
def theirs() -> Side:
    """Another unique account, in eu-west-1."""
    return Side(str(next(_ACCOUNTS)), "eu-west-1")


@pytest.fixture
def refused() -> type[Refused]:
    """The class `Refused`, which expects an error."""
    return Refused


@pytest.fixture
def pair(ours: Side, theirs: Side) -> tuple[str, str]:
    """A VPC of each side, without overlap."""
    return ours.vpc("10.1.0.0/16"), theirs.vpc("10.2.0.0/16")


@pytest.fixture
def peering(ours: Side, theirs: Side, pair: tuple[str, str]) -> str:
    """An active peering between the pair, requested by `ours`."""
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    theirs.accept(peering)
    return peering
