"""Share the encoder, keep a head for each corpus, and learn from one corpus a step, none before the others."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from torch import Tensor

from transfuse.ranges import check_ranges
from transfuse.run import Run, Stage
from transfuse.taggers.encoding import Supervised
from transfuse.text import Tagger, Task
from transfuse.transfer.sources import need_sources, record_exposure, record_score
from transfuse.transfer.supervised import Domain, Step, head_loss, run_fit, target_batches
from transfuse.transfer.together import begin_afresh

__all__ = ["Multitask"]


@dataclass(frozen=True)
class Multitask(Supervised):
    """Settings; an epoch has as many steps as a pass over all corpora, or ``training.steps``.

    Attributes:
        mixing: a corpus gets steps in proportion to its batches to this power: at 0 each corpus is learned as often as
            any other, at 1 each sentence, with which the head of a small target learns next to nothing.
    """

    mixing: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, mixing="[0, 1]")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn all corpora; the epoch is chosen on the target's development split."""
        need_sources(task)
        stage = run.stage("target")
        begun = begin_afresh(task, self, run=run)
        domains, encoding = (begun.target, *begun.sources), begun.encoding

        def feed(epoch: int) -> list[Step]:
            return self.mixed(domains, stage=stage, epoch=epoch)

        def objective(step: Step) -> dict[str, Tensor]:
            domain = domains[step.number]
            batch = encoding.batch(step.target, domain.tagset)
            return {"source" if step.number else "target": head_loss(domain.head, encoding.encoder(batch), batch)}

        summary = run_fit(encoding, domains, objective, feed, self.training, stage=stage)
        seen = Counter[int]()
        for epoch in range(summary["epochs"]):
            for step in feed(epoch):
                seen[step.number] += step.sentences
        for number, domain in enumerate(domains[1:], 1):
            record_exposure(stage, domain, seen[number])
            record_score(stage, domain, encoding)
        return begun.target.tagger(encoding)

    def mixed(self, domains: tuple[Domain, ...], *, stage: Stage, epoch: int) -> list[Step]:
        """The steps of an epoch, each of the corpus whose place among the domains is its number."""
        sizes = [len(target_batches(domain, self.training, stage=stage, epoch=epoch, least=1)) for domain in domains]
        total = max(sum(sizes), self.training.least)
        parts = [size**self.mixing for size in sizes]
        steps = []
        for number, (domain, part) in enumerate(zip(domains, parts, strict=True)):
            count = max(1, round(total * part / sum(parts)))
            batches = target_batches(domain, self.training, stage=stage, epoch=epoch, least=count)
            steps += [Step(batch, number=number) for batch in batches[:count]]
        random.Random(f"{stage.name}/{stage.seed}/{epoch}/mixed").shuffle(steps)
        return steps
