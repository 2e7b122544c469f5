"""Altered copies of labelled documents, which are still labelled (Dai & Adel 2020, section 3).

A copy of a document holds those of its sentences that an alteration has changed, one a line, and no others: what is
unchanged gets no more weight by being there twice. Mentions that overlap others or touch an unknown range stay as they
are, and no change runs two words together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from transfuse import lexicons
from transfuse.files import Source
from transfuse.ranges import check_ranges
from transfuse.text import ConfigError, Document, Entity
from transfuse.words import sentences, words

__all__ = ["Augment", "augmented", "rewritten"]

_ALTERATIONS = ("mentions", "synonyms", "tokens", "shuffle")

Edit = tuple[int, int, str]
"""Half-open offsets of characters and what takes their place."""

_Alteration = Callable[[Document, random.Random], Document]


@dataclass(frozen=True)
class Augment:
    """How copies are altered; with several alterations a copy goes through all of them, in this order.

    Attributes:
        copies: of each document.
        mentions: chance that a mention is replaced by another one of its label from the labelled training documents;
            those that occur more often come more often.
        synonyms: chance that a mention is replaced by another name of the same thing, where a lexicon knows one.
        tokens: chance that a word is replaced by one that has the same label and place (begins a mention, stands inside
            one, or outside) in the labelled training documents.
        shuffle: chance that the words of a segment, which is a mention or what stands between two, change places.
        lexicons: where ``synonyms`` come from: registered ones, or files with the names of one thing on a line,
            separated by tabs.
    """

    copies: int = 1
    mentions: float = 0.0
    synonyms: float = 0.0
    tokens: float = 0.0
    shuffle: float = 0.0
    lexicons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self, "augment", copies="[1, inf)", **dict.fromkeys(_ALTERATIONS, "[0, 1]"))
        if not any(getattr(self, name) for name in _ALTERATIONS):
            raise ConfigError(f"augment changes nothing: set {', '.join(_ALTERATIONS[:-1])} or {_ALTERATIONS[-1]}")
        if bool(self.synonyms) != bool(self.lexicons):
            raise ConfigError("augment: synonyms and lexicons mean nothing without each other")


def augmented(documents: Sequence[Document], settings: Augment, *, seed: int) -> list[Document]:
    """Altered copies, each behind the ones of documents before it; one in which nothing has changed is not made.

    Args:
        documents: labelled; they alone give mentions and words.
        settings: what is altered.
        seed: decides every draw; the copies of a smaller number are among those of a larger one.

    Raises:
        ConfigError, DataError: a lexicon cannot be read.
    """
    alterations = list(_alterations(documents, settings))
    found = []
    for document in documents:
        parts = list(_parts(document))
        for copy in range(1, settings.copies + 1):
            draw = random.Random(f"augment/{seed}/{copy}/{document.id}")
            changed = [new for part in parts if (new := _altered(part, alterations, draw)).text != part.text]
            if changed:
                found.append(_joined(f"{document.id}#augmented-{copy}", changed))
    return found


def rewritten(document: Document, edits: Iterable[Edit]) -> Document:
    """A document with some of its characters replaced; its entities and unknown ranges move with them.

    Args:
        document: any.
        edits: sorted, neither old nor new text empty, none overlapping another; no entity and no unknown range begins
            or ends inside one.
    """
    edits = list(edits)
    ends = [end for _, end, _ in edits]
    shifts = [0, *accumulate(len(new) - (end - start) for start, end, new in edits)]

    def moved(offset: int) -> int:
        return offset + shifts[sum(end <= offset for end in ends)]

    text, done = [], 0
    for start, end, new in edits:
        text += [document.text[done:start], new]
        done = end
    return Document(
        document.id,
        "".join([*text, document.text[done:]]),
        tuple(Entity(moved(e.start), moved(e.end), e.label, e.score) for e in document.entities),
        tuple((moved(start), moved(end)) for start, end in document.unknown),
    )


def _parts(document: Document) -> Iterator[Document]:
    """Each sentence as a document; none is cut inside a mention."""
    for start, end in sentences(document.text, keep=[(e.start, e.end) for e in document.entities]):
        entities = (
            Entity(e.start - start, e.end - start, e.label)
            for e in document.entities
            if start <= e.start and e.end <= end
        )
        unknown = ((max(a, start) - start, min(b, end) - start) for a, b in document.unknown if a < end and start < b)
        yield Document(document.id, document.text[start:end], tuple(entities), tuple(unknown))


def _altered(part: Document, alterations: Iterable[_Alteration], draw: random.Random) -> Document:
    for alter in alterations:
        part = alter(part, draw)
    return part


def _joined(name: str, parts: Sequence[Document]) -> Document:
    """Sentences as the lines of one document."""
    starts = [0, *accumulate(len(part.text) + 1 for part in parts)]
    entities = [
        Entity(at + e.start, at + e.end, e.label) for at, p in zip(starts, parts, strict=False) for e in p.entities
    ]
    unknown = [(at + a, at + b) for at, part in zip(starts, parts, strict=False) for a, b in part.unknown]
    return Document(name, "\n".join(part.text for part in parts), tuple(entities), tuple(unknown))


def _alterations(documents: Sequence[Document], settings: Augment) -> Iterator[_Alteration]:
    """Those that are asked for, in their order."""
    if settings.mentions:
        names: dict[str, list[str]] = {}
        for document in documents:
            for entity in _alone(document):
                names.setdefault(entity.label, []).append(document.mention(entity))
        yield partial(_replace, settings.mentions, _OtherMentions(names))
    if settings.synonyms:
        yield partial(_replace, settings.synonyms, _Synonyms(settings.lexicons))
    if settings.tokens:
        forms: dict[str, list[str]] = {}
        for part in (part for document in documents for part in _parts(document)):
            for (start, end), tag, _ in _tagged(part):
                forms.setdefault(tag, []).append(part.text[start:end])
        yield partial(_replace_words, settings.tokens, forms)
    if settings.shuffle:
        yield partial(_shuffle, settings.shuffle)


def _alone(document: Document) -> list[Entity]:
    """The mentions that consist of whole words, overlap no other and touch no unknown range."""
    offsets = words(document.text)
    starts, ends = {start for start, _ in offsets}, {end for _, end in offsets}
    return [
        e
        for e in document.entities
        if e.start in starts
        and e.end in ends
        and not any(e.overlaps(other) for other in document.entities if other is not e)
        and not any(e.start < end and start < e.end for start, end in document.unknown)
    ]


class _OtherMentions:
    """Gives for a mention another of its label, as often as these occur."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self._names = names
        self._several = {label: len(set(some)) > 1 for label, some in names.items()}

    def __call__(self, name: str, label: str, draw: random.Random) -> str:
        if not self._several.get(label):
            return name
        while (other := draw.choice(self._names[label])) == name:
            pass
        return other


class _Synonyms:
    """Gives for a mention another name of what it names, whatever the case; itself where no other is known."""

    def __init__(self, specs: Sequence[str]) -> None:
        self._others: dict[str, list[str]] = {}
        for names in (names for spec in specs for names in _concepts(spec)):
            for name in names:
                others = [other for other in names if _folded(other) != _folded(name)]
                self._others.setdefault(_folded(name), []).extend(others)
        if not any(self._others.values()):
            raise ConfigError(f"augment.lexicons: nothing in {', '.join(specs)} has a second name")

    def __call__(self, name: str, label: str, draw: random.Random) -> str:
        others = self._others.get(_folded(name))
        return draw.choice(others) if others else name


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _concepts(spec: str) -> Iterator[tuple[str, ...]]:
    """The names of each thing."""
    if spec in lexicons.names():
        yield from lexicons.concepts(spec)
        return
    if not Path(spec).is_file():
        raise ConfigError(f"augment.lexicons: {spec!r} is no file and no lexicon ({', '.join(lexicons.names())})")
    with Source(spec) as source:
        for _, line in source.lines():
            yield tuple(name for cell in line.split("\t") if (name := " ".join(cell.split())))


def _replace(
    rate: float, other: Callable[[str, str, random.Random], str], part: Document, draw: random.Random
) -> Document:
    """Mentions by other names."""
    places = [((e.start, e.end), (part.mention(e), e.label)) for e in _alone(part)]
    return _exchanged(rate, lambda mention: other(mention[0], mention[1], draw), places, part, draw)


def _replace_words(rate: float, forms: dict[str, list[str]], part: Document, draw: random.Random) -> Document:
    """Words by words with the same tag."""
    places = [(offsets, tag) for offsets, tag, _ in _tagged(part)]
    return _exchanged(rate, lambda tag: draw.choice(forms[tag]), places, part, draw)


def _exchanged(
    rate: float,
    choose: Callable[[Any], str],
    places: Iterable[tuple[tuple[int, int], Any]],
    part: Document,
    draw: random.Random,
) -> Document:
    """Some places filled anew, from left to right: what stands before the next one is what has been put there."""
    edits: list[Edit] = []
    text, shift = part.text, 0
    for (start, end), known in places:
        if draw.random() < rate:
            new = choose(known)
            if _fits(text, start + shift, end + shift, new):
                edits.append((start, end, new))
                text = text[: start + shift] + new + text[end + shift :]
                shift += len(new) - (end - start)
    return rewritten(part, edits)


def _shuffle(rate: float, part: Document, draw: random.Random) -> Document:
    """The words of segments in another order, the blanks between them where they were."""
    segments: dict[int, list[tuple[int, int]]] = {}
    for offsets, _, segment in _tagged(part):
        segments.setdefault(segment, []).append(offsets)
    edits: list[Edit] = []
    for places in segments.values():
        if len(places) > 1 and draw.random() < rate:
            mixed = [part.text[start:end] for start, end in places]
            draw.shuffle(mixed)
            edits += [(start, end, form) for (start, end), form in zip(places, mixed, strict=True)]
    new = rewritten(part, edits)
    return new if len(words(new.text)) == len(words(part.text)) and len(_alone(new)) == len(_alone(part)) else part


def _tagged(part: Document) -> Iterator[tuple[tuple[int, int], str, int]]:
    """The words that may change, each with its tag and the number of its segment."""
    free = {id(entity) for entity in _alone(part)}
    fixed = [(e.start, e.end) for e in part.entities if id(e) not in free] + list(part.unknown)
    segment, before = 0, None
    for start, end in words(part.text):
        if any(start < b and a < end for a, b in fixed):
            segment, before = segment + 1, None
            continue
        inside = next((e for e in part.entities if e.start <= start < e.end), None)
        segment += inside is not before
        tag = "O" if inside is None else f"{'B' if start == inside.start else 'I'}-{inside.label}"
        before = inside
        yield (start, end), tag, segment


def _fits(text: str, start: int, end: int, new: str) -> bool:
    """Whether words end where the new text begins and ends."""
    left, right = text[max(0, start - _NEAR) : start], text[end : end + _NEAR]
    borders = len(left), len(left) + len(new)
    return not any(a < border < b for a, b in words(left + new + right) for border in borders)


_NEAR = 50
"""Characters around a change that are looked at: no word of prose is longer."""
