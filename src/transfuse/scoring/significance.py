"""How sure a score is, and whether one system beats another: resampling over documents.

Documents are what is drawn, since entities of one document are not independent. Only how often each distinct row of
counts is drawn matters, so whole resamples are multinomial or binomial draws over distinct rows: thousands of
resamples of thousands of documents take a fraction of a second, and the distribution is exactly the usual one.

- *Percentile bootstrap* (Efron 1979): documents drawn with replacement, as many as there are.
- *Paired bootstrap*: both systems on the same draw. The two-sided p-value is the share of resamples whose difference
  lies at least as far from the observed difference as that lies from 0 (the bootstrap distribution moved to the null).
- *Approximate randomisation* (Noreen 1989; Yeh 2000): under the null the two predictions of a document may be
  exchanged. The two-sided p-value is the share of random exchanges with a difference at least as large.

P-values count the observed data as one resample, (1 + hits) / (1 + resamples), and so are never 0.

Where a system was run with several seeds, give all its scores: the statistic is the mean over the runs, and a draw or
an exchange takes a document in all runs at once. What varies is the documents; the seeds that were run are taken as
given, so the interval says nothing about seeds that were not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from transfuse.scoring.score import Scores
from transfuse.text import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["AVERAGES", "METRICS", "Difference", "Interval", "compare", "holm", "interval"]

AVERAGES = ("micro", "macro")
"""How labels are averaged, as the docstring of `transfuse.scoring.score` defines it."""

METRICS = ("precision", "recall", "f1")
"""What may be computed from counts."""

_TOLERANCE = 1e-12
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its percentile bootstrap interval, all of them fractions.

    Attributes:
        value: the score itself.
        low: lower end.
        high: upper end.
        level: confidence level.
        resamples: how many.
    """

    value: float
    low: float
    high: float
    level: float
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """System minus baseline.

    Attributes:
        system: score of the system, as a fraction.
        baseline: score of the baseline, as a fraction.
        difference: the former minus the latter.
        low: lower end of the difference's percentile bootstrap interval.
        high: its upper end.
        p_bootstrap: two-sided p-value of the paired bootstrap.
        p_randomisation: two-sided p-value of approximate randomisation: the one to report.
        level: confidence level of the interval.
        resamples: how many the interval and the bootstrap test took.
        exchanges: how many approximate randomisation took.
        runs: of either system.
    """

    system: float
    baseline: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float
    level: float
    resamples: int
    exchanges: int
    runs: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def interval(
    scores: Scores | Sequence[Scores],
    *,
    kind: str = "strict",
    metric: str = "f1",
    average: str = "micro",
    label: str | None = None,
    level: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """A percentile bootstrap interval over documents.

    Args:
        scores: of one run, or of several runs on the same documents.
        kind: one of `transfuse.scoring.score.KINDS`.
        metric: one of `METRICS`.
        average: one of `AVERAGES`; means nothing where a label is given.
        label: score this type alone.
        level: confidence level, between 0 and 1.
        resamples: how many.
        seed: decides the draws.

    Raises:
        ConfigError: an unknown kind, metric, average or label, or a level or number out of range.
        DataError: there is no document, or the runs were not scored on the same gold documents.
    """
    import numpy as np

    _check(level, resamples)
    table = _tables(_runs(scores), kind, average, label)
    rows, times = np.unique(table.reshape(len(table), -1), axis=0, return_counts=True)
    shape = (-1, *table.shape[1:])
    rng = np.random.default_rng(seed)
    draws = [_statistic((n @ rows).reshape(shape), metric) for n in _bootstrap(rng, times, resamples)]
    low, high = _percentiles(np.concatenate(draws), level)
    value = _statistic(table.sum(axis=0, keepdims=True), metric)[0]
    return Interval(float(value), low, high, level, resamples)


def compare(
    system: Scores | Sequence[Scores],
    baseline: Scores | Sequence[Scores],
    *,
    kind: str = "strict",
    metric: str = "f1",
    average: str = "micro",
    label: str | None = None,
    level: float = 0.95,
    resamples: int = 5000,
    exchanges: int | None = None,
    seed: int = 0,
) -> Difference:
    """Paired bootstrap and approximate randomisation between two systems on the same documents.

    Args:
        system: of one run, or of several; documents may stand in another order than the baseline's.
        baseline: as many runs.
        kind: one of `transfuse.scoring.score.KINDS`.
        metric: one of `METRICS`.
        average: one of `AVERAGES`; means nothing where a label is given.
        label: compare on this type alone.
        level: confidence level of the interval, between 0 and 1.
        resamples: how many, for the bootstrap.
        exchanges: how many, for approximate randomisation; as many as resamples unless given.
        seed: decides the draws.

    Raises:
        ConfigError: as `interval`, or the systems have different numbers of runs.
        DataError: as `interval`, over the runs of both.
    """
    import numpy as np

    exchanges = resamples if exchanges is None else exchanges
    _check(level, min(resamples, exchanges))
    ours, theirs = _runs(system), _runs(baseline)
    if len(ours) != len(theirs):
        raise ConfigError(f"{len(ours)} runs cannot be paired with {len(theirs)}: give as many of either system")
    table = _tables([*ours, *theirs], kind, average, label)
    rows, times = np.unique(table.reshape(len(table), -1), axis=0, return_counts=True)
    half, shape = rows.shape[1] // 2, (-1, len(ours), *table.shape[2:])

    def value(totals: Floats, side: slice) -> Floats:
        return _statistic(totals[:, side].reshape(shape), metric)

    def gap(totals: Floats) -> Floats:
        return value(totals, slice(half)) - value(totals, slice(half, None))

    total = (times @ rows)[np.newaxis]
    difference = float(gap(total)[0])
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([gap(n @ rows) for n in _bootstrap(rng, times, resamples)])
    exchange = np.hstack([rows[:, half:] - rows[:, :half], rows[:, :half] - rows[:, half:]])
    moves = exchange.any(axis=1)
    drawn_exchanges = _exchanges(rng, times[moves], exchanges)
    exchanged = np.concatenate([gap(total + n @ exchange[moves]) for n in drawn_exchanges])
    low, high = _percentiles(drawn, level)
    return Difference(
        float(value(total, slice(half))[0]),
        float(value(total, slice(half, None))[0]),
        difference,
        low,
        high,
        _p_value(drawn - difference, difference),
        _p_value(exchanged, difference),
        level,
        resamples,
        exchanges,
        len(ours),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for having made all these comparisons (Holm 1979), in the order given.

    Rejecting where the corrected value is at most alpha keeps the chance of any false rejection at alpha, whatever
    the dependence between the comparisons.
    """
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = least
    return corrected


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"a confidence level lies between 0 and 1, not at {level}")
    if resamples < 1:
        raise ConfigError(f"{resamples} resamples are too few: ask for thousands")


def _runs(scores: Scores | Sequence[Scores]) -> list[Scores]:
    return [scores] if isinstance(scores, Scores) else list(scores)


def _tables(runs: Sequence[Scores], kind: str, average: str, label: str | None) -> Floats:
    """Counts of shape (documents, runs, labels, 4), documents in the order of the first run."""
    import numpy as np

    if not runs or not runs[0].documents:
        raise DataError("there is no document to draw from")
    if average not in AVERAGES:
        raise ConfigError(f"unknown average {average!r}: choose {' or '.join(AVERAGES)}")
    labels = sorted({name for run in runs for name in run.labels})
    if label is not None and label not in labels:
        raise ConfigError(f"no such label: {label!r}; choose one of {', '.join(labels)}")
    order = {name: i for i, name in enumerate(runs[0].documents)}
    table = np.zeros((len(order), len(runs), len(labels), 4))
    for i, run in enumerate(runs):
        if set(run.documents) != set(order):
            raise DataError("the scores are of different documents: score all of them on the same gold documents")
        places = [order[name] for name in run.documents]
        table[np.ix_(places, [i], [labels.index(name) for name in run.labels])] = run.array(kind)[:, np.newaxis]
    gold = table[..., 0] + table[..., 2] + table[..., 3]
    if (gold != gold[:, :1]).any():
        raise DataError("the scores are of different gold annotations: score all of them against the same")
    if label is not None:
        return table[:, :, [labels.index(label)]]
    return table if average == "macro" else table.sum(axis=2, keepdims=True)


def _statistic(totals: Floats, metric: str) -> Floats:
    """Totals of shape (resamples, runs, labels, 4) to the mean over runs of the mean over labels that occur."""
    import numpy as np

    if metric not in METRICS:
        raise ConfigError(f"unknown metric {metric!r}: choose one of {', '.join(METRICS)}")
    tp, fp, fn, surplus = np.moveaxis(totals, -1, 0)
    found = tp + surplus
    precision, recall = _divide(tp, tp + fp), _divide(found, found + fn)
    values = {"precision": precision, "recall": recall}
    if metric == "f1":
        values["f1"] = _divide(2 * precision * recall, precision + recall)
    occurs = tp + fp + found + fn > 0
    means: Floats = _divide((values[metric] * occurs).sum(axis=-1), occurs.sum(axis=-1)).mean(axis=-1)
    return means


def _divide(above: Floats, below: Floats) -> Floats:
    """The quotient, with 0/0 = 0."""
    import numpy as np

    quotient: Floats = np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
    return quotient


def _sizes(times: NDArray[np.int64], resamples: int) -> Iterator[int]:
    """Resamples in chunks, so that memory stays within bounds."""
    size = max(1, _CHUNK // max(1, len(times)))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _bootstrap(rng: np.random.Generator, times: NDArray[np.int64], resamples: int) -> Iterator[Floats]:
    """How often each distinct row is drawn, of shape (resamples, rows), in chunks."""
    total = int(times.sum())
    for size in _sizes(times, resamples):
        yield rng.multinomial(total, times / total, size=size).astype(float)


def _exchanges(rng: np.random.Generator, times: NDArray[np.int64], exchanges: int) -> Iterator[Floats]:
    """How many documents of each distinct row are exchanged, of shape (exchanges, rows), in chunks."""
    import numpy as np

    several = times > 1
    for size in _sizes(times, exchanges):
        drawn = rng.integers(2, size=(size, len(times)), dtype=np.int8).astype(
            float
        )  # of a binomial a tenth of the time
        drawn[:, several] = rng.binomial(times[several], 0.5, size=(size, int(several.sum())))
        yield drawn


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p_value(under_null: Floats, observed: float) -> float:
    hits = int((abs(under_null) >= abs(observed) - _TOLERANCE).sum())
    return (1 + hits) / (1 + len(under_null))
