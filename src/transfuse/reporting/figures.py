"""The figures of a summary: which there are, and of what. Only the overlap of two systems needs their predictions."""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transfuse.reporting import lines, plots
from transfuse.reporting.drawing import Drawing
from transfuse.reporting.examples import TwoSystems
from transfuse.reporting.lines import Point, Series
from transfuse.reporting.rounds import Round
from transfuse.reporting.tables import Row, Summary, Table

__all__ = ["Illustration", "across_shares", "across_tasks", "of_sweeps", "of_table", "slug"]

_MOST_BARS = 5
"""Bars side by side; with more rows than that, those that were best on dev."""


@dataclass(frozen=True)
class Illustration:
    """A drawing and what is said of it.

    Attributes:
        name: of its files.
        caption: what is to be seen.
        drawing: the figure.
    """

    name: str
    caption: str
    drawing: Drawing


_LONGEST = 90
"""Bytes of a file name, where 255 are allowed with endings and what a file is called while it is written."""


def slug(*parts: object) -> str:
    """A file name of some words; with a hash where it does not tell them from others, or would be too long."""
    name = "-".join(re.sub(r"[^\w.]+", "-", str(part)).strip("-.").lower() for part in parts)
    whole = "-".join(map(str, parts))
    if name == whole.replace(" ", "-") and len(name.encode()) <= _LONGEST:
        return name
    short = name.encode()[:_LONGEST].decode(errors="ignore").strip("-.")
    return f"{short}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"


def _colours(names: Iterable[str], baseline: str) -> dict[str, str]:
    others = [name for name in dict.fromkeys(names) if name != baseline]
    return {baseline: "base"} | {name: f"c{i % 8}" for i, name in enumerate(others)}


def across_shares(summary: Summary) -> Iterator[tuple[str, list[Illustration]]]:
    """For each task with several shares its learning curves, and gain against the number of annotations."""
    for task, tables in summary.tasks.items():
        if len(tables) > 1:
            yield task, [_learning(summary, task, tables), _gains(summary, task, tables)]


def _unswept(tables: Sequence[Table]) -> list[str]:
    return list(dict.fromkeys(row.name for table in tables for row in table.rows if not row.swept))


def _learning(summary: Summary, task: str, tables: Sequence[Table]) -> Illustration:
    names = _unswept(tables)
    colours = _colours(names, summary.baseline)
    series = []
    for name in names:
        points = [_mean(100 * table.share, row) for table in tables if (row := table.row(name))]
        series.append(Series(name, colours[name], tuple(points)))
    drawing = lines.curves(
        series,
        title=f"Learning curves on {task}",
        x="labelled share of the target's training documents, %",
        y="strict F1, %",
        ticks=[(100 * table.share, f"{100 * table.share:g}") for table in tables],
        logarithmic=all(table.share for table in tables),
    )
    caption = "Strict micro F1 on the test split against the labelled share; bars: standard deviation over seeds."
    return Illustration(slug(task, "learning-curves"), caption, drawing)


def _mean(x: float, row: Row) -> Point:
    mean, deviation = 100 * row.mean(), 100 * (row.deviation or 0)
    return Point(x, mean, mean - deviation, mean + deviation)


def _gains(summary: Summary, task: str, tables: Sequence[Table]) -> Illustration:
    names = [name for name in _unswept(tables) if name != summary.baseline]
    colours = _colours(_unswept(tables), summary.baseline)
    series = []
    for name in names:
        rows = [row for table in tables if (row := table.row(name))]
        series.append(Series(name, colours[name], tuple(point for row in rows if (point := _gain(row)))))
    ticks = [table.rows[0].annotations for table in tables]
    drawing = lines.curves(
        [one for one in series if one.points],
        title=f"Gain on {task} by number of annotations",
        x="labelled mentions of the target",
        y="gain in strict F1, points",
        ticks=[(place, f"{place:,.0f}") for place in ticks],
        logarithmic=min(ticks) > 0,
        level=(summary.baseline, 0.0),
    )
    caption = f"Gain over {summary.baseline} against the number of labelled mentions; bars: 95 % interval."
    return Illustration(slug(task, "gains"), caption, drawing)


def across_tasks(summary: Summary) -> list[Illustration]:
    """Gain against the number of annotations, of all tasks in one figure (Giorgi & Bader 2018, figure 3).

    Of more than four methods, those whose gain on dev is highest on average.
    """
    found: dict[str, list[Row]] = {}
    gains: dict[str, list[float]] = {}
    for table in summary.tables:
        base = table.row(summary.baseline)
        for row in table.rows:
            if base and row.test and row.annotations and not row.swept:
                found.setdefault(row.name, []).append(row)
                gains.setdefault(row.name, []).append(row.mean("dev") - base.mean("dev"))
    if len(summary.tasks) < 2 or not found:
        return []
    kept = sorted(found, key=lambda name: -statistics.fmean(gains[name]))[: _MOST_BARS - 1]
    colours = _colours((name for name in found if name in kept), summary.baseline)
    series = [
        Series(name, colours[name], tuple(point for row in rows if (point := _gain(row))))
        for name, rows in found.items()
        if name in kept
    ]
    drawing = lines.scatter(
        series,
        title="Gain by number of annotations, all tasks",
        x="labelled mentions of the target",
        y="gain in strict F1, points",
        level=(summary.baseline, 0.0),
    )
    caption = (
        f"Gain over {summary.baseline} against the number of labelled mentions, a point a task and share; outlines are "
        "undecided."
    )
    if len(kept) < len(found):
        caption += f" The {len(kept)} methods that gain most on dev."
    return [Illustration("gains-by-annotations", caption, drawing)]


def _gain(row: Row) -> Point | None:
    decided, test = row.verdict.word != "undecided", row.test
    return (
        None
        if test is None
        else Point(row.annotations, 100 * test.difference, 100 * test.low, 100 * test.high, decided)
    )


def of_sweeps(summary: Summary) -> list[Illustration]:
    """For each swept setting and share F1 against its value, a line for each task; the unswept row has a value, too."""
    found: dict[tuple[str, float], dict[str, list[tuple[Any, Row]]]] = {}
    for table in summary.tables:
        for row in table.rows:
            if row.swept:
                path, value = row.swept
                found.setdefault((path, table.share), {}).setdefault(table.task, []).append((value, row))
    for (path, share), tasks in found.items():
        for table in summary.tables:
            if table.share == share and table.task in tasks:
                tasks[table.task] += _unswept_point(table, path)
    return [_sweep(summary, path, share, tasks) for (path, share), tasks in found.items()]


def _unswept_point(table: Table, path: str) -> list[tuple[Any, Row]]:
    """The row whose settings a sweep varies, at the value that it has of itself; none where it has none."""
    name, *keys = path.split(".")
    if (row := table.row(name)) is None:
        return []
    value: Any = row.entries[0].record.recipe["method"]
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return [] if value is None else [(value, row)]


def _sweep(summary: Summary, path: str, share: float, tasks: dict[str, list[tuple[Any, Row]]]) -> Illustration:
    every = [value for points in tasks.values() for value, _ in points]
    values = [value for i, value in enumerate(every) if value not in every[:i]]  # a value may be a list
    if all(isinstance(value, int | float) for value in values):
        values.sort()
    colours = _colours(tasks, "")
    series = [
        Series(task, colours[task], tuple(_mean(i, row) for i, x in enumerate(values) for y, row in points if x == y))
        for task, points in tasks.items()
    ]
    base = [t.row(summary.baseline) for t in summary.tables if t.share == share and t.task in tasks]
    level = (summary.baseline, 100 * base[0].mean()) if len(base) == 1 and base[0] else None
    drawing = lines.curves(
        series,
        title=f"{path} at {100 * share:g} %",
        x=path,
        y="strict F1, %",
        ticks=[(place, str(value)) for place, value in enumerate(values)],
        level=level,
    )
    caption = f"Strict micro F1 against {path} at {100 * share:g} % labelled; bars: standard deviation over seeds."
    return Illustration(slug("sweep", path, f"{100 * share:g}"), caption, drawing)


def of_table(summary: Summary, table: Table, pair: TwoSystems | None) -> list[Illustration]:
    """Intervals, F1 with precision and recall, mentions, errors, sets, rounds, and two systems' overlap."""
    rows = [row for row in table.rows if not row.swept] or list(table.rows)
    colours = _colours((row.name for row in rows), summary.baseline)
    few = _few(rows, summary.baseline)
    place = slug(table.task, f"{100 * table.share:g}")
    at = f"{table.task} at {100 * table.share:g} %"
    found = [_intervals(rows, colours, place, at)]
    if len(table.rows[0].types()) > 1:
        found += [_types(few, colours, place, at), _profiles(few, place, at)]
    found.append(_measures(few, colours, place, at))
    found += [_mentions(few, colours, place, at), _errors(few, place, at)]
    if counted := [row for row in few if row.sets()]:
        found.append(_sets(counted, colours, place, at))
    if labelled := [row for row in rows if row.rounds()]:
        found.append(_rounds(labelled, colours, place, at))
    if pair:
        found.append(_venn(pair, colours, place, at))
    return found


def _few(rows: Sequence[Row], baseline: str) -> list[Row]:
    if len(rows) <= _MOST_BARS:
        return list(rows)
    others = sorted((row for row in rows if row.name != baseline), key=lambda row: -row.mean("dev"))
    kept = {row.name for row in others[: _MOST_BARS - 1]} | {baseline}
    return [row for row in rows if row.name in kept]


def _intervals(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    points = [
        (row.name, colours[row.name], Point(0, 100 * row.mean(), 100 * row.interval.low, 100 * row.interval.high))
        for row in rows
    ]
    drawing = plots.intervals(points, title=f"Strict F1 on {at}", x="strict F1, %")
    return Illustration(f"{place}-intervals", "Strict micro F1 on the test split, with its 95 % interval.", drawing)


def _types(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    labels = list(rows[0].types())
    bars = [(row.name, colours[row.name], [100 * row.types()[label] for label in labels]) for row in rows]
    drawing = plots.bars(labels, bars, title=f"F1 by type on {at}", y="strict F1, %")
    return Illustration(f"{place}-types", "Strict F1 by type: means over seeds.", drawing)


_MEASURES = {"precision": "c4", "recall": "c2", "f1": "c0"}
_STRICTNESS = {"strict": "strict", "relaxed": "relaxed: overlapping"}


def _profiles(rows: Sequence[Row], place: str, at: str) -> Illustration:
    """In the form of figures 3 to 5 of Gan & Wang (2026): a method's precision, recall and F1 by type."""
    labels = list(rows[0].types())

    def bars(row: Row, kind: str) -> list[tuple[str, str, list[float]]]:
        rates = [row.rates(kind)[label].to_dict() for label in labels]
        return [(_named(name), colour, [100 * each[name] for each in rates]) for name, colour in _MEASURES.items()]

    panels = [[(f"{row.name}, {said}", bars(row, kind)) for kind, said in _STRICTNESS.items()] for row in rows]
    drawing = plots.bar_panels(labels, panels, title=f"Precision, recall and F1 by type on {at}", y="%")
    caption = "Precision, recall and F1 by type, strict and relaxed (same type, overlapping): means over seeds."
    return Illustration(f"{place}-profiles", caption, drawing)


def _measures(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    """In the form of figure 6 of Gan & Wang (2026): precision, recall and F1 of the methods over all types."""

    def bars(kind: str) -> list[tuple[str, str, list[float]]]:
        return [(row.name, colours[row.name], [100 * x for x in row.overall(kind).to_dict().values()]) for row in rows]

    panels = [[(said, bars(kind)) for kind, said in _STRICTNESS.items()]]
    drawing = plots.bar_panels(
        [_named(name) for name in _MEASURES], panels, title=f"Precision, recall and F1 on {at}", y="%"
    )
    caption = "Micro precision, recall and F1, strict and relaxed (same type, overlapping): means over seeds."
    return Illustration(f"{place}-measures", caption, drawing)


def _named(measure: str) -> str:
    return "F1" if measure == "f1" else measure


def _mentions(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    gold = {part: counts.gold // len(rows[0].entries) for part, counts in rows[0].mentions().items()}
    bars = [(row.name, colours[row.name], [100 * counts.recall for counts in row.mentions().values()]) for row in rows]
    groups = [f"{part}, about {number:,}" for part, number in gold.items()]
    drawing = plots.bars(groups, bars, title=f"Recall of seen and unseen mentions on {at}", y="recall, %")
    caption = "Recall of test mentions that stand in the labelled training documents (seen), and of those that do not."
    return Illustration(f"{place}-mentions", caption, drawing)


def _errors(rows: Sequence[Row], place: str, at: str) -> Illustration:
    drawing = plots.stacks([(row.name, row.errors()) for row in rows], title=f"Errors on {at}", x="errors")
    caption = (
        "Errors by kind: means over seeds. Boundary: right type, overlapping. Type: same span, wrong type. Missed: "
        "nothing was found there. Spurious: nothing is there."
    )
    return Illustration(f"{place}-errors", caption, drawing)


_QUOTIENTS = {
    "unseen_found": "new mentions found",
    "coverage": "gold in training",
    "forgotten": "known ones missed",
    "misled": "wrong ones in training",
    "excess": "too many",
}


def _sets(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    values = {row.name: [100 * value for value in row.sets().values()] for row in rows}
    axes = [
        (_QUOTIENTS[name], 5.0 * math.floor(min(0.0, *column) / 5), 5.0 * max(1, math.ceil(max(column) / 5)))
        for name, column in zip(rows[0].sets(), zip(*values.values(), strict=True), strict=True)
    ]
    shown = [(name, colours[name], row) for name, row in values.items()]
    drawing = plots.radar(axes, shown, title=f"Distinct mentions on {at}")
    caption = (
        "Distinct mentions as sets (Chai et al. 2022), in per cent; each axis has its own ends. Far out is better for "
        "new mentions found, the centre for known ones missed and wrong ones. Too many: more predicted than in gold."
    )
    return Illustration(f"{place}-sets", caption, drawing)


_TOLD: dict[str, Callable[[Round], float | None]] = {
    "accepted, % of raw sentences": lambda one: one.taken,
    "precision of pseudo-labels, %": lambda one: one.precision,
    "agreement of the voters, %": lambda one: one.agreement,
    "margin of the vote, %": lambda one: one.margin,
}


def _rounds(rows: Sequence[Row], colours: dict[str, str], place: str, at: str) -> Illustration:
    panels = []
    for name, tell in _TOLD.items():
        series = []
        for row in rows:
            told = [(one.number, 100 * value) for one in row.rounds() if (value := tell(one)) is not None]
            points = tuple(Point(number, value, value, value) for number, value in told)
            series.append(Series(row.name, colours[row.name], points))
        if any(one.points for one in series):
            panels.append((name, series))
    last = max(row.rounds()[-1].number for row in rows)
    ticks = [(float(number), str(number)) for number in range(last + 1)]
    drawing = lines.curve_panels(panels, title=f"Rounds of pseudo-labelling on {at}", x="round", ticks=ticks)
    caption = (
        "What views took of the raw text in each round, how much of it was right where gold is known, and how the vote "
        "stood after it: means over seeds. Round 0 is the warm-up. Nothing was chosen by the precision."
    )
    return Illustration(f"{place}-rounds", caption, drawing)


def _venn(pair: TwoSystems, colours: dict[str, str], place: str, at: str) -> Illustration:
    names = {"tp": "true positives", "fn": "false negatives", "fp": "false positives"}
    overlap = pair.overlap()
    panels = [
        (text, (overlap[key]["first"], overlap[key]["both"], overlap[key]["second"])) for key, text in names.items()
    ]
    drawing = plots.venn(
        panels,
        rows=[(name, colours.get(name, "c0")) for name in (pair.first, pair.other)],
        title=f"Overlap of outcomes on {at}",
    )
    caption = f"What {pair.first} and {pair.other} (the best on dev) have in common: by the first seed."
    return Illustration(f"{place}-overlap", caption, drawing)
