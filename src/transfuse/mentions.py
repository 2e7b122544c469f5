"""Annotations as files give them, turned into entities: offset units, pieces, mismatches, doubles.

Files count in code points, in UTF-16 units (Java, JavaScript), in bytes, or take a Windows line end for one character.
Where a file also repeats the mention itself, the unit is the one under which most mentions stand where they are said to
be; code points win a tie. Whatever had to be changed is counted in the loss report.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal

from transfuse.losses import Losses
from transfuse.text import DataError, Document, Entity

__all__ = ["UNITS", "Builder", "Fragments", "Ids", "Mark", "Mismatch", "Passage", "Unit", "kin"]

Unit = Literal["auto", "characters", "utf-16", "bytes", "crlf"]
Mismatch = Literal["keep", "move", "drop", "raise"]
Fragments = Literal["join", "first", "drop"]

UNITS: dict[str, tuple[Callable[[str], bool], Callable[[str], int]]] = {
    "characters": (lambda _: True, lambda _: 1),
    "utf-16": (lambda text: any(char > "\uffff" for char in text), lambda char: 2 if char > "\uffff" else 1),
    "bytes": (lambda text: not text.isascii(), lambda char: len(char.encode("utf-8", "surrogatepass"))),
    "crlf": (lambda text: "\r\n" in text, lambda _: 1),
}
"""For each unit: whether it differs from code points in a text, and how many units a character takes."""

_WIDEST = 1_000_000
"""Characters between two passages; blanks take their place, and more of them are a mistake."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One annotation as a file gives it.

    Attributes:
        spans: half-open ranges in the file's own unit; more than one where the mention is discontinuous.
        label: the entity type.
        mention: the text that the file says stands there, or None where it says nothing.
        score: confidence in [0, 1], or None.
        line: line number, from 1; 0 where lines have no meaning.
    """

    spans: tuple[tuple[int, int], ...]
    label: str
    mention: str | None = None
    score: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of text and the offset at which it stands, in the file's own unit."""

    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """The whole text and, by offset in some unit, the place in it; None where both are the same."""

    text: str
    places: dict[int, int] | None

    def place(self, offset: int) -> int | None:
        if self.places is None:
            return offset if 0 <= offset <= len(self.text) else None
        return self.places.get(offset)

    def at(self, offset: int) -> int:
        """The place of an offset; the nearest one before it where it is none."""
        place = self.place(offset)
        if place is not None:
            return place
        if self.places is None:
            return len(self.text)
        return max((place for known, place in self.places.items() if known <= offset), default=0)

    def mention(self, spans: Sequence[tuple[int, int]]) -> str | None:
        """What stands at the spans, or None where they are no places of this text."""
        found = []
        for start, end in spans:
            first, last = self.place(start), self.place(end)
            if first is None or last is None:
                return None
            found.append(self.text[first:last])
        return " ".join(found)


class Ids:
    """Ids of documents, no two alike.

    Args:
        losses: collects those that were altered for it.
    """

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._counts: dict[str, int] = {}

    def unique(self, identifier: str, line: int = 0) -> str:
        """The id; with ``#2``, ``#3`` ... behind it where it was there before."""
        count = self._counts[identifier] = self._counts.get(identifier, 0) + 1
        if count == 1:
            return identifier
        name = f"{identifier}#{count}"
        self._losses.add("altered", "document id is there twice", document=name, line=line)
        return self.unique(name, line)


def kin(documents: Sequence[Document], least: int) -> list[list[int]]:
    """Numbers of documents by what goes together when they are divided, in the order of the first of each.

    What came under one id (see `Ids`) is of one article or patient; of the others, those with the same text are one.

    Args:
        documents: what is to be divided.
        least: into how many at least; where ids tell fewer apart, texts alone decide, and a warning says so.
    """
    ids = {document.id for document in documents}
    first = {document.id: re.sub(r"(#\d+)+$", "", document.id) for document in documents}
    shared = {name for each, name in first.items() if each != name and name in ids}
    by_id = [("id", name) if (name := first[each.id]) in shared else ("text", each.text) for each in documents]
    keys = by_id
    if shared and len(set(by_id)) < least:
        warnings.warn(
            f"ids tell only {len(set(by_id))} documents apart: parts of one stand on both sides, and scores flatter",
            stacklevel=2,
        )
        keys = [("text", each.text) for each in documents]
    groups: dict[tuple[str, str], list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return list(groups.values())


class Builder:
    """Makes the documents of one file.

    Args:
        path: the file, for messages.
        losses: collects what was dropped, joined or altered.
        mismatch: what becomes of a mention that differs from the text at its offsets: ``keep`` it as the offsets say,
            ``move`` it to the nearest place within 100 characters that holds it (else keep it), ``drop`` it, or
            ``raise``; all counted. An end behind the text is cut there under ``keep`` and ``move``; a start behind it,
            or an end of a mention that the file does not spell, raises unless it is ``drop``.
        fragments: what becomes of a discontinuous mention: ``join`` its pieces and what lies between, keep the
            ``first`` piece, or ``drop`` it; counted. Pieces parted by white space alone are one piece.
        unit: what offsets count; ``auto`` finds out, as the module says.
    """

    def __init__(
        self,
        path: str,
        losses: Losses,
        *,
        mismatch: Mismatch = "keep",
        fragments: Fragments = "join",
        unit: Unit = "auto",
    ) -> None:
        self._path, self._losses = path, losses
        self._mismatch, self._fragments, self._unit = mismatch, fragments, unit
        self._ids = Ids(losses)

    def document(
        self,
        identifier: str,
        text: str | Sequence[Passage],
        marks: Sequence[Mark] = (),
        *,
        unknown: Sequence[tuple[int, int]] = (),
        line: int = 0,
    ) -> Document:
        """A document with entities; its id gets ``#2``, ``#3`` ... where the file had it before.

        Args:
            identifier: id as the file gives it.
            text: the text, or its passages.
            marks: annotations, in any order.
            unknown: as in `Document`, in code points.
            line: where the document stands.

        Raises:
            DataError: an annotation that no text can hold, or half a surrogate pair in the text.
        """
        name = self._ids.unique(identifier, line)
        pieces = [Passage(0, text)] if isinstance(text, str) else text
        for start, end in (span for mark in marks for span in mark.spans):
            if not 0 <= start < end:
                raise self._error(name, f"a mention from {start} to {end}", _line(marks, start, end) or line)
        self._refuse_gaps(name, pieces, line)
        layout, marks = self._convert(name, pieces, marks)
        if not (_is_text(layout.text) and _is_text(name)):
            raise self._error(repr(name)[1:-1], "half a surrogate pair is no text", line)
        entities = list(self._entities(name, layout.text, marks))
        for start, end in unknown:
            if not 0 <= start < end <= len(layout.text):
                raise self._error(name, f"the unknown range [{start}, {end}) is not in its text", line)
        return Document(name, layout.text, tuple(dict.fromkeys(entities)), tuple(unknown))

    def _error(self, name: str, message: str, line: int) -> DataError:
        return DataError(f"document {name}: {message}", path=self._path, line=line)

    def _refuse_gaps(self, name: str, pieces: Sequence[Passage], line: int) -> None:
        reached = 0
        for piece in pieces:
            if piece.offset - reached > _WIDEST:
                raise self._error(
                    name, f"a passage at offset {piece.offset}, where its text has come to {reached}", line
                )
            reached = max(reached, piece.offset + len(piece.text))

    def _convert(self, name: str, pieces: Sequence[Passage], marks: Sequence[Mark]) -> tuple[_Layout, list[Mark]]:
        """The text and the marks in code points of it."""
        unit, layout = self._choose(pieces, marks)
        if unit != "characters" and marks:
            detail = f"{len(marks)} mentions"
            self._losses.add("altered", f"offsets counted in {unit}", document=name, detail=detail)
        overlap = any(second.offset < first.offset + len(first.text) for first, second in pairwise(pieces))
        if overlap and unit == "characters":
            self._losses.add("altered", "passages overlap", document=name)
        settled = (self._settle(name, layout, mark) for mark in marks)
        return layout, [mark for mark in settled if mark]

    def _settle(self, name: str, layout: _Layout, mark: Mark) -> Mark | None:
        """The mark in code points, after what `mismatch` wants; None where it is dropped."""
        found = layout.mention(mark.spans)
        if found is not None and (mark.mention is None or _same(found, mark.mention)):
            return replace(mark, spans=tuple((layout.at(start), layout.at(end)) for start, end in mark.spans))
        outside = f"the mention at {_offsets(mark)} lies outside its text of {len(layout.text)} characters"
        detail = outside if found is None else f"{mark.mention!r} is said to stand where {found!r} does"
        reason = "offsets outside the text" if found is None else "mention differs from the text"
        if self._mismatch == "drop":
            self._losses.add("dropped", reason, document=name, detail=detail, line=mark.line)
            return None
        spans = tuple((layout.at(start), layout.at(end)) for start, end in mark.spans)
        if self._mismatch == "raise" or mark.mention is None or any(start >= end for start, end in spans):
            raise self._error(name, detail, mark.line)
        moved = _nearest(layout.text, mark.mention, spans[0][0]) if self._mismatch == "move" else None
        action = "snapped" if moved or found is None else "altered"
        reason = "mention moved to where its words stand" if moved else reason
        self._losses.add(action, reason, document=name, detail=detail, line=mark.line)
        return replace(mark, spans=(moved,) if moved else spans)

    def _choose(self, pieces: Sequence[Passage], marks: Sequence[Mark]) -> tuple[str, _Layout]:
        """The unit under which most mentions stand where they should."""
        if self._unit != "auto":
            return self._unit, _lay_out(pieces, self._unit)
        best, chosen, said = -1, ("characters", _Layout("", None)), [mark for mark in marks if mark.mention is not None]
        for unit, (differs, _) in UNITS.items():
            if best >= 0 and not any(differs(piece.text) for piece in pieces):
                continue
            layout = _lay_out(pieces, unit)
            hits = sum(_same(layout.mention(mark.spans), mark.mention) for mark in said)
            if hits > best:
                best, chosen = hits, (unit, layout)
            if best == len(said):
                break
        return chosen

    def _entities(self, name: str, text: str, marks: Sequence[Mark]) -> Iterator[Entity]:
        seen = set()
        for mark in marks:
            span = self._whole(name, text, mark)
            if span is None:
                continue
            if not mark.label:
                raise self._error(name, f"the mention at {_offsets(mark)} has no label", mark.line)
            if not _is_text(mark.label):
                raise self._error(name, "half a surrogate pair is no label", mark.line)
            if mark.score is not None and not 0 <= mark.score <= 1:
                raise self._error(name, f"a score lies between 0 and 1, not at {mark.score}", mark.line)
            entity = Entity(*span, mark.label, mark.score)
            if entity in seen:
                detail = f"[{entity.start}, {entity.end}) {entity.label}"
                self._losses.add("dropped", "the same mention twice", document=name, detail=detail, line=mark.line)
                continue
            seen.add(entity)
            yield entity

    def _whole(self, name: str, text: str, mark: Mark) -> tuple[int, int] | None:
        """One span out of the pieces of a mention, or None where it is dropped."""
        if len(mark.spans) == 1:
            return mark.spans[0]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(mark.spans):
            if merged and not text[merged[-1][1] : start].strip():
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        if len(merged) == 1:
            action, reason = "joined", "pieces parted by white space alone"
        else:
            action = {"join": "joined", "first": "snapped", "drop": "dropped"}[self._fragments]
            reason = "discontinuous mention"
        detail = f"{_offsets(mark)} {mark.label}"
        self._losses.add(action, reason, document=name, detail=detail, line=mark.line)
        if action == "dropped":
            return None
        return merged[0] if action == "snapped" else (merged[0][0], max(end for _, end in merged))


def _is_text(text: str) -> bool:
    """Whether it can be written: half a surrogate pair cannot."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _line(marks: Sequence[Mark], start: int, end: int) -> int:
    return next(mark.line for mark in marks if (start, end) in mark.spans)


def _offsets(mark: Mark) -> str:
    return " and ".join(f"[{start}, {end})" for start, end in mark.spans)


def _nearest(text: str, mention: str, start: int, window: int = 100) -> tuple[int, int] | None:
    """Where a mention stands, as near as can be to where it should begin."""
    places = (match.start() for match in re.finditer(re.escape(mention), text) if mention)
    best = min(places, key=lambda place: abs(place - start), default=None)
    return None if best is None or abs(best - start) > window else (best, best + len(mention))


def _same(found: str | None, said: str | None) -> bool:
    """Whether two mentions are equal but for the kind and amount of white space."""
    return found is not None and said is not None and (found == said or found.split() == said.split())


def _lay_out(pieces: Sequence[Passage], unit: str) -> _Layout:
    """Passages put together; a gap, or a passage that would overlap the one before, begins with a line break."""
    if unit == "characters" and len(pieces) == 1 and pieces[0].offset == 0:
        return _Layout(pieces[0].text, None)
    _, width = UNITS[unit]
    text, reached = "", 0
    places: dict[int, int] = {}
    for number, piece in enumerate(pieces):
        gap = piece.offset - reached
        text += "\n" + " " * (gap - 1) if gap > 0 else "\n" if gap < 0 and number else ""
        offsets = [0, *accumulate(map(width, piece.text))]
        if unit == "crlf":
            offsets = [offset - piece.text.count("\r\n", 0, place) for place, offset in enumerate(offsets)]
        places.update((piece.offset + offset, len(text) + place) for place, offset in enumerate(offsets))
        reached = piece.offset + offsets[-1]
        text += piece.text
    return _Layout(text, places)
