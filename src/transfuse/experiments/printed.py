"""Ours beside the numbers that papers print: kept figures, and grids of them for the terminal and the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transfuse.reporting.grids import Grid
from transfuse.text import DataError

__all__ = ["means_grid", "means_title", "read_figures", "rows_grid", "tasks_grid"]


def read_figures(path: Path) -> dict[str, Any]:
    """Figures that `Reproduction.write_figures` kept; empty where there are none.

    Raises:
        DataError: the file is not what was written.
    """
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except ValueError as error:
        raise DataError(f"not figures of a comparison: {error}", path=str(path)) from None


def rows_grid(rows: Sequence[Mapping[str, Any]]) -> Grid:
    """A table's rows as the command line and the documentation show them; columns without content are left out."""
    published = {row["verdict"]: row["published"] for row in rows}.get("baseline")

    def gain(row: Mapping[str, Any]) -> str:
        known = row["published"] is not None and published is not None and row["verdict"] != "baseline"
        return _number(row["published"] - published if known else None, "+.2f")

    return _grid(
        {
            "method": lambda row: row["method"],
            "sources": lambda row: ", ".join(row.get("sources") or ()),
            "labels": lambda row: "" if row.get("share") is None else f"{100 * row['share']:g} %",
            "seeds": lambda row: str(len(row["seeds"])),
            "strict F1": lambda row: (
                _number(row["f1"]) + ("" if row["deviation"] is None else f" ± {row['deviation']:.2f}")
            ),
            "gain": lambda row: _number(row["gain"], "+.2f"),
            "p": lambda row: _number(row["p"], ".3f"),
            "verdict": lambda row: row["verdict"],
            "error reduction": lambda row: _number(row["error_reduction"], "+.1f"),
            "source passes": lambda row: _number(row["source_epochs"], ".1f"),
            "CPU s": lambda row: _number(row["cpu_seconds"], ".1f"),
            "own CPU s": lambda row: _number(row.get("own_seconds"), ".1f"),
            **_PUBLISHED,
            "published gain": gain,
        },
        rows,
    )


def means_grid(means: Sequence[Mapping[str, Any]]) -> Grid:
    """Means over tasks, likewise; how many tasks and seeds stands in `means_title` where it is the same for all."""
    several = len({mean["share"] for mean in means}) > 1
    same = means_title(means) != "Means over tasks"
    return _grid(
        {
            "method": lambda mean: mean["method"],
            "share": lambda mean: f"{100 * mean['share']:g} %" if several else "",
            "tasks": lambda mean: "" if same else str(mean["tasks"]),
            "seeds": lambda mean: "" if same else _span(mean["seeds"]),
            "strict F1": lambda mean: _number(mean["f1"]),
            "gain": lambda mean: _number(mean["gain"], "+.2f"),
            "error reduction": lambda mean: _number(mean["error_reduction"], "+.1f"),
            "published reduction": lambda mean: _number(mean.get("published_reduction"), "+.2f"),
            **{word: partial(_times, word=word) for word in ("helps", "hurts", "undecided")},
            "CPU s": lambda mean: _number(mean["cpu_seconds"], ".1f"),
            "own CPU s": lambda mean: _number(mean.get("own_seconds"), ".1f"),
            **_PUBLISHED,
        },
        means,
    )


def means_title(means: Sequence[Mapping[str, Any]]) -> str:
    """What stands above them."""
    sizes = {(mean["tasks"], *mean["seeds"]) for mean in means}
    if len(sizes) != 1:
        return "Means over tasks"
    ((tasks, least, most),) = sizes
    return (
        f"Means over {tasks} tasks and {_span((least, most))} seed{'' if most == 1 else 's'} that all methods have done"
    )


def tasks_grid(tables: Sequence[Mapping[str, Any]]) -> Grid:
    """A line a task, a column a method: strict F1, and the published number in brackets where there is one."""
    shares = {table["share"] for table in tables}
    methods = dict.fromkeys(row["method"] for table in tables for row in table["rows"])

    def cell(table: Mapping[str, Any], method: str) -> str:
        row = next((row for row in table["rows"] if row["method"] == method), {"f1": None, "published": None})
        return _number(row["f1"]) + ("" if row["published"] is None else f" ({row['published']:.2f})")

    return _grid(
        {
            "target": lambda table: table["task"].partition(" from ")[0],
            "share": lambda table: f"{100 * table['share']:g} %" if len(shares) > 1 else "",
            **{method: partial(cell, method=method) for method in methods},
        },
        tables,
    )


_PUBLISHED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "published": lambda row: _number(row["published"]),
    "difference": lambda row: _number(row["difference"], "+.2f"),
}


def _times(mean: Mapping[str, Any], word: str) -> str:
    return "" if mean["gain"] is None or mean[word] is None else str(mean[word])


def _span(ends: Sequence[int]) -> str:
    return " to ".join(map(str, dict.fromkeys(ends)))


def _number(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)


def _grid(columns: Mapping[str, Callable[[Mapping[str, Any]], str]], rows: Sequence[Mapping[str, Any]]) -> Grid:
    cells = {head: [make(row) for row in rows] for head, make in columns.items()}
    heads = [head for head, column in cells.items() if any(column)]
    return heads, [[cells[head][i] for head in heads] for i in range(len(rows))]
