"""How the demonstration talks: a calm live display on a terminal, timestamped lines everywhere else.

It knows nothing of AWS: steps, gauges, tables and remarks come in as text and numbers.
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
    """Something that is under way."""

    def detail(self, text: str) -> None:
        """Says what is happening inside it right now."""

    def gauges(self, **levels: tuple[int, int]) -> None:
        """Says how far it is: by name, how many of how many."""


class Screen(Protocol):
    """Where the demonstration is shown."""

    def title(self, text: str) -> None:
        """The first line."""

    def say(self, text: str = "") -> None:
        """A remark for the reader."""

    def step(self, text: str) -> Iterator[Step]:
        """A step of the story; when it ends well, its time is shown."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table."""


def choose() -> Screen:
    """The live screen where it can work and is wanted, else plain lines (https://no-color.org)."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return PlainScreen() if plain else LiveScreen()


class PlainScreen:
    """Timestamped lines; a gauge makes a line only when it moved."""

    def title(self, text: str) -> None:
        """The first line."""
        self.say(text)

    def say(self, text: str = "") -> None:
        """A remark for the reader."""
        for line in text.splitlines():
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """A step of the story."""
        self.say(f"{text} ...")
        start = time.monotonic()
        yield _PlainStep(self)
        self.say(f"{text}: done in {time.monotonic() - start:.1f} s")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table, in columns of spaces."""
        widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
        print(f"\n{title}")
        for row in (columns, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  " + "  ".join(cells).rstrip())
        sys.stdout.flush()


class _PlainStep:
    def __init__(self, screen: PlainScreen) -> None:
        self._screen = screen
        self._last = ""

    def detail(self, text: str) -> None:
        self._screen.say(f"  {text}")

    def gauges(self, **levels: tuple[int, int]) -> None:
        line = ", ".join(f"{name} {done}/{total}" for name, (done, total) in levels.items())
        if line != self._last:
            self._last = line
            self._screen.say(f"  {line}")


class LiveScreen:
    """One spinner with its bars at a time; a finished step leaves one quiet line behind."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def title(self, text: str) -> None:
        """The first line."""
        self._console.print(Text(text, style="bold"))

    def say(self, text: str = "") -> None:
        """A remark for the reader."""
        self._console.print(Text(text, style="dim"))

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """A step of the story."""
        start = time.monotonic()
        step = _LiveStep(text)
        mark, style = "✗", "bold red"
        try:
            with Live(step, console=self._console, transient=True, refresh_per_second=12):
                yield step
            mark, style = "✓", "green"
        finally:
            line = Text.assemble((f"{mark} ", style), text, (f"  {time.monotonic() - start:.1f} s", "dim"))
            self._console.print(line)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table."""
        table = Table(title=title, title_style="bold", title_justify="left", header_style="dim", box=None)
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(table)


class _LiveStep:
    """Redrawn some times a second by rich, which also calls `__rich__`."""

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
        passed = f"  {time.monotonic() - self._start:.1f} s"
        self._spinner.update(text=Text.assemble(self._text, (passed, "dim"), (f"  {self._detail}", "dim")))
        return Group(self._spinner, self._bars) if self._gauges else Group(self._spinner)
