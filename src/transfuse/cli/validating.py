"""``transfuse cross-validate``: a method on each fold of a corpus, and the mean over folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.comparing import watching_cells
from transfuse.cli.console import (
    check_device,
    check_folder,
    count,
    epilog,
    note,
    percent,
    print_json,
    say,
    show_table,
    use_threads,
)
from transfuse.cli.console import watching as watching_one
from transfuse.cli.options import (
    AsJSON,
    Device,
    Encoder,
    Jobs,
    LabelMap,
    Output,
    Source,
    Vectors,
    check_use,
    network_settings,
)
from transfuse.text import ConfigError, DataError

if TYPE_CHECKING:
    from transfuse.experiments.cells import Failure
    from transfuse.experiments.comparison import Cell
    from transfuse.experiments.recipe import Recipe
    from transfuse.experiments.validation import CrossValidation
    from transfuse.reporting.records import Record

__all__ = ["cross_validate", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "cross-validate",
        epilog=epilog(
            "transfuse cross-validate --target notes/ --method crfsuite --out folds",
            "transfuse cross-validate --target bc5cdr --source ncbi-disease --folds 10 --jobs 2 --out folds",
            "transfuse cross-validate recipe.toml --set method.training.epochs=3 --out folds --json",
        ),
    )(cross_validate)


def cross_validate(
    output: Output,
    recipe: Annotated[
        str, typer.Argument(metavar="[RECIPE]", help="A run's recipe in a file, or a shipped one by its name.")
    ] = "",
    target: Annotated[str, typer.Option(metavar="CORPUS", help="What to learn, and to divide.")] = "",
    source: Source = [],  # noqa: B006
    method: Annotated[
        str, typer.Option(help="See transfuse methods; retrain if there is a source, else target-only.")
    ] = "",
    vectors: Vectors = "",
    encoder: Encoder = "",
    labels: LabelMap = "",
    folds: Annotated[int, typer.Option(min=2, help="Parts, each of which is held out once.")] = 5,
    draw: Annotated[int, typer.Option(min=0, help="Another draw of the parts.")] = 0,
    whole: Annotated[
        bool, typer.Option("--whole", help="Divide the published test split too; else it is left out.")
    ] = False,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="A.B=C", help="Change one setting of the recipe, as run.seed=1.")
    ] = [],  # noqa: B006
    jobs: Jobs = 1,
    device: Device = "cpu",
    bundles: Annotated[bool, typer.Option(help="Keep each fold's tagger.")] = True,
    as_json: AsJSON = False,
) -> None:
    """Train and score a method on each fold of a corpus: every document is held out once, labels are spread evenly.

    A tenth of what is not held out chooses the epoch. A published test split takes no part unless you say --whole, so
    that what cross-validation chooses can still be tested there. A killed command goes on when it is given again.
    Leaves with 1 where a fold failed.
    """
    use_threads(1)
    from transfuse.experiments.validation import fold_cells

    check_device(device)
    check_folder(output)
    given = {"target": target, "source": source, "method": method}
    given |= {"vectors": vectors, "encoder": encoder, "labels": labels}
    asked = _recipe(recipe, given, changes)
    cells = fold_cells(asked, folds, seed=draw, whole=whole)
    _warn_of_neighbours(asked.data.target)
    found, failures = _run(cells, output, jobs=jobs, device=device, keep=bundles)
    if found:
        done = _report(cells, found, output)
        if as_json:
            print_json(done.to_dict())
        else:
            _show(done, f"{asked.name} on {asked.data.target}")
        note(f"report: {output / 'report.html'}")
    if failures:
        note(f"{count(len(failures), 'fold')} failed; the same command tries again")
        raise typer.Exit(1)


def _recipe(name: str, given: dict[str, Any], changes: list[str]) -> Recipe:
    """That of a file, or of options by their names, one of both."""
    from transfuse.experiments.recipe import find_recipe, load_recipe, make_recipe, override

    if name:
        if said := [option for option, value in given.items() if value]:
            raise ConfigError(f"--{said[0]}: the recipe says it; change it there or with --set")
        return load_recipe(find_recipe(name), changes=changes)
    if not given["target"]:
        raise ConfigError("nothing to divide: name a recipe, or --target")
    source, network = given["source"], {option: given[option] for option in ("vectors", "encoder")}
    method = given["method"] or ("retrain" if source else "target-only")
    check_use(method, source=source, **network)
    data = {"target": given["target"], "sources": source, "labels": given["labels"]}
    return make_recipe(override({"data": data, "method": {"name": method, **network_settings(**network)}}, changes))


def _warn_of_neighbours(target: str) -> None:
    from transfuse import corpora

    if target in corpora.names() and (units := corpora.info(target).units) == "sentences":
        note(f"documents of {target} are {units}: those held out have neighbours in training, and scores flatter")


def _run(
    cells: list[Cell], folder: Path, *, jobs: int, device: str, keep: bool
) -> tuple[dict[str, Record], list[Failure]]:
    """Run the folds that are not finished; the records of those that are, and what failed."""
    from transfuse.data.task import build_task
    from transfuse.experiments.cells import run_cells
    from transfuse.experiments.kept import check_data, find_records, pending_cells

    records = folder / "records"
    done = find_records(cells, records)
    if jobs:
        check_data(cells, done, folder)
    pending = pending_cells(cells, done)
    failures: list[Failure] = []
    if jobs and pending:
        first = pending[0].recipe
        with watching_one(f"reading {first.data.target}"):  # a mistake in a name or a file is told before anything runs
            build_task(first.data, seed=first.seed)
        with watching_cells(len(cells), len(pending)) as watch:
            failures = run_cells(pending, folder, records=records, jobs=jobs, device=device, keep=keep, watch=watch)
    found = find_records(cells, records)
    if not found and not failures:
        raise DataError("no fold is finished: there is nothing to report", path=str(records))
    return found, failures


def _report(cells: list[Cell], records: dict[str, Record], folder: Path) -> CrossValidation:
    """What the finished folds say together; written as a report, too."""
    from transfuse.experiments.kept import cell_entries
    from transfuse.experiments.validation import cross_validation
    from transfuse.reporting.report import write_report
    from transfuse.reporting.summary import summarise

    done = cross_validation(cells, records)
    name, missing = cells[0].variant.name, done.folds - len(done.records)
    summary = summarise(cell_entries(cells, records, folder), baseline=name, missing=missing)
    write_report(folder, summary, title=f"{name} on {cells[0].task.target}: {done.folds} folds")
    return done


def _show(done: CrossValidation, title: str) -> None:
    rows = []
    for number, record in done.records.items():
        held = record.data["target"]["documents"]["test"]
        counts, relaxed = record.micro(), record.micro(kind="relaxed")
        sizes = (f"{record.data['labelled']:,}", f"{held:,}", f"{counts.gold:,}")
        rates = (percent(rate) for rate in (counts.precision, counts.recall, counts.f1, relaxed.f1))
        rows.append((str(number), *sizes, *rates, f"{record.cpu_seconds:.1f}"))
    strict, relaxed_mean, pooled = done.mean(), done.mean("relaxed"), done.pooled
    means = (percent(strict[name]) for name in ("precision", "recall", "f1"))
    rows.append(("mean", "", "", "", *means, percent(relaxed_mean["f1"]), ""))
    heads = ("learned from", "held out", "mentions", "precision", "recall", "strict F1", "relaxed F1", "CPU s")
    show_table(f"{title}, in per cent", [("fold", "left"), *((head, "right") for head in heads)], rows)
    types = done.types()
    if len(types) > 1:
        each = [
            (label, percent(mean["f1"]), percent(mean["sd"]) if "sd" in mean else "-") for label, mean in types.items()
        ]
        show_table("By type, over folds", [("type", "left"), ("strict F1", "right"), ("deviation", "right")], each)
    spread = f" ± {percent(strict['sd'])} (standard deviation over folds)" if "sd" in strict else ""
    say(f"Strict F1: {percent(strict['f1'])}{spread}; over all {pooled.gold:,} mentions at once {percent(pooled.f1)}.")
    if len(done.records) < done.folds:
        say(f"{len(done.records)} of {done.folds} folds are finished: this is what there is.")
