"""What several taggers think of the same documents, side by side: one row a span that any of them considers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from transfuse.ensembles.opinions import Opinion, Voice, WordTags
from transfuse.ensembles.thresholds import overlapping
from transfuse.scoring.counts import Counts
from transfuse.scoring.score import countable
from transfuse.taggers.architecture import TagSet
from transfuse.tags import Scheme
from transfuse.text import Document, Entity

__all__ = ["Answer", "Evidence", "Mask", "Spoken", "gather"]

Answer = list[list[Entity]]
"""The mentions of each document."""

Mask = NDArray[np.bool_]

_FOLDED = {"S": "B", "E": "I", "M": "I"}
"""What becomes of the signs of a finer scheme in BIO: their probabilities add up."""

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Spoken:
    """A sentence in which all members give tags probabilities: of each the names of its tags, and these."""

    offsets: Sequence[tuple[int, int]]
    parts: tuple[tuple[tuple[str, ...], Tensor], ...]


@dataclass(frozen=True)
class Evidence:
    """Spans with what each member thinks of them.

    Attributes:
        documents: in order; with gold entities where something is to be learned.
        labels: that count; spans of others are not here.
        spans: that some member finds or holds probable, sorted within a document.
        rows: the number of each span's document.
        chances: ``[members, spans]`` probabilities; 0 from a member that does not look for the label.
        found: ``[members, spans]`` whether a member finds the span.
        able: ``[members, labels]`` whether a member looks for a label.
        tagset: in which all members' tag probabilities can be written; None where there is none, or where they do not
            cut the same words.
        sentences: of each document; empty without a tag set.
    """

    documents: tuple[Document, ...]
    labels: tuple[str, ...]
    spans: tuple[Entity, ...]
    rows: NDArray[np.int64]
    chances: NDArray[np.float64]
    found: Mask
    able: Mask
    tagset: TagSet | None
    sentences: tuple[tuple[Spoken, ...], ...]
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def members(self) -> int:
        """How many there are."""
        return len(self.chances)

    @cached_property
    def rivals(self) -> dict[int, list[int]]:
        """Of spans that overlap others, the numbers of these."""
        return overlapping(self.spans, self.rows.tolist())

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The number of each span's label."""
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[span.label] for span in self.spans], dtype=np.int64)

    @cached_property
    def gold(self) -> list[frozenset[Entity]]:
        """The entities of each document that count."""
        wanted = frozenset(self.labels)
        return [frozenset(countable(d.entities, d.unknown, wanted)) for d in self.documents]

    @cached_property
    def right(self) -> Mask:
        """Whether each span is an entity of gold."""
        return np.array([span in self.gold[row] for span, row in zip(self.spans, self.rows, strict=True)], dtype=bool)

    @cached_property
    def known(self) -> Mask:
        """Whether gold says of each span if it is right: it lies in no unknown range."""
        unknown = [document.unknown for document in self.documents]
        pairs = zip(self.spans, self.rows, strict=True)
        return np.array([bool(countable([span], unknown[row])) for span, row in pairs], dtype=bool)

    def of(self, member: int) -> Evidence:
        """What one member thinks of the same spans."""
        one = (self.chances[[member]], self.found[[member]], self.able[[member]])
        return Evidence(self.documents, self.labels, self.spans, self.rows, *one, tagset=None, sentences=())

    def numbers(self, asked: Sequence[Entity]) -> list[int]:
        """The number of a span of each document."""
        places = {(row, span): number for number, (row, span) in enumerate(zip(self.rows, self.spans, strict=True))}
        return [places[row, span] for row, span in enumerate(asked)]

    def keep(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """What was made under a key before, or is made now."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(_Value, self._kept[key])

    def answer(self, chosen: Mask, scores: NDArray[np.float64]) -> Answer:
        """The chosen spans, each with its score."""
        found: Answer = [[] for _ in self.documents]
        for i in np.flatnonzero(chosen).tolist():
            span, score = self.spans[i], min(1.0, max(0.0, float(scores[i])))
            found[self.rows[i]].append(Entity(span.start, span.end, span.label, score))
        return found

    def counts(self, answer: Answer, inside: Mask) -> Counts:
        """Strict counts over some documents.

        Args:
            answer: for every document.
            inside: of each document whether it counts.
        """
        tp = predicted = gold = 0
        for number in np.flatnonzero(inside).tolist():
            document, truth = self.documents[number], self.gold[number]
            found = countable(answer[number], document.unknown)
            tp += len(truth.intersection(found))
            predicted += len(found)
            gold += len(truth)
        return Counts(tp, predicted - tp, gold - tp)


def gather(
    voices: Sequence[Voice],
    looked_for: Sequence[Iterable[str]],
    documents: Sequence[Document],
    labels: Sequence[str],
    *,
    asked: Sequence[Entity] = (),
) -> Evidence:
    """Ask every member about every document.

    Args:
        voices: the members.
        looked_for: of each member the labels that may come out of it.
        documents: few enough to be held in memory with what is thought of them.
        labels: that count.
        asked: a span a document that is looked at in any case.
    """
    told = [voice.opinions(documents) for voice in voices]
    able = np.array([[label in set(known) for label in labels] for known in looked_for], dtype=bool)
    spans: list[Entity] = []
    rows: list[int] = []
    chances: list[list[float]] = []
    found: list[list[bool]] = []
    for row, opinions in enumerate(zip(*told, strict=True)):
        finds = [set(opinion.found) for opinion in opinions]
        considered = {e for opinion in opinions for e in opinion.candidates if e.label in labels}
        for span in sorted(considered | set(asked[row : row + 1])):
            spans.append(Entity(span.start, span.end, span.label))
            rows.append(row)
            looks = able[:, labels.index(span.label)].tolist()
            chances.append([_chance(o, span) if can else 0.0 for o, can in zip(opinions, looks, strict=True)])
            found.append([span in one for one in finds])
    tagset = _common(voices, labels)
    sentences = [_spoken(voices, opinions, tagset) for opinions in zip(*told, strict=True)] if tagset else []
    agreed = all(each is not None for each in sentences)
    shape = (len(spans), len(voices))
    return Evidence(
        tuple(documents),
        tuple(labels),
        tuple(spans),
        np.array(rows, dtype=np.int64),
        np.array(chances, dtype=np.float64).reshape(shape).T.copy(),
        np.array(found, dtype=bool).reshape(shape).T.copy(),
        able,
        tagset if agreed else None,
        tuple(each or () for each in sentences) if agreed else (),
    )


def _chance(opinion: Opinion, span: Entity) -> float:
    known = opinion.candidates.get(span)
    return opinion.chance(span) if known is None else known


def _common(voices: Sequence[Voice], labels: Sequence[str]) -> TagSet | None:
    """The tag set in which all can be written: their own scheme, or BIO for finer ones."""
    schemes = {voice.scheme for voice in voices}
    if len(schemes) == 1 and all(voice.tags for voice in voices):
        return TagSet(tuple(labels), schemes.pop())
    return TagSet(tuple(labels), Scheme.BIO) if schemes <= {Scheme.BIO, Scheme.BIOES, Scheme.BMES} else None


def _spoken(voices: Sequence[Voice], opinions: Sequence[Opinion], tagset: TagSet) -> tuple[Spoken, ...] | None:
    """The sentences of a document with all members' tags; None where these do not cut the same words."""
    cut = [[sentence.offsets for sentence in opinion.sentences or ()] for opinion in opinions]
    if any(other != cut[0] for other in cut):
        return None
    told = zip(*(opinion.sentences or () for opinion in opinions), strict=True)
    return tuple(
        Spoken(
            row[0].offsets,
            tuple(_folded(v, sentence, tagset.scheme) for v, sentence in zip(voices, row, strict=True)),
        )
        for row in told
    )


def _folded(voice: Voice, sentence: WordTags, scheme: str) -> tuple[tuple[str, ...], Tensor]:
    """A member's tags in a scheme that is its own, or BIO."""
    if voice.scheme == scheme:
        return voice.tags, sentence.chances
    names = [
        f"{_FOLDED.get(sign, sign)}{dash}{label}" for sign, dash, label in (tag.partition("-") for tag in voice.tags)
    ]
    distinct = tuple(dict.fromkeys(names))
    total = sentence.chances.new_zeros(len(sentence.chances), len(distinct))
    return distinct, total.index_add_(1, total.new_tensor([distinct.index(n) for n in names]).long(), sentence.chances)
