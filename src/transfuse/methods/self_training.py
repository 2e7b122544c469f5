"""Label the target's raw text with a model re-trained from the sources, and learn again from that beside the gold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transfuse.pseudo import pseudo_label
from transfuse.run import Run
from transfuse.supervised import Domain
from transfuse.text import ConfigError, Corpus, Tagger, Task
from transfuse.transfer import Paired, Start, fit_together, start

__all__ = ["SelfTraining"]


@dataclass(frozen=True)
class SelfTraining(Paired):
    """Settings.

    Attributes:
        source_epochs: passes over each source while the target is learned.
        threshold: the marginal probability from which a word's pseudo-tag is believed; other words stay open.
        raw_epochs: passes over the raw text.
        raw_weight: of its loss; the gold target's has the rest.
        rounds: how often the text is labelled and learned.
    """

    threshold: float = 0.9
    raw_epochs: float = 4.0
    raw_weight: float = 0.5
    rounds: int = 1

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """A teacher from the sources, then students that start where it did."""
        if not task.raw:
            raise ConfigError("self-training needs raw text of the target: give some, or learn from a share of it")
        teacher = start(task, replace(self, init="source"), run=run)
        alone = replace(self, source_epochs=0.0)
        tagger = fit_together(teacher, alone, run=run)
        for number in range(1, self.rounds + 1):
            stage = run.stage(f"student-{number}")
            found = pseudo_label(teacher.encoding, teacher.target, task.raw, threshold=self.threshold)
            stage.record("pseudo", sentences=len(found.items), sure=found.sure, mentions=found.mentions)
            student = start(task, replace(self, init="source"), run=run)
            # numbers of forms are the table's own: the student reads with the teacher's
            encoding = replace(student.encoding, table=teacher.encoding.table)
            text = Corpus(f"raw text of {task.target.name}", {}, task.target.labels)
            raw = Domain(text, student.target.head, student.target.tagset, found.items)
            both = Start(encoding, student.target, (raw,), (None,))
            settings = replace(self, source_epochs=self.raw_epochs, source_weight=self.raw_weight)
            tagger = fit_together(both, settings, run=run, name=stage.name)
            teacher = replace(student, encoding=encoding)
        return tagger
