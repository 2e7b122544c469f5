"""Train on batches of sources and of the target together: what joint training, its rivals and La-DTL share.

How much of the sources a method sees is a setting (`Paired.source_epochs`) and not an accident of batch sizes, so that
methods can be compared at equal exposure. Steps follow from it: each carries a batch of the target and, spread
evenly, the batches that pass every source so often. With several sources their batches come mixed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from transfuse.nn.domain import DomainHead
from transfuse.nn.encoder import Batch
from transfuse.nn.head import Head
from transfuse.nn.padding import inside
from transfuse.ranges import check_ranges
from transfuse.run import Run, Stage
from transfuse.taggers.encoding import Encoding, Supervised, new_encoding
from transfuse.taggers.layers import LAYERS
from transfuse.taggers.neural import Sentence, batches
from transfuse.text import Tagger, Task, UnusedSettingError
from transfuse.train import Training
from transfuse.transfer.sources import hand_over, need_sources, record_exposure, record_score, train_sources
from transfuse.transfer.supervised import (
    Domain,
    Penalty,
    Step,
    copy_head,
    first_states,
    head_loss,
    read_domain,
    run_fit,
    target_batches,
)

__all__ = [
    "FromSources",
    "Paired",
    "Sample",
    "Start",
    "Terms",
    "begin_afresh",
    "fit_together",
    "paired_losses",
    "pool",
    "record_pool",
    "share_head",
    "source_batches",
    "start",
    "start_from_sources",
    "together",
]


@dataclass(frozen=True)
class FromSources(Supervised):
    """Settings of methods that train on sources; what `Supervised` has is for the stage that learns the target.

    Attributes:
        source_epochs: passes over each source while the target is learned.
        source_batch: sentences of a source a step.
        source_weight: epsilon of Wang et al. (2018): where sources are learned beside the target, their loss counts so
            much and the target's the rest.
        source_training: the loop on each source, in order, before the target is looked at.
    """

    source_epochs: float = 8.0
    source_batch: int = 16
    source_weight: float = 0.5
    source_training: Training = field(default_factory=lambda: Training(epochs=8, batch=16, select="last"))

    def __post_init__(self) -> None:
        check_ranges(self, source_epochs="[0, inf)", source_batch="[1, inf)", source_weight="[0, 1)")


@dataclass(frozen=True)
class Paired(FromSources):
    """Settings of methods that learn from batches of sources and target together.

    Attributes:
        init: ``fresh``, or ``source``: start from a model trained on the sources by ``source_training``, whose passes
            count beside ``source_epochs``; the table of that loop is refused with ``fresh``.
    """

    init: Literal["fresh", "source"] = "fresh"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, source_epochs="(0, inf)")  # without a source in a step there is no term between the two
        if self.init == "fresh" and self.source_training != FromSources().source_training:
            raise UnusedSettingError("source_training", 'init is "fresh": nothing is trained before the target')


@dataclass(frozen=True)
class Sample:
    """A domain's part of a step, encoded.

    Attributes:
        domain: whose sentences.
        states: ``[batch, time, width]`` of the encoder.
        batch: the sentences.
    """

    domain: Domain
    states: Tensor
    batch: Batch

    def loss(self) -> Tensor:
        """Mean negative log-likelihood in nats: a scalar."""
        return head_loss(self.domain.head, self.states, self.batch)

    def words(self) -> tuple[Tensor, Tensor]:
        """States ``[words, width]`` and gold tags ``[words]`` of all real words whose tag is known.

        Where a head runs over pieces, a word's state is that of its first piece.
        """
        assert self.batch.tags is not None
        real = inside(self.batch.lengths, self.states.shape[1])
        if self.batch.allowed is not None:
            real = real & (self.batch.allowed.sum(-1) == 1)
        return first_states(self.domain.head, self.states)[real], self.batch.tags[real]


Terms = Callable[[Sample, Sample], dict[str, Tensor]]
"""Further weighted loss terms of a source's sample and the target's."""


@dataclass(frozen=True)
class Start:
    """Where training together begins.

    Attributes:
        encoding: over the words of all corpora.
        target: the target with its head.
        sources: each source with its head.
        scores: each source's strict micro F1 on its development split before; None where nothing was trained yet.
    """

    encoding: Encoding
    target: Domain
    sources: tuple[Domain, ...]
    scores: tuple[float | None, ...]


def start(task: Task, settings: Paired, *, run: Run) -> Start:
    """A fresh encoder and heads, or those of `start_from_sources`, as the settings say.

    Raises:
        ConfigError: the task has no source.
    """
    need_sources(task)
    if settings.init == "source":
        return start_from_sources(task, settings, run=run)
    return begin_afresh(task, settings, run=run)


def start_from_sources(
    task: Task,
    settings: FromSources,
    *,
    run: Run,
    dropout: float | None = None,
    layers: Sequence[str] | None = None,
    frozen: Sequence[str] = (),
) -> Start:
    """Encoder and heads as the sources leave them; rows of tags that the target shares are copied to its head.

    Args:
        task: sources and target.
        settings: `FromSources.source_training` is the loop on each source.
        run: seed and records.
        dropout: while on the sources; None for the architecture's own.
        layers: layer groups whose weights are carried over to the target, all by default; the others start afresh.
        frozen: layer groups that will keep their weights, for the record.

    Raises:
        ConfigError: the task has no source.
    """
    stage = run.stage("target")
    before = train_sources(task, settings, settings.source_training, run=run, dropout=dropout)
    before = before.extended(task.target, run=run, stage=stage, layers=layers)
    target = read_domain(before.encoding, task.target, stage=stage)
    hand_over(before, target, stage=stage, layers=layers, frozen=frozen)
    return Start(before.encoding, target, before.domains, before.scores)


def begin_afresh(task: Task, settings: Supervised, *, run: Run, unlabelled: bool = False) -> Start:
    """A fresh encoder and a fresh head for every corpus.

    Args:
        task: sources and target.
        settings: network and vectors.
        run: seed and records.
        unlabelled: the target may have no labelled sentence.
    """
    stage = run.stage("target")
    encoding = new_encoding([*task.sources, task.target], settings, task=task, run=run)
    target = read_domain(encoding, task.target, stage=stage, unlabelled=unlabelled)
    sources = tuple(read_domain(encoding, corpus, stage=stage) for corpus in task.sources)
    return Start(encoding, target, sources, (None,) * len(sources))


def share_head(begun: Start, *, run: Run, wrap: Callable[[Head, int], Head | DomainHead] | None = None) -> Start:
    """One head over the labels of all corpora in the place of one for each.

    A word that a corpus leaves outside may there be of any label that the corpus does not annotate (partial CRF).
    Rows of tags that a corpus' own head knows are taken over, the target's last.

    Args:
        begun: with a head for every corpus.
        run: its records.
        wrap: what a domain sees of the shared head; called with the head and the domain's number, 0 for the target.
    """
    domains = (begun.target, *begun.sources)
    labels = tuple(dict.fromkeys(label for domain in domains for label in domain.corpus.labels))
    tagset = begun.encoding.tagset(labels)
    head = begun.encoding.head(tagset)
    for domain in reversed(domains):
        copy_head(domain, Domain(domain.corpus, head, tagset, ()), LAYERS)
    stage = run.stage("target")
    target, *sources = (
        read_domain(begun.encoding, d.corpus, stage=stage, head=seen, tagset=tagset, unlabelled=not d.items)
        for d, seen in ((d, wrap(head, i) if wrap else head) for i, d in enumerate(domains))
    )
    return replace(begun, target=target, sources=tuple(sources))


def pool(begun: Start) -> Domain:
    """The target with the sentences of all corpora to learn from; they share a head, see `share_head`."""
    return replace(begun.target, items=[item for d in (begun.target, *begun.sources) for item in d.items])


def record_pool(begun: Start, sentences: int, *, stage: Stage) -> None:
    """Record how much of each source was learned from.

    Args:
        begun: the corpora whose sentences were poured together.
        sentences: of all corpora that were learned from.
        stage: for the record.
    """
    size = sum(len(domain.items) for domain in (begun.target, *begun.sources))
    for domain in begun.sources:
        record_exposure(stage, domain, round(len(domain.items) * sentences / size))


def fit_together(
    begun: Start,
    settings: FromSources,
    *,
    run: Run,
    name: str = "target",
    terms: Terms | None = None,
    penalty: Penalty | None = None,
    frozen: Sequence[str] = (),
) -> Tagger:
    """Train all domains and give the target's tagger; exposure and the sources' scores before and after are recorded.

    Args:
        begun: where it begins; trained in place.
        settings: the loop, and how much of the sources there is in it.
        run: where it happens.
        name: of its stage there.
        terms: further loss terms of a source's sample and the target's.
        penalty: further loss terms.
        frozen: layer groups that keep their weights.
    """
    stage = run.stage(name)
    encoding, target = begun.encoding, begun.target
    sources = begun.sources if settings.source_epochs else ()
    epsilon = settings.source_weight if sources else 0.0

    def feed(epoch: int) -> list[Step]:
        return together(target, sources, settings, stage=stage, epoch=epoch)

    def objective(step: Step) -> dict[str, Tensor]:
        return paired_losses(begun, step, epsilon=epsilon, terms=terms) | (penalty() if penalty else {})

    domains = [target, *sources]
    summary = run_fit(encoding, domains, objective, feed, settings.training, stage=stage, frozen=frozen)
    done = settings.source_epochs * summary["epochs"] / settings.training.epochs
    for domain in (domain for domain in sources if domain.corpus.train):
        record_exposure(stage, domain, round(done * len(domain.items)))
    for domain, before in zip(begun.sources, begun.scores, strict=True):
        record_score(stage, domain, encoding, before=before)
    return target.tagger(encoding)


def paired_losses(begun: Start, step: Step, *, epsilon: float, terms: Terms | None = None) -> dict[str, Tensor]:
    """The weighted loss terms of a step: the target's, and where it has a source's batch, that one's and further ones.

    Args:
        begun: encoder and heads.
        step: its sentences.
        epsilon: weight of the source's loss; the target's has the rest.
        terms: of a source's sample and the target's.
    """
    ours = _sample(begun.encoding, begun.target, step.target)
    found = {"target": (1 - epsilon) * ours.loss()}
    if step.source:
        theirs = _sample(begun.encoding, begun.sources[step.number], step.source)
        found["source"] = epsilon * theirs.loss()
        found |= terms(theirs, ours) if terms else {}
    return found


def _sample(encoding: Encoding, domain: Domain, items: Sequence[Sentence]) -> Sample:
    batch = encoding.batch(items, domain.tagset)
    return Sample(domain, encoding.encoder(batch), batch)


def together(
    target: Domain, sources: Sequence[Domain], settings: FromSources, *, stage: Stage, epoch: int
) -> list[Step]:
    """The steps of an epoch: the target's batches, and spread evenly over them the epoch's part of the sources'."""
    training = settings.training
    theirs = source_batches(sources, settings, stage=stage, epoch=epoch)
    least = max(training.least, len(theirs))
    ours = target_batches(target, training, stage=stage, epoch=epoch, least=least)
    steps = [Step(batch) for batch in ours]
    for i, (number, batch) in enumerate(theirs):
        place = i * len(ours) // len(theirs)
        steps[place] = Step(ours[place], batch, number)
    return steps


def source_batches(
    sources: Sequence[Domain], settings: FromSources, *, stage: Stage, epoch: int
) -> list[tuple[int, list[Sentence]]]:
    """The epoch's part of the passes over the sources, as (source, batch): all epochs together make all passes."""
    share = settings.source_epochs / settings.training.epochs
    low, high = epoch * share, (epoch + 1) * share
    found = []
    for number in range(math.floor(low), math.ceil(high)):
        mixed: list[tuple[int, list[Sentence]]] = []
        for i, domain in enumerate(sources):
            seed = f"{stage.name}/{stage.seed}/source-{i}/{number}"
            words_at_most = settings.training.words
            order = batches(domain.items, size=settings.source_batch, words_at_most=words_at_most, seed=seed)
            mixed += [(i, batch) for batch in order]
        random.Random(f"{stage.name}/{stage.seed}/sources/{number}").shuffle(mixed)
        first, last = max(low, number) - number, min(high, number + 1) - number
        found += mixed[round(first * len(mixed)) : round(last * len(mixed))]
    return found
