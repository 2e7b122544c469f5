"""CCKS JSON lines: ``{"originalText": "...", "entities": [{"start_pos", "end_pos", "label_type"}]}``.

``end_pos`` is the last character of a mention, as in CLUENER, or with ``end=exclusive`` the one behind it: releases
differ in it (those of 2019 and later are exclusive), and nothing in a file tells which. The id is the member ``id``,
which the releases lack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, dump, lines
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS: frozenset[str] = frozenset()

End = Literal["exclusive", "inclusive"]


def sniff(head: str) -> bool:
    """Whether this is JSON with an ``originalText``."""
    return head.lstrip().startswith("{") and re.search(r'"originalText"\s*:', head) is not None


def read(source: Source, *, losses: Losses, end: End = "inclusive", unit: Unit = "characters") -> Iterator[Document]:
    """One document a line.

    Args:
        source: the file.
        losses: collects doubles and repeated ids.
        end: whether ``end_pos`` is the last character (``inclusive``) or the one behind it.
        unit: what offsets count; the file does not spell its mentions, so nothing can be found out.

    Raises:
        DataError: a line that is no such object, or an entity that is empty or outside its text.
    """
    build = Builder(source.name, losses, unit=unit)
    for number, record in enumerate(lines(source), 1):
        text = record.get("originalText", str)
        size = len(text) if unit == "characters" else None
        marks = [_mark(entity, end, size) for entity in record.records("entities", "an entity")]
        yield build.document(record.name("id", f"{source.stem}/{number}"), text, marks, line=record.line)


def _mark(entity: JsonObject, end: End, size: int | None) -> Mark:
    first, last = entity.get("start_pos", int), entity.get("end_pos", int) + (end == "inclusive")
    if first >= last:
        hint = "" if end == "inclusive" else ": is end_pos inclusive (end=inclusive)?"
        entity.fail(f"a mention from {first} to {last} is empty{hint}")
    if end == "inclusive" and size is not None and last == size + 1:
        entity.fail(f"a mention ends at {size}, behind the last character: is end_pos exclusive (end=exclusive)?")
    return Mark(((first, last),), entity.get("label_type", str), line=entity.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses, end: End = "inclusive") -> None:
    """One document a line, with its id."""
    for document in documents:
        entities = [
            {"start_pos": entity.start, "end_pos": entity.end - (end == "inclusive"), "label_type": entity.label}
            for entity in document.entities
        ]
        value: dict[str, Any] = {"id": document.id, "originalText": document.text, "entities": entities}
        out.write(dump(value) + "\n")
