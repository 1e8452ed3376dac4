"""Text in Markdown, and numbers as text."""

import math
import re
import statistics
import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 150


def met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"


def ranged(values: Sequence[float], digits: int) -> str:
    median, least, most = (
        f"{it:,.{digits}f}" for it in (statistics.median(values), min(values), max(values))
    )
    return median if least == most else f"{median} ({least} to {most})"


def percentiles(values: Iterable[float]) -> str:
    ordered = sorted(values)
    return " / ".join(f"{ordered[math.ceil(share * len(ordered)) - 1]:.2f}" for share in (0.5, 0.95))


def wrapped(text: str) -> str:
    """Wraps the paragraphs; headings, tables and images stay as they are."""
    blocks = re.split(r"\n\n+", text.strip())
    return "\n\n".join(block if block[0] in "#|!" else _filled(block) for block in blocks) + "\n"


def _filled(block: str) -> str:
    return textwrap.fill(" ".join(block.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
