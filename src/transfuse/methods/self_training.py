"""Label the target's raw text with a model re-trained from the sources, and learn again from that beside the gold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.text import Corpus, Tagger, Task
from transfuse.transfer.pseudo import pseudo_label
from transfuse.transfer.supervised import Domain
from transfuse.transfer.together import FromSources, Start, begin_afresh, fit_together, start_from_sources

__all__ = ["SelfTraining"]


@dataclass(frozen=True)
class SelfTraining(FromSources):
    """Settings. In no paper of ours; words of which the teacher is not sure are left open by the partial CRF.

    Attributes:
        source_epochs: passes over each source beside the target while the teacher learns.
        source_batch: sentences of a source, or of raw text, a step.
        threshold: the marginal probability from which a word's pseudo-tag is believed.
        raw_epochs: passes over the raw text beside the target while a student learns.
        raw_weight: the raw text's loss counts so much, the target's the rest.
        rounds: students; each learns from what the one before it says.
    """

    source_epochs: float = 0.0
    threshold: float = 0.9
    raw_epochs: float = 4.0
    raw_weight: float = 0.5
    rounds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, threshold="[0, 1]", raw_weight="(0, 1)", rounds="[1, inf)", raw_epochs="(0, inf)")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """A teacher from the sources, if there are any, then students that start where it did."""
        teacher = self._start(task, run)
        tagger = fit_together(teacher, self, run=run)
        if not task.raw:
            run.record("note", text="there is no raw text of the target: the teacher is the result, as retrain's is")
            return tagger
        for number in range(1, self.rounds + 1):
            teacher, tagger = self._round(task, teacher, run, name=f"student-{number}")
        return tagger

    def _start(self, task: Task, run: Run) -> Start:
        if task.sources:
            return start_from_sources(task, self, run=run)
        return begin_afresh(task, self, run=run)

    def _round(self, task: Task, teacher: Start, run: Run, *, name: str) -> tuple[Start, Tagger]:
        found = pseudo_label(teacher.encoding, teacher.target, task.raw, threshold=self.threshold)
        run.stage(name).record("pseudo", sentences=len(found.items), sure=found.sure, mentions=found.mentions)
        fresh = self._start(task, run)
        # sentences hold numbers of the teacher's table of forms, so the student reads with that one
        encoding = replace(fresh.encoding, table=teacher.encoding.table)
        target = replace(fresh.target, items=teacher.target.items)
        text = Corpus(f"raw text of {task.target.name}", {}, task.target.labels)
        raw = Domain(text, target.head, target.tagset, found.items)
        student = Start(encoding, target, (raw,), (None,))
        beside = replace(self, source_epochs=self.raw_epochs, source_weight=self.raw_weight)
        return student, fit_together(student, beside, run=run, name=name)
