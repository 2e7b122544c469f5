"""What the maps of TCA, JDA and SCL cost in CPU seconds, and how the cost grows; the readings for claims are ratios.

Rows are words with some thirty of 20,000 features, as hand-made ones are. First TCA with all rows as landmarks against
landmarks that are drawn; then TCA with landmarks at more and more rows, whose cost a word should not grow; a round of
JDA; a word that goes through the map; and SCL with more and more inputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import sparse

from transfuse.maps.adaptation import Components, Matrix, jda, tca
from transfuse.maps.correspondence import Correspondences, correspond

WIDTH, NAMES = 20_000, 30


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def words(count: int, seed: int, *, unit: bool = True) -> Matrix:
    """Rows of features that are as unevenly frequent as words are."""
    draw = np.random.default_rng(seed)
    columns = (WIDTH ** draw.random((count, NAMES))).astype(int)
    rows = sparse.csr_matrix((np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, NAMES)))
    rows.resize(count, WIDTH)
    rows.sum_duplicates()
    rows.data[:] = 1 / np.sqrt(NAMES) if unit else 1
    return rows


def main() -> None:
    """Print a line a reading."""
    source, target = words(1_500, 0), words(1_500, 1)
    exact = cpu(lambda: tca(source, target, Components(landmarks=3_000)))
    drawn = cpu(lambda: tca(source, target, Components(landmarks=500)))
    print(f"TCA, 3,000 rows: all as landmarks {exact:.2f} s, 500 of them {drawn:.2f} s, ratio {exact / drawn:.1f}")
    each = []
    for count in (2_500, 5_000, 10_000):
        source, target = words(count, 0), words(count, 1)
        seconds = cpu(lambda s=source, t=target: tca(s, t, Components()))
        each.append(seconds / count)
        print(f"TCA, 1,000 landmarks, {2 * count:,} rows: {seconds:.2f} s")
    print(f"seconds a row at 20,000 rows against 5,000: {each[-1] / each[0]:.2f}")
    tags = np.random.default_rng(2).integers(0, 3, source.shape[0])
    none, some = (cpu(lambda n=n: jda(source, target, tags, Components(), rounds=n)) for n in (0, 2))
    print(f"a round of JDA at 20,000 rows: {(some - none) / 2:.2f} s")
    found = tca(source, target, Components())
    print(f"a word through the map: {1e6 * cpu(lambda: found.apply(source)) / source.shape[0]:.0f} microseconds")
    rows = words(40_000, 3, unit=False)
    for inputs in (750, 1_500, 3_000):
        settings = Correspondences(inputs=inputs)
        where = [frozenset({column % 3 - 1}) for column in range(WIDTH)]
        seconds = cpu(lambda s=settings, w=where: correspond(rows, np.arange(300), s, positions=w))
        print(f"SCL, 40,000 rows, 300 pivots, {inputs:,} inputs: {seconds:.2f} s")


if __name__ == "__main__":
    main()
