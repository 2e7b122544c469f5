"""Finished runs side by side: means over seeds, intervals over documents, and tests against a baseline.

Runs are in one table when they were scored on the same documents after training on the same share of the target; runs
of a table that differ in nothing but the seed are one row.
"""

from __future__ import annotations

import json
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfuse import formats
from transfuse.data import resolve
from transfuse.score import Scores, score
from transfuse.significance import Comparison, Interval, compare, holm, interval
from transfuse.text import Corpus, DataError, Document

__all__ = ["Finished", "Row", "Table", "compare_runs", "find_runs", "read_run"]


@dataclass(frozen=True)
class Finished:
    """A finished run, as its folder has it.

    Attributes:
        folder: of the run.
        recipe: resolved.
        environment: what it ran on.
        records: what happened, in order.
        scores: by split and kind, fractions.
    """

    folder: Path
    recipe: dict[str, Any]
    environment: dict[str, Any]
    records: tuple[dict[str, Any], ...]
    scores: dict[str, Any]

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.recipe["method"]["name"])

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.recipe["run"]["seed"])

    @property
    def data(self) -> dict[str, Any]:
        """What was learned from: counts, hashes, and what was removed."""
        return self._last("data")[""]

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.data["target"]["name"])

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources' names, in order."""
        return tuple(source["name"] for source in self.data["sources"])

    @property
    def cpu_seconds(self) -> float:
        """CPU time of training over all stages, word vectors apart."""
        return sum(float(record["cpu_seconds"]) for record in self._last("trained").values())

    @property
    def selection(self) -> str:
        """The rule by which the weights were chosen."""
        found = list(self._last("trained").values())
        return str(found[-1].get("selection", "")) if found else ""

    def predictions(self, split: str = "test") -> tuple[Document, ...]:
        """What the tagger found in a split of the target. Raises DataError where it is not there."""
        return tuple(formats.read(self.folder / "predictions" / f"{split}.jsonl", "jsonl"))

    def _last(self, event: str) -> dict[str, dict[str, Any]]:
        """By stage the last record of an event; a run that was killed may have told a thing twice."""
        return {record.get("stage", ""): record for record in self.records if record["event"] == event}


def read_run(folder: Path) -> Finished:
    """Read a finished run.

    Raises:
        DataError: there is no finished run in the folder.
    """
    if not (folder / "done").exists():
        raise DataError("holds no finished run", path=str(folder))
    try:
        recipe = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
        environment = json.loads((folder / "environment.json").read_text("utf-8"))
        scores = json.loads((folder / "scores.json").read_text("utf-8"))
        lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"not a sound run folder: {error}", path=str(folder)) from None
    return Finished(folder, recipe, environment, tuple(_records(lines)), scores)


def _records(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """All whole records; a kill may have cut one short."""
    for line in lines:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def find_runs(folder: Path) -> list[Finished]:
    """All finished runs in and below a folder, in the order of their paths.

    Raises:
        DataError: there is none.
    """
    found = [read_run(mark.parent) for mark in sorted(folder.rglob("done")) if (mark.parent / "recipe.toml").exists()]
    if not found:
        raise DataError("holds no finished run", path=str(folder))
    return found


@dataclass(frozen=True)
class Row:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: the method, with its sources or settings where two rows would else be called the same.
        runs: by seed.
        scores: of each run, all kinds.
        interval: of the mean over the runs, by bootstrap over documents.
        comparison: with the baseline's row, over the seeds that both have; None for the baseline itself, and where
            there is no baseline or no common seed.
        p: of approximate randomisation, corrected for the number of rows that the table tests (Holm).
    """

    name: str
    runs: tuple[Finished, ...]
    scores: tuple[Scores, ...]
    interval: Interval
    comparison: Comparison | None
    p: float | None

    @property
    def cpu_seconds(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(run.cpu_seconds for run in self.runs)

    def f1(self, kind: str = "strict") -> list[float]:
        """Micro F1 of each run."""
        return [scores.micro(kind).f1 for scores in self.scores]

    def mean(self, kind: str = "strict") -> float:
        """Mean micro F1 over the runs."""
        return statistics.fmean(self.f1(kind))

    def deviation(self, kind: str = "strict") -> float | None:
        """Sample standard deviation over the runs; None of a single one."""
        return statistics.stdev(self.f1(kind)) if len(self.runs) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "name": self.name,
            "method": self.runs[0].method,
            "sources": list(self.runs[0].sources),
            "runs": [str(run.folder) for run in self.runs],
            "seeds": [run.seed for run in self.runs],
            "f1": {kind: self.f1(kind) for kind in self.scores[0].rows},
            "mean": self.mean(),
            "deviation": self.deviation(),
            "interval": self.interval.to_dict(),
            "comparison": self.comparison.to_dict() if self.comparison else None,
            "p": self.p,
            "cpu_seconds": self.cpu_seconds,
            "selection": self.runs[0].selection,
        }


@dataclass(frozen=True)
class Table:
    """Rows that can be compared.

    Attributes:
        corpus: the target, in the labels it was learned with and all of its training split labelled.
        share: of its training documents that the methods saw the labels of.
        kind: of the scores that interval and comparison are of.
        rows: the baseline first, then by method.
    """

    corpus: Corpus
    share: float
    kind: str
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "target": self.corpus.name,
            "share": self.share,
            "documents": len(self.corpus.test),
            "kind": self.kind,
            "rows": [row.to_dict() for row in self.rows],
        }


def compare_runs(
    runs: Sequence[Finished], *, kind: str = "strict", baseline: str = "target-only", resamples: int = 2000
) -> list[Table]:
    """Tables of test scores.

    Args:
        runs: finished; of any targets.
        kind: one of `transfuse.score.KINDS`.
        baseline: the method that the others are compared with.
        resamples: for intervals and tests.

    Raises:
        DataError: a target's documents are no longer those that a run was scored on, or it has no test split.
    """
    tables: dict[str, list[Finished]] = {}
    for run in runs:
        data = run.recipe["data"]
        tables.setdefault(_key(data["target"], data["labels"], data["share"]), []).append(run)
    return [_table(group, kind, baseline, resamples) for group in tables.values()]


def _key(*values: Any) -> str:
    return json.dumps(values, sort_keys=True)


def _table(runs: Sequence[Finished], kind: str, baseline: str, resamples: int) -> Table:
    data = runs[0].recipe["data"]
    corpus = resolve(data["target"], labels=data["labels"])
    if not corpus.test:
        raise DataError(f"{corpus.name} has no test split to compare runs on")
    digest = corpus.sha256
    rows: dict[str, list[Finished]] = {}
    for run in sorted(runs, key=lambda r: r.seed):
        if run.data["target"]["sha256"] != digest:
            raise DataError(f"{corpus.name} has changed since this run was scored on it", path=str(run.folder))
        rows.setdefault(_key(run.recipe["data"], run.recipe["method"]), []).append(run)
    ordered = sorted(rows.values(), key=lambda group: (group[0].method != baseline, group[0].method))
    sides = [(group, tuple(score(corpus.test, run.predictions(), corpus.labels) for run in group)) for group in ordered]
    tests: list[Comparison | None] = [None] * len(sides)
    if sides[0][0][0].method == baseline:
        tests[1:] = [_test(side, sides[0], kind, resamples) for side in sides[1:]]
    corrected = iter(holm([test.p_randomisation for test in tests if test]))
    made = []
    for name, (group, scores), test in zip(_names(ordered), sides, tests, strict=True):
        around = interval(scores, kind=kind, resamples=resamples)
        made.append(Row(name, tuple(group), scores, around, test, next(corrected) if test else None))
    return Table(corpus, float(data["share"]), kind, tuple(made))


_Side = tuple[Sequence[Finished], Sequence[Scores]]


def _test(ours: _Side, theirs: _Side, kind: str, resamples: int) -> Comparison | None:
    first, second = ({run.seed: scores for run, scores in zip(*side, strict=True)} for side in (ours, theirs))
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    return compare([first[s] for s in seeds], [second[s] for s in seeds], kind=kind, resamples=resamples)


def _names(groups: Sequence[Sequence[Finished]]) -> list[str]:
    """Methods, told apart by their sources where need be, and by a number where that does not do."""
    names = [group[0].method for group in groups]
    if len(set(names)) < len(names):
        doubled = {name for name in names if names.count(name) > 1}
        sources = [", ".join(group[0].sources) for group in groups]
        names = [f"{n} from {s}" if n in doubled and s else n for n, s in zip(names, sources, strict=True)]
    times = Counter(names)
    seen = Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if times[name] > 1 else name)
    return numbered
