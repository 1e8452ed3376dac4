"""The examples of docs/terraform.md: formatted, and valid if the AWS provider is available."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A resource that the examples refer to.
_REST = """
resource "aws_nat_gateway" "orders" {
  subnet_id         = "subnet-0a1b2c3d"
  connectivity_type = "private"
}
"""


@pytest.fixture
def terraform(tmp_path: Path) -> Path:
    """A directory with the examples as one configuration."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    blocks = re.findall(r"```hcl\n(.*?)```", (ROOT / "docs" / "terraform.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    (tmp_path / "main.tf").write_text("\n".join([*blocks, _REST]))
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs terraform in that directory."""
    command = ["terraform", f"-chdir={folder}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_examples_are_formatted_as_terraform_formats_them(terraform: Path) -> None:
    result = run(terraform, "fmt", "-check", "-diff")

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_examples_are_valid(terraform: Path) -> None:
    initialized = run(terraform, "init", "-input=false", "-backend=false", "-no-color")
    if initialized.returncode != 0 and "provider" in initialized.stderr:
        pytest.skip("the AWS provider is not available: " + initialized.stderr.strip().splitlines()[-1])
    assert initialized.returncode == 0, initialized.stderr

    result = run(terraform, "validate", "-no-color")

    assert result.returncode == 0, result.stdout + result.stderr
