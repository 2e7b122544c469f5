"""A summary to a report: a page that needs nothing but itself, its tables as Markdown, its runs as JSON, and figures.

Scores are per cent here, in ``report.json`` too; everywhere else in the package they are fractions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transfuse import __version__
from transfuse.files import write_beside
from transfuse.reporting.drawing import COLOURS
from transfuse.reporting.examples import Example, examples, two_systems
from transfuse.reporting.figures import Illustration, across_shares, across_tasks, of_sweeps, of_table
from transfuse.reporting.grids import (
    Grid,
    average_grid,
    data_grid,
    lead,
    main_grid,
    measures_grid,
    notes,
    runs_grid,
    sets_grid,
    settings,
    tokens_grid,
    types_grid,
    verdicts,
)
from transfuse.reporting.records import Record
from transfuse.reporting.rounds import rounds_grid
from transfuse.reporting.tables import Average, Row, Summary, Table
from transfuse.scoring.analysis import ERRORS, SetAnalysis
from transfuse.scoring.counts import Counts

__all__ = ["markdown_grid", "report_json", "write_report"]


@dataclass(frozen=True)
class _Section:
    """What the report says of one table."""

    table: Table
    lead: str
    main: Grid
    types: Grid
    measures: Grid
    sets: Grid
    tokens: Grid
    rounds: Grid
    figures: list[Illustration]
    examples: list[Example]


@dataclass(frozen=True)
class _Page:
    """What the report says."""

    title: str
    verdicts: list[str]
    averages: list[tuple[float, Grid]]
    curves: list[tuple[str, list[Illustration]]]
    sections: list[_Section]
    data: Grid
    runs: Grid
    settings: list[tuple[str, str]]
    notes: list[str]

    @property
    def figures(self) -> list[Illustration]:
        """All of them."""
        groups = [group for _, group in self.curves] + [section.figures for section in self.sections]
        return [figure for group in groups for figure in group]


def write_report(folder: Path, summary: Summary, *, title: str = "Report") -> None:
    """Write ``report.html``, ``report.md``, ``report.json`` and ``figures/``.

    Args:
        folder: where to.
        summary: what to report.
        title: of the report.
    """
    page = _page(title, summary)
    for figure in page.figures:
        figure.drawing.save(folder / "figures" / figure.name)
    data = json.dumps(report_json(summary), indent=1, ensure_ascii=False) + "\n"
    for name, text in (("report.html", _html(page)), ("report.md", _markdown(page)), ("report.json", data)):
        with write_beside(folder / name) as path:
            path.write_text(text, encoding="utf-8")


def _page(title: str, summary: Summary) -> _Page:
    averages: dict[float, list[Average]] = {}
    for average in summary.averages:
        averages.setdefault(average.share, []).append(average)
    groups = [("All tasks", across_tasks(summary)), *across_shares(summary), ("Sweeps", of_sweeps(summary))]
    return _Page(
        title,
        verdicts(summary),
        [(share, average_grid(group)) for share, group in averages.items()],
        [(head, figures) for head, figures in groups if figures],
        [_section(summary, table) for table in summary.tables],
        data_grid(summary),
        runs_grid(summary),
        settings(summary),
        notes(summary),
    )


def _section(summary: Summary, table: Table) -> _Section:
    pair = two_systems(table)
    figures = of_table(summary, table, pair)
    shown = examples(pair) if pair else []
    grids = (main_grid(table), types_grid(table), measures_grid(table), sets_grid(table), tokens_grid(table))
    rounds = rounds_grid({row.name: row.rounds() for row in table.rows})
    return _Section(table, lead(table), *grids, rounds, figures, shown)


def _html(page: _Page) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("transfuse"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(page=page, colours=COLOURS, version=__version__)


def _markdown(page: _Page) -> str:
    parts = [f"# {page.title}", "\n".join(f"- {said}" for said in page.verdicts)]
    for share, grid in page.averages:
        parts += [f"## Means over tasks, {100 * share:g} % labelled", markdown_grid(grid)]
    for task, figures in page.curves:
        parts += [f"## {task}", *map(_picture, figures)]
    for section in page.sections:
        table = section.table
        parts += [f"## {table.task}, {100 * table.share:g} % labelled", section.lead, markdown_grid(section.main)]
        parts += ["### F1 by type", markdown_grid(section.types)]
        parts += ["### Precision and recall, strict and relaxed", markdown_grid(section.measures)]
        kinds = [[row.name, *(f"{row.errors()[kind]:.1f}" for kind in ERRORS)] for row in table.rows]
        parts += ["### Errors, mean over seeds", markdown_grid((["method", *ERRORS], kinds))]
        heads = ["method", "recall of mentions seen in training", "recall of unseen ones"]
        parts += ["### Seen and unseen", markdown_grid((heads, [_seen(row) for row in table.rows]))]
        if section.sets[1]:
            parts += ["### Distinct mentions as sets, %", markdown_grid(section.sets)]
        if section.tokens[1]:
            parts += ["### Words by tag class, all runs", markdown_grid(section.tokens)]
        if section.rounds[1]:
            parts += ["### Rounds of pseudo-labelling", markdown_grid(section.rounds)]
        parts += map(_picture, section.figures)
    parts += ["## Data", markdown_grid(page.data), "## Runs", markdown_grid(page.runs)]
    parts += ["## How to read this", "\n".join(f"- {note}" for note in page.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _picture(figure: Illustration) -> str:
    return f"![{figure.caption}](figures/{figure.name}.svg)"


def _seen(row: Row) -> list[str]:
    counts = row.mentions().values()
    return [row.name, *(f"{100 * part.recall:.2f} of {_mean(part.gold, len(row.entries))}" for part in counts)]


def _mean(total: int, number: int) -> str:
    return f"{total / number:,.1f}".removesuffix(".0")


def markdown_grid(grid: Grid) -> str:
    """A grid as a Markdown table."""
    heads, rows = grid
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def report_json(summary: Summary) -> dict[str, Any]:
    """``{"cells": [...], "summary": [...], "averages": [...], ...}``: F1, precision and recall in per cent."""
    rows = [(table, row) for table in summary.tables for row in table.rows]
    heads, corpora = data_grid(summary)
    return {
        "unit": "per cent",
        "baseline": summary.baseline,
        "tests": summary.tests,
        "resamples": summary.resamples,
        "exchanges": summary.exchanges,
        "missing": summary.missing,
        "cells": [_cell(table, row, record) for table, row in rows for record in row.records],
        "summary": [_row(table, row) for table, row in rows],
        "averages": [_average(average) for average in summary.averages],
        "data": [dict(zip(heads, corpus, strict=True)) for corpus in corpora],
        "verdicts": verdicts(summary),
    }


def _place(table: Table, row: Row) -> dict[str, Any]:
    return {
        "task": table.task,
        "target": table.target,
        "sources": list(row.first.sources),
        "method": row.name,
        "share": table.share,
        "labels": row.first.share,
    }


def _cell(table: Table, row: Row, record: Record) -> dict[str, Any]:
    return {
        **_place(table, row),
        "seed": record.seed,
        "scores": {
            split: {kind: _scores(record, split, kind) for kind in kinds} for split, kinds in record.counts.items()
        },
        "errors": record.errors,
        "mentions": {name: _rates(Counts(*row).to_dict()) for name, row in record.mentions.items()},
        "documents": len(record.gold),
        "labelled": record.data["labelled"],
        "sha256": record.data["target"]["sha256"],
        "environment": record.environment,
        "cpu_seconds": record.cpu_seconds,
        "own_seconds": record.own_seconds,
        "source_epochs": record.source_epochs,
        "exposure": {name: asdict(exposure) for name, exposure in record.exposure.items()},
        "source_scores": {
            name: {"split": f.split, "before": _percent(f.before), "after": _percent(f.after)}
            for name, f in record.forgetting.items()
        },
        "sets": {k: 100 * v for k, v in SetAnalysis(record.sets).quotients.items()} if record.sets else None,
        "tokens": record.tokens or None,
        "auc": {name: _percent(value) for name, value in record.auc.items()} or None,
        "rounds": [asdict(each) for each in record.rounds] or None,
        "selection": record.selection,
    }


def _scores(record: Record, split: str, kind: str) -> dict[str, Any]:
    types = {label: _rates(counts.to_dict()) for label, counts in record.types(split, kind).items()}
    return {"micro": _rates(record.micro(split, kind).to_dict()), "types": types}


def _rates(values: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * v if name in {"precision", "recall", "f1"} else v for name, v in values.items()}


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _row(table: Table, row: Row) -> dict[str, Any]:
    test = row.test
    return {
        **_place(table, row),
        "seeds": row.seeds,
        "mean": 100 * row.mean(),
        "sd": _percent(row.deviation),
        "low": 100 * row.interval.low,
        "high": 100 * row.interval.high,
        "gain": _percent(row.gain),
        "gain_low": _percent(test.low) if test else None,
        "gain_high": _percent(test.high) if test else None,
        "error_reduction": _percent(row.error_reduction),
        "p": row.p,
        "p_uncorrected": test.p_randomisation if test else None,
        "verdict": row.verdict.word,
        "reason": row.verdict.reason,
        "relaxed": 100 * row.mean(kind="relaxed"),
        "dev": 100 * row.mean("dev"),
        "annotations": row.annotations,
        "cpu_seconds": row.cpu_seconds,
        "own_seconds": row.own_seconds,
        "source_epochs": row.source_epochs,
        "source_before": _percent(row.source_before),
        "source_after": _percent(row.source_after),
        "published": _percent(row.published),
        "swept": list(row.swept) if row.swept else None,
    }


def _average(average: Average) -> dict[str, Any]:
    return {
        "method": average.name,
        "share": average.share,
        "tasks": len(average.rows),
        "mean": 100 * average.mean,
        "sd": _percent(average.deviation),
        "gain": _percent(average.gain),
        "gain_sd": _percent(average.gain_deviation),
        "error_reduction": _percent(average.error_reduction),
        "helps": average.count("helps"),
        "hurts": average.count("hurts"),
        "undecided": average.count("undecided"),
        "cpu_seconds": average.cpu_seconds,
        "own_seconds": average.own_seconds,
        "published": _percent(average.published),
    }
