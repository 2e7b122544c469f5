"""Which raw sentences a view of MUCT learns from, and as what: those on which its heads agree, or all views vote."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from transfuse import tags as tagging
from transfuse.ensembles.ballots import Elected
from transfuse.taggers.neural import Sentence
from transfuse.taggers.reading import Piece
from transfuse.tags import Span
from transfuse.text import Document, Entity
from transfuse.transfer.views import RawText, View

__all__ = ["Accepted", "filter_raw", "filter_votes"]


@dataclass(frozen=True)
class Accepted:
    """What the filter lets through.

    Attributes:
        items: pseudo-labelled sentences; words on which heads differ have all tags open.
        documents: the raw documents with the mentions in them that heads agree on and that are learned from.
        counts: for the record: ``sentences`` looked at, ``agreed`` those on which the heads agree, ``silent`` those
            of them without a mention, ``accepted`` how many are learned from, ``mentions`` in them.
    """

    items: list[Sentence]
    documents: list[Document]
    counts: Mapping[str, int]


def filter_raw(
    view: View, text: RawText, *, agreement: Literal["sentence", "token", "none"], silent: float
) -> Accepted:
    """Pseudo-label raw sentences where the heads of a view agree (Gan & Wang 2026, equation 7).

    Args:
        view: its first head labels, the others agree or not.
        text: raw.
        agreement: on the ``sentence``: all mentions of it are the same; on the ``token``: words whose tags are the
            same are learned, the others are left open; ``none``: everything is taken as the first head has it.
        silent: weight of a sentence in which no word is agreed to be in a mention; at 0 it is dropped.
    """
    reader = view.reader()
    reader.prepare()
    kept = _Kept(view, text, silent)
    forms = text.forms(view.encoding)
    for piece, words, readings in zip(text.pieces, forms, reader.read(forms, chances=False), strict=True):
        same = all(reading.spans == readings[0].spans for reading in readings)
        kept.count(same, readings[0].spans)
        if agreement == "sentence" and not same:
            continue
        compared = readings if agreement == "token" else readings[:1]
        rows = [kept.tags(reading.spans, len(words)) for reading in compared]
        unsure = [i for i, tags in enumerate(zip(*rows, strict=True)) if len(set(tags)) > 1]
        spoken = any(tag for i, tag in enumerate(rows[0]) if i not in unsure)
        sure = [span for span in readings[0].spans if all(span in reading.spans for reading in compared)]
        kept.learn(piece, words, rows[0], unsure, sure, spoken=spoken)
    return kept.accepted()


def filter_votes(
    view: View, text: RawText, votes: Iterable[tuple[Sequence[Elected], set[int]]], *, silent: float
) -> Accepted:
    """Pseudo-label raw sentences for a view as the voters of all views elect, beyond the paper.

    Args:
        view: that will learn them. What it does not look for is outside to it.
        text: raw.
        votes: on each sentence, who was elected and which words are doubted; these are left open.
        silent: weight of a sentence in which no word is surely in a mention; at 0 it is dropped.
    """
    kept = _Kept(view, text, silent)
    forms = text.forms(view.encoding)
    for piece, words, (elected, unsure) in zip(text.pieces, forms, votes, strict=True):
        sure = [one.span for one in elected if unsure.isdisjoint(range(*one.span[:2]))]
        kept.count(not unsure, sure)
        known = [one.span for one in elected if one.span[2] in view.tagset.labels]
        kept.learn(piece, words, kept.tags(known, len(words)), unsure, sure, spoken=bool(sure))
    return kept.accepted()


class _Kept:
    """What a view is to learn, gathered sentence by sentence.

    Args:
        view: that will learn it.
        text: raw.
        silent: weight of a sentence without a sure mention; at 0 it is dropped.
    """

    def __init__(self, view: View, text: RawText, silent: float) -> None:
        self.view, self.text, self.silent = view, text, silent
        self.every = tuple(range(len(view.tagset.names)))
        self.items: list[Sentence] = []
        self.found: list[list[Entity]] = [[] for _ in text.documents]
        self.agreed = self.empty = 0

    def tags(self, spans: Iterable[Span], length: int) -> list[int]:
        """Numbers of the tags of mentions, legal even where a head's own are not."""
        names, scheme = self.view.tagset.names, self.view.tagset.scheme
        return [names.index(tag) for tag in tagging.encode(spans, length, scheme)]

    def count(self, agreed: bool, spans: Sequence[Span]) -> None:
        """A sentence was looked at."""
        self.agreed += agreed
        self.empty += agreed and not spans

    def learn(
        self,
        piece: Piece,
        words: Sequence[str],
        tags: Sequence[int],
        unsure: Collection[int],
        sure: Iterable[Span],
        *,
        spoken: bool,
    ) -> None:
        """Take a sentence with its tags, all of them open at unsure words, and the sure mentions in it."""
        weight = 1.0 if spoken else self.silent
        if not weight:
            return
        numbers = tuple(self.view.encoding.table.numbers(words))
        self.items.append(Sentence(numbers, tuple(tags), tuple((i, self.every) for i in sorted(unsure)), weight))
        for first, last, label in sure:
            start, end = piece.offsets[first][0], piece.offsets[last - 1][1]
            self.found[piece.document].append(Entity(start, end, label))

    def accepted(self) -> Accepted:
        """All of it, with its counts."""
        documents = [d.with_entities(found) for d, found in zip(self.text.documents, self.found, strict=True)]
        counts = {
            "sentences": len(self.text.pieces),
            "agreed": self.agreed,
            "silent": self.empty,
            "accepted": len(self.items),
            "mentions": sum(map(len, self.found)),
        }
        return Accepted(self.items, documents, counts)
