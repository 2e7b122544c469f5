"""CLUENER JSON lines: ``{"text": "...", "label": {"name": {"mention": [[0, 2]]}}}``, ends inclusive.

``label`` is missing where nothing is annotated. The id is the member ``id``, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, dump, lines
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS: frozenset[str] = frozenset()


def sniff(head: str) -> bool:
    """Whether this is JSON in which the member ``label`` is an object."""
    return head.lstrip().startswith("{") and re.search(r'"label"\s*:\s*\{', head) is not None


def read(source: Source, *, losses: Losses, mismatch: Mismatch = "keep", unit: Unit = "auto") -> Iterator[Document]:
    """One document a line.

    Args:
        source: the file.
        losses: collects mentions that differ from their text, offsets in another unit, doubles, repeated ids.
        mismatch: as in `Builder`.
        unit: as in `Builder`.

    Raises:
        DataError: a line that is no such object, or a mention outside its text.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    for number, record in enumerate(lines(source), 1):
        marks = list(_marks(record))
        name = record.name("id", f"{source.stem}/{number}")
        yield build.document(name, record.get("text", str), marks, line=record.line)


def _marks(record: JsonObject) -> Iterator[Mark]:
    for label, mentions in record.get("label", dict, {}).items():
        table = JsonObject(record.source, record.line, mentions, f"label {label!r}")
        for mention in table.value:
            for place in table.get(mention, list):
                match place:
                    case [int(start), int(last)] if 0 <= start <= last:
                        yield Mark(((start, last + 1),), label, mention, line=record.line)
                    case _:
                        record.fail(f"{mention!r} stands at [first, last] character, not at {dump(place)[:40]}")


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """One document a line, with its id."""
    for document in documents:
        label: dict[str, dict[str, list[list[int]]]] = {}
        for entity in document.entities:
            mentions = label.setdefault(entity.label, {})
            mentions.setdefault(document.mention(entity), []).append([entity.start, entity.end - 1])
        value: dict[str, Any] = {"id": document.id, "text": document.text, "label": label}
        out.write(dump(value) + "\n")
