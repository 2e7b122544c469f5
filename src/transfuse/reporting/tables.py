"""What tables of runs hold: rows over seeds, averages over tasks, and the quantities that are shown of them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transfuse.reporting.records import Record
from transfuse.reporting.rounds import Round, mean_rounds
from transfuse.scoring.analysis import SetAnalysis, TokenTable, error_reduction
from transfuse.scoring.counts import Counts, Rates, mean_rates
from transfuse.scoring.significance import Difference, Interval

__all__ = ["Average", "Entry", "Row", "Summary", "Table", "Verdict"]


@dataclass(frozen=True)
class Entry:
    """A run's record and its place in the tables.

    Attributes:
        task: its name.
        variant: name of the method with its settings.
        share: of the table that it stands in.
        record: of the run.
        folder: of the run, where it is still there.
        swept: which setting a sweep varies, and its value here.
    """

    task: str
    variant: str
    share: float
    record: Record
    folder: Path | None = None
    swept: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """What the numbers say of a method against the baseline.

    Attributes:
        word: ``helps``, ``hurts`` or ``undecided``; ``baseline`` for the baseline itself.
        reason: why it is undecided.
    """

    word: str
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """Runs that differ in nothing but the seed. Scores are fractions.

    Attributes:
        name: of the variant.
        entries: by seed.
        interval: of the mean strict micro F1 over the runs, by bootstrap over documents.
        test: the row minus the baseline over the seeds that both have; None for the baseline itself, and where there
            is no baseline or no common seed.
        p: of the test, corrected.
        verdict: in a word.
        published: the printed F1.
    """

    name: str
    entries: tuple[Entry, ...]
    interval: Interval
    test: Difference | None
    p: float | None
    verdict: Verdict
    published: float | None = None

    @property
    def records(self) -> list[Record]:
        """Of the runs, by seed."""
        return [entry.record for entry in self.entries]

    @property
    def first(self) -> Record:
        """Of the run with the lowest seed."""
        return self.entries[0].record

    @property
    def seeds(self) -> list[int]:
        """Ascending."""
        return [record.seed for record in self.records]

    @property
    def swept(self) -> tuple[str, Any] | None:
        """See `Entry.swept`."""
        return self.entries[0].swept

    def f1(self, split: str = "test", kind: str = "strict") -> list[float]:
        """Micro F1 of each run."""
        return [record.micro(split, kind).f1 for record in self.records]

    def mean(self, split: str = "test", kind: str = "strict") -> float:
        """Mean micro F1 over the runs."""
        return statistics.fmean(self.f1(split, kind))

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of strict micro F1 over the runs; None of a single one."""
        return statistics.stdev(self.f1()) if len(self.entries) > 1 else None

    @property
    def gain(self) -> float | None:
        """Over the baseline, on the seeds that both have."""
        return self.test.difference if self.test else None

    @property
    def error_reduction(self) -> float | None:
        """See `transfuse.scoring.analysis.error_reduction`; None without a test, or of a baseline without error."""
        if self.test is None or self.test.baseline >= 1:
            return None
        return error_reduction(self.test.baseline, self.test.system)

    @property
    def cpu_seconds(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(record.cpu_seconds for record in self.records)

    @property
    def own_seconds(self) -> float | None:
        """Of it, beside models that other runs share: mean over the runs; None unless every run tells."""
        return _mean_of_all(record.own_seconds for record in self.records)

    @property
    def annotations(self) -> float:
        """Labelled mentions of the target that were learned from: mean over the runs."""
        return statistics.fmean(record.data["annotations"] for record in self.records)

    @property
    def source_epochs(self) -> float | None:
        """Passes over the sources: mean over the runs; None where a run learned from none."""
        return _mean_of_all(record.source_epochs for record in self.records)

    @property
    def source_before(self) -> float | None:
        """F1 on the sources before the target was learned: mean over sources and runs; None unless every run tells."""
        return _mean_of_all(_mean(f.before for f in record.forgetting.values()) for record in self.records)

    @property
    def source_after(self) -> float | None:
        """F1 on the sources after the target was learned: mean over sources and runs; None unless every run tells."""
        return _mean_of_all(_mean(f.after for f in record.forgetting.values()) for record in self.records)

    def types(self) -> dict[str, float]:
        """Mean strict F1 by label."""
        return {
            label: statistics.fmean(record.types()[label].f1 for record in self.records) for label in self.first.types()
        }

    def rates(self, kind: str = "strict") -> dict[str, Rates]:
        """Mean precision, recall and F1 by label."""
        return {label: mean_rates(record.types(kind=kind)[label] for record in self.records) for label in self.types()}

    def overall(self, kind: str = "strict") -> Rates:
        """Mean micro precision, recall and F1 over all labels."""
        return mean_rates(record.micro(kind=kind) for record in self.records)

    def macro(self, kind: str = "strict") -> Rates:
        """Mean over runs of the macro average: that over the labels that gold or prediction has."""
        held = ((c for c in record.types(kind=kind).values() if c.gold or c.predicted) for record in self.records)
        return mean_rates(mean_rates(counts) for counts in held)

    def errors(self) -> dict[str, float]:
        """Mean number of errors by kind."""
        return {kind: statistics.fmean(r.errors[kind] for r in self.records) for kind in self.first.errors}

    def tokens(self) -> TokenTable | None:
        """Words by tag class, added over the runs; None where a run did not count them."""
        if not all(record.tokens for record in self.records):
            return None
        return sum((TokenTable.of(record.tokens) for record in self.records), TokenTable(Counter()))

    def auc(self) -> dict[str, float | None]:
        """Areas under the ROC curves by tag class with their means: means over the runs; nothing where a run has none.

        A class that a run has no area for has none here.
        """
        if not all(record.auc and record.tokens for record in self.records):
            return {}
        each = [TokenTable.of(record.tokens).with_means(record.auc) for record in self.records]
        columns = {name: [one.get(name) for one in each] for name in each[0]}
        return {name: None if None in values else _mean(values) for name, values in columns.items()}

    def sets(self) -> dict[str, float]:
        """Means of the quotients of the set analysis; nothing where a run has none."""
        if not all(record.sets for record in self.records):
            return {}
        each = [SetAnalysis(record.sets).quotients for record in self.records]
        return {name: statistics.fmean(one[name] for one in each) for name in each[0]}

    def rounds(self) -> tuple[Round, ...]:
        """Of pseudo-labelling: means over the runs; none where a run has none."""
        return mean_rounds([record.rounds for record in self.records])

    def mentions(self) -> dict[str, Counts]:
        """Strict counts over seen and unseen mentions, added over the runs."""
        return {
            part: sum((Counts(*record.mentions[part]) for record in self.records), Counts())
            for part in self.first.mentions
        }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _mean_of_all(values: Iterable[float | None]) -> float | None:
    """None where one is not known: a mean over fewer runs must not stand beside means over all of them."""
    known = list(values)
    return None if None in known else _mean(known)


@dataclass(frozen=True)
class Table:
    """A task at a share: rows that can be compared.

    Attributes:
        task: its name.
        share: of the target's training documents that the methods saw the labels of.
        rows: the baseline first where there is one.
    """

    task: str
    share: float
    rows: tuple[Row, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """On the target at this share, which a ceiling has more of; see `transfuse.data.task.build_task`."""
        rows = sorted(self.rows, key=lambda row: self.own_share(row) is not None)
        facts: dict[str, Any] = rows[0].first.data
        return facts

    @property
    def target(self) -> str:
        """The target's name."""
        return self.rows[0].first.target

    @property
    def documents(self) -> int:
        """How many are in the test split."""
        return len(self.rows[0].first.gold)

    def sources(self, row: Row) -> tuple[str, ...] | None:
        """What a row learned from, where it got some of the task's sources only."""
        most = max((each.first.sources for each in self.rows), key=len)
        return row.first.sources if 0 < len(row.first.sources) < len(most) else None

    def own_share(self, row: Row) -> float | None:
        """The share of labels that a row had, where it is not the table's."""
        return None if row.first.share == self.share else row.first.share

    def row(self, name: str) -> Row | None:
        """The row of a variant, where there is one."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def transfers(self) -> list[Row]:
        """The rows that learned from a source."""
        return [row for row in self.rows if row.first.sources]

    @property
    def best(self) -> Row | None:
        """Of the rows that learned from a source the one with the highest mean on dev: test never chooses."""
        return max(self.transfers, key=lambda row: row.mean("dev"), default=None)


@dataclass(frozen=True)
class Average:
    """A variant over tasks at one share. Scores are fractions.

    Attributes:
        name: of the variant.
        share: see `Table`.
        rows: one for each task that all variants have.
        seeds: for each of these tasks, those that all variants have; F1 and gain are of them alone, so that a column
            can be read down while a grid is still running.
        baseline: the baseline's rows of the same tasks; none of the baseline itself, and where there is no baseline.
        published: the printed mean.
    """

    name: str
    share: float
    rows: tuple[Row, ...]
    seeds: tuple[tuple[int, ...], ...]
    baseline: tuple[Row, ...] = ()
    published: float | None = None

    @property
    def mean(self) -> float:
        """Of the tasks' mean F1."""
        return statistics.fmean(self._f1(self.rows))

    @property
    def deviation(self) -> float | None:
        """Of the tasks' mean F1: between tasks, not between seeds."""
        return statistics.stdev(self._f1(self.rows)) if len(self.rows) > 1 else None

    @property
    def gain(self) -> float | None:
        """Mean over tasks."""
        return _mean(self._gains())

    @property
    def gain_deviation(self) -> float | None:
        """Of the gain, between tasks."""
        gains = self._gains()
        return statistics.stdev(gains) if len(gains) > 1 else None

    @property
    def error_reduction(self) -> float | None:
        """Mean over tasks whose baseline makes errors."""
        pairs = zip(self._f1(self.baseline), self._f1(self.rows), strict=False)
        return _mean(error_reduction(theirs, ours) for theirs, ours in pairs if theirs < 1)

    def _gains(self) -> list[float]:
        return [ours - theirs for ours, theirs in zip(self._f1(self.rows), self._f1(self.baseline), strict=False)]

    def _f1(self, rows: Sequence[Row]) -> list[float]:
        """By task, the mean over its seeds."""
        found = []
        for row, seeds in zip(rows, self.seeds, strict=False):
            scores = dict(zip(row.seeds, row.f1(), strict=True))
            found.append(statistics.fmean(scores[seed] for seed in seeds))
        return found

    @property
    def cpu_seconds(self) -> float:
        """Mean over tasks of a run's."""
        return statistics.fmean(row.cpu_seconds for row in self.rows)

    @property
    def own_seconds(self) -> float | None:
        """Mean over tasks of a run's; None unless every task has it."""
        return _mean_of_all(row.own_seconds for row in self.rows)

    def count(self, word: str) -> int | None:
        """On how many tasks this is the verdict; None where one is of more seeds than F1 and gain."""
        if any(tuple(row.seeds) != seeds for row, seeds in zip(self.rows, self.seeds, strict=True)):
            return None
        return sum(row.verdict.word == word for row in self.rows)


@dataclass(frozen=True)
class Summary:
    """Everything that tables and reports say.

    Attributes:
        tables: in the order in which their runs first came.
        baseline: name of the variant that the others are compared with.
        resamples: behind each interval.
        exchanges: behind each test.
        tests: for how many different ones the p-values are corrected.
        averages: over tasks, by share; none where there is one task.
        missing: runs that were planned and are not finished.
    """

    tables: tuple[Table, ...]
    baseline: str
    resamples: int
    exchanges: int
    tests: int
    averages: tuple[Average, ...] = ()
    missing: int = 0

    @cached_property
    def machines(self) -> dict[str, int]:
        """Kinds of processor, see `Record.machine`, and how many runs each made; that of most first."""
        runs = {record.key: record for table in self.tables for row in table.rows for record in row.records}
        return dict(Counter(record.machine for record in runs.values()).most_common())

    @cached_property
    def tasks(self) -> dict[str, list[Table]]:
        """The tables of each task, by share."""
        found: dict[str, list[Table]] = {}
        for table in self.tables:
            found.setdefault(table.task, []).append(table)
        return {task: sorted(tables, key=lambda table: table.share) for task, tables in found.items()}
