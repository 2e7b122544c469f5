"""No network, no transfer: a linear CRF on hand-made features (CRFsuite), the baseline that a CPU user would pick."""

from __future__ import annotations

import time
from dataclasses import dataclass

from transfuse.losses import Losses
from transfuse.run import Run
from transfuse.taggers.linear import LinearCRF, train_linear
from transfuse.text import ConfigError, Tagger, Task

__all__ = ["Crfsuite"]


@dataclass(frozen=True)
class Crfsuite(LinearCRF):
    """Settings of the CRF; there are no others."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Train on the target's training split; sources are not looked at."""
        if not task.target.train:
            raise ConfigError(f"{task.target.name} has no training document to learn from")
        losses = Losses()
        began = time.process_time()
        tagger = train_linear(
            task.target.train,
            task.target.labels,
            settings=self,
            folder=run.folder / "checkpoint",
            losses=losses,
        )
        seconds = round(time.process_time() - began, 2)
        run.stage("target").record(
            "trained", corpus=task.target.name, cpu_seconds=seconds, losses=losses.counts, selection="last iteration"
        )
        run.list_losses(task.target.name, losses)
        return tagger
