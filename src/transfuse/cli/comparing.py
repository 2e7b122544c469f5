"""``transfuse compare``: methods over tasks, shares and seeds, with a report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import check_device, check_folder, count, epilog, note, print_json, use_threads, watching
from transfuse.cli.options import AsJSON, Device, Encoder, Jobs, LabelMap, Output, Source, Vectors, network_settings
from transfuse.cli.reporting import show_summary
from transfuse.files import write_beside
from transfuse.text import ConfigError, DataError

if TYPE_CHECKING:
    from transfuse.experiments.cells import Event, Failure
    from transfuse.experiments.comparison import Cell, Comparison
    from transfuse.reporting.tables import Summary

__all__ = ["compare", "name_of", "perform", "register", "watching_cells"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            "transfuse compare --target ncbi-disease --source bc5cdr-disease --methods retrain,joint --out comparison",
            "transfuse compare --target notes/ --source ncbi-disease --shares 0.05,0.1,1 --seeds 5 --out comparison",
            "transfuse compare --target notes/ --source ncbi-disease --source biored --each-source --out comparison",
            "transfuse compare --target notes/ --source biored --labels map.toml --encoder minilm-l6 --out comparison",
            "transfuse compare comparison.toml --out comparison --jobs 2 --set compare.seeds=[0,1,2]",
        )
    )(compare)


def compare(
    output: Output,
    recipe: Annotated[
        str, typer.Argument(metavar="[RECIPE]", help="A comparison in a file, or a shipped one by its name.")
    ] = "",
    target: Annotated[list[str], typer.Option(metavar="CORPUS", help="What to learn; again for a task more.")] = [],  # noqa: B006
    source: Source = [],  # noqa: B006
    methods: Annotated[str, typer.Option(metavar="A,B", help="Methods beside target-only and crfsuite; retrain.")] = "",
    shares: Annotated[
        str, typer.Option(metavar="A,B", help="Shares of the target's training documents that keep their labels; 1.")
    ] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="How many, from 0; 3.")] = None,
    vectors: Vectors = "",
    encoder: Encoder = "",
    labels: LabelMap = "",
    changes: Annotated[
        list[str],
        typer.Option("--set", metavar="A.B=C", help="One setting: method.training.epochs=3 for all that have it."),
    ] = [],  # noqa: B006
    each_source: Annotated[
        bool, typer.Option("--each-source", help="Every method with each source alone, too: which of them helps?")
    ] = False,
    jobs: Jobs = 1,
    device: Device = "cpu",
    bundles: Annotated[
        bool, typer.Option(help="Keep each run's tagger; without them a run takes little space.")
    ] = True,
    as_json: AsJSON = False,
) -> None:
    """Compare methods: every run in a folder of its own, and a report with tests, verdicts and figures.

    target-only and crfsuite are always compared. A killed comparison goes on with the same command; what is finished
    is never run again, so that seeds, shares and methods can be added later. Leaves with 1 where a run failed.
    """
    use_threads(1)
    check_device(device)
    asked = {"target": target, "source": source, "methods": methods, "shares": shares, "seeds": seeds}
    asked |= {"vectors": vectors, "encoder": encoder, "labels": labels, "each-source": each_source}
    comparison = _comparison(recipe, asked, changes)
    summary, failures = perform(comparison, output, jobs=jobs, device=device, keep=bundles)
    if summary and as_json:
        from transfuse.reporting.report import report_json

        print_json(report_json(summary))
    elif summary:
        show_summary(summary)
    if summary:
        note(f"report: {output / 'report.html'}")
    if failures:
        note(f"{count(len(failures), 'cell')} failed; the same command tries again")
        raise typer.Exit(1)


def _comparison(recipe: str, asked: dict[str, Any], changes: list[str]) -> Comparison:
    """That of a recipe, or of options by their names, one of both."""
    from transfuse.experiments.comparison import load_comparison, make_comparison
    from transfuse.experiments.recipe import find_recipe, override

    if recipe:
        if given := [name for name, value in asked.items() if value]:
            raise ConfigError(f"--{given[0]}: the recipe says it; change it there or with --set")
        return load_comparison(find_recipe(recipe), changes=changes)
    if not asked["target"]:
        raise ConfigError("nothing to compare: name a recipe, or --target and --source")
    plan = {
        "tasks": [{"target": name, "sources": asked["source"]} for name in asked["target"]],
        "methods": _listed(asked["methods"]) or (["retrain"] if asked["source"] else []),
        "shares": [_share(share) for share in _listed(asked["shares"])] or [1.0],
        "seeds": list(range(asked["seeds"] or 3)),
        "each_source": asked["each-source"],
    }
    table = {"compare": plan, "data": {"labels": asked["labels"]}}
    table["method"] = network_settings(asked["vectors"], asked["encoder"])
    return make_comparison(override(table, changes))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--shares: {text} is no number; write them as 0.05,0.1,1") from None


def perform(
    comparison: Comparison,
    folder: Path,
    *,
    records: Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    keep: bool = True,
    title: str = "",
) -> tuple[Summary | None, list[Failure]]:
    """Run what is not finished of a comparison, under a progress bar, and write the report of what is.

    Args:
        comparison: what to compare.
        folder: for runs and report.
        records: folder for records; ``records`` in the former unless given.
        jobs: processes at a time; with 0 nothing is run.
        device: torch device.
        keep: leave each run's tagger in its folder.
        title: of the report; what is compared unless given.

    Returns:
        What there is now, None where every cell failed; and what failed.

    Raises:
        ConfigError: a corpus has no such name, or has changed since cells were run on it.
        DataError: a corpus cannot be read; or nothing is finished and nothing was to be run.
        LabelError: a source and its target have no label in common.
    """
    import tomli_w

    from transfuse.experiments.cells import run_cells
    from transfuse.experiments.choices import with_choices
    from transfuse.experiments.kept import cell_entries, check_data, find_records, pending_cells
    from transfuse.reporting.report import write_report
    from transfuse.reporting.summary import summarise

    check_folder(folder)
    records = records or folder / "records"
    cells = list(comparison.cells())
    found = find_records(cells, records)
    if jobs:  # tables alone need records alone
        check_data(cells, found, folder)
    pending = pending_cells(cells, found)
    failures: list[Failure] = []
    if jobs and pending:
        _read_once(pending)
        with watching_cells(len({c.recipe.hash for c in cells}), len(pending)) as watch:
            failures = run_cells(pending, folder, records=records, jobs=jobs, device=device, keep=keep, watch=watch)
    found = find_records(cells, records)
    if failures and not found:
        return None, failures
    if not found:
        raise DataError("no cell of the comparison is finished: there is nothing to report", path=str(records))
    entries = with_choices(cell_entries(cells, found, folder), comparison.choices)
    missing = len(pending_cells(cells, found))
    summary = summarise(entries, baseline=comparison.baseline, published=comparison.published_f1, missing=missing)
    write_report(folder, summary, title=title or comparison.title)
    with write_beside(folder / "comparison.toml") as path:
        path.write_text(tomli_w.dumps(comparison.table), encoding="utf-8")
    return summary, failures


def _read_once(cells: Iterable[Cell]) -> None:
    """Put each task together once, so that a mistake in a name or a file is told before anything runs."""
    from transfuse.data.task import build_task

    tasks = {(cell.task.target, *cell.recipe.data.sources): cell.recipe for cell in cells}
    for recipe in tasks.values():
        with watching(f"reading {recipe.data.target}"):
            build_task(recipe.data, seed=recipe.seed)


@contextmanager
def watching_cells(total: int, pending: int) -> Iterator[Callable[[Event], None]]:
    """One bar over all cells, which says what runs now; what is done or failed stays as a line."""
    done = total - pending
    if done:
        note(f"{count(done, 'cell')} of {total} finished before")
    running: dict[str, tuple[str, float]] = {}
    terminal = sys.stderr.isatty()
    with watching("starting") if terminal else nullcontext(lambda text, share: None) as show:

        def watch(event: Event) -> None:
            nonlocal done
            name = name_of(event.cell)
            if event.kind in {"starts", "goes on"}:
                running[name] = event.text, event.share
            elif event.kind == "warns":
                note(f"warning: {name}: {event.text}")
            else:
                running.pop(name)
                done += 1
                note(f"[{done}/{total}] {name}: {event.text}")
            now = "; ".join(f"{cell}: {text}" if text else cell for cell, (text, _) in running.items())
            show(f"{done}/{total} {now[:60]}", (done + sum(share for _, share in running.values())) / total)

        yield watch


def name_of(cell: Cell) -> str:
    """A cell in a few words."""
    return f"{cell.variant.name} on {cell.task.name}, {100 * cell.share:g} %, seed {cell.seed}"
