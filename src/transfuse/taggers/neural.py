"""The neural tagger: documents to batches, and what one head reads back to documents."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from transfuse import tags as tagging
from transfuse.encoders.pieces import PieceTable
from transfuse.losses import Losses
from transfuse.nn.encoder import Batch
from transfuse.nn.head import Head
from transfuse.nn.padding import inside
from transfuse.nn.transformer import AnyEncoder
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.mixed import AnyTable, AnyVocabulary
from transfuse.taggers.reading import Piece, Reader, Reading, chunks, pieces, uncollected
from transfuse.taggers.vocabulary import places
from transfuse.text import BundleError, Document, Entity
from transfuse.words import align, flatten, sentences, words

__all__ = ["NeuralTagger", "Sentence", "batches", "collate", "read_sentences"]


@dataclass(frozen=True)
class Sentence:
    """A training sentence: form numbers, and for each word its tag, or the tags it may have.

    Attributes:
        forms: numbers from a `FormTable`.
        tags: gold tags as rows of a `TagSet`.
        open: for words whose tag is not known, the rows that it may have.
        weight: of its loss.
    """

    forms: tuple[int, ...]
    tags: tuple[int, ...]
    open: tuple[tuple[int, tuple[int, ...]], ...] = ()
    weight: float = 1.0


def read_sentences(
    documents: Iterable[Document],
    table: AnyTable,
    tagset: TagSet,
    *,
    annotated: Iterable[str],
    corpus: str = "",
    losses: Losses | None = None,
) -> list[Sentence]:
    """Documents as training sentences; no sentence border falls into a mention.

    Args:
        documents: with gold entities whose labels the tag set has.
        table: numbers the forms.
        tagset: the tags to learn.
        annotated: the labels that the documents' annotators looked for. A word outside all mentions may, for all we
            know, belong to one of the other labels of the tag set.
        corpus: that the documents are of, for an encoder that tells corpora apart; the target unless given.
        losses: mentions that no flat tag sequence over words can hold.
    """
    row = {name: i for i, name in enumerate(tagset.names)}
    spell = table.spell if isinstance(table, PieceTable) else partial(table.spell, corpus=corpus)
    missing = set(tagset.labels) - set(annotated)
    outside = (0, *(i for name, i in row.items() if name.partition("-")[2] in missing))
    everything = tuple(range(len(row)))
    found = []
    for document in documents:
        for start, end in sentences(document.text, keep=[(e.start, e.end) for e in document.entities]):
            offsets = words(document.text, start, end)
            inside = [e for e in document.entities if start <= e.start < end]
            spans = align(offsets, inside, document=document.id, losses=losses)
            spans = flatten(spans, document=document.id, losses=losses)
            tags = [row[tag] for tag in tagging.encode(spans, len(offsets), tagset.scheme)]
            open_words = {}
            if missing:
                open_words = {i: outside for i, tag in enumerate(tags) if tag == 0}
            for a, b in document.unknown:
                open_words |= {i: everything for i, (x, y) in enumerate(offsets) if x < b and a < y}
            forms = table.numbers(spell(document.text, offsets))
            found.append(Sentence(tuple(forms), tuple(tags), tuple(sorted(open_words.items()))))
    return found


def batches(
    items: Sequence[Sentence], *, size: int, words_at_most: int, seed: str, pool: int = 50
) -> list[list[Sentence]]:
    """Shuffled batches of sentences of like length, each longest first.

    Args:
        items: the sentences of an epoch.
        size: sentences a batch, at most.
        words_at_most: words a batch with its padding, at most, unless one sentence alone is longer.
        seed: decides the order.
        pool: batches within whose sentences lengths are sorted; larger pools pad less and mix less.
    """
    draw = random.Random(seed)
    order = list(items)
    draw.shuffle(order)
    found: list[list[Sentence]] = []
    for start in range(0, len(order), size * pool):
        batch: list[Sentence] = []
        for item in sorted(order[start : start + size * pool], key=lambda s: -len(s.forms)):
            longest = len(batch[0].forms) if batch else 0
            if len(batch) == size or longest * (len(batch) + 1) > words_at_most:
                found.append(batch)
                batch = []
            batch.append(item)
        if batch:
            found.append(batch)
    draw.shuffle(found)
    return found


def collate(items: Sequence[Sentence], table: AnyTable, tagset: TagSet, *, word_dropout: float = 0.0) -> Batch:
    """A batch of training sentences, longest first.

    Args:
        items: longest first.
        table: that numbered the forms.
        tagset: of their tags.
        word_dropout: a form that training holds n times is treated as unknown with probability ``a / (a + n)``; forms
            made of pieces never are.
    """
    distinct, place, lengths = places([item.forms for item in items])
    forms = table.forms().select(distinct)
    unknown = None
    if word_dropout and not isinstance(table, PieceTable):
        unknown = table.dropped(forms, word_dropout)  # type: ignore[arg-type]  # forms are this table's own
    steps = inside(lengths, place.shape[1])
    tags = torch.zeros(place.shape, dtype=torch.long)
    tags[steps] = torch.tensor([tag for item in items for tag in item.tags])
    allowed = None
    if any(item.open for item in items):
        allowed = nn.functional.one_hot(tags, len(tagset.names)).bool()
        for i, item in enumerate(items):
            for word, rows in item.open:
                allowed[i, word] = False
                allowed[i, word, list(rows)] = True
    weights = torch.tensor([item.weight for item in items])
    return Batch(forms, place, lengths, unknown, tags, allowed, weights)


class NeuralTagger:
    """An encoder and one head of it, put to work.

    Args:
        encoder: the encoder.
        head: the head.
        vocabulary: of the encoder.
        tagset: the head's tags.
        architecture: from which encoder and head were built.
        outputs: the labels that may come out; others that the head knows are held back. All by default.
        chunk: words that are tagged together, at least one document.
        keep: forms whose encoding is kept.
    """

    kind = "neural"

    def __init__(
        self,
        encoder: AnyEncoder,
        head: Head,
        vocabulary: AnyVocabulary,
        tagset: TagSet,
        *,
        architecture: Architecture,
        outputs: Iterable[str] | None = None,
        chunk: int = 40_000,
        keep: int = 16_000,
    ) -> None:
        self.encoder, self.head, self.vocabulary, self.tagset = encoder, head, vocabulary, tagset
        self.architecture = architecture
        self._reader = Reader(encoder, [head], vocabulary, tagset, architecture)
        self._outputs = tuple(tagset.labels if outputs is None else outputs)
        self.chunk, self.keep = chunk, keep

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._outputs

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams, in memory that does not grow.

        Args:
            documents: their entities are ignored.
            confidence: give each entity its probability under the head.
        """
        for some, read, readings in self.read(documents, chances=confidence):
            yield from self.entities(some, read, readings, confidence=confidence)

    def read(
        self, documents: Iterable[Document], *, chances: bool
    ) -> Iterator[tuple[list[Document], list[Piece], list[Reading]]]:
        """What the head reads in documents, some of them at a time: these, their sentences, and a reading of each.

        Args:
            documents: their entities are ignored.
            chances: keep what `transfuse.taggers.reading.Reading.chance` and ``marginals`` need.
        """
        self._reader.prepare()
        for some in chunks(documents, self.chunk):
            with uncollected():
                read = pieces(some)
                readings = [one for (one,) in self._reader.read(self._reader.spell(some, read), chances=chances)]
            yield some, read, readings
            self._reader.forget(self.keep)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights and vocabulary into a folder; what `load` needs beside them is returned."""
        return self._reader.save(folder) | {"outputs": self._outputs}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> NeuralTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        reader = Reader.load(folder, config)
        if "outputs" not in config:
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: no outputs")
        return cls(
            reader.encoder,
            reader.heads[0],
            reader.vocabulary,
            reader.tagset,
            architecture=reader.architecture,
            outputs=config["outputs"],
        )

    @uncollected()
    def entities(
        self, documents: Sequence[Document], read: Sequence[Piece], readings: Sequence[Reading], *, confidence: bool
    ) -> list[Document]:
        """The documents with the entities that readings of their sentences hold; see `read`."""
        found: list[list[Entity]] = [[] for _ in documents]
        for (number, offsets), reading in zip(read, readings, strict=True):
            for span in reading.spans:
                first, last, label = span
                if label in self._outputs:
                    score = reading.chance(span) if confidence else None
                    found[number].append(Entity(offsets[first][0], offsets[last - 1][1], label, score))
        return [document.with_entities(entities) for document, entities in zip(documents, found, strict=True)]
