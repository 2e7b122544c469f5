"""Is a corpus sound, and does it share text with another? What is wrong is told as findings, never changed here.

Two sentences are the same when they are equal without white space, case and width (``Ａ`` is ``a``), so that tokenised
and running text meet; only sentences of at least five tokens count, since headings come back everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from transfuse.losses import Losses
from transfuse.published import Published
from transfuse.text import Corpus, Document, Entity
from transfuse.words import align, is_blank, sentences, words

__all__ = ["Finding", "Overlap", "check", "doubts", "overlap", "without_overlap"]

SHORTEST = 5
"""Tokens that a sentence must have to be compared."""

_EXAMPLES = 3
_ANCHOR = 8
"""Characters by which a sentence is looked up in running text; shorter sentences are not found there."""

_WIDE = re.compile(r"[\u2e80-\ufaff\uff00-\uffef]")
"""Characters of scripts that put no blank between words, and their punctuation."""

_RUNNING = re.compile(r".*/\d+|.{0,3}", re.DOTALL)
_TIMES = re.compile(r"#\d+$")
_STOPPED = re.compile(r"[.!?:;。！？：；…][)\]}\"'”’」』）】》]*$")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know of a corpus.

    Attributes:
        severity: ``error`` (it is not what it is said to be), ``warning`` (scores may suffer), ``note``.
        kind: what, in a few words that are the same for every corpus.
        count: how often.
        split: the split, or "" for the whole corpus.
        detail: a few places, as ``document: what``.
    """

    severity: str
    kind: str
    count: int
    split: str = ""
    detail: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


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


def check(corpus: Corpus, published: Published | None = None, losses: Losses | None = None) -> list[Finding]:
    """Look for what is known to go wrong in corpora.

    Args:
        corpus: with the labels its files have, if ``published`` is given.
        published: the facts that it should agree with.
        losses: what the reader of the corpus reported.

    Returns:
        Findings, errors first.
    """
    found = [*_counts(corpus, published), *_losses(losses or ()), *doubts(corpus)]
    if corpus.splits and not any(corpus.splits.values()):
        found.append(Finding("error", "no document", 1))
    for split, documents in corpus.splits.items():
        for look in (_empty, _misaligned, _overlapping, _breaks, _doubles):
            found += [replace(finding, split=split) for finding in look(documents)]
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def doubts(corpus: Corpus) -> list[Finding]:
    """Why scores may not be what they seem: text in two splits, labels without training, mentions in two sentences."""
    found = [*_labels(corpus), *_leaks(corpus)]
    for split, documents in corpus.splits.items():
        found += [replace(finding, split=split) for finding in _parted(documents)]
    return found


def _counts(corpus: Corpus, published: Published | None) -> Iterator[Finding]:
    for split, expected in (published.splits if published else {}).items():
        documents = corpus.splits.get(split, ())
        entities = sum(len(document.entities) for document in documents)
        for what, has, should in (
            ("documents", len(documents), expected.documents),
            ("entities", entities, expected.entities),
        ):
            if has != should:
                detail = (f"{has} read, {should} expected",)
                yield Finding("error", f"number of {what} differs", abs(has - should), split, detail)


def _losses(losses: Iterable[Any]) -> Iterator[Finding]:
    """One finding for each reason; a repaired tag sequence is worth a warning."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for loss in losses:
        grouped[f"{loss.action}: {loss.reason}"].append(f"{loss.document or f'line {loss.line}'}: {loss.detail}")
    for kind, places in grouped.items():
        severity = "warning" if "illegal" in kind else "note"
        yield Finding(severity, kind, len(places), detail=tuple(places[:_EXAMPLES]))


def _labels(corpus: Corpus) -> Iterator[Finding]:
    seen = {split: {e.label for d in documents for e in d.entities} for split, documents in corpus.splits.items()}
    never = sorted(set(corpus.labels) - set().union(*seen.values()))
    if never:
        yield Finding("warning", "label that never occurs", len(never), detail=tuple(never))
    if "train" in seen:
        for split in set(seen) - {"train"}:
            strangers = sorted(seen[split] - seen["train"])
            if strangers:
                yield Finding("warning", "label that train lacks", len(strangers), split, tuple(strangers))


def _leaks(corpus: Corpus) -> Iterator[Finding]:
    for found in overlap(corpus, corpus):
        split, other = found.split.rpartition("/")[2], found.other.rpartition("/")[2]
        if (split, other) not in {("dev", "train"), ("test", "train"), ("test", "dev")}:
            continue
        if found.by_id:
            yield Finding("error", f"document that {other} has too", found.by_id, split)
        if found.by_text:
            detail = (f"{found.share:.1%} of {found.sentences} sentences",)
            yield Finding("warning", f"sentence that {other} has too", found.by_text, split, detail)


def _empty(documents: Sequence[Document]) -> Iterator[Finding]:
    places = [document.id for document in documents if is_blank(document.text)]
    if places:
        yield Finding("warning", "document without text", len(places), detail=tuple(places[:_EXAMPLES]))
    ids = Counter(document.id for document in documents)
    doubled = [name for name, number in ids.items() if number > 1]
    if doubled:
        yield Finding("error", "document id that is there twice", len(doubled), detail=tuple(doubled[:_EXAMPLES]))


def _misaligned(documents: Sequence[Document]) -> Iterator[Finding]:
    losses = Losses()
    for document in documents:
        if document.entities:
            align(words(document.text), document.entities, losses=losses, document=document.id)
    for finding in _losses(losses):
        yield replace(finding, kind=finding.kind.partition(": ")[2])


def _overlapping(documents: Sequence[Document]) -> Iterator[Finding]:
    places, broken = [], []
    for document in documents:
        reached: Entity | None = None
        for entity in document.entities:
            if reached and entity.overlaps(reached):
                places.append(f"{document.id}: {document.mention(entity)!r} in {document.mention(reached)!r}")
            if reached is None or entity.end > reached.end:
                reached = entity
            if "\n" in document.mention(entity):
                broken.append(f"{document.id}: {document.mention(entity)!r}")
    if places:
        yield Finding("note", "mention that overlaps another", len(places), detail=tuple(places[:_EXAMPLES]))
    if broken:
        yield Finding("warning", "mention across a line break", len(broken), detail=tuple(broken[:_EXAMPLES]))


def _parted(documents: Sequence[Document]) -> Iterator[Finding]:
    """Mentions that no tagger can find that reads sentence by sentence, as these are split when nothing is known."""
    places = []
    for document in documents:
        if document.entities:
            ends = [end for _, end in sentences(document.text)]
            for entity in document.entities:
                if any(entity.start < end < entity.end for end in ends):
                    places.append(f"{document.id}: {document.mention(entity)!r}")
    if places:
        yield Finding("warning", "mention across the end of a sentence", len(places), detail=tuple(places[:_EXAMPLES]))


def _breaks(documents: Sequence[Document]) -> Iterator[Finding]:
    """A line without a stop at its end, and then one that begins in lower case: somebody cut a sentence.

    Likewise, in any script, where a mention ends with the line and one of its type begins the next.
    """
    cut, through = [], []
    for (name, before, last, _), (_, after, _, first) in _neighbours(documents):
        if not before or not after or _STOPPED.search(before):
            continue
        place = f"{name}: {before[-25:]!r} | {after[:25]!r}"
        if after[0].islower():
            cut.append(place)
        if last & first:
            through.append(place)
    if cut:
        yield Finding("warning", "sentence that seems cut in two", len(cut), detail=tuple(cut[:_EXAMPLES]))
    if through:
        kind = "mention that seems to go on behind a break"
        yield Finding("warning", kind, len(through), detail=tuple(through[:_EXAMPLES]))


_Line = tuple[str, str, set[str], set[str]]


def _neighbours(documents: Sequence[Document]) -> Iterator[tuple[_Line, _Line]]:
    """Lines that follow each other; those of two documents only where somebody has cut the text into sentences."""
    if _is_cut(documents):
        yield from pairwise(line for document in documents for line in _lines(document))
    else:
        for document in documents:
            yield from pairwise(_lines(document))


def _lines(document: Document) -> Iterator[_Line]:
    """Each line with its document's id and the labels of mentions that end with it and that begin it."""
    start = 0
    for line in document.text.split("\n"):
        end = start + len(line)
        last = {entity.label for entity in document.entities if entity.end == end}
        yield document.id, line, last, {entity.label for entity in document.entities if entity.start == start}
        start = end + 1


def _doubles(documents: Sequence[Document]) -> Iterator[Finding]:
    """Texts that come back, and those among them that are annotated otherwise."""
    first: dict[str, Document] = {}
    again, otherwise = [], []
    for document in documents:
        if not _is_long(document.text):
            continue
        known = first.setdefault(_key(document.text), document)
        if known is not document:
            again.append(f"{document.id} as {known.id}")
            if _mentions(known) != _mentions(document):
                otherwise.append(f"{document.id} and {known.id}")
    if again:
        yield Finding("note", "text that is there before", len(again), detail=tuple(again[:_EXAMPLES]))
    if otherwise:
        kind = "text that is annotated otherwise elsewhere"
        yield Finding("warning", kind, len(otherwise), detail=tuple(otherwise[:_EXAMPLES]))


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
        self.documents, self.cut = documents, _is_cut(documents)
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
        whole += _key(piece)
        borders.update(range(start, len(whole)) if _WIDE.search(piece) else ())
        borders.add(len(whole))
    for border in borders:
        for unit in anchors.get(whole[border : border + _ANCHOR], ()):
            if whole.startswith(unit, border) and border + len(unit) in borders:
                yield unit


def _units(text: str, cut: bool) -> Iterator[str]:
    """The keys of the sentences that are long enough, each as often as it is there."""
    pieces = text.split("\n") if cut else [text[start:end] for start, end in sentences(text)]
    return (_key(piece) for piece in pieces if _is_long(piece))


def _is_cut(documents: Sequence[Document]) -> bool:
    """Whether somebody has cut the text into sentences, one a line: two lines in three hold no second one.

    Our own splitter sees more of them than there are: a stop behind an abbreviation, say.
    """
    lines = [line for document in documents[:1000] for line in document.text.split("\n")]
    return 3 * sum(len(sentences(line)) > 1 for line in lines) <= len(lines)


def _is_long(text: str) -> bool:
    return len(text.split()) >= SHORTEST or len(_WIDE.findall(text)) >= SHORTEST


def _key(text: str) -> str:
    """A text without white space, case and width."""
    plain = "".join(text.split())
    return plain.casefold() if plain.isascii() else unicodedata.normalize("NFKC", plain).casefold()


def _mentions(document: Document) -> list[tuple[str, str]]:
    return [(_key(document.mention(entity)), entity.label) for entity in document.entities]
