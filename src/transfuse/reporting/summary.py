"""Records of runs to tables: means over seeds, intervals over documents, tests against a baseline, and verdicts.

A table is a task at a share of its target. A row is what its runs have in common but the seed. Each row is tested
against the baseline's by approximate randomisation over the seeds that both have, and the p-values of *all* tables
together are corrected by Holm's method, so that a large grid does not find something by its size.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from transfuse.reporting.records import Record, make_record
from transfuse.reporting.results import Finished
from transfuse.reporting.tables import Average, Entry, Row, Summary, Table, Verdict
from transfuse.scoring.significance import Difference, compare, holm, interval
from transfuse.text import DataError

__all__ = ["ALPHA", "FEWEST_DOCUMENTS", "RESAMPLES", "entries_of", "summarise"]

FEWEST_DOCUMENTS = 20
"""With fewer test documents no resampling over documents can be trusted, and no verdict is given."""

ALPHA = 0.05
"""The highest corrected p-value of a verdict."""

RESAMPLES = 5000
"""Behind each interval."""

Published = Callable[[str | None, str, float], float | None]
"""Task (None for the mean over tasks), variant and share to the printed F1, as a fraction."""


def summarise(
    entries: Iterable[Entry],
    *,
    baseline: str = "target-only",
    resamples: int | None = None,
    published: Published = lambda task, variant, share: None,
    missing: int = 0,
) -> Summary:
    """Tables of test scores, in the order in which tasks and variants first come.

    Args:
        entries: records and their places.
        baseline: name of the variant that the others are compared with.
        resamples: for each interval and test; unless given, `RESAMPLES`, and exchanges enough for the correction.
        published: printed numbers.
        missing: runs that were planned and are not finished.

    Raises:
        DataError: runs of a table were not scored on the same documents, or a seed is there twice in a row.
    """
    groups: dict[tuple[str, float], dict[str, list[Entry]]] = {}
    for entry in entries:
        rows = groups.setdefault((entry.task, entry.share), {})
        rows.setdefault(entry.variant, []).append(entry)
    tables = {key: _ordered(rows, baseline) for key, rows in groups.items()}
    pairs = {key: [_pair(row, rows[0], baseline) for row in rows] for key, rows in tables.items()}
    tested = {_key_of(pair): pair for row in pairs.values() for pair in row if pair[0]}
    exchanges = resamples or _enough(len(tested))
    resamples = resamples or RESAMPLES
    tests = {key: _test(pair, resamples, exchanges) for key, pair in tested.items()}
    corrected = dict(zip(tests, holm([test.p_randomisation for test in tests.values()]), strict=True))
    made = []
    for (task, share), groups_ in tables.items():
        found = []
        for group, pair in zip(groups_, pairs[task, share], strict=True):
            test, p = tests.get(_key_of(pair)), corrected.get(_key_of(pair))
            around = interval([entry.record.scores for entry in group], resamples=resamples)
            name = group[0].variant
            verdict = Verdict("baseline") if name == baseline else _verdict(len(group[0].record.gold), test, p)
            found.append(Row(name, tuple(group), around, test, p, verdict, published(task, name, share)))
        made.append(Table(task, share, tuple(found)))
    averages = _averages(made, baseline, published)
    return Summary(tuple(made), baseline, resamples, exchanges, len(tests), averages, missing)


def _enough(tests: int) -> int:
    """One hit moves a p-value by 1 in (exchanges + 1): times all tests, that is to be a twentieth of `ALPHA`."""
    return min(100_000, max(RESAMPLES, round(20 * tests / ALPHA)))


def _ordered(rows: Mapping[str, Sequence[Entry]], baseline: str) -> list[list[Entry]]:
    """The rows, the baseline first, each by seed."""
    found = [
        sorted(row, key=lambda entry: entry.record.seed)
        for row in sorted(rows.values(), key=lambda row: row[0].variant != baseline)
    ]
    digest = found[0][0].record.data["target"]["sha256"]
    for row in found:
        if twice := [a.record.seed for a, b in pairwise(row) if a.record.seed == b.record.seed]:
            what = f"two runs of {row[0].variant} have the same seed, {twice[0]}"
            raise DataError(f"{row[0].task}: {what}: name the folder of one alone")
        for entry in row:
            if entry.record.data["target"]["sha256"] != digest:
                raise DataError(f"{entry.task}: {entry.record.target} has changed between the runs")
    return found


_Pair = tuple[list[Record], list[Record]]
"""Runs of a row, and those of the baseline with the same seeds."""


def _pair(row: Sequence[Entry], base: Sequence[Entry], baseline: str) -> _Pair:
    """What is tested of a row, over the seeds that both have: nothing of the baseline, or where there is none."""
    if row is base or base[0].variant != baseline:
        return [], []
    ours, theirs = ({entry.record.seed: entry.record for entry in side} for side in (row, base))
    seeds = sorted(ours.keys() & theirs.keys())
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def _key_of(pair: _Pair) -> tuple[int, ...]:
    """Tasks and variants may share runs: what is tested twice counts once."""
    return tuple(id(record) for side in pair for record in side)


def _test(pair: _Pair, resamples: int, exchanges: int) -> Difference:
    ours, theirs = ([record.scores for record in side] for side in pair)
    return compare(ours, theirs, resamples=resamples, exchanges=exchanges)


def _verdict(documents: int, test: Difference | None, p: float | None) -> Verdict:
    if test is None or p is None:
        return Verdict("undecided", "no run of the baseline to compare with")
    if test.runs < 2:
        return Verdict("undecided", "one seed")
    if documents < FEWEST_DOCUMENTS:
        return Verdict("undecided", f"{documents} test documents")
    if p > ALPHA or not test.difference:
        return Verdict("undecided", "a difference as large may be chance")
    return Verdict("helps" if test.difference > 0 else "hurts")


def _averages(tables: Sequence[Table], baseline: str, published: Published) -> tuple[Average, ...]:
    """Means over tasks, comparable only where they are of the same runs: over tasks and seeds all variants have."""
    found = []
    for share in sorted({table.share for table in tables}):
        names = dict.fromkeys(row.name for table in tables if table.share == share for row in table.rows)
        whole = [{row.name: row for row in table.rows} for table in tables if table.share == share]
        common = [tuple(sorted(set.intersection(*(set(row.seeds) for row in rows.values())))) for rows in whole]
        kept = [(rows, s) for rows, s in zip(whole, common, strict=True) if s and rows.keys() == names.keys()]
        if len(kept) > 1:
            seeds = tuple(s for _, s in kept)
            by_name = {name: tuple(rows[name] for rows, _ in kept) for name in names}
            for name, rows in by_name.items():
                base = () if name == baseline else by_name.get(baseline, ())
                found.append(Average(name, share, rows, seeds, base, published(None, name, share)))
    return tuple(found)


def entries_of(runs: Sequence[Finished]) -> list[Entry]:
    """Entries of run folders that no comparison planned: a task is a target, a variant is what differs.

    Targets of one name are told apart by what the recipes say, as two folders ``notes`` of two hospitals.

    Raises:
        DataError: a target's documents are no longer those that a run was scored on.
    """
    places = Counter(name for name, _ in {(run.target, run.recipe["data"]["target"]) for run in runs})
    maps = {(run.target, run.recipe["data"]["labels"]) for run in runs}
    several = {target for target, times in Counter(target for target, _ in maps).items() if times > 1}
    tables: dict[str, dict[str, list[Finished]]] = {}
    for run in runs:
        data = run.recipe["data"]
        labels = data["labels"] or "common names"
        name = data["target"] if places[run.target] > 1 else run.target
        task = f"{name} ({labels})" if run.target in several else name
        table = tables.setdefault(_key(task, data["share"]), {})
        table.setdefault(_key(task, data, run.recipe["method"]), []).append(run)
    found = []
    for rows in tables.values():
        groups = sorted(rows.items(), key=lambda row: row[1][0].method)
        for name, (key, group) in zip(_names([group for _, group in groups]), groups, strict=True):
            task, data, _ = json.loads(key)
            found += [Entry(task, name, data["share"], make_record(run), run.folder) for run in group]
    return found


def _key(*values: Any) -> str:
    return json.dumps(values, sort_keys=True)


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
