"""``transfuse report``: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transfuse.cli.console import epilog, note, print_json, say, show_table

if TYPE_CHECKING:
    from transfuse.results import Table

__all__ = ["register", "report", "show_tables"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=epilog("transfuse report runs", "transfuse report runs/a runs/b --out comparison"))(report)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Run folders, or folders of them.")],
    output: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the report goes; the first folder.")
    ] = None,
    title: Annotated[str, typer.Option(help="Of the report.")] = "Finished runs",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare finished runs: means over seeds, intervals, tests against target-only, and a page to read.

    Runs are in one table when they share target and share, and in one row when they differ in nothing but the seed.
    """
    from transfuse.report import write_report
    from transfuse.results import find_runs

    runs = [run for folder in folders for run in find_runs(folder)]
    place = output or folders[0]
    tables = write_report(place, runs, title=title)
    if as_json:
        print_json([table.to_dict() for table in tables])
    else:
        show_tables(tables)
    note(f"report: {place / 'report.html'}")


def show_tables(tables: list[Table]) -> None:
    """Print tables of runs."""
    from transfuse.report import HEADS, table_rows

    for table in tables:
        labelled = table.rows[0].runs[0].data["labelled"]
        title = f"{table.corpus.name}: {labelled} labelled documents, {len(table.corpus.test)} for testing"
        columns = [(head, "left" if i == 0 else "right") for i, head in enumerate(HEADS)]
        show_table(title, columns, table_rows(table))
    say("Scores in per cent; difference to target-only, p by approximate randomisation.")
