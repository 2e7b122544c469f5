"""Does a corpus share text with another, or one of its splits with the next? And what is left without that.

Two sentences are the same when they are equal without white space, case and width (``Ａ`` is ``a``), so that tokenised
and running text meet; only sentences of at least five tokens count, since headings come back everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from transfuse.text import Corpus, Document
from transfuse.words import sentences

__all__ = ["Overlap", "is_cut", "is_long", "key_of", "overlap", "without_overlap"]

SHORTEST = 5
"""Tokens that a sentence must have to be compared."""

_ANCHOR = 8
"""Characters by which a sentence is looked up in running text; shorter sentences are not found there."""

_WIDE = re.compile(r"[\u2e80-\ufaff\uff00-\uffef]")
"""Characters of scripts that put no blank between words, and their punctuation."""

_RUNNING = re.compile(r".*/\d+|.{0,3}", re.DOTALL)
_TIMES = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of one split stands in another.

    Attributes:
        split: the split that is looked up, as ``corpus/split``.
        other: the split in which it is looked up.
        documents: how many documents the first has.
        by_id: how many of them the other has under the same id, with at least half of the words in common.
        sentences: how many sentences of at least five tokens the first has.
        by_text: how many of those stand in the other.
    """

    split: str
    other: str
    documents: int
    by_id: int
    sentences: int
    by_text: int

    @property
    def share(self) -> float:
        """``by_text / sentences``, 0 where there are none."""
        return self.by_text / self.sentences if self.sentences else 0.0


def overlap(first: Corpus, second: Corpus) -> list[Overlap]:
    """What of each split of one corpus stands in each split of another.

    Identifiers that are mere running numbers (``train/12``, ``7``) are not compared, nor is what follows a ``#``.

    Args:
        first: the corpus that is looked up; where it is the second too, a split is not compared with itself.
        second: the corpus in which it is looked up.
    """
    ours = {split: _Shelf(documents) for split, documents in first.splits.items()}
    others = ours if first is second else {split: _Shelf(documents) for split, documents in second.splits.items()}
    return [
        _compare(f"{first.name}/{split}", shelf, f"{second.name}/{other}", others[other])
        for split, shelf in ours.items()
        for other in others
        if first is not second or split != other
    ]


def without_overlap(source: Corpus, target: Corpus) -> tuple[Corpus, dict[str, int]]:
    """Take out of all splits of a source what the dev and test splits of a target hold.

    A document goes as a whole if the target has one under its id (with at least half of the words in common), or if
    the two share a sentence of at least five tokens.

    Args:
        source: the corpus to learn from.
        target: the corpus to be scored on; its train split may be shared.

    Returns:
        What is left, and how many documents went: ``{"by_id": ..., "by_text": ...}``, each counted once.
    """
    apart = _Shelf([*target.dev, *target.test])
    removed = {"by_id": 0, "by_text": 0}
    splits: dict[str, tuple[Document, ...]] = {}
    for split, documents in source.splits.items():
        ours = _Shelf(documents)
        theirs = set().union(*apart.find(ours.sentences))
        kept = []
        for document, units, found in zip(documents, ours.units, ours.find(apart.sentences), strict=True):
            if apart.has_id(document):
                removed["by_id"] += 1
            elif found or not theirs.isdisjoint(units):
                removed["by_text"] += 1
            else:
                kept.append(document)
        splits[split] = tuple(kept)
    return replace(source, splits=splits), removed


def _compare(name: str, shelf: _Shelf, other: str, others: _Shelf) -> Overlap:
    known = set().union(*others.find(shelf.sentences))
    by_id = sum(map(others.has_id, shelf.documents))
    units = [unit for units in shelf.units for unit in units]
    return Overlap(name, other, len(shelf.documents), by_id, len(units), sum(unit in known for unit in units))


class _Shelf:
    """Documents in which others are looked up.

    Text that somebody has cut into sentences is compared sentence by sentence. In running text a sentence may stand
    anywhere, from the start of a word to the end of one, since no two splitters agree.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents, self.cut = documents, is_cut(documents)
        self.units = [list(_units(document.text, self.cut)) for document in documents]
        self._ids: dict[str, list[Document]] = defaultdict(list)
        for document in documents:
            name = _TIMES.sub("", document.id)
            if not _RUNNING.fullmatch(name):
                self._ids[name].append(document)

    def has_id(self, document: Document) -> bool:
        """Whether the id is here, and not by chance: MEDLINE and PubMed number different articles alike."""
        mine = set(document.text.casefold().split())
        for other in self._ids.get(_TIMES.sub("", document.id), ()):
            theirs = set(other.text.casefold().split())
            if 2 * len(mine & theirs) >= min(len(mine), len(theirs)):
                return True
        return False

    @property
    def sentences(self) -> set[str]:
        """All sentences that are long enough."""
        return {unit for units in self.units for unit in units}

    def find(self, wanted: set[str]) -> list[set[str]]:
        """For each document those of some sentences that stand in it."""
        if self.cut:
            return [wanted.intersection(units) for units in self.units]
        anchors: dict[str, list[str]] = defaultdict(list)
        for unit in wanted:
            anchors[unit[:_ANCHOR]].append(unit)
        return [set(_search(document.text, anchors)) for document in self.documents]


def _search(text: str, anchors: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The sentences that stand in a running text, which are listed by how they begin."""
    whole, borders = "", {0}
    for piece in text.split():
        start = len(whole)
        whole += key_of(piece)
        borders.update(range(start, len(whole)) if _WIDE.search(piece) else ())
        borders.add(len(whole))
    for border in borders:
        for unit in anchors.get(whole[border : border + _ANCHOR], ()):
            if whole.startswith(unit, border) and border + len(unit) in borders:
                yield unit


def _units(text: str, cut: bool) -> Iterator[str]:
    """The keys of the sentences that are long enough, each as often as it is there."""
    pieces = text.split("\n") if cut else [text[start:end] for start, end in sentences(text)]
    return (key_of(piece) for piece in pieces if is_long(piece))


def is_cut(documents: Sequence[Document]) -> bool:
    """Whether somebody has cut the text into sentences, one a line: more than two lines in three hold no second one.

    Our own splitter sees more of them than there are: a stop behind an abbreviation, say.
    """
    lines = [line for document in documents[:1000] for line in document.text.split("\n")]
    return 3 * sum(len(sentences(line)) > 1 for line in lines) < len(lines)


def is_long(text: str) -> bool:
    return len(text.split()) >= SHORTEST or len(_WIDE.findall(text)) >= SHORTEST


def key_of(text: str) -> str:
    """A text without white space, case and width."""
    plain = "".join(text.split())
    return plain.casefold() if plain.isascii() else unicodedata.normalize("NFKC", plain).casefold()
