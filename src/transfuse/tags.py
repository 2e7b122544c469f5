"""Spans of words as one tag a word, and back; the only place where tags exist.

A tag is ``O`` or ``<prefix>-<label>``. A scheme is a table that says, for each prefix, whether a mention begins at it
and whether one ends at it. Encoding, decoding and the legal transitions all follow from that table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from transfuse.losses import Losses
from transfuse.text import ConfigError, DataError, SpanError

__all__ = [
    "OUTSIDE",
    "POLICIES",
    "PREFIXES",
    "Prefix",
    "Scheme",
    "Span",
    "When",
    "convert",
    "decode",
    "encode",
    "faults",
    "legal",
    "over_pieces",
    "tag_names",
]

OUTSIDE = "O"
"""The tag of a word that no mention holds."""

POLICIES = ("repair", "drop", "raise")
"""What `decode` does with an illegal sequence. repair: read it as conlleval does (a tag that cannot continue the
mention before it opens one); drop: leave out the mentions that are not well formed; raise: refuse."""

Span = tuple[int, int, str]
"""Half-open range of word numbers with its label: ``(first, last + 1, label)``."""


class Scheme(StrEnum):
    """How mentions are written as tags."""

    BIO = "BIO"
    BIOES = "BIOES"
    IO = "IO"
    IOB1 = "IOB1"
    BMES = "BMES"


class When(StrEnum):
    """Whether a mention begins, or ends, at a prefix."""

    ALWAYS = "always"
    NEVER = "never"
    MAYBE = "maybe"
    TOUCHING = "touching"
    """Only directly behind a mention of the same label, which `MAYBE` would continue."""


class Prefix(NamedTuple):
    """One row of a scheme: the sign, and whether a mention begins and ends at it."""

    sign: str
    begins: When
    ends: When


PREFIXES: dict[str, tuple[Prefix, ...]] = {
    Scheme.BIO: (Prefix("B", When.ALWAYS, When.MAYBE), Prefix("I", When.NEVER, When.MAYBE)),
    Scheme.BIOES: (
        Prefix("B", When.ALWAYS, When.NEVER),
        Prefix("I", When.NEVER, When.NEVER),
        Prefix("E", When.NEVER, When.ALWAYS),
        Prefix("S", When.ALWAYS, When.ALWAYS),
    ),
    Scheme.IO: (Prefix("I", When.MAYBE, When.MAYBE),),
    Scheme.IOB1: (Prefix("B", When.TOUCHING, When.MAYBE), Prefix("I", When.MAYBE, When.MAYBE)),
    Scheme.BMES: (
        Prefix("B", When.ALWAYS, When.NEVER),
        Prefix("M", When.NEVER, When.NEVER),
        Prefix("E", When.NEVER, When.ALWAYS),
        Prefix("S", When.ALWAYS, When.ALWAYS),
    ),
}
"""The schemes."""


class _Tag(NamedTuple):
    """A tag taken apart; ``label`` is empty for the outside."""

    label: str
    begins: When
    ends: When


_OUT = _Tag("", When.MAYBE, When.MAYBE)


def _rows(scheme: str) -> tuple[Prefix, ...]:
    try:
        return PREFIXES[scheme]
    except KeyError:
        raise ConfigError(f"unknown tag scheme {scheme!r}: choose one of {', '.join(Scheme)}") from None


@cache
def _parse(tag: str, scheme: str) -> _Tag:
    if tag == OUTSIDE:
        return _OUT
    sign, dash, label = tag.partition("-")
    for row in _rows(scheme):
        if row.sign == sign and dash and label:
            return _Tag(label, row.begins, row.ends)
    signs = ", ".join(f"{row.sign}-<label>" for row in _rows(scheme))
    raise DataError(f"{tag!r} is no {scheme} tag: expected {OUTSIDE} or {signs}")


def _continues(before: _Tag, after: _Tag) -> bool:
    """Whether two neighbouring tags belong to one mention."""
    return (
        before.label == after.label != ""
        and before.ends != When.ALWAYS
        and after.begins not in {When.ALWAYS, When.TOUCHING}
    )


def _closed(before: _Tag) -> bool:
    """Whether a mention may end at this tag."""
    return before.ends != When.NEVER


def _opened(before: _Tag, after: _Tag) -> bool:
    """Whether a mention may begin at the second tag."""
    return after.begins != When.NEVER and (after.begins != When.TOUCHING or before.label == after.label)


def _allowed(before: _Tag, after: _Tag) -> bool:
    return _continues(before, after) or (_closed(before) and _opened(before, after))


def tag_names(labels: Iterable[str], scheme: str = Scheme.BIO) -> tuple[str, ...]:
    """Every tag of a scheme: ``O`` first, then label by label in the order given.

    Raises:
        ConfigError: there is no such scheme.
    """
    rows = _rows(scheme)
    return (OUTSIDE, *(f"{row.sign}-{label}" for label in labels for row in rows))


def encode(
    spans: Iterable[Span], length: int, scheme: str = Scheme.BIO, *, counts: Counter[str] | Losses | None = None
) -> list[str]:
    """One tag a word.

    A scheme that cannot part two touching mentions of one label (IO) joins them, which is counted.

    Args:
        spans: in any order, none overlapping another.
        length: number of words.
        scheme: one of `Scheme`.
        counts: collects ``joined`` mentions.

    Raises:
        ConfigError: there is no such scheme.
        SpanError: a span is empty, ends behind the last word, or overlaps another.
    """
    rows = _rows(scheme)
    tags, before, reached = [OUTSIDE] * length, _OUT, 0
    for start, end, label in sorted(spans):
        if not reached <= start < end <= length:
            raise SpanError(f"words [{start}, {end}) of {length} are empty, outside or overlap another span")
        if start > reached:
            before = _OUT
        for place in range(start, end):
            row = _row(rows, before, label, place == start, place == end - 1)
            if row is None:
                _count(counts, "joined", f"touching mentions in {scheme}", f"words [{start}, {end}) {label}")
                row = next(row for row in rows if _continues(before, _Tag(label, row.begins, row.ends)))
            tags[place], before = f"{row.sign}-{label}", _Tag(label, row.begins, row.ends)
        reached = end
    return tags


def _row(rows: tuple[Prefix, ...], before: _Tag, label: str, first: bool, last: bool) -> Prefix | None:
    """The one prefix that says what has to be said, or None where the scheme has no word for it."""
    for row in rows:
        tag = _Tag(label, row.begins, row.ends)
        begins = not _continues(before, tag) and _opened(before, tag) if first else _continues(before, tag)
        if begins and row.ends != (When.NEVER if last else When.ALWAYS):
            return row
    return None


def decode(
    tags: Sequence[str], scheme: str = Scheme.BIO, policy: str = "repair", counts: Counter[str] | Losses | None = None
) -> list[Span]:
    """The spans that tags spell, in order.

    Args:
        tags: one a word.
        scheme: one of `Scheme`.
        policy: one of `POLICIES`.
        counts: collects one ``altered`` (repair) or ``dropped`` for each mention that is not well formed.

    Raises:
        ConfigError: there is no such scheme or policy.
        DataError: a tag is none of the scheme's; or the sequence is illegal and the policy is ``raise``.
    """
    if policy not in POLICIES:
        raise ConfigError(f"unknown policy {policy!r} for illegal tags: choose one of {', '.join(POLICIES)}")
    if policy == "raise":
        for place, reason in faults(tags, scheme):
            raise DataError(f"illegal {scheme} tags at word {place + 1}: {reason}")
    spans: list[Span] = []
    for start, end, label, sound in _mentions([_parse(tag, scheme) for tag in tags]):
        if not sound:
            action = "altered" if policy == "repair" else "dropped"
            _count(counts, action, "illegal tag sequence", " ".join(tags[max(0, start - 1) : end + 1]))
        if sound or policy == "repair":
            spans.append((start, end, label))
    return spans


def _mentions(parts: Sequence[_Tag]) -> Iterator[tuple[int, int, str, bool]]:
    """Start, end, label, and whether it begins and ends as the scheme wants it."""
    start, sound, before = 0, True, _OUT
    for place, tag in enumerate([*parts, _OUT]):
        if tag is _OUT is before:
            continue  # most words of most texts
        if not _continues(before, tag):
            if before.label:
                yield start, place, before.label, sound and _closed(before)
            start, sound = place, _opened(before, tag)
        before = tag


def faults(tags: Sequence[str], scheme: str = Scheme.BIO) -> list[tuple[int, str]]:
    """Where a sequence is illegal: the number of the word (from 0; the last one for a mention left open), and why.

    Raises:
        ConfigError: there is no such scheme.
        DataError: a tag is none of the scheme's.
    """
    parts, found, before = [_parse(tag, scheme) for tag in tags], [], _OUT
    for place, tag in enumerate(parts):
        if not _allowed(before, tag):
            found.append((place, f"{tags[place]} after {tags[place - 1] if place else 'the start'}"))
        before = tag
    if not _closed(before):
        found.append((len(parts) - 1, f"{tags[-1]} at the end"))
    return found


def legal(tags: Sequence[str], scheme: str = Scheme.BIO) -> tuple[list[bool], list[bool], list[list[bool]]]:
    """What may stand where, for a decoder that must not write an illegal sequence.

    Args:
        tags: the tags of a tagger, as from `tag_names`, in its own order.
        scheme: one of `Scheme`.

    Returns:
        Whether each tag may be first; whether each may be last; and ``matrix[before][after]``.

    Raises:
        ConfigError: there is no such scheme.
        DataError: a tag is none of the scheme's.
    """
    parts = [_parse(tag, scheme) for tag in tags]
    matrix = [[_allowed(before, after) for after in parts] for before in parts]
    return [_opened(_OUT, tag) for tag in parts], [_closed(tag) for tag in parts], matrix


def over_pieces(tags: Sequence[str], scheme: str = Scheme.BIO) -> list[tuple[int, int, int]]:
    """How the same mentions are written when each word is several pieces and a tag stands on each piece.

    Args:
        tags: as in `legal`.
        scheme: one of `Scheme`.

    Returns:
        For the tag of a word, which tags stand on its first piece, on those in the middle, and on its last one.

    Raises:
        ConfigError: there is no such scheme.
        DataError: a tag is none of the scheme's.
    """
    parts = [_parse(tag, scheme) for tag in tags]
    free = {When.NEVER, When.MAYBE}

    def find(label: str, begins: set[When], ends: set[When]) -> int:
        return next(i for i, p in enumerate(parts) if p.label == label and p.begins in begins and p.ends in ends)

    return [(find(p.label, {p.begins}, free), find(p.label, free, free), find(p.label, free, {p.ends})) for p in parts]


def convert(
    tags: Sequence[str],
    source: str,
    target: str,
    *,
    policy: str = "repair",
    counts: Counter[str] | Losses | None = None,
) -> list[str]:
    """The same mentions in another scheme; raises and counts what `decode` and `encode` do."""
    return encode(decode(tags, source, policy, counts), len(tags), target, counts=counts)


def _count(counts: Counter[str] | Losses | None, action: str, reason: str, detail: str) -> None:
    if isinstance(counts, Losses):
        counts.add(action, reason, detail=detail)
    elif counts is not None:
        counts[f"{action}: {reason}"] += 1
