"""The output of the demonstration: a live display on a terminal, timestamped lines everywhere else.

This module does not depend on AWS: it receives steps, gauges, tables and notes as text and numbers.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Step(Protocol):
    """A step in progress."""

    def detail(self, text: str) -> None:
        """Shows what the step is doing now."""

    def gauges(self, **levels: tuple[int, int]) -> None:
        """Shows the progress: for each name, how many of how many."""


class Display(Protocol):
    """The output of the demonstration."""

    def title(self, text: str) -> None:
        """Prints the first line."""

    def note(self, text: str = "") -> None:
        """Prints a note for the reader."""

    def step(self, text: str) -> Iterator[Step]:
        """Runs a step and prints its duration when it succeeds."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table."""


def choose_display() -> Display:
    """Returns the live display on a terminal that permits it, else plain lines (https://no-color.org)."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return PlainDisplay() if plain else LiveDisplay()


class PlainDisplay:
    """Timestamped lines; a gauge prints a line only when its value changes."""

    def title(self, text: str) -> None:
        """Prints the first line."""
        self.note(text)

    def note(self, text: str = "") -> None:
        """Prints a note for the reader."""
        for line in text.splitlines():
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Runs a step and prints its duration."""
        self.note(f"{text} ...")
        start = time.monotonic()
        yield _PlainStep(self)
        self.note(f"{text}: done in {time.monotonic() - start:.1f} s")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table with columns aligned by spaces."""
        widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
        print(f"\n{title}")
        for row in (columns, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  " + "  ".join(cells).rstrip())
        sys.stdout.flush()


class _PlainStep:
    def __init__(self, display: PlainDisplay) -> None:
        self._display = display
        self._last = ""

    def detail(self, text: str) -> None:
        self._display.note(f"  {text}")

    def gauges(self, **levels: tuple[int, int]) -> None:
        line = ", ".join(f"{name} {done}/{total}" for name, (done, total) in levels.items())
        if line != self._last:
            self._last = line
            self._display.note(f"  {line}")


class LiveDisplay:
    """One spinner with its progress bars at a time; a finished step leaves one line."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def title(self, text: str) -> None:
        """Prints the first line."""
        self._console.print(Text(text, style="bold"))

    def note(self, text: str = "") -> None:
        """Prints a note for the reader."""
        self._console.print(Text(text, style="dim"))

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Runs a step and prints its duration."""
        start = time.monotonic()
        step = _LiveStep(text)
        symbol, style = "✗", "bold red"
        try:
            with Live(step, console=self._console, transient=True, refresh_per_second=12):
                yield step
            symbol, style = "✓", "green"
        finally:
            line = Text.assemble((f"{symbol} ", style), text, (f"  {time.monotonic() - start:.1f} s", "dim"))
            self._console.print(line)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table."""
        table = Table(title=title, title_style="bold", title_justify="left", header_style="dim", box=None)
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(table)


class _LiveStep:
    """A step that rich redraws several times a second through `__rich__`."""

    def __init__(self, text: str) -> None:
        self._text, self._detail, self._start = text, "", time.monotonic()
        self._spinner = Spinner("dots", style="cyan")
        self._bars = Progress(
            TextColumn("    {task.description:<9}"),
            BarColumn(bar_width=40, complete_style="cyan", finished_style="green"),
            MofNCompleteColumn(),
        )
        self._gauges: dict[str, int] = {}

    def detail(self, text: str) -> None:
        self._detail = text

    def gauges(self, **levels: tuple[int, int]) -> None:
        for name, (done, total) in levels.items():
            if name not in self._gauges:
                self._gauges[name] = self._bars.add_task(name, total=total)
            self._bars.update(self._gauges[name], completed=done, total=total)

    def __rich__(self) -> Group:
        elapsed = f"  {time.monotonic() - self._start:.1f} s"
        self._spinner.update(text=Text.assemble(self._text, (elapsed, "dim"), (f"  {self._detail}", "dim")))
        return Group(self._spinner, self._bars) if self._gauges else Group(self._spinner)
