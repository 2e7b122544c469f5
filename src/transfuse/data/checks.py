"""Is a corpus sound? What is wrong is told as findings, never changed here."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from transfuse.data.overlap import is_cut, is_long, key_of, overlap
from transfuse.losses import Losses
from transfuse.published import Published
from transfuse.text import Corpus, Document, Entity
from transfuse.words import align, is_blank, sentences, words

__all__ = ["Finding", "check", "doubts"]

_EXAMPLES = 3
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
    elif not any(document.entities for documents in corpus.splits.values() for document in documents):
        found.append(Finding("error", "no mention: was it read in the right format?", 1))
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
        place = loss.document or (f"line {loss.line}" if loss.line else "")
        grouped[f"{loss.action}: {loss.reason}"].append(": ".join(part for part in (place, loss.detail) if part))
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
    if is_cut(documents):
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
        if not is_long(document.text):
            continue
        known = first.setdefault(key_of(document.text), document)
        if known is not document:
            again.append(f"{document.id} as {known.id}")
            if _mentions(known) != _mentions(document):
                otherwise.append(f"{document.id} and {known.id}")
    if again:
        yield Finding("note", "text that is there before", len(again), detail=tuple(again[:_EXAMPLES]))
    if otherwise:
        kind = "text that is annotated otherwise elsewhere"
        yield Finding("warning", kind, len(otherwise), detail=tuple(otherwise[:_EXAMPLES]))


def _mentions(document: Document) -> list[tuple[str, str]]:
    return [(key_of(document.mention(entity)), entity.label) for entity in document.entities]
