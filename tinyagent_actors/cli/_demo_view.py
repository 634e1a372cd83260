"""How the demo shows its progress: a live tree on a terminal, plain lines elsewhere, nothing for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import click

from tinyagent_actors.cli._demo_tally import Tally
from tinyagent_actors.cli._survey import FileFigures, printable

_MOST_ROWS = 24
_OTHER_ROWS = 7
"""Of the frame, besides those of readers, and one for the cursor."""
_TABLE_ROWS = 20


def count(number: int, noun: str) -> str:
    """Give a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class View(Protocol):
    """Shows a run while it goes on."""

    def begin(self, where: str, files: int) -> None:
        """Say what is about to be done."""

    def show(self, tally: Tally) -> None:
        """Show how it stands; called about ten times a second."""

    def end(self) -> None:
        """Stop showing."""


class QuietView:
    """Shows nothing: the one JSON object is the output."""

    def begin(self, where: str, files: int) -> None:
        """Say nothing."""

    def show(self, tally: Tally) -> None:
        """Forget what would be told."""
        tally.notes.clear()

    def end(self) -> None:
        """Do nothing."""


@attrs.define(eq=False)
class PlainView:
    """Lines: what happened, and now and then how far it is."""

    _files: int = 0
    _told: int = 0

    def begin(self, where: str, files: int) -> None:
        """Say what is about to be done."""
        self._files = files
        click.echo(f"surveying {count(files, 'file')} under {printable(where)}")

    def show(self, tally: Tally) -> None:
        """Tell the notes, and each further tenth of the way."""
        for note in tally.notes:
            click.echo(note)
        tally.notes.clear()
        done = min(tally.surveyed, self._files)
        if self._files and done * 10 // self._files > self._told * 10 // self._files:
            self._told = done
            click.echo(f"{done:,} of {count(self._files, 'file')}")

    def end(self) -> None:
        """Do nothing."""


@attrs.define(eq=False)
class LiveView:
    """A live tree of the team with a progress bar, drawn by the task that reads the events."""

    _live: Any = None
    _where: str = ""
    _files: int = 0

    def begin(self, where: str, files: int) -> None:
        """Begin to draw."""
        from rich.live import Live

        self._where, self._files = printable(where), files
        self._live = Live(auto_refresh=False, transient=True)
        self._live.start()
        self._live.console.show_cursor()  # a third Ctrl-C ends the process with no time to bring it back

    def show(self, tally: Tally) -> None:
        """Draw the tree as it stands."""
        self._live.console.print(*tally.notes, sep="\n", end="\n" if tally.notes else "", markup=False, highlight=False)
        tally.notes.clear()
        self._live.update(self._frame(tally), refresh=True)

    def _frame(self, tally: Tally) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        done = min(tally.surveyed, self._files)
        bar = ProgressBar(total=max(self._files, 1), completed=done, width=40)
        readers = list(tally.readers.items())
        room = max(min(_MOST_ROWS, self._live.console.height - _OTHER_ROWS), 1)
        lead = f"   {'├─' if readers else '└─'} lead         {tally.lead}"
        rows = [Text(f"system demo  {self._where}"), Text("└─ team"), Text(lead)]
        for place, (name, reader) in enumerate(readers[:room], 1):
            branch = "└─" if place == len(readers) else "├─"
            crashes = f"  crashed {reader.crashes}x" if reader.crashes else ""
            style = {"crashed": "red", "restarted": "yellow", "idle": "dim", "stopped": "dim"}.get(reader.state, "")
            rows.append(Text(f"   {branch} {name:<12} {reader.state:<14} {reader.surveyed:>5} files{crashes}", style))
        if len(readers) > room:
            rows.append(Text(f"   └─ ... and {len(readers) - room} more"))
        return Group(*rows, Text(f"{done:,} of {count(self._files, 'file')}"), bar)

    def end(self) -> None:
        """Stop drawing, and leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def print_table(files: Sequence[FileFigures]) -> None:
    """Print the largest files as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("file", "bytes", "lines", "words")
    for column in table.columns[1:]:
        column.justify = "right"
    largest = sorted(files, key=lambda figures: -figures.bytes)[:_TABLE_ROWS]
    for figures in largest:
        lines, words = (figures.skipped, "") if figures.skipped else (f"{figures.lines:,}", f"{figures.words:,}")
        table.add_row(Text(printable(figures.path), overflow="fold"), f"{figures.bytes:,}", lines, words)
    Console().print(table)
    if len(files) > len(largest):
        click.echo(f"(the {len(largest)} largest of {len(files):,})")
