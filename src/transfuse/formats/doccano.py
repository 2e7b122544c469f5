"""doccano's JSON lines: ``{"id": 1, "text": "...", "label": [[0, 3, "Gene"]]}``, ends exclusive.

A project with relations exports ``"entities": [{"start_offset": 0, "end_offset": 3, "label": "Gene"}]`` in the place of
``label``; other versions say ``labels`` there, or ``annotations``, and ``data`` for the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, Unread, dump, lines
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".jsonl",)
KEEPS: frozenset[str] = frozenset()


def sniff(head: str) -> bool:
    """Whether the first line is a JSON object with a list of labelled offsets."""
    first = head.lstrip().partition("\n")[0]
    listed = re.search(r'"labels?"\s*:\s*\[\s*[\[\]]', first) and '"entities"' not in first
    objects = re.search(r'"(?:entities|annotations)"\s*:\s*\[\s*\{[^{}]*"start_offset"\s*:|"Comments"\s*:', head)
    return re.match(r'\{.*"(?:text|data)"\s*:\s*"', first) is not None and bool(listed or objects)


def read(source: Source, *, losses: Losses, unit: Unit = "characters") -> Iterator[Document]:
    """One document a line.

    Args:
        source: the file.
        losses: collects doubles, repeated ids, relations, and names of members that are not read, each once.
        unit: what offsets count; the file does not spell its mentions, so nothing can be found out.

    Raises:
        DataError: a line that is no such object, or a mention outside its text.
    """
    build = Builder(source.name, losses, unit=unit)
    unread = Unread({"id", "text", "data", "label", "labels", "entities", "annotations", "relations"}, losses)
    for number, record in enumerate(lines(source), 1):
        unread.watch(record)
        name = record.name("id", f"{source.stem}/{number}")
        for _ in record.get("relations", list, []):
            losses.add("skipped", "relation", document=name, line=record.line)
        key = "data" if record.value.keys() & {"text", "data"} == {"data"} else "text"
        yield build.document(name, record.get(key, str), list(_marks(record)), line=record.line)


def _marks(record: JsonObject) -> Iterator[Mark]:
    for key in ("label", "labels"):
        for place in record.get(key, list, []):
            match place:
                case [start, end, str(label)] if type(start) is type(end) is int:
                    yield Mark(((start, end),), label, line=record.line)
                case _:
                    record.fail(f'"{key}" holds [start, end, name], not {dump(place)[:40]}')
    for entity in record.records("entities", "an entity") + record.records("annotations", "an annotation"):
        span = entity.get("start_offset", int), entity.get("end_offset", int)
        yield Mark((span,), entity.get("label", str), line=record.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """One document a line, with its id: what doccano imports for sequence labelling."""
    for document in documents:
        label = [[entity.start, entity.end, entity.label] for entity in document.entities]
        value: dict[str, Any] = {"id": document.id, "text": document.text, "label": label}
        out.write(dump(value) + "\n")
