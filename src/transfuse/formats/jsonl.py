"""JSON lines, our own: ``{"id": "a", "text": "...", "entities": [{"start": 0, "end": 3, "label": "Gene"}]}``.

Offsets are half-open and count code points. An entity may have a ``score`` between 0 and 1 and a ``text``, to which its
offsets are held; a document may have a list ``unknown`` of ``[start, end]`` ranges in which nobody looked for entities.
``id`` and ``entities`` may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, Unread, dump, lines
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document, Entity

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".jsonl", ".ndjson")
KEEPS = frozenset({"score", "unknown"})


def sniff(head: str) -> bool:
    """Whether the first line is a JSON object with a text, as those of many formats are: this one is asked last."""
    first = head.lstrip().partition("\n")[0]
    return first.startswith("{") and re.search(r'"text"\s*:', first) is not None


def read(source: Source, *, losses: Losses, mismatch: Mismatch = "keep", unit: Unit = "auto") -> Iterator[Document]:
    """One document a line.

    Args:
        source: the file.
        losses: collects mentions that differ from their text, repeated ids and entities, and names of members that are
            not read, each once.
        mismatch: as in `Builder`.
        unit: as in `Builder`.

    Raises:
        DataError: a line that is no such object, or an entity outside its text.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    unread = Unread({"id", "text", "entities", "unknown"}, losses)
    unread_of_entities = Unread({"start", "end", "label", "score", "text"}, losses)
    for number, record in enumerate(lines(source), 1):
        unread.watch(record)
        entities = record.records("entities", "an entity")
        for entity in entities:
            unread_of_entities.watch(entity)
        marks = [_mark(entity) for entity in entities]
        unknown = [_range(record, value) for value in record.get("unknown", list, [])]
        name = record.name("id", f"{source.stem}/{number}")
        yield build.document(name, record.get("text", str), marks, unknown=unknown, line=record.line)


def _mark(entity: JsonObject) -> Mark:
    span = (entity.get("start", int), entity.get("end", int))
    mention, score = entity.find("text", str), entity.find("score", float)
    return Mark((span,), entity.get("label", str), mention, score, entity.line)


def _range(record: JsonObject, value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or [type(bound) for bound in value] != [int, int]:
        record.fail(f"an unknown range is [start, end], not {dump(value)[:40]}")
    return value[0], value[1]


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """One document a line; holds everything that a document can."""
    for document in documents:
        value: dict[str, Any] = {"id": document.id, "text": document.text}
        value["entities"] = [_entity(entity) for entity in document.entities]
        if document.unknown:
            value["unknown"] = document.unknown
        out.write(dump(value) + "\n")


def _entity(entity: Entity) -> dict[str, Any]:
    value: dict[str, Any] = {"start": entity.start, "end": entity.end, "label": entity.label}
    return value if entity.score is None else value | {"score": entity.score}
