"""Structural correspondence learning between token features, then a linear CRF (Blitzer et al. 2006)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from transfuse.maps.adaptation import Projection
from transfuse.maps.correspondence import Correspondences, choose_pivots, correspond
from transfuse.maps.token_features import Extractor, HandMade, pivot_candidates, positions
from transfuse.run import Stage
from transfuse.transfer.adapted import Adapted, Sides

__all__ = ["Scl"]


@dataclass(frozen=True)
class Scl(Adapted):
    """Settings: see `Adapted`.

    Attributes:
        correspondences: pivots, predictors and space.
    """

    tokens: int = 50_000
    correspondences: Correspondences = field(default_factory=Correspondences)

    def extractor(self, sentences: Iterable[Sequence[str]]) -> Extractor:
        """Hand-made features."""
        return HandMade.of(sentences)

    def learn(self, sides: Sides, *, stage: Stage) -> Projection:
        """The space of the pivots' predictors."""
        pivots = choose_pivots(
            sides.source,
            sides.target,
            sides.tags,
            self.correspondences,
            candidates=pivot_candidates(sides.names),
        )
        best = [sides.names[column] for column in pivots.columns[:20]]
        stage.record("pivots", count=len(pivots.columns), best=best, bits=pivots.information[:20].round(6).tolist())
        rows = sparse.vstack([sides.source, sides.target], format="csr")
        where = [positions(name) for name in sides.names]
        theta = correspond(rows, pivots.columns, self.correspondences, positions=where)
        return Projection(theta, np.zeros(theta.shape[1]))
