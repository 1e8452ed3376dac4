"""The examples of docs/terraform.md: formatted as Terraform does it, valid where its provider can be had."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the examples refer to and do not show.
_REST = """
resource "aws_nat_gateway" "orders" {
  subnet_id         = "subnet-0a1b2c3d"
  connectivity_type = "private"
}
"""


@pytest.fixture
def terraform(tmp_path: Path) -> Path:
    """A folder with the examples as one configuration."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    blocks = re.findall(r"```hcl\n(.*?)```", (ROOT / "docs" / "terraform.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    (tmp_path / "main.tf").write_text("\n".join([*blocks, _REST]))
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs terraform there."""
    command = ["terraform", f"-chdir={folder}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_examples_are_written_as_terraform_writes_them(terraform: Path) -> None:
    said = run(terraform, "fmt", "-check", "-diff")

    assert said.returncode == 0, said.stdout + said.stderr


def test_the_examples_are_valid(terraform: Path) -> None:
    made_ready = run(terraform, "init", "-input=false", "-backend=false", "-no-color")
    if made_ready.returncode != 0 and "provider" in made_ready.stderr:
        pytest.skip("the AWS provider cannot be had: " + made_ready.stderr.strip().splitlines()[-1])
    assert made_ready.returncode == 0, made_ready.stderr

    said = run(terraform, "validate", "-no-color")

    assert said.returncode == 0, said.stdout + said.stderr
