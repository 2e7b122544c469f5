"""Pour all corpora together, labels unified, and train one model: what is done where nothing is known of transfer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transfuse.run import Run
from transfuse.sources import need_sources, record_exposure
from transfuse.supervised import Supervised, train_domain
from transfuse.text import Tagger, Task
from transfuse.transfer import begin_afresh, share_head

__all__ = ["Pooled"]


@dataclass(frozen=True)
class Pooled(Supervised):
    """Settings: see `Supervised`; an epoch is a pass over all corpora.

    A word that a corpus leaves outside may there be of any label that the corpus does not annotate (partial CRF). The
    target need not have a labelled document.
    """

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn all sentences alike; the epoch is chosen on the target's development split."""
        need_sources(task)
        stage = run.stage("target")
        begun = share_head(begin_afresh(task, self, run=run, unlabelled=True), run=run)
        items = [item for domain in (begun.target, *begun.sources) for item in domain.items]
        summary = train_domain(begun.encoding, replace(begun.target, items=items), self.training, stage=stage)
        for domain in begun.sources:
            record_exposure(stage, domain, round(len(domain.items) * summary["sentences"] / len(items)))
        return begun.target.tagger(begun.encoding)
