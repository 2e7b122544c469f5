"""What verbs print with: tables and lines on standard output, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transfuse.text import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from transfuse.losses import Losses

__all__ = [
    "Column",
    "check_device",
    "check_folder",
    "count",
    "duration",
    "epilog",
    "note",
    "note_losses",
    "out",
    "percent",
    "print_json",
    "say",
    "show_table",
    "use_threads",
    "watching",
]

WIDTH = 100

Column = tuple[str, str]
"""Head and side: ``left`` or ``right``."""


def epilog(*examples: str) -> str:
    """Examples under the help of a verb."""
    escaped = (example.replace("[", r"\[") for example in examples)
    return "\n\n".join(("[bold]Examples[/bold]", *(f"  [cyan]{example}[/cyan]" for example in escaped)))


def out() -> Console:
    """Where results go; as wide as the terminal, or 100 columns where there is none."""
    return _console(sys.stdout)


def _console(stream: Any) -> Console:
    from rich.console import Console

    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def note(text: str) -> None:
    """A line on standard error, as it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def note_losses(losses: Losses, of: str = "") -> None:
    """What did not come through unchanged, a reason a line; ``of`` names the input where there are several."""
    for reason, number in losses.counts.items():
        note(f"{of}: {number:,} {reason}" if of else f"{number:>8,}  {reason}")


def say(text: str) -> None:
    """A line on standard output, as it is."""
    sys.stdout.write(f"{text}\n")


def print_json(data: Any) -> None:
    """JSON on standard output."""
    say(json.dumps(data, ensure_ascii=False, indent=2))


def show_table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], *, fold: Sequence[str] = ()
) -> None:
    """A table on standard output; cells are taken as they are.

    Args:
        title: stands above; may be empty.
        columns: heads and sides.
        rows: cells.
        fold: heads of the columns that give way where the width does not do; all unless named.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title, "bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(head for head, _ in columns),
    )
    for head, side in columns:
        right = side == "right"
        table.add_column(
            head, justify="right" if right else "left", no_wrap=bool(fold) and head not in fold, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)


def percent(value: float) -> str:
    """A fraction in per cent, with two digits."""
    return f"{100 * value:.2f}"


def count(number: int, noun: str) -> str:
    """``1 document``, ``2,000 documents``; nouns in -y get -ies."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """``12.3 s`` or ``4 min 05 s``."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def use_threads(number: int) -> None:
    """Let torch and the libraries below it use so many threads; to be called before torch is imported.

    One is the default: on a busy machine more measured several times slower.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(number)
    import torch

    torch.set_num_threads(number)


def check_folder(folder: Path) -> None:
    """Refuse a place for a folder where a file stands, there or on the way to it.

    Raises:
        ConfigError: it is one.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"--out {folder}: {'this' if there == folder else there} is no folder")


def check_device(device: str) -> None:
    """Refuse a device on which torch cannot compute, in one line.

    Raises:
        ConfigError: it is none, or not here.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--device {device}: {reason}") from None


@contextmanager
def watching(what: str) -> Iterator[Callable[[str, float | None], None]]:
    """A progress bar on standard error, told a line of text and the share done; without a terminal, plain lines.

    Nobody knows the share of what streams: there it is None.

    Args:
        what: stands there until it is first told something.
    """
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def watch(text: str, done: float | None) -> None:
            total = None if done is None else 1.0
            bar.update(task, description=text.replace("[", r"\["), total=total, completed=done or 0.0)

        yield watch


class _Lines:
    """Says each new text once, at most every other second."""

    def __init__(self) -> None:
        self._last, self._said = "", 0.0

    def __call__(self, text: str, done: float | None) -> None:
        now = time.monotonic()
        if text != self._last and now - self._said >= 2:
            self._last, self._said = text, now
            note(text)
