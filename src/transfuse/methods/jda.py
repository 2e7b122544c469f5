"""Joint distribution adaptation of token features with pseudo-tags, then a linear CRF (Long et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.maps.adaptation import Projection, jda
from transfuse.ranges import check_ranges
from transfuse.run import Stage
from transfuse.transfer.adapted import KernelAdapted, Sides

__all__ = ["Jda"]


@dataclass(frozen=True)
class Jda(KernelAdapted):
    """Settings: see `KernelAdapted`.

    Attributes:
        rounds: of pseudo-tags, at most; none is TCA.
    """

    rounds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, rounds="[0, inf)")

    def learn(self, sides: Sides, *, stage: Stage) -> Projection:
        """Components along which source and target have the same mean, and so have the words of each tag."""
        found = jda(
            sides.source,
            sides.target,
            sides.tags,
            self.components,
            known=sides.known,
            rounds=self.rounds,
            seed=stage.seed,
        )
        stage.record("pseudo", changed=found.changed, inside=int((found.tags > 0).sum()), words=len(found.tags))
        return found.projection
