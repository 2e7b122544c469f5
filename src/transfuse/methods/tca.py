"""Transfer component analysis of token features, then a linear CRF (Pan et al. 2011)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.maps.adaptation import Projection, tca
from transfuse.run import Stage
from transfuse.transfer.adapted import KernelAdapted, Sides

__all__ = ["Tca"]


@dataclass(frozen=True)
class Tca(KernelAdapted):
    """Settings: see `KernelAdapted`."""

    def learn(self, sides: Sides, *, stage: Stage) -> Projection:
        """Components along which source and target have the same mean."""
        return tca(sides.source, sides.target, self.components, seed=stage.seed)
