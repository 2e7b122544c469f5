"""What taggers think of a text: what they find, how probable they hold this and any other span, and each tag.

Every kind of tagger is asked in the way that tells most. A network with a head, whose tags say where a mention begins,
says what probability its paths give to any span. A linear CRF says how probable each tag is; a span is then held as
probable as the least probable of its words' tags, and of its not going on. All others say what they find, with their
confidence, or 1 where they have none; what they do not find has probability 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from transfuse.gazetteer import Gazetteer
from transfuse.maps.mapped import MappedTagger
from transfuse.taggers.linear import SCHEME, LinearTagger
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Reader, pieces
from transfuse.tags import Scheme, Span
from transfuse.text import Document, Entity, Tagger

__all__ = ["LEAST", "Opinion", "Voice", "WordTags", "voice"]

LEAST = 0.02
"""Spans that are less probable are not looked at unless somebody finds them."""


_OPENING = (Scheme.BIO, Scheme.BIOES, Scheme.BMES)
"""Schemes in which the tag of a word says whether a mention begins there. In others the end of a long mention looks as
probable as the whole, so that nothing can be said of spans that were not found."""


class WordTags(NamedTuple):
    """A sentence: its words' offsets in the document, and how probable each tag is: ``[words, tags]``, float64."""

    offsets: Sequence[tuple[int, int]]
    chances: Tensor


@dataclass(frozen=True)
class Opinion:
    """What one tagger thinks of one document.

    Attributes:
        found: the mentions that it finds.
        candidates: these, and whatever else it holds `LEAST` probable, with their probabilities.
        chance: its probability for any span of its labels.
        sentences: how probable each tag is; None for a tagger that does not say.
    """

    found: tuple[Entity, ...]
    candidates: Mapping[Entity, float]
    chance: Callable[[Entity], float]
    sentences: tuple[WordTags, ...] | None = None


class Voice(Protocol):
    """A tagger that is asked for opinions."""

    @property
    def sure(self) -> bool:
        """Whether its probabilities are more than found or not found."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the tags whose probabilities it gives; none for a tagger that gives none."""
        ...

    @property
    def scheme(self) -> str:
        """In which they are written; see `transfuse.tags.Scheme`."""
        ...

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        """Of documents few enough to be held in memory with all that is thought of them."""
        ...


def voice(tagger: Tagger, *, briefly: bool = False) -> Voice:
    """How a tagger is asked.

    Args:
        tagger: of any kind.
        briefly: only what it finds, and how sure it is of it; that takes no longer than tagging.
    """
    if isinstance(tagger, NeuralTagger) and tagger.tagset.scheme in _OPENING and not briefly:
        return _Network(tagger)
    if isinstance(tagger, LinearTagger | MappedTagger) and not briefly:
        return _Linear(tagger)
    return _Finder(tagger)


class _Read(Protocol):
    """A sentence as somebody reads it, in words."""

    @property
    def marginals(self) -> Tensor: ...

    def chance(self, span: Span) -> float: ...

    def candidates(self, least: float) -> dict[Span, float]: ...


_Sentence = tuple[Sequence[tuple[int, int]], _Read]
"""The words' offsets, and how they are read."""


class _Network:
    """Asks a network with one head."""

    sure = True

    def __init__(self, tagger: NeuralTagger) -> None:
        self._tagger, self.tags, self.scheme = tagger, tagger.tagset.names, tagger.tagset.scheme
        self._reader = Reader(tagger.encoder, [tagger.head], tagger.vocabulary, tagger.tagset, tagger.architecture)

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        self._reader.prepare()
        sentences: list[list[_Sentence]] = [[] for _ in documents]
        found: list[list[Entity]] = [[] for _ in documents]
        read = pieces(documents)
        forms = self._reader.spell(documents, read)
        for (number, offsets), (reading,) in zip(read, self._reader.read(forms, chances=True), strict=True):
            sentences[number].append((offsets, reading))
            found[number] += [_entity(offsets, span) for span in reading.spans if span[2] in self._tagger.labels]
        self._reader.forget(self._tagger.keep)
        return [_opinion(*known, self._tagger.labels) for known in zip(sentences, found, strict=True)]


class _Linear:
    """Asks a linear CRF."""

    sure, scheme = True, SCHEME

    def __init__(self, tagger: LinearTagger | MappedTagger) -> None:
        self._tagger, self.tags = tagger, tagger.tags

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        sentences: list[list[_Sentence]] = [[] for _ in documents]
        read = pieces(documents)
        forms = [[documents[number].text[a:b] for a, b in offsets] for number, offsets in read]
        for (number, offsets), values in zip(read, self._tagger.marginals(forms), strict=True):
            sentences[number].append((offsets, _Marginals(self.tags, torch.from_numpy(values))))
        found = (document.entities for document in self._tagger.tag(documents))
        return [_opinion(*known, self._tagger.labels) for known in zip(sentences, found, strict=True)]


class _Marginals:
    """What is known of a sentence from the probabilities of its words' tags, in BIO."""

    def __init__(self, tags: Sequence[str], marginals: Tensor) -> None:
        self.marginals = marginals
        self._column = dict(zip(tags, marginals.T.tolist(), strict=True))
        self._labels = sorted({tag.partition("-")[2] for tag in tags} - {""})
        self._nothing = [0.0] * len(marginals)

    def chance(self, span: Span) -> float:
        first, last, label = span
        begins, goes_on = (self._column.get(f"{sign}-{label}", self._nothing) for sign in "BI")
        ends = 1 - goes_on[last] if last < len(goes_on) else 1.0
        return float(max(0.0, min(begins[first], ends, *goes_on[first + 1 : last])))

    def candidates(self, least: float) -> dict[Span, float]:
        found = {}
        for label in self._labels:
            begins, goes_on = (self._column.get(f"{sign}-{label}", self._nothing) for sign in "BI")
            for first in (i for i, chance in enumerate(begins) if chance >= least):
                last = first + 1
                while last <= len(begins):
                    if (chance := self.chance((first, last, label))) >= least:
                        found[first, last, label] = chance
                    if last == len(begins) or goes_on[last] < least:
                        break
                    last += 1
        return found


class _Finder:
    """Asks a tagger that says what it finds, and perhaps how sure it is of it."""

    tags: tuple[str, ...] = ()
    scheme = ""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self.sure = not isinstance(tagger, Gazetteer) and "confidence" in signature(tagger.tag).parameters

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        options = {"confidence": True} if self.sure else {}
        tag = cast(Callable[..., Iterator[Document]], self._tagger.tag)
        found = []
        for document in tag(documents, **options):
            chances = {e: 1.0 if e.score is None else e.score for e in document.entities}
            found.append(Opinion(document.entities, chances, partial(_listed, chances)))
        return found


def _listed(chances: Mapping[Entity, float], entity: Entity) -> float:
    return chances.get(entity, 0.0)


def _opinion(sentences: Sequence[_Sentence], found: Sequence[Entity], labels: Sequence[str]) -> Opinion:
    """What is thought of a document, out of what is thought of its sentences."""
    starts = [offsets[0][0] for offsets, _ in sentences]

    def chance(entity: Entity) -> float:
        place = bisect_right(starts, entity.start) - 1
        if place < 0:
            return 0.0
        offsets, read = sentences[place]
        span = _span(offsets, entity)
        return read.chance(span) if span else 0.0

    candidates = {entity: chance(entity) for entity in found}
    for offsets, read in sentences:
        likely = read.candidates(LEAST).items()
        candidates |= {_entity(offsets, span): value for span, value in likely if span[2] in labels}
    told = tuple(WordTags(offsets, read.marginals.cpu()) for offsets, read in sentences)
    return Opinion(tuple(found), candidates, chance, told)


def _entity(offsets: Sequence[tuple[int, int]], span: Span) -> Entity:
    return Entity(offsets[span[0]][0], offsets[span[1] - 1][1], span[2])


def _span(offsets: Sequence[tuple[int, int]], entity: Entity) -> Span | None:
    """The words of a mention; None where it begins or ends inside a word, or runs over the sentence."""
    first = bisect_left([start for start, _ in offsets], entity.start)
    last = bisect_right([end for _, end in offsets], entity.end)
    fits = first < last and offsets[first][0] == entity.start and offsets[last - 1][1] == entity.end
    return (first, last, entity.label) if fits else None
