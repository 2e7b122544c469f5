"""Prodigy's JSON lines: ``{"text": "...", "spans": [{"start": 0, "end": 3, "label": "Gene"}], "answer": "accept"}``.

Ends are exclusive. Tasks that the annotator rejected or ignored are left out and counted, and so are questions of yes
or no (``ner.teach``), which say nothing of the rest of the text; one without an answer counts as accepted. What several
sessions made of one text are several documents. The id is the member ``id``, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, Unread, dump, lines
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".jsonl",)
KEEPS: frozenset[str] = frozenset()

_TECHNICAL = {"tokens", "meta", *(f"_{key}" for key in ("input_hash", "task_hash", "view_id", "is_binary"))}
_TECHNICAL |= {"_session_id", "_annotator_id", "_timestamp"}


def sniff(head: str) -> bool:
    """Whether the first line is a JSON object with a text, and with spans or Prodigy's hash of it."""
    first = head.lstrip().partition("\n")[0]
    own = re.search(r'"spans"\s*:\s*\[|"_input_hash"\s*:', first)
    foreign = re.search(r'"entities"\s*:|"label"\s*:\s*\{', first)
    return re.match(r'\{.*"text"\s*:\s*"', first) is not None and own is not None and foreign is None


def read(source: Source, *, losses: Losses, mismatch: Mismatch = "keep", unit: Unit = "auto") -> Iterator[Document]:
    """One document a task.

    Args:
        source: the file.
        losses: collects tasks that were not accepted or ask for yes or no, mentions that differ from their text,
            doubles, repeated ids, relations, and names of members that are not read, each once.
        mismatch: as in `Builder`.
        unit: as in `Builder`.

    Raises:
        DataError: a line that is no such object, or a mention outside its text.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    unread = Unread({"id", "text", "spans", "answer", "relations", *_TECHNICAL}, losses)
    for number, record in enumerate(lines(source), 1):
        unread.watch(record)
        name = record.name("id", f"{source.stem}/{number}")
        answer = record.get("answer", str, "accept")
        if answer != "accept":
            losses.add("skipped", f"task answered with {answer}", document=name, line=record.line)
            continue
        if record.value.get("_is_binary") or record.value.get("_view_id") == "ner":
            losses.add("skipped", "task of yes or no", document=name, line=record.line)
            continue
        for _ in record.get("relations", list, []):
            losses.add("skipped", "relation", document=name, line=record.line)
        marks = [_mark(span) for span in record.records("spans", "a span")]
        yield build.document(name, record.get("text", str), marks, line=record.line)


def _mark(span: JsonObject) -> Mark:
    bounds = span.get("start", int), span.get("end", int)
    return Mark((bounds,), span.get("label", str), span.find("text", str), line=span.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """One task a line, without an answer: what ``ner.manual`` takes for annotation, and ``db-in`` as annotated."""
    for document in documents:
        spans = [{"start": entity.start, "end": entity.end, "label": entity.label} for entity in document.entities]
        value: dict[str, Any] = {"id": document.id, "text": document.text, "spans": spans}
        out.write(dump(value) + "\n")
