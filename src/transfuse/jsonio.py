"""JSON out of files, value by value, with the line each began at and types that are checked as they are taken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Set
from typing import Any, NoReturn, TypeVar

from transfuse.files import Source
from transfuse.losses import Losses

__all__ = ["JsonObject", "Unread", "dump", "lines", "values"]

T = TypeVar("T")
_BLANK = re.compile(r"[ \t\r\n]*")
_GOES_ON = ("", *"0123456789.eE+-")
_WHOLE = re.compile(r"\s*-?[0-9]{1,18}\s*")
_NAMES = {str: "a string", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


def dump(value: object) -> str:
    """JSON on one line, in plain Unicode."""
    return json.dumps(value, ensure_ascii=False)


class JsonObject:
    """A JSON object that knows where it stands, and complains with that place.

    Args:
        source: the file.
        line: line it began at.
        value: what JSON gave; anything but an object raises.
        what: how messages call it.

    Raises:
        DataError: the value is not an object.
    """

    def __init__(self, source: Source, line: int, value: object, what: str = "a document") -> None:
        self.source, self.line, self.what = source, line, what
        if not isinstance(value, dict):
            self.fail(f"{what} is a JSON object, not {json.dumps(value)[:40]}")
        self.value: dict[str, Any] = value

    def fail(self, message: str) -> NoReturn:
        """Raise a DataError that names the place."""
        raise self.source.error(message, self.line)

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A member of the kind that is wanted; the default, where there is one, if it is missing or null.

        Raises:
            DataError: it is missing and has no default, or is of another kind.
        """
        value = self.value.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            self.fail(f'{self.what} lacks "{key}"')
        if kind is float and type(value) is int:
            value = float(value)
        if kind is int and isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if not isinstance(value, kind) or isinstance(value, bool):
            self.fail(f'"{key}" of {self.what} is {_NAMES[kind]}, not {json.dumps(value)[:40]}')
        return value

    def find(self, key: str, kind: type[T]) -> T | None:
        """A member as `get` gives it; None if it is missing or null."""
        return None if self.value.get(key) is None else self.get(key, kind)

    def records(self, key: str, what: str) -> list[JsonObject]:
        """The objects of a list, which may be missing."""
        return [JsonObject(self.source, self.line, value, what) for value in self.get(key, list, [])]

    def name(self, key: str, default: str) -> str:
        """An identifier: a string or a whole number."""
        value = self.value.get(key)
        if value is None or value == "":
            return default
        if not isinstance(value, str | int) or isinstance(value, bool):
            self.fail(f'"{key}" of {self.what} is a string or a whole number, not {json.dumps(value)[:40]}')
        return str(value)


class Unread:
    """Counts members of objects that a format does not read, each name once, where they hold something.

    Args:
        known: names that it reads, or that say nothing of the text.
        losses: collects the others.
    """

    def __init__(self, known: Set[str], losses: Losses) -> None:
        self._known, self._losses = set(known), losses

    def watch(self, record: JsonObject, read: Iterable[str] = ()) -> None:
        """See to the members of one more object, but for those that are read of it alone."""
        for key in sorted(record.value.keys() - self._known - set(read)):
            if record.value[key] in (None, "", [], {}):
                continue
            self._known.add(key)
            self._losses.add("skipped", f'member "{key}" is not read', line=record.line)


def lines(source: Source) -> Iterator[JsonObject]:
    """One object a line; empty lines are passed over. Streams.

    Raises:
        DataError: a line that is no JSON, or no object, or nested too deeply, or holds a number of thousands of digits.
    """
    for number, line in source.lines():
        if line and not line.isspace():
            try:
                value = json.loads(line)
            except json.JSONDecodeError as fault:
                raise source.error(f"not JSON at character {fault.pos + 1}: {fault.msg}", number) from None
            except (RecursionError, ValueError) as fault:
                raise source.error(_too_much(fault), number) from None
            yield JsonObject(source, number, value)


def values(source: Source, inside: str = "") -> Iterator[JsonObject]:
    """The objects of a JSON file: the members of ``{inside: [...]}``, of an array, or objects one behind the other.

    Streams: holds little more than one object at a time.

    Raises:
        DataError: no JSON, or something that is no object.
    """
    reader = _Reader(source)
    while reader.peek():
        if reader.peek() == "[":
            yield from reader.array()
        elif inside and reader.peek() == "{":
            yield from reader.members(inside)
        else:
            yield reader.record()


def _too_much(fault: Exception) -> str:
    """What Python's parser gives up on, though it is JSON."""
    return "JSON that is nested too deeply" if isinstance(fault, RecursionError) else "a number of too many digits"


class _Reader:
    """Takes JSON apart as it comes: reads on where a value is not whole yet, and forgets what was taken."""

    def __init__(self, source: Source) -> None:
        self._source, self._pieces, self._decoder = source, source.pieces(), json.JSONDecoder()
        self._text, self._place = "", 0
        self._counted, self._line, self._before = 0, 1, 0

    def _here(self) -> int:
        """The line of the place."""
        self._line += self._text.count("\n", self._counted, self._place)
        self._counted = self._place
        return self._line

    def _column(self, place: int) -> int:
        start = self._text.rfind("\n", 0, place)
        return place - start + (self._before if start < 0 else 0)

    def _more(self) -> bool:
        """Read as much again as is there, so that trying anew costs no more than reading; False at the end."""
        self._here()
        if 2 * self._place > len(self._text):
            self._before = self._column(self._place) - 1
            self._text = self._text[self._place :]
            self._place = self._counted = 0
        reached, found = len(self._text), [self._text]
        while sum(map(len, found[1:])) <= reached and (piece := next(self._pieces, "")):
            found.append(piece)
        self._text = "".join(found)
        return len(self._text) > reached

    def peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            self._place = _BLANK.match(self._text, self._place).end()  # type: ignore[union-attr]
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def _take(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            said = " or ".join(repr(char) for char in wanted)
            raise self._source.error(f"not JSON: {said} is missing{'' if found else ' at the end'}", self._here())
        self._place += 1
        return found

    def _value(self) -> tuple[int, Any]:
        self.peek()
        line = self._here()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError as fault:
                behind = fault.pos - self._place
                if not self._more():
                    place = self._place + behind
                    line += self._text.count("\n", self._place, place)
                    reason = f"not JSON: {fault.msg} (column {self._column(place)})"
                    raise self._source.error(reason, line) from None
            except (RecursionError, ValueError) as fault:
                raise self._source.error(_too_much(fault), line) from None
            else:
                # a number may go on behind what was read so far: 1.5 and 1e5 are first 1
                width = end - self._place
                if self._text[end : end + 1] not in _GOES_ON or not self._more():
                    self._place += width
                    return line, value

    def record(self) -> JsonObject:
        return JsonObject(self._source, *self._value())

    def array(self) -> Iterator[JsonObject]:
        self._take("[")
        if self.peek() == "]":
            self._place += 1
            return
        while True:
            yield self.record()
            if self._take(",]") == "]":
                return

    def members(self, inside: str) -> Iterator[JsonObject]:
        """The records in a member of an object, or the object itself where it has no such list."""
        whole: dict[str, Any] = {}
        found, line = False, self._here()
        self._take("{")
        if self.peek() == "}":
            self._place += 1
        else:
            while True:
                start, key = self._value()
                if not isinstance(key, str):
                    raise self._source.error("not JSON: a key is a string", start)
                self._take(":")
                if key == inside and self.peek() == "[":
                    found = True
                    yield from self.array()
                else:
                    whole[key] = self._value()[1]
                if self._take(",}") == "}":
                    break
        if not found:
            yield JsonObject(self._source, line, whole)
