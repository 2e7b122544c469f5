"""``transfuse demo``: the main job on the built-in corpora, in two languages, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from transfuse.cli.console import epilog, note, print_json, use_threads
from transfuse.cli.options import AsJSON
from transfuse.cli.reporting import show_summary
from transfuse.text import ConfigError

__all__ = ["demo", "register"]

TARGET, SOURCE = "demo-neurology", "demo-cardiology"

SETTINGS: dict[str, Any] = {"vectors": {"kind": "none"}, "training": {"epochs": 4}}
"""Of the two networks, the same for both on the target, and enough of training for either."""

METHODS: dict[str, dict[str, Any]] = {
    "target-only": SETTINGS,
    "crfsuite": {},
    "retrain": {**SETTINGS, "source_training": {"epochs": 3}},
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=epilog("transfuse demo", "transfuse demo --language zh --share 0.05 --out demo-zh"))(demo)


def demo(
    output: Annotated[Path, typer.Option("--out", metavar="DIR", help="Runs and report go here.")] = Path("demo"),
    share: Annotated[
        float, typer.Option(help="Share of the target's training documents that keep their labels.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Decides every draw.")] = 0,
    language: Annotated[Literal["en", "zh", "both"], typer.Option(help="Of the notes.")] = "both",
    as_json: AsJSON = False,
) -> None:
    """See transfer at work: generated notes of two departments, three methods, a table and a report.

    A few neurology notes are labelled. target-only and crfsuite learn from these alone; retrain learns from the
    cardiology notes first. Takes about a minute and a half on one core; a second call reads the finished runs.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"--share lies above 0 and is at most 1, not {share}")
    use_threads(1)
    from transfuse.cli.training import perform
    from transfuse.experiments.recipe import make_recipe
    from transfuse.reporting.report import report_json, write_report
    from transfuse.reporting.results import read_run
    from transfuse.reporting.summary import entries_of, summarise

    runs = []
    for tag in ("en", "zh") if language == "both" else (language,):
        suffix = "" if tag == "en" else f"-{tag}"
        for method, settings in METHODS.items():
            sources = [SOURCE + suffix] if method == "retrain" else []
            data = {"target": TARGET + suffix, "sources": sources, "share": share}
            recipe = make_recipe({"data": data, "method": {"name": method, **settings}, "run": {"seed": seed}})
            folder = output / "runs" / f"{tag}-{method}-{recipe.hash}"
            perform(recipe, folder, label=f"{TARGET}{suffix}, {method}: ")
            runs.append(read_run(folder))
    summary = summarise(entries_of(runs))
    write_report(output, summary, title="Transfer between departments")
    if as_json:
        print_json(report_json(summary))
    else:
        show_summary(summary)
    note(f"report: {output / 'report.html'}")
