"""docs/benchmarks.md and its charts are what the results say; they are not edited manually."""

import json

from tests.bench import document
from tests.bench.machine import ROOT


def test_the_page_and_its_charts_are_generated_from_the_results() -> None:
    results = json.loads((ROOT / "tests" / "bench" / "results.json").read_text())
    for name, text in document.pages(results).items():
        assert (ROOT / name).read_text() == text, f"{name}: run `python -m tests.bench --page`"
