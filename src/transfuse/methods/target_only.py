"""No transfer: train on the target alone. What every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.run import Run
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.text import Tagger, Task
from transfuse.transfer.supervised import read_domain, train_domain

__all__ = ["TargetOnly"]


@dataclass(frozen=True)
class TargetOnly(Supervised):
    """Settings: see `Supervised`."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Train on the target's training split; sources are not looked at."""
        stage = run.stage("target")
        encoding = new_encoding([task.target], self, task=task, run=run)
        domain = read_domain(encoding, task.target, stage=stage)
        train_domain(encoding, domain, self.training, stage=stage)
        return domain.tagger(encoding)
