"""No transfer: train on the target alone. What every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.run import Run
from transfuse.supervised import Supervised, new_encoding, train_head
from transfuse.text import Tagger, Task

__all__ = ["TargetOnly"]


@dataclass(frozen=True)
class TargetOnly(Supervised):
    """Settings: see `Supervised`."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Train on the target's training split; sources are not looked at."""
        encoding = new_encoding([task.target], self, task=task, run=run)
        tagset = encoding.tagset(task.target.labels)
        head = encoding.head(tagset)
        train_head(encoding, head, tagset, task.target, self.training, stage=run.stage("target"))
        return encoding.tagger(head, tagset)
