"""Share all: one model over all corpora, labels unified, lower layers learning slowly (MTL-XC, Chai et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field

from transfuse.run import Run
from transfuse.text import Tagger, Task
from transfuse.train import Training
from transfuse.transfer.layered import PAPER, XLNET, Layered, train_shared

__all__ = ["PRESETS", "MtlXc"]


@dataclass(frozen=True)
class MtlXc(Layered):
    """Settings: see `Layered`; an epoch is a pass over all corpora. The target need not have a labelled document.

    With ``layer_decay = 1`` this is `pooled`. By default the last epoch is kept and not the one that suits the target
    best: the model is that of all corpora.
    """

    training: Training = field(default_factory=lambda: Training(batch=16, select="last"))

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn all sentences alike."""
        begun = train_shared(task, self, self.training, run=run, name="target", unlabelled=True)
        return begun.target.tagger(begun.encoding)


PRESETS = {"chai": MtlXc(architecture=XLNET, training=PAPER)}
