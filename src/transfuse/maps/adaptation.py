"""Maps that bring the distributions of source and target together: TCA (Pan et al. 2011) and JDA (Long et al. 2013).

Arrays in, arrays out. A row is an item, as a word with its features; rows are dense or SciPy's CSR. Both maps are
``z(x) = k(x, landmarks) W``, so that new rows go through them as those did that they were learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from transfuse.ranges import check_ranges
from transfuse.text import ConfigError, DataError

__all__ = ["UNKNOWN", "Components", "Joint", "Kernel", "Projection", "jda", "separation", "standardised", "tca"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Matrix = Any
"""``[rows, width]``, an array or SciPy's CSR."""

UNKNOWN = -1
"""The tag of a row whose tag is not known."""

_PAIRED = 1_000  # rows between which the median distance is taken
_BLOCK = 2_000  # rows that are compared with others together
_RANK = 1e-10  # of the largest eigenvalue: below it, a direction has no variance worth the name


@dataclass(frozen=True)
class Kernel:
    """``linear``: ``a.b``; ``rbf``: ``exp(-|a - b|^2 / (2 bandwidth))``, its bandwidth above 0."""

    kind: Literal["linear", "rbf"] = "linear"
    bandwidth: float = 0.0

    def __call__(self, rows: Matrix, columns: Matrix) -> Floats:
        """``[rows, columns]`` in float64."""
        found = np.empty((rows.shape[0], columns.shape[0]))
        lengths = _squares(columns)
        for start in range(0, len(found), _BLOCK):
            block, part = rows[start : start + _BLOCK], found[start : start + _BLOCK]
            part[...] = _dense(block @ columns.T)
            if self.kind == "rbf":
                squared = _squares(block)[:, None] + lengths - 2 * part
                np.exp(np.maximum(squared, 0) / (-2 * self.bandwidth), out=part)
        return found


@dataclass(frozen=True)
class Components:
    """What TCA and JDA look for.

    Attributes:
        kernel: ``linear`` or ``rbf``.
        bandwidth: of the RBF kernel, in squared distance; 0 for the median between rows. Refused with another kernel.
        mu: weight of ``|W|^2`` against the discrepancy; the smaller, the more discrepancy is taken out. In units of the
            trace of ``K L K``, which grows with rows, landmarks and the kernel's values: in the papers' units a value
            that suits one problem does nothing in another.
        dimension: columns of what comes out; fewer where the rows vary in fewer directions.
        landmarks: rows that carry the kernel. All do where there are no more; else so many are drawn, evenly from both
            sides, and the map is looked for in their span, the Nystroem subspace. All rows count in the statistics.
    """

    kernel: Literal["linear", "rbf"] = "rbf"
    bandwidth: float = 0.0
    mu: float = 0.01
    dimension: int = 50
    landmarks: int = 1_000

    def __post_init__(self) -> None:
        check_ranges(self, bandwidth="[0, inf)", mu="(0, inf)", dimension="[1, inf)", landmarks="[2, inf)")
        if self.bandwidth and self.kernel != "rbf":
            raise ConfigError(f'bandwidth would do nothing with kernel = "{self.kernel}": it is of "rbf"')


@dataclass(frozen=True)
class Projection:
    """``z = k(x, landmarks) W - offset``, or ``x W - offset`` where there are no landmarks.

    Attributes:
        weights: W, ``[landmarks, dimension]`` or ``[width, dimension]``.
        offset: ``[dimension]``.
        landmarks: ``[landmarks, width]``.
        kernel: its bandwidth settled.
    """

    weights: Floats
    offset: Floats
    landmarks: Matrix = None
    kernel: Kernel = Kernel()

    def apply(self, rows: Matrix) -> Floats:
        """Map rows, known or new: ``[rows, dimension]``."""
        seen = rows if self.landmarks is None else self.kernel(rows, self.landmarks)
        mapped: Floats = _dense(seen @ self.weights) - self.offset
        return mapped


@dataclass(frozen=True)
class Joint:
    """What JDA ends with.

    Attributes:
        projection: the map.
        tags: ``[target]`` of the target's rows: the known ones, and pseudo-tags for the others; `UNKNOWN` where no
            round was asked for.
        changed: in each round, how many pseudo-tags were not those of the round before.
    """

    projection: Projection
    tags: Ints
    changed: tuple[int, ...]


def tca(source: Matrix, target: Matrix, components: Components, *, seed: int = 0) -> Projection:
    """Transfer component analysis (Pan et al. 2011, eq. 9).

    Minimises ``tr(W' K L K W) + mu tr(K L K) tr(W' W)`` subject to ``W' K H K W = 1``: the squared MMD between the
    mapped sides and the size of W, at unit scatter along each component. L has ``1/n^2``, ``1/m^2`` and ``-1/(n m)``
    for pairs within the source, within the target and across; H centres.

    Args:
        source: ``[n, width]``.
        target: ``[m, width]``.
        components: what to look for.
        seed: draws landmarks, and the rows whose distances give the bandwidth.

    Returns:
        The map, the component with the largest scatter for its price first.

    Raises:
        DataError: a side is empty, or all rows are alike.
    """
    problem = _Problem(source, target, components, seed)
    return problem.solve([problem.gap()])


def jda(
    source: Matrix,
    target: Matrix,
    tags: Ints,
    components: Components,
    *,
    known: Ints | None = None,
    rounds: int = 10,
    seed: int = 0,
) -> Joint:
    """Joint distribution adaptation (Long et al. 2013, eq. 9).

    As `tca`, with one more discrepancy for each tag that both sides have: between the means of its rows. Tags of the
    target are those that the nearest source row has in the space of the round before; the first round starts from
    TCA. It ends early when no pseudo-tag changes any more.

    Args:
        source: ``[n, width]``.
        target: ``[m, width]``.
        tags: ``[n]`` of the source, from 0, or `UNKNOWN`.
        components: what to look for.
        known: ``[m]`` tags of the target, `UNKNOWN` where there is none; their rows are neighbours, too.
        rounds: at most; none is TCA.
        seed: see `tca`.

    Raises:
        DataError: see `tca`; no row has a tag.
    """
    given = np.full(target.shape[0], UNKNOWN) if known is None else known
    problem = _Problem(source, target, components, seed)
    found, pseudo, changed = problem.solve([problem.gap()]), given, []
    for _ in range(rounds):
        before, pseudo = pseudo, problem.nearest(found, tags, given)
        changed.append(int((before != pseudo).sum()))
        if len(changed) > 1 and not changed[-1]:
            break
        shared = np.intersect1d(tags, pseudo[pseudo != UNKNOWN])
        gaps = [problem.gap(tags == tag, pseudo == tag) for tag in shared]
        found = problem.solve([problem.gap(), *gaps])
    return Joint(found, pseudo, tuple(changed))


class _Problem:
    """Both sides seen from the landmarks: ``k(x, landmarks)`` for each row x, and its scatter."""

    def __init__(self, source: Matrix, target: Matrix, components: Components, seed: int) -> None:
        n, m = source.shape[0], target.shape[0]
        if not n or not m:
            raise DataError(f"{'the target' if n else 'the source'} has no row to learn a map from")
        self.components = components
        self.size = n
        draw = np.random.default_rng(seed)
        pooled = _stack(source, target)
        self.landmarks = pooled[_drawn(n, m, components.landmarks, draw)]
        self.kernel = Kernel(components.kernel, components.bandwidth)
        if components.kernel == "rbf" and not components.bandwidth:
            self.kernel = Kernel("rbf", _median(pooled[_drawn(n, m, _PAIRED, draw)]))
        self.seen = self.kernel(pooled, self.landmarks)
        mean, products = self.seen.mean(0), self.seen.T @ self.seen
        self.scatter = products - (n + m) * np.outer(mean, mean)
        if np.trace(self.scatter) <= _RANK * np.trace(products):
            raise DataError("all rows are alike: there is nothing to map")

    def gap(self, source: NDArray[np.bool_] | None = None, target: NDArray[np.bool_] | None = None) -> Floats:
        """``[landmarks]`` the difference of the means of some rows of either side, of all by default."""
        here, there = self.seen[: self.size], self.seen[self.size :]
        means = [(side if rows is None else side[rows]).mean(0) for side, rows in ((here, source), (there, target))]
        difference: Floats = means[0] - means[1]
        return difference

    def solve(self, gaps: list[Floats]) -> Projection:
        """The best W where the squared gaps are to be small."""
        stacked = np.stack(gaps)
        size = len(self.scatter)
        price = stacked.T @ stacked
        price[np.diag_indices(size)] += self.components.mu * (np.trace(price) or 1.0)
        last = [max(0, size - self.components.dimension), size - 1]
        worth, vectors = linalg.eigh(self.scatter, price, subset_by_index=last)
        some = worth > _RANK * worth[-1]
        weights = (vectors[:, some] / np.sqrt(worth[some]))[:, ::-1]
        largest = np.abs(weights).argmax(0)
        weights = weights * np.sign(weights[largest, np.arange(weights.shape[1])])
        return Projection(weights, np.zeros(weights.shape[1]), self.landmarks, self.kernel)

    def nearest(self, found: Projection, tags: Ints, known: Ints) -> Ints:
        """The tags of the target: those known, and of each other row that of the nearest row with a tag."""
        mapped = self.seen @ found.weights
        open_rows = np.flatnonzero(known == UNKNOWN)
        everything = np.concatenate([tags, known])
        tagged = np.flatnonzero(everything != UNKNOWN)
        if not len(tagged):
            raise DataError("no row has a tag that others could take over")
        neighbours = mapped[tagged]
        lengths = _squares(neighbours)
        result = known.copy()
        for start in range(0, len(open_rows), _BLOCK):
            rows = open_rows[start : start + _BLOCK]
            nearest = (lengths - 2 * mapped[self.size + rows] @ neighbours.T).argmin(1)
            result[rows] = everything[tagged[nearest]]
        return result


def separation(source: Matrix, target: Matrix, kernel: Kernel | None = None) -> float:
    """How far two sides lie apart: the squared MMD (unbiased) by the variance of both together, in the kernel's space.

    About 0, and as often below as above it, for two draws from one distribution; for two sides of equal size at most 4,
    where neither varies in itself.

    Args:
        source: ``[n, width]``, at least two rows.
        target: ``[m, width]``, at least two rows.
        kernel: linear by default: the squared distance of the means. Another takes memory for all pairs of rows.
    """
    n, m = source.shape[0], target.shape[0]
    if kernel is None or kernel.kind == "linear":
        here, there = (np.asarray(side.sum(0), dtype=np.float64).reshape(-1) for side in (source, target))
        own = [float(_squares(side).sum()) for side in (source, target)]
        within, across = [float(here @ here), float(there @ there)], float(here @ there)
    else:
        own = [float(n), float(m)]
        within = [float(kernel(side, side).sum()) for side in (source, target)]
        across = float(kernel(source, target).sum())
    gap = sum((total - alone) / (k * (k - 1)) for total, alone, k in zip(within, own, (n, m), strict=True))
    variance = sum(own) / (n + m) - (sum(within) + 2 * across) / (n + m) ** 2
    return (gap - 2 * across / (n * m)) / variance if variance > 0 else 0.0


def standardised(projection: Projection, rows: Matrix) -> Projection:
    """The same map with mean 0 and variance 1 along each column over some rows; constant columns become 0."""
    mapped = projection.apply(rows)
    mean, deviation = mapped.mean(0), mapped.std(0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    offset = (mean + projection.offset) * scale
    return Projection(projection.weights * scale, offset, projection.landmarks, projection.kernel)


def _drawn(n: int, m: int, count: int, draw: np.random.Generator) -> Ints:
    """Rows of both sides, evenly where both have enough; all where there are not more than so many."""
    if n + m <= count:
        return np.arange(n + m)
    first = min(n, max(count // 2, count - m))
    rows = [draw.choice(n, first, replace=False), n + draw.choice(m, count - first, replace=False)]
    return np.sort(np.concatenate(rows))


def _median(rows: Matrix) -> float:
    """The median squared distance between different rows, or the mean where it is 0."""
    squared = _squares(rows)[:, None] + _squares(rows)[None] - 2 * _dense(rows @ rows.T)
    pairs = np.maximum(squared[np.triu_indices(len(squared), 1)], 0)
    return float(np.median(pairs) or pairs.mean() or 1.0)


def _squares(rows: Matrix) -> Floats:
    powers = rows.multiply(rows) if sparse.issparse(rows) else np.square(rows, dtype=np.float64)
    return np.asarray(powers.sum(1), dtype=np.float64).reshape(-1)


def _stack(source: Matrix, target: Matrix) -> Matrix:
    both = (source, target)
    return sparse.vstack(both, format="csr") if sparse.issparse(source) else np.concatenate(both)


def _dense(matrix: Matrix) -> Floats:
    full = matrix.toarray() if sparse.issparse(matrix) else matrix
    return np.asarray(full, dtype=np.float64)
