"""``transfuse reproduce``: shipped comparisons, run where they are not done, beside what a paper prints."""

from __future__ import annotations

import shutil
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.comparing import name_of, watching_cells
from transfuse.cli.console import (
    check_device,
    count,
    epilog,
    note,
    percent,
    print_json,
    say,
    show_table,
    use_threads,
)
from transfuse.cli.options import AsJSON, Device, Jobs
from transfuse.text import ConfigError

if TYPE_CHECKING:
    from transfuse.experiments.again import Repeat
    from transfuse.experiments.cells import Failure
    from transfuse.experiments.comparison import Cell
    from transfuse.experiments.reproduce import Reproduction

__all__ = ["register", "reproduce"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            "transfuse reproduce",
            "transfuse reproduce la-dtl/grid --jobs 2",
            "transfuse reproduce la-dtl/grid --only seed=0 --only method=retrain,la-dtl",
            "transfuse reproduce la-dtl --jobs 0",
            "transfuse reproduce la-dtl/grid --only seed=0 --only method=retrain --again",
        )
    )(reproduce)


def reproduce(
    name: Annotated[
        str, typer.Argument(metavar="[PAPER[/ROW]]", help="What to reproduce; lists all if left out.")
    ] = "",
    output: Annotated[Path, typer.Option("--out", metavar="DIR", help="Runs go here.")] = Path("runs/reproduce"),
    records: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Results are kept here; ./results if there is one, else in the former."),
    ] = None,
    only: Annotated[
        list[str], typer.Option(metavar="KEY=A,B", help="Run these only: task, method, share or seed; again for more.")
    ] = [],  # noqa: B006
    jobs: Jobs = 1,
    device: Device = "cpu",
    keep: Annotated[bool, typer.Option("--keep", help="Keep run folders with their taggers.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a report with figures of what is done into DIR/PAPER/ROW.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Train what is done once more; only hold it against its records.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Run what is not done yet of a shipped comparison, and print ours beside the published numbers.

    A finished cell leaves a record of a few kB and is never run again, so that a killed grid goes on. With --again,
    runs that are done are trained once more and held against their records, which stay as they are. Leaves with 1
    where a run failed, or did not give its record again.
    """
    from transfuse.experiments.reproduce import find_reproductions, read_reproduction

    use_threads(1)
    check_device(device)
    _check_together(name, bool(only), jobs, again=again, keeps=keep or report is not None)
    results = records or (Path("results") if Path("results").is_dir() else output / "results")
    found = [read_reproduction(each, results) for each in find_reproductions(name)]
    if not name:
        _list(found, as_json)
        return
    chosen = _choose(found, only, jobs, again=again)
    if again:
        _repeat(chosen, output, jobs=jobs, device=device, as_json=as_json)
        return
    failures: list[Failure] = []
    figures: list[dict[str, Any]] = []
    for each, cells in chosen:
        if each.stale:
            note(f"{each.name}: {count(len(each.stale), 'stale record')} of other recipes left out: {each.folder}")
        if jobs and each.pending(cells):
            folder = output / each.name
            failures += _run(each, cells, folder, records=each.folder, jobs=jobs, device=device, keep=keep)
        now = read_reproduction(each.name, results)
        figures.append(now.write_figures())
        if report and now.records:
            _report(now, report / each.name, output / each.name)
        elif report:
            note(f"{each.name}: no run is done, so there is no report")
    if as_json:
        print_json(figures)
    else:
        for table in figures:
            _show(table)
    _leave(failures)


def _check_together(name: str, only: bool, jobs: int, *, again: bool, keeps: bool) -> None:
    if only and not jobs:
        raise ConfigError("--only chooses what is run, and --jobs 0 runs nothing: leave one of them out")
    if again and not name:
        raise ConfigError("--again: name what to train once more, as la-dtl/grid")
    if again and (keeps or not jobs):
        raise ConfigError("--again runs what is done and keeps nothing of it: leave out --keep, --report and --jobs 0")


def _list(found: list[Reproduction], as_json: bool) -> None:
    rows = [
        {
            "name": each.name,
            "done": len(each.records),
            "total": each.total,
            "stale": len(each.stale),
            "place": each.comparison.published.place if each.comparison.published else "",
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    columns = [("", "left"), ("done", "right"), ("of", "right"), ("published", "left")]
    cells = [(str(row["name"]), f"{row['done']:,}", f"{row['total']:,}", str(row["place"])) for row in rows]
    show_table("What can be reproduced, in runs", columns, cells, fold=["published"])
    for row in rows:
        if row["stale"]:
            say(f"{row['name']}: {row['stale']} stale records, of other recipes than the shipped one")


def _choose(
    found: list[Reproduction], only: list[str], jobs: int, *, again: bool
) -> list[tuple[Reproduction, list[Cell]]]:
    """The cells of each row, once what those that are to be run read is seen to be there."""
    from transfuse.experiments.kept import check_present
    from transfuse.experiments.reproduce import choose_cells

    chosen = [(each, choose_cells(each.comparison, only)) for each in found]
    if again and not any(each.finished(cells) for each, cells in chosen):
        raise ConfigError("--again: none of these runs is done, so there is no record to hold one against")
    if jobs:
        for each, cells in chosen:
            check_present(each.finished(cells) if again else each.pending(cells), each.recipe)
    return chosen


def _run(
    each: Reproduction, cells: list[Cell], folder: Path, *, records: Path, jobs: int, device: str, keep: bool
) -> list[Failure]:
    """Run those of some cells that have no record; at the end, remove the run of each that has one.

    Not before: a fusion takes its members from their runs.
    """
    from transfuse.experiments.cells import run_cells
    from transfuse.experiments.kept import check_data, find_records, pending_cells

    pending = pending_cells(cells, find_records(cells, records))
    check_data(cells, each.records, folder)
    with watching_cells(len({cell.recipe.hash for cell in cells}), len(pending)) as watch:
        failures = run_cells(pending, folder, records=records, jobs=jobs, device=device, keep=keep, watch=watch)
    if not keep:
        for name in find_records(cells, records):
            shutil.rmtree(folder / "cells" / name, ignore_errors=True)
    return failures


def _leave(failures: list[Failure], *, differs: bool = False) -> None:
    """Tell what failed, and leave with 1 where something did or is not what its record says."""
    for failure in failures:
        note(f"failed: {name_of(failure.cell)}: {failure.reason}")
    if failures or differs:
        raise typer.Exit(1)


def _repeat(
    chosen: list[tuple[Reproduction, list[Cell]]], output: Path, *, jobs: int, device: str, as_json: bool
) -> None:
    """Run what is done in folders of their own, which go when all is told; one that was killed goes on there."""
    from transfuse.experiments.again import Repeat
    from transfuse.experiments.kept import find_records

    failures: list[Failure] = []
    repeats: list[Repeat] = []
    for each, cells in chosen:
        done, folder = each.finished(cells), output / each.name / "again"
        failed = _run(each, done, folder, records=folder / "records", jobs=jobs, device=device, keep=False)
        now = find_records(done, folder / "records")
        repeats += [Repeat(c, each.records[c.recipe.hash], now[c.recipe.hash]) for c in done if c.recipe.hash in now]
        failures += failed
        shutil.rmtree(folder / "records" if failed else folder, ignore_errors=True)
    if as_json:
        print_json([each.facts() for each in repeats])
    elif repeats:
        _show_repeats(repeats)
    _leave(failures, differs=any(each.differing for each in repeats))


def _show_repeats(repeats: list[Repeat]) -> None:
    columns = [("run", "left"), ("record", "right"), ("again", "right"), ("differs in", "left")]
    cells = [
        (
            name_of(each.cell),
            percent(each.kept.micro().f1),
            percent(each.now.micro().f1),
            ", ".join(each.differing) or "nothing",
        )
        for each in repeats
    ]
    show_table("Strict F1 on test, kept and trained again", columns, cells, fold=["run", "differs in"])
    equal = sum(not each.differing for each in repeats)
    say(f"{equal:,} of {count(len(repeats), 'run')} gave every count of the record again.")
    for kept, now in sorted({(each.kept.machine, each.now.machine) for each in repeats if each.differing}):
        say(f"record: {kept}; again: {now}")


def _report(each: Reproduction, folder: Path, runs: Path) -> None:
    from transfuse.reporting.report import write_report

    title = f"{each.name}: {each.comparison.title}"
    write_report(folder, each.summary(runs), title=title)
    note(f"wrote {folder / 'report.html'}")


def _show(figures: dict[str, Any]) -> None:
    from transfuse.experiments.printed import means_grid, means_title, rows_grid
    from transfuse.reporting.grids import machines_told

    say(f"{figures['name']}: {figures['done']:,} of {figures['total']:,} runs done")
    for table in figures["tables"]:
        share = f"{100 * table['share']:g} % of the target"
        title = f"{table['task']}, {share}: {table['labelled']:,} labelled documents"
        seeds = [len(row["seeds"]) for row in table["rows"]]
        alike = len(set(seeds)) == 1
        _table(
            f"{title}; {count(seeds[0], 'seed')}" if alike else title,
            rows_grid(table["rows"]),
            without={"seeds"} if alike else set(),
        )
    if figures["means"]:
        _table(means_title(figures["means"]), means_grid(figures["means"]))
    if figures["place"]:
        say(f"published: {figures['place']}")
    if figures["note"]:
        say(f"what differs: {figures['note']}")
    for rule in figures["selection"]:
        say(f"chosen by: {rule}")
    if figures["machines"]:
        say(f"ran on: {machines_told(figures['machines'])}")
    say(f"Scores in per cent; p by approximate randomisation, corrected for {count(figures['tests'], 'test')}.")


def _table(title: str, grid: tuple[list[str], list[list[str]]], without: Set[str] = frozenset()) -> None:
    heads, rows = grid
    most = {"own CPU s", "difference", "published gain", *without}
    most |= {"source passes"} if "sources" in heads else set()
    most |= set() if "published reduction" in heads else {"error reduction"}
    kept = [i for i, head in enumerate(heads) if head not in most]  # 100 characters do not hold all
    heads, *rows = ([row[i] for i in kept] for row in (heads, *rows))
    columns = [(head, "left" if head in {"method", "sources", "verdict"} else "right") for head in heads]
    gives_way = [head for head in heads if (" " in head and head != "strict F1") or head == "sources"]
    show_table(title, columns, rows, fold=gives_way)
