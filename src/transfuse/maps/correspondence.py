"""Structural correspondence learning (Blitzer et al. 2006): features of two domains meet through pivots that both have.

Arrays in, arrays out. Rows are tokens, columns are features that are there or not, as SciPy's CSR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from transfuse.ranges import check_ranges
from transfuse.text import DataError

__all__ = ["Correspondences", "Pivots", "choose_pivots", "correspond", "mutual_information"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Matrix = Any
"""``[rows, features]``, SciPy's CSR of zeros and ones."""


@dataclass(frozen=True)
class Correspondences:
    """What SCL looks for.

    Attributes:
        pivots: features that both domains have often, those that say most of the tag.
        frequent: how often each domain must have a pivot.
        inputs: other features from which pivots are predicted, the most frequent ones.
        dimension: columns of what comes out.
        ridge: weight of a predictor's squared norm against its mean squared error.
    """

    pivots: int = 300
    frequent: int = 20
    inputs: int = 3_000
    dimension: int = 50
    ridge: float = 1e-4

    def __post_init__(self) -> None:
        check_ranges(self, **dict.fromkeys(("pivots", "frequent", "inputs", "dimension"), "[1, inf)"), ridge="(0, inf)")


@dataclass(frozen=True)
class Pivots:
    """Chosen features, the most informative first.

    Attributes:
        columns: ``[pivots]``.
        information: ``[pivots]`` with the tag, in bits.
    """

    columns: Ints
    information: Floats


def mutual_information(present: Matrix, tags: Ints) -> Floats:
    """Mutual information in bits between the presence of each feature and the tag.

    Args:
        present: ``[rows, features]``.
        tags: ``[rows]``, from 0.

    Returns:
        ``[features]``.
    """
    rows = present.shape[0]
    ones = sparse.csr_matrix((np.ones(rows), tags, np.arange(rows + 1)), shape=(rows, int(tags.max(initial=0)) + 1))
    together = np.asarray((present.T @ ones).todense(), dtype=np.float64) / max(1, rows)
    chance = np.asarray(ones.sum(0), dtype=np.float64).reshape(1, -1) / max(1, rows)
    having = together.sum(1, keepdims=True)
    found: Floats = _terms(together, having * chance) + _terms(chance - together, (1 - having) * chance)
    return found.clip(0)


def _terms(joint: Floats, independent: Floats) -> Floats:
    """``sum p log2(p / q)`` along rows; a term is 0 where p is."""
    some = (joint > 0) & (independent > 0)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=some)
    total: Floats = (joint.clip(0) * np.log2(ratio)).sum(1)
    return total


def choose_pivots(source: Matrix, target: Matrix, tags: Ints, settings: Correspondences, *, candidates: Ints) -> Pivots:
    """The candidates frequent in both domains that say most of the tag (Blitzer et al. 2007).

    Args:
        source: ``[n, features]``.
        target: ``[m, features]``.
        tags: ``[n]`` of the source, from 0; rows with a negative one tell nothing.
        settings: how many, and how frequent.
        candidates: columns that may become pivots.

    Raises:
        DataError: no candidate is frequent in both.
    """
    least = np.minimum(_counts(source), _counts(target))
    columns = candidates[least[candidates] >= settings.frequent]
    if not len(columns):
        raise DataError(f"no feature stands {settings.frequent} times in both domains: lower frequent, or add raw text")
    known = np.flatnonzero(tags >= 0)
    information = mutual_information(source[known][:, columns], tags[known])
    best = np.argsort(-information, kind="stable")[: settings.pivots]
    return Pivots(columns[best], information[best])


def correspond(rows: Matrix, pivots: Ints, settings: Correspondences, *, positions: Sequence[frozenset[int]]) -> Floats:
    """The map of SCL: predictors of the pivots, and what they have in common.

    A linear predictor for each pivot is learned from the most frequent features that are no pivots, over all rows of
    both domains. It does not see features of the pivot's own position, which would give it away (a suffix of the word
    that it asks for). Negative weights count as 0, as in the paper. The left singular vectors of all weights span the
    space. The predictors are ridge regressions, solved exactly; the paper's have the modified Huber loss.

    Args:
        rows: ``[n, features]`` of both domains.
        pivots: columns.
        settings: predictors and dimension.
        positions: ``[features]`` to which words a feature looks: 0 the token's own, -1 the one before.

    Returns:
        ``[features, dimension]`` weights, zeros for features that were not looked at; fewer columns where the
        predictors have fewer directions.

    Raises:
        DataError: there is nothing from which a pivot could be predicted.
    """
    inputs = _inputs(rows, pivots, settings.inputs)
    if not len(inputs):
        raise DataError("there is no feature but pivots: nothing corresponds to them")
    weights = np.zeros((len(inputs), len(pivots)))
    groups: dict[frozenset[int], list[int]] = {}
    for number, column in enumerate(pivots):
        groups.setdefault(positions[column], []).append(number)
    for position, numbers in groups.items():
        seen = np.array([i for i, column in enumerate(inputs) if not positions[column] & position], dtype=np.int64)
        if len(seen):
            asked = rows[:, pivots[numbers]]
            weights[seen[:, None], np.array(numbers)] = _predictors(rows[:, inputs[seen]], asked, settings.ridge)
    left, values, _ = linalg.svd(weights.clip(0), full_matrices=False)
    some = np.flatnonzero(values > 1e-10 * max(values[0], 1e-300))[: settings.dimension]
    if not len(some):
        raise DataError("no feature says anything of a pivot: nothing corresponds")
    left = left[:, some]
    largest = np.abs(left).argmax(0)
    theta = np.zeros((rows.shape[1], len(some)))
    theta[inputs] = left * np.sign(left[largest, np.arange(len(some))])
    return theta


def _inputs(rows: Matrix, pivots: Ints, count: int) -> Ints:
    """The most frequent columns that are no pivots and that not all rows have, in the order of columns."""
    counts = _counts(rows)
    counts[pivots] = 0
    counts[counts == rows.shape[0]] = 0
    best = np.argsort(-counts, kind="stable")[:count]
    return np.sort(best[counts[best] > 0])


def _predictors(seen: Matrix, asked: Matrix, weight: float) -> Floats:
    """``[inputs, pivots]``: ``argmin_w mean (x.w + b - y)^2 + weight |w|^2`` for each column y of 0 and 1."""
    size = seen.shape[0]
    means = np.asarray(seen.mean(0)).reshape(-1)
    square = np.asarray((seen.T @ seen).todense()) / size - np.outer(means, means)
    square[np.diag_indices_from(square)] += weight
    answers = np.asarray((seen.T @ asked).todense()) / size - np.outer(means, np.asarray(asked.mean(0)).reshape(-1))
    factor = linalg.cho_factor(square, lower=True, overwrite_a=True)
    solved: Floats = linalg.cho_solve(factor, answers)
    return solved


def _counts(rows: Matrix) -> Ints:
    return np.asarray((rows != 0).sum(0), dtype=np.int64).reshape(-1)
