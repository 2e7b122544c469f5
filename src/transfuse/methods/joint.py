"""Share the encoder, keep a head for each corpus, and train on batches of all of them (Yang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.run import Run
from transfuse.text import Tagger, Task
from transfuse.transfer.together import Paired, fit_together, start

__all__ = ["Joint"]


@dataclass(frozen=True)
class Joint(Paired):
    """Settings: see `Paired`."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn sources and target together."""
        return fit_together(start(task, self, run=run), self, run=run)
