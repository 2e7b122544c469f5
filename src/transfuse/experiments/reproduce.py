"""What papers print, beside what we get: shipped comparisons, which of their cells are done, and their figures.

``RESULTS/PAPER/ROW/`` holds the records of a row's finished cells, ``RESULTS/PAPER/ROW.json`` the figures that were
computed from them. A cell that has a record is never run again, so that a grid goes on in another session, and tables
are rewritten from the figures alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from transfuse.experiments.choices import with_choices
from transfuse.experiments.comparison import Cell, Comparison, Printed, load_comparison
from transfuse.experiments.kept import cell_entries, find_records, pending_cells
from transfuse.experiments.printed import read_figures
from transfuse.experiments.recipe import SHIPPED, read_table
from transfuse.files import write_beside
from transfuse.reporting.grids import measures_grid
from transfuse.reporting.records import Record, read_records
from transfuse.reporting.summary import summarise
from transfuse.reporting.tables import Average, Row, Summary, Table
from transfuse.text import ConfigError

__all__ = ["Reproduction", "choose_cells", "find_reproductions", "read_reproduction"]

FILTERS = ("task", "method", "share", "seed")

_VERSION = 4
"""Of how figures are computed: kept ones of another version are computed anew."""


@dataclass(frozen=True)
class Reproduction:
    """A shipped comparison and what is done of it.

    Attributes:
        name: as ``la-dtl/grid``.
        comparison: what is compared.
        folder: of the records.
        records: of finished cells, by the hash of the cell's recipe.
        stale: names of records in the folder that belong to no cell: the shipped recipe has changed since.
    """

    name: str
    comparison: Comparison
    folder: Path
    records: dict[str, Record]
    stale: tuple[str, ...]

    @property
    def total(self) -> int:
        """Runs that the comparison takes; cells of several tasks may share one."""
        return len({cell.recipe.hash for cell in self.comparison.cells()})

    def pending(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those of some cells that have no record, each recipe once."""
        return pending_cells(cells, self.records)

    def finished(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those of some cells that have a record, each recipe once."""
        return list({cell.recipe.hash: cell for cell in cells if cell.recipe.hash in self.records}.values())

    @property
    def recipe(self) -> Path:
        """The shipped file."""
        return SHIPPED / f"{self.name}.toml"

    @property
    def figures_path(self) -> Path:
        """Where the figures are kept."""
        return self.folder.with_suffix(".json")

    @property
    def digest(self) -> str:
        """SHA-256 of what figures are computed from: of the comparison, and of all records with their names."""
        planned = self.comparison
        told = planned.published, planned.published_f1, planned.choices, planned.baseline, self.total
        found = hashlib.sha256(repr((_VERSION, told)).encode())
        for name, record in sorted(self.records.items()):
            found.update(repr((name, replace(record, gold=()))).encode())  # data holds the hash of gold
        return found.hexdigest()

    def figures(self) -> dict[str, Any]:
        """Ours beside the published numbers, in percent: those that are kept if the records are still the same.

        Raises:
            DataError: runs of a table were not scored on the same documents.
        """
        kept = read_figures(self.figures_path)
        return kept if kept.get("digest") == self.digest else self._computed()

    def write_figures(self) -> dict[str, Any]:
        """Keep the figures; nothing is written where no cell is done. Raises as `figures`."""
        found = self.figures()
        if self.records:
            self.figures_path.parent.mkdir(parents=True, exist_ok=True)
            with write_beside(self.figures_path) as path:
                path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return found

    def summary(self, runs: Path | None = None) -> Summary:
        """Of what is done, as a report shows it; raises as `figures`.

        Args:
            runs: folder that the cells ran in, which may still hold what they predicted.
        """
        comparison = self.comparison
        entries = with_choices(cell_entries(comparison.cells(), self.records, runs), comparison.choices)
        missing = self.total - len(self.records)
        return summarise(entries, baseline=comparison.baseline, published=comparison.published_f1, missing=missing)

    def _computed(self) -> dict[str, Any]:
        printed, summary = self.comparison.published, self.summary()
        rules = dict.fromkeys(record.selection for record in self.records.values() if record.selection)
        for name, among in self.comparison.choices.items():
            rules[f"{name}: the best of {len(among)} by strict micro F1 on dev"] = None
        return {
            "name": self.name,
            "digest": self.digest,
            "done": len(self.records),
            "total": self.total,
            "place": printed.place if printed else "",
            "note": printed.note if printed else "",
            "selection": list(rules),
            "tests": summary.tests,
            "machines": summary.machines,
            "means": [_mean(average, printed) for average in summary.averages],
            "tables": [_table(table) for table in summary.tables],
        }


def _table(table: Table) -> dict[str, Any]:
    facts = table.facts
    return {
        "task": table.task,
        "share": table.share,
        "labelled": facts["labelled"],
        "documents": table.documents,
        "rows": [{**_row(row), "sources": table.sources(row), "share": table.own_share(row)} for row in table.rows],
        "types": measures_grid(table) if len(table.rows[0].types()) > 1 else None,
        "rounds": {row.name: [asdict(each) for each in rounds] for row in table.rows if (rounds := row.rounds())},
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "method": row.name,
        "seeds": row.seeds,
        "f1": _percent(row.mean()),
        "deviation": _percent(row.deviation),
        "low": _percent(row.interval.low),
        "high": _percent(row.interval.high),
        "gain": _percent(row.gain),
        "error_reduction": _percent(row.error_reduction),
        "p": None if row.p is None else round(row.p, 4),
        "verdict": row.verdict.word,
        "source_epochs": None if row.source_epochs is None else round(row.source_epochs, 2),
        "cpu_seconds": round(row.cpu_seconds, 1),
        "own_seconds": None if row.own_seconds is None else round(row.own_seconds, 1),
        **_beside(row.mean(), row.published),
    }


def _mean(average: Average, printed: Printed | None) -> dict[str, Any]:
    reductions = printed.error_reduction if printed and printed.share in (None, average.share) else {}
    return {
        "method": average.name,
        "share": average.share,
        "tasks": len(average.rows),
        "seeds": [min(map(len, average.seeds)), max(map(len, average.seeds))],
        "f1": _percent(average.mean),
        "gain": _percent(average.gain),
        "error_reduction": _percent(average.error_reduction),
        **{word: average.count(word) for word in ("helps", "hurts", "undecided")},
        "cpu_seconds": round(average.cpu_seconds, 1),
        "own_seconds": None if average.own_seconds is None else round(average.own_seconds, 1),
        **_beside(average.mean, average.published),
        "published_reduction": reductions.get(average.name),
    }


def _beside(ours: float, published: float | None) -> dict[str, float | None]:
    return {
        "published": _percent(published),
        "difference": None if published is None else _percent(ours - published),
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def find_reproductions(name: str = "") -> tuple[str, ...]:
    """Names of shipped comparisons: all, those of a paper, or one.

    Raises:
        ConfigError: there is none of the name.
    """
    names = tuple(
        sorted(
            path.relative_to(SHIPPED).with_suffix("").as_posix()
            for path in SHIPPED.rglob("*.toml")
            if "compare" in read_table(path)
        )
    )
    found = tuple(each for each in names if not name or each == name or each.startswith(f"{name}/"))
    if not found:
        close = get_close_matches(name, [*names, *(each.partition("/")[0] for each in names)], 1)
        hint = f"; did you mean {close[0]}?" if close else "; `transfuse reproduce` lists all"
        raise ConfigError(f"nothing that can be reproduced is called {name!r}{hint}")
    return found


def read_reproduction(name: str, results: Path) -> Reproduction:
    """A shipped comparison with the records that a folder of results has of it.

    Args:
        name: one of `find_reproductions`.
        results: holds a folder for each paper.

    Raises:
        DataError: a file among the records is none.
    """
    comparison = load_comparison(SHIPPED / f"{name}.toml")
    folder = results / name
    records = find_records(comparison.cells(), folder)
    known = {record.key for record in records.values()}
    stale = tuple(each for each, record in read_records(folder).items() if record.key not in known)
    return Reproduction(name, comparison, folder, records, stale)


def choose_cells(comparison: Comparison, only: Sequence[str]) -> list[Cell]:
    """Cells that pass all filters.

    Args:
        comparison: whose cells.
        only: each ``KEY=A,B`` with a key of ``task`` (the target's name, or the task's in full), ``method`` (the
            variant's name), ``share`` and ``seed``.

    Raises:
        ConfigError: an unknown key, or a value that no cell has.
    """
    cells = list(comparison.cells())
    for each in only:
        key, equals, text = each.partition("=")
        if not equals or key not in FILTERS:
            raise ConfigError(f"--only {each}: write it as KEY=A,B with a key of {', '.join(FILTERS)}")
        names = _NAMES[key]
        wanted = {part.strip() for part in text.split(",")}
        known = {name for cell in comparison.cells() for name in names(cell)}
        if strangers := sorted(wanted - known):
            raise ConfigError(f"--only {each}: no {key} is called {strangers[0]}; there are {', '.join(sorted(known))}")
        cells = [cell for cell in cells if wanted & names(cell)]
    return cells


_NAMES: dict[str, Callable[[Cell], set[str]]] = {
    "task": lambda cell: {cell.task.name, cell.task.target},
    "method": lambda cell: {cell.variant.name},
    "share": lambda cell: {f"{cell.share:g}"},
    "seed": lambda cell: {str(cell.seed)},
}
