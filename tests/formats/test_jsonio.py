"""JSON is the same however it comes in: in one piece, or character by character."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfuse import files
from transfuse.files import Source
from transfuse.jsonio import values
from transfuse.losses import Losses
from transfuse.text import DataError

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
RECORDS = st.lists(st.dictionaries(st.text(max_size=3).filter(lambda key: key != "documents"), ANY), max_size=4)


class Pieces(Source):
    """A text that comes in pieces of one length."""

    def __init__(self, text: str, length: int) -> None:
        super().__init__(io.StringIO())
        self._cut = [text[place : place + length] for place in range(0, len(text), length)]

    def pieces(self) -> Iterator[str]:
        return iter(self._cut)


def found(text: str, length: int, inside: str) -> Any:
    """What is read with its lines; and where it is broken."""
    rows = []
    try:
        for record in values(Pieces(text, length), inside):
            rows.append((record.line, record.value))
    except DataError as fault:
        return rows, fault.line, fault.message
    return rows


@settings(max_examples=40)
@given(RECORDS, st.integers(1, 9), st.sampled_from([None, 0, 2]), st.sampled_from(["array", "stream", "member"]))
def test_values_are_those_that_json_finds(
    records: list[dict[str, Any]], length: int, indent: int | None, form: str
) -> None:
    match form:
        case "array":
            text = json.dumps(records, indent=indent)
        case "stream":
            text = "\n".join(json.dumps(record, indent=indent) for record in records)
        case _:
            text = json.dumps({"source": [1, {"a": 2}], "documents": records, "date": 3}, indent=indent)
    rows = found(text, length, "documents")
    assert [value for _, value in rows] == records
    assert rows == found(text, len(text) + 1, "documents")


@settings(max_examples=40)
@given(RECORDS, st.integers(1, 9), st.data())
def test_what_is_broken_is_told_alike(records: list[dict[str, Any]], length: int, data: st.DataObject) -> None:
    text = json.dumps({"documents": records}, indent=1)
    place = data.draw(st.integers(0, len(text) - 1))
    text = text[:place] + data.draw(st.sampled_from(["", "}", '"', "1", "x", "\n"])) + text[place + 1 :]
    assert found(text, length, "documents") == found(text, len(text) + 1, "documents")


@pytest.mark.parametrize("length", [1, 1000])
def test_the_column_is_counted_from_the_start_of_the_line(length: int) -> None:
    text = '[{"a": 1},\n{"b": 2}, {"c": 3}, {"d" 4}]'
    assert found(text, length, "")[1:] == (2, "not JSON: Expecting ':' delimiter (column 26)")


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]), st.integers(1, 7))
def test_pieces_are_the_text(text: str, codec: str, length: int) -> None:
    raw = text.encode(codec)
    with mock.patch.object(files, "_HEAD", length):
        pieces = list(Source(io.BytesIO(raw), encoding=codec).pieces())
    assert "".join(pieces) == raw.decode(codec)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\xff", b"\xc3", "ü".encode(), "𝛽".encode()])), st.integers(1, 7))
def test_broken_bytes_are_told_with_their_line_or_replaced(parts: list[bytes], length: int) -> None:
    raw = b"".join(parts)
    losses = Losses()
    with mock.patch.object(files, "_HEAD", length):
        source = Source(io.BytesIO(raw), errors="replace", losses=losses, encoding="utf-8")
        assert "".join(source.pieces()) == raw.decode("utf-8", "replace")
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            assert losses.counts == {"altered: bytes that are not utf-8": 1}
            with pytest.raises(DataError) as caught:
                list(Source(io.BytesIO(raw), encoding="utf-8").pieces())
            assert caught.value.line == raw[: fault.start].count(b"\n") + 1
        else:
            assert not losses.counts
