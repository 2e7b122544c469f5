"""Label Studio's JSON, an array of tasks: ``{"id": 1, "data": {"text": "..."}, "annotations": [{"result": [...]}]}``.

A span is ``{"type": "labels", "value": {"start": 0, "end": 3, "text": "TNF", "labels": ["Gene"]}}``, its end exclusive;
it may have a ``score`` beside its value.
JSON-MIN, in which ``text`` and ``label``, a list of such values, stand beside the id, is read, too. The id of a
document is the member ``id`` of its data, where there is one, else that of the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, dump, values
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document, Entity

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS = frozenset({"score"})

Part = Literal["annotations", "predictions"]

_WHOLE = r'"annotations"\s*:\s*\[', r'"data"\s*:\s*\{|"result"\s*:\s*\[|"completed_by"\s*:'
_SHORT = r'"text"\s*:\s*"', r'"annotation_id"\s*:|"labels"\s*:\s*\[\s*"'


def sniff(head: str) -> bool:
    """Whether this is JSON with annotations of ``data``, or with what only JSON-MIN has."""
    found = (all(re.search(member, head) for member in members) for members in (_WHOLE, _SHORT))
    return re.match(r"\s*\[\s*\{", head) is not None and any(found)


def read(
    source: Source,
    *,
    losses: Losses,
    mismatch: Mismatch = "keep",
    unit: Unit = "auto",
    text: str = "text",
    label: str = "label",
) -> Iterator[Document]:
    """One document a task, one task at a time.

    Of several annotations of a task the one that is marked as ground truth counts, or else the first that was not
    cancelled. Where there is none, all of the text is unknown.

    Args:
        source: the file.
        losses: collects tasks without annotation, further annotations, results that are no spans of text, mentions
            that differ from their text, offsets in another unit, doubles, repeated ids.
        mismatch: as in `Builder`.
        unit: as in `Builder`.
        text: the member of ``data``, or of a task in JSON-MIN, that holds the text.
        label: in JSON-MIN, the member that holds the spans.

    Raises:
        DataError: no JSON, or no such tasks; the line is that on which the task begins.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    for number, task in enumerate(values(source), 1):
        short = "data" not in task.value
        data = task if short else JsonObject(source, task.line, task.value["data"], '"data" of a task')
        if data.value.get(text) is None:
            task.fail(f'{data.what} lacks "{text}": name the member that holds the text, as label-studio[text=note]')
        name = data.name("id", task.name("id", f"{source.stem}/{number}"))
        found = [(value, value) for value in task.records(label, "a span")] if short else _spans(task, name, losses)
        whole = [(0, len(data.get(text, str)))] if found is None and data.value[text] else []
        marks = [mark for result, value in found or () for mark in _marks(result, value)]
        yield build.document(name, data.get(text, str), marks, unknown=whole, line=task.line)


def _spans(task: JsonObject, name: str, losses: Losses) -> list[tuple[JsonObject, JsonObject]] | None:
    """Spans of the annotation that counts and their values, or None where there is none."""
    given = [a for a in task.records("annotations", "an annotation") if not a.value.get("was_cancelled")]
    given.sort(key=lambda annotation: not annotation.value.get("ground_truth"))
    if not given:
        losses.add("skipped", "task without annotation: its text is unknown", document=name, line=task.line)
        return None
    for _ in given[1:]:
        losses.add("skipped", "further annotation of the same task", document=name, line=task.line)
    spans = []
    for result in given[0].records("result", "a result"):
        kind = result.get("type", str, "")
        if kind == "labels":
            spans.append((result, JsonObject(task.source, task.line, result.get("value", dict), '"value" of a result')))
        else:
            losses.add("skipped", f"result of type {kind!r}", document=name, line=task.line)
    return spans


def _marks(result: JsonObject, value: JsonObject) -> Iterator[Mark]:
    bounds = value.get("start", int), value.get("end", int)
    mention = value.get("text", str) if value.value.get("text") is not None else None
    score = result.get("score", float) if result.value.get("score") is not None else None
    for label in value.get("labels", list):
        if not isinstance(label, str):
            value.fail(f'"labels" are strings, not {dump(label)[:40]}')
        yield Mark((bounds,), label, mention, score, value.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses, part: Part = "annotations") -> None:
    """An array with a task a line; ``label`` and ``text`` are the names in the interface.

    Args:
        documents: read once, in order.
        out: takes the text.
        losses: stays as it is.
        part: what entities become: ``annotations``, which count as done, or ``predictions``, to be corrected.
    """
    between = "[\n"
    for document in documents:
        result = [_result(document, entity) for entity in document.entities]
        task: dict[str, Any] = {"data": {"id": document.id, "text": document.text}, part: [{"result": result}]}
        out.write(between + dump(task))
        between = ",\n"
    out.write("[]\n" if between == "[\n" else "\n]\n")


def _result(document: Document, entity: Entity) -> dict[str, Any]:
    bounds = {"start": entity.start, "end": entity.end}
    value = {**bounds, "text": document.mention(entity), "labels": [entity.label]}
    score = {} if entity.score is None else {"score": entity.score}
    return {"from_name": "label", "to_name": "text", "type": "labels", "value": value, **score}
