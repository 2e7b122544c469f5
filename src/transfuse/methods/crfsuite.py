"""No network, no transfer: a linear CRF on hand-made features (CRFsuite), the baseline that a CPU user would pick."""

from __future__ import annotations

import time
from dataclasses import dataclass

from transfuse.linear import train_linear
from transfuse.losses import Losses
from transfuse.run import Run
from transfuse.text import ConfigError, Tagger, Task

__all__ = ["Crfsuite"]


@dataclass(frozen=True)
class Crfsuite:
    """Settings, as CRFsuite names them.

    Attributes:
        c1: weight of the L1 term.
        c2: weight of the L2 term.
        iterations: of L-BFGS, at most.
    """

    c1: float = 0.05
    c2: float = 0.01
    iterations: int = 100

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Train on the target's training split; sources are not looked at."""
        if not task.target.train:
            raise ConfigError(f"{task.target.name} has no training document to learn from")
        losses = Losses()
        began = time.process_time()
        tagger = train_linear(
            task.target.train,
            task.target.labels,
            folder=run.folder / "checkpoint",
            c1=self.c1,
            c2=self.c2,
            iterations=self.iterations,
            losses=losses,
        )
        seconds = round(time.process_time() - began, 2)
        run.stage("target").record(
            "trained", corpus=task.target.name, cpu_seconds=seconds, losses=losses.counts, selection="last iteration"
        )
        return tagger
