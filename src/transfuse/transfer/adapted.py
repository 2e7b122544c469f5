"""What TCA, JDA and SCL share: a map between words of source and target, then a linear CRF on what it gives.

All of it is fitted in one go, within a minute: a run that was killed starts again from the beginning and ends in the
same tagger.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfuse.losses import Losses
from transfuse.maps.adaptation import Components, Projection, separation, standardised
from transfuse.maps.mapped import Reader, train_mapped
from transfuse.maps.token_features import (
    Extractor,
    HandMade,
    count_words,
    draw_sentences,
    find_extractor,
    number_tags,
)
from transfuse.ranges import check_ranges
from transfuse.run import Run, Stage
from transfuse.taggers.linear import LinearCRF, Tokens, read_tokens, train_linear
from transfuse.text import ConfigError, Corpus, Tagger, Task
from transfuse.transfer.sources import need_sources

__all__ = ["Adapted", "KernelAdapted", "Sides"]

Ints = NDArray[np.int64]

_COMPARED = 1_500  # words a side between which the record tells the discrepancy


@dataclass(frozen=True)
class Sides:
    """What a map is learned from.

    Attributes:
        source: ``[n, width]`` words of the sources.
        target: ``[m, width]`` words of the target, those of its raw text among them.
        tags: ``[n]`` numbers of the sources' tags.
        known: ``[m]`` of the target's, `transfuse.maps.adaptation.UNKNOWN` where nobody annotated.
        names: of the columns where they are hand-made.
    """

    source: Any
    target: Any
    tags: Ints
    known: Ints
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapted(ABC):
    """Settings that the traditional methods share.

    The CRF learns from the sources and from the target's labelled sentences, if there are any. The map sees raw text of
    the target beside them, so that it works without a label of the target, too.

    Attributes:
        adapt: learn a map; without one the same CRF reads the features as they are ("no adaptation").
        keep: the CRF reads the features beside what the map makes of them; else the latter alone.
        tokens: words a side that a map is learned from, in whole sentences; more are drawn from. 0 for all.
        crf: the tagger.
    """

    adapt: bool = True
    keep: bool = True
    tokens: int = 10_000
    crf: LinearCRF = field(default_factory=LinearCRF)

    def __post_init__(self) -> None:
        check_ranges(self, tokens="[0, inf)")

    @abstractmethod
    def learn(self, sides: Sides, *, stage: Stage) -> Projection:
        """The map."""

    @abstractmethod
    def extractor(self, sentences: Iterable[Sequence[str]]) -> Extractor:
        """The features of words.

        Args:
            sentences: those that the map is learned from.
        """

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn the map from words of both sides, then the CRF from all that is annotated."""
        need_sources(task)
        began = time.process_time()
        stage, losses = run.stage("target"), Losses()
        sources = [_completed(source, task, self.crf, stage=stage) for source in task.sources]
        source = read_tokens((d for c in sources for d in c.train), losses=losses)
        target = read_tokens(task.target.train, losses=losses)
        raw = read_tokens(task.raw, tagged=False)
        labelled = [item for item in (*source, *target) if item.tags is not None]
        if not labelled:
            raise ConfigError("there is no annotated sentence to learn from")
        extractor, projection = self._map(source, [*target, *raw], task.target.labels, stage=stage)
        tagger = train_mapped(
            labelled,
            task.target.labels,
            Reader(extractor, projection, self.keep),
            self.crf,
            folder=run.folder / "checkpoint",
        )
        stage.record(
            "trained",
            corpus=task.target.name,
            cpu_seconds=round(time.process_time() - began, 2),
            sentences={"source": len(source), "target": len(target), "raw": len(raw)},
            unknown=len(source) + len(target) - len(labelled),
            losses=losses.counts,
            selection="last iteration",
        )
        run.list_losses(task.target.name, losses)
        return tagger

    def _map(
        self, source: Sequence[Tokens], target: Sequence[Tokens], labels: Sequence[str], *, stage: Stage
    ) -> tuple[Extractor, Projection | None]:
        drawn = [draw_sentences(items, self.tokens, seed=stage.seed) for items in (source, target)]
        extractor = self.extractor(item.forms for items in drawn for item in items)
        if not self.adapt:
            return extractor, None
        first, second = ([item.forms for item in items] for items in drawn)
        sides = Sides(
            extractor.rows(first),
            extractor.rows(second),
            number_tags(drawn[0], labels),
            number_tags(drawn[1], labels),
            extractor.names if isinstance(extractor, HandMade) else (),
        )
        learned = self.learn(sides, stage=stage)
        projection = standardised(learned, extractor.rows([*first, *second]))
        stage.record(
            "map", **_facts(sides, projection), words={"source": count_words(source), "target": count_words(target)}
        )
        return extractor, projection


@dataclass(frozen=True)
class KernelAdapted(Adapted):
    """Settings of TCA and JDA.

    Attributes:
        encoder: a bundle or a run folder whose frozen encoder gives the features; hand-made ones where it is empty.
        components: of the map.
    """

    encoder: str = ""
    components: Components = field(default_factory=Components)

    def extractor(self, sentences: Iterable[Sequence[str]]) -> Extractor:
        """States of the encoder, or hand-made features in rows of unit length."""
        return find_extractor(self.encoder) if self.encoder else HandMade.of(sentences, unit=True)


def _completed(source: Corpus, task: Task, crf: LinearCRF, *, stage: Stage) -> Corpus:
    """A source in the target's labels.

    A label that the target lacks is outside there. What the source does not annotate is filled in by a CRF trained on
    the corpora that annotate all of it, or, where there are none, label by label, so that "not annotated" is not
    learned as "outside". A label that nobody annotates has no teacher and stays outside.
    """
    labels = task.target.labels
    missing = [label for label in labels if label not in source.labels]
    documents = [d.with_entities(e for e in d.entities if e.label in labels) for d in source.train]
    for some in [missing] if _teachers(task, missing) else [[label] for label in missing]:
        teachers = _teachers(task, some) if some else []
        added = 0
        if teachers:
            lessons = [d.with_entities(e for e in d.entities if e.label in some) for c in teachers for d in c.train]
            teacher = train_linear(lessons, some, settings=crf, folder=stage.run.folder / "checkpoint")
            for number, (document, guess) in enumerate(zip(documents, teacher.tag(documents), strict=True)):
                new = [e for e in guess.entities if not any(e.overlaps(other) for other in document.entities)]
                documents[number] = document.with_entities([*document.entities, *new])
                added += len(new)
        if some:
            names = [c.name for c in teachers]
            stage.record("completed", corpus=source.name, labels=some, mentions=added, teachers=names)
    return Corpus(source.name, {"train": tuple(documents)}, labels, source.language)


def _teachers(task: Task, labels: Sequence[str]) -> list[Corpus]:
    """The corpora that annotate all of some labels."""
    return [c for c in (task.target, *task.sources) if c.train and set(labels) <= set(c.labels)]


def _facts(sides: Sides, projection: Projection) -> dict[str, Any]:
    """For the record: of how many words the map was made, and how far apart the sides are without and with it."""
    draw = np.random.default_rng(0)
    source, target = (side[draw.permutation(side.shape[0])[:_COMPARED]] for side in (sides.source, sides.target))
    landmarks = projection.landmarks
    return {
        "drawn": {"source": sides.source.shape[0], "target": sides.target.shape[0]},
        "width": sides.source.shape[1],
        "landmarks": None if landmarks is None else landmarks.shape[0],
        "bandwidth": projection.kernel.bandwidth or None,
        "dimension": projection.weights.shape[1],
        "separation": {
            "before": round(separation(source, target, projection.kernel), 6),
            "after": round(separation(projection.apply(source), projection.apply(target)), 6),
        },
    }
