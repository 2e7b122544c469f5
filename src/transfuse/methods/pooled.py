"""Pour all corpora together, labels unified, and train one model: what is done where nothing is known of transfer."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.run import Run
from transfuse.taggers.encoding import Supervised
from transfuse.text import Tagger, Task
from transfuse.transfer.sources import need_sources, record_score
from transfuse.transfer.supervised import train_domain
from transfuse.transfer.together import begin_afresh, pool, record_pool, share_head

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
        summary = train_domain(begun.encoding, pool(begun), self.training, stage=stage)
        record_pool(begun, summary["sentences"], stage=stage)
        for domain in begun.sources:
            record_score(stage, domain, begun.encoding)
        return begun.target.tagger(begun.encoding)
