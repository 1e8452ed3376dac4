"""Bar charts as SVG, readable on a light and on a dark page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LABELS, _ROW, _TOP = 760, 290, 28, 44
_SCALE = _WIDTH - _LABELS - 70
_STYLE = """text { font: 13px system-ui, sans-serif; fill: #424a53; }
.title { font-weight: 600; }
.bar { fill: #2f6fb7; }
.mark { stroke: #d97706; stroke-width: 2; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9; }
  .bar { fill: #6ca6e8; }
  .mark { stroke: #b45309; }
}"""


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its length, and the text at its end."""

    label: str
    value: float
    text: str


def bars(title: str, given: Sequence[Bar], mark: float | None = None) -> str:
    """Returns a chart of horizontal bars, optionally with a dashed line at one value."""
    longest = max([bar.value for bar in given] + ([mark] if mark else []))
    height = _TOP + _ROW * len(given) + 8
    parts = [_bar(bar, _TOP + _ROW * at, longest) for at, bar in enumerate(given)]
    if mark is not None:
        x = _LABELS + _SCALE * mark / longest
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 4}"/>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<text class="title" x="8" y="22">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _bar(bar: Bar, top: float, longest: float) -> str:
    length = _SCALE * bar.value / longest
    middle = top + 15
    return (
        f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect class="bar" x="{_LABELS}" y="{top}" width="{length:.1f}" height="20" rx="2"/>'
        f'<text x="{_LABELS + length + 6:.1f}" y="{middle}">{escape(bar.text)}</text>'
    )
