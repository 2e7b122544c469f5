"""``transfuse report``: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transfuse.cli.console import count, epilog, note, print_json, say, show_table
from transfuse.cli.options import AsJSON

if TYPE_CHECKING:
    from transfuse.reporting.grids import Grid
    from transfuse.reporting.tables import Summary

__all__ = ["register", "report", "show_summary"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=epilog("transfuse report runs", "transfuse report runs/a runs/b --out comparison"))(report)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUNS", help="Run folders, or folders of them.")],
    output: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the report goes; the first folder.")
    ] = None,
    title: Annotated[str, typer.Option(help="Of the report.")] = "Finished runs",
    as_json: AsJSON = False,
) -> None:
    """Compare finished runs: means over seeds, intervals, tests against target-only, and a page to read.

    Runs are in one table when they share target and share, and in one row when they differ in nothing but the seed.
    """
    from transfuse.reporting.report import report_json, write_report
    from transfuse.reporting.results import find_runs
    from transfuse.reporting.summary import entries_of, summarise

    summary = summarise(entries_of([run for folder in folders for run in find_runs(folder)]))
    place = output or folders[0]
    write_report(place, summary, title=title)
    if as_json:
        print_json(report_json(summary))
    else:
        show_summary(summary)
    note(f"report: {place / 'report.html'}")


def show_summary(summary: Summary) -> None:
    """Print tables of runs, means over tasks, and what they say."""
    from transfuse.reporting.grids import FEW, FEW_OF_MEANS, average_grid, main_grid, verdicts

    for table in summary.tables:
        title = f"{table.task}: {table.facts['labelled']} labelled documents, {table.documents} for testing"
        alike = len({tuple(row.seeds) for row in table.rows}) == 1
        title += f"; {count(len(table.rows[0].seeds), 'seed')}" if alike else ""
        _show(title, main_grid(table, [head for head in FEW if head != "seeds" or not alike]))
    for share in dict.fromkeys(average.share for average in summary.averages):
        averages = [average for average in summary.averages if average.share == share]
        _show(f"Means over tasks at {100 * share:g} %", average_grid(averages, FEW_OF_MEANS))
    for sentence in verdicts(summary):
        say(sentence)
    say(f"Scores in per cent; gain over {summary.baseline}, p by approximate randomisation.")


def _show(title: str, grid: Grid) -> None:
    heads, rows = grid
    columns = [(head, "left" if head in {"method", "verdict"} else "right") for head in heads]
    show_table(title, columns, rows, fold=[head for head in heads if head == "method" or len(head) > 12])
