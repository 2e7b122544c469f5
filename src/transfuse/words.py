"""Words and sentences as offsets into a text that is never changed.

A *word* is the smallest piece a tagger labels. Biomedical names begin and end inside what white space parts, so
words are fine: a run of letters, a run of digits, one Greek letter, one Chinese or Japanese character, or one symbol,
each with the combining marks that follow it. Every character that is not blank belongs to exactly one word.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

import regex

from transfuse.losses import Losses
from transfuse.text import ConfigError, Entity

__all__ = [
    "ABBREVIATIONS",
    "BLANK",
    "OVERLAP_POLICIES",
    "WIDTHS",
    "align",
    "flatten",
    "fold_width",
    "is_blank",
    "sentences",
    "words",
]

BLANK = r"\s\p{Cc}\u200B\u2060\uFEFF"
"""What counts as blank, as the inside of a `regex` character class: Unicode white space, control characters, and the
zero width space, word joiner and byte order mark. Blanks part words and belong to none."""

_NEWLINE = r"\n\r\v\f\x1C-\x1E\x85\u2028\u2029"
_JOIN = r"\p{M}\u200C\u200D"
_GREEK = r"\p{Greek}\u00B5"
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\u30FC\uFF70"
_LETTER = rf"\p{{L}}--[{_GREEK}{_CJK}]"

_WORD = regex.compile(
    rf"(?V1)[{_LETTER}][[{_LETTER}]{_JOIN}]*+|\p{{Nd}}[\p{{Nd}}{_JOIN}]*+|[^{BLANK}][{_JOIN}]*+",
)
_NONBLANK = regex.compile(rf"(?V1)[^{BLANK}]")
_TRIM = regex.compile(rf"(?V1)[{BLANK}]*+(.*[^{BLANK}])", regex.DOTALL)

ABBREVIATIONS = frozenset(
    """
    al approx assoc ca cf ch chap chr conc corp cv dept diam dr ed eds e.g eg eq eqs equiv esp est ext f.sp fig figs
    i.e ie i.m i.p i.v incl jr ltd max min mr mrs ms no nos nr obs pp prof pt pts ref refs resp s.c sec sect ser
    sp spp sr ssp st subsp suppl supp syn tab temp u.k u.s var ver viz vol vols vs wt
    """.split()  # noqa: SIM905
)
"""Lower-case words whose full stop does not end a sentence, without that full stop."""

_OPENERS = frozenset(
    """
    After All Although An At Both By Conclusions Due During For From Here However In It Methods Moreover No Of On Only
    Our Patients Results Since Such That The Their There Therefore These They This Those Thus To Two Using We When
    Whereas Which While With
    """.split()  # noqa: SIM905
)
"""What opens a sentence so often that it does so behind an abbreviation or a single letter, too."""

_CLOSE = r"""[\)\]\}"'\u2019\u201D\u300D\u300F\uFF09\u3011\u300B]*+"""
_END = regex.compile(
    rf"""(?V1)(?P<newline>[{_NEWLINE}])
    |[。｡！？；]++{_CLOSE}[{_JOIN}]*+
    |[!?;]++{_CLOSE}(?=[{_CJK}])
    |(?<![.!?])(?P<stop>[.!?]++){_CLOSE}(?=[{BLANK}]++(?P<next>[\p{{Lu}}\p{{Lt}}]\p{{L}}*+|\p{{Nd}}|[\(\[\{{"'\u2018\u201C<{_CJK}]))""",
    regex.VERBOSE,
)
_BEFORE = regex.compile(rf"(?V1)(?r)(?<![^{BLANK}\(\[])(?:\p{{L}}|(?<=\p{{L}})\.(?=\p{{L}}))++")

WIDTHS = {0xFEE0 + ascii_: ascii_ for ascii_ in range(0x21, 0x7F)} | dict(
    zip(range(0xFF61, 0xFF66), "。「」、・", strict=True)
)
"""Full-width letters, digits and symbols by their half-width forms, and half-width Chinese and Japanese marks by their
full-width ones, as `str.translate` takes them: one character for one, so that no offset moves."""

OVERLAP_POLICIES = ("longest", "first")
"""longest: the mention with most words stays, then the one that begins first; first: the one that begins first stays,
then the longest. Either way no two that stay share a word."""


def is_blank(text: str) -> bool:
    """Whether a text holds no word: it is empty or made of `BLANK` alone."""
    return _NONBLANK.search(text) is None


def fold_width(text: str) -> str:
    """The same text with every character in the width that is usual for it; see `WIDTHS`."""
    return text if text.isascii() else text.translate(WIDTHS)


def words(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Half-open offsets of the words of ``text[start:end]``, in order, relative to ``text``."""
    return [match.span() for match in _WORD.finditer(text, start, len(text) if end is None else end)]


def sentences(text: str, keep: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Half-open ranges that cover every character that is not blank, in order, without blanks at either end.

    A line break ends a sentence, and so does a Chinese full stop, exclamation or question mark or semicolon; the last
    three in half width, too, right before a Chinese character. ``. ! ?`` do where a blank and then a capital, a digit
    or a bracket follow, unless the stop belongs to one of `ABBREVIATIONS` or to a letter that stands alone
    (``J. Smith``, ``p. Arg5Gly``).

    Args:
        text: any text.
        keep: half-open ranges inside which nothing is cut, as the gold mentions of a training document.
    """
    fences = _merge(keep)
    starts = [start for start, _ in fences]
    cuts = [0]
    for match in _END.finditer(text):
        if match["stop"] == "." and _abbreviated(text, match):
            continue
        for cut in match.span() if match["newline"] else (match.end(),):
            fence = bisect_left(starts, cut) - 1
            if fence < 0 or cut >= fences[fence][1]:
                cuts.append(cut)
    cuts.append(len(text))
    trimmed = (_TRIM.match(text, start, end) for start, end in pairwise(cuts) if start < end)
    return [match.span(1) for match in trimmed if match]


def _abbreviated(text: str, match: regex.Match[str]) -> bool:
    before = _BEFORE.match(text, 0, match.start("stop"))
    if not before or match["next"] in _OPENERS:
        return False
    word: str = before[0]
    return len(word) == 1 or word.lower() in ABBREVIATIONS


def _merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def align(
    offsets: Sequence[tuple[int, int]], entities: Iterable[Entity], *, losses: Losses | None = None, document: str = ""
) -> list[tuple[int, int, str]]:
    """Mentions as half-open ranges of word numbers: ``(first, last + 1, label)``, in the order given.

    A boundary inside a word moves outward to the word's own and is counted, one that lies on a blank moves inward to
    the next word and is counted; a mention that touches no word is dropped and counted.

    Args:
        offsets: half-open character ranges of the words, sorted, none overlapping another.
        entities: mentions in the same characters.
        losses: collects what moved and what was dropped.
        document: id for that report.
    """
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    spans = []
    for entity in entities:
        first, last = bisect_right(ends, entity.start), bisect_left(starts, entity.end)
        if first >= last:
            _note(losses, "dropped", "no word in the mention", document, entity)
            continue
        if starts[first] < entity.start or entity.end < ends[last - 1]:
            _note(losses, "snapped", "boundary inside a word", document, entity)
        elif (starts[first], ends[last - 1]) != (entity.start, entity.end):
            _note(losses, "snapped", "boundary on a blank", document, entity)
        spans.append((first, last, entity.label))
    return spans


def _note(losses: Losses | None, action: str, reason: str, document: str, entity: Entity) -> None:
    if losses is not None:
        detail = f"[{entity.start}, {entity.end}) {entity.label}"
        losses.add(action, reason, document=document, detail=detail)


def flatten(
    spans: Iterable[tuple[int, int, str]],
    *,
    policy: str = "longest",
    losses: Losses | None = None,
    document: str = "",
) -> list[tuple[int, int, str]]:
    """The spans that a flat tagger can hold: sorted, no two sharing a place; the others are dropped and counted.

    Args:
        spans: half-open ranges with labels.
        policy: one of `OVERLAP_POLICIES`.
        losses: collects what was dropped.
        document: id for that report.

    Raises:
        ConfigError: there is no such policy.
    """
    if policy not in OVERLAP_POLICIES:
        raise ConfigError(f"unknown overlap policy {policy!r}: choose {' or '.join(OVERLAP_POLICIES)}")
    by_start = sorted(spans, key=lambda span: (span[0], -span[1], span[2]))
    order = by_start if policy == "first" else sorted(by_start, key=lambda span: span[0] - span[1])
    kept: list[tuple[int, int, str]] = []
    for span in order:
        place = bisect_left(kept, span)
        if (place and kept[place - 1][1] > span[0]) or (place < len(kept) and kept[place][0] < span[1]):
            if losses is not None:
                detail = f"words [{span[0]}, {span[1]}) {span[2]}"
                losses.add("dropped", "overlaps another mention", document=document, detail=detail)
        else:
            kept.insert(place, span)
    return kept
