"""Label Studio's JSON, an array of tasks: ``{"id": 1, "data": {"text": "..."}, "annotations": [{"result": [...]}]}``.

A span is ``{"type": "labels", "value": {"start": 0, "end": 3, "text": "TNF", "labels": ["Gene"]}}``, its end exclusive;
it may have a ``score`` beside its value. JSON-MIN is read, too: the text and lists of such values stand beside the id,
and a task with several annotations is there several times. The id of a document is the member ``id`` of its data, where
there is one, else that of the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, Unread, dump, values
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document, Entity

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS = frozenset({"score"})

Part = Literal["annotations", "predictions"]

_SHORT = {"annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
"""Members of a task in JSON-MIN that say nothing of its text."""


def sniff(head: str) -> bool:
    """Whether this is an array of objects with annotations that have a result, or with the id of an annotation."""
    members = r'"(?:annotations|completions)"\s*:\s*\[', r'"data"\s*:\s*\{|"result"\s*:\s*\[|"completed_by"\s*:'
    found = all(re.search(member, head) for member in members) or re.search(r'"annotation_id"\s*:', head)
    return re.match(r"\s*\[\s*\{", head) is not None and bool(found)


def read(
    source: Source, *, losses: Losses, mismatch: Mismatch = "keep", unit: Unit = "auto", text: str = "text"
) -> Iterator[Document]:
    """One document a task, one task at a time.

    Of several annotations of a task the one that is marked as ground truth counts, or else the first that was not
    cancelled. Where there is none, all of the text is unknown.

    Args:
        source: the file.
        losses: collects tasks without annotation, annotations that were cancelled, further ones, predictions, results
            that are no spans of text, mentions without a label, mentions that differ from their text, offsets in
            another unit, doubles, repeated ids, and of JSON-MIN names of members that are not read, each once.
        mismatch: as in `Builder`.
        unit: as in `Builder`.
        text: the member of ``data``, or of a task in JSON-MIN, that holds the text.

    Raises:
        DataError: no JSON, or no such tasks, or spans of something else than one plain text; the line is that on which
            the task begins.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    unread = Unread({"id", text, *_SHORT}, losses)
    for number, task in enumerate(values(source), 1):
        whole = isinstance(task.value.get("data"), dict)
        data = JsonObject(source, task.line, task.value["data"], '"data" of a task') if whole else task
        if data.value.get(text) is None:
            task.fail(f'{data.what} lacks "{text}": name the member that holds the text, as label-studio[text=note]')
        words = data.get(text, str)
        name = data.name("id", task.name("id", f"{source.stem}/{number}"))
        spans = _spans(task, name, losses) if whole else _short_spans(task, unread)
        unknown = [(0, len(words))] if words and spans is None else []
        marks = [mark for span in spans or () for mark in _marks(*span, name, losses)]
        yield build.document(name, words, marks, unknown=unknown, line=task.line)


_Span = tuple[JsonObject, float | None]
"""The value of a span, and its score."""


def _spans(task: JsonObject, name: str, losses: Losses) -> list[_Span] | None:
    """The spans of the annotation that counts, or None where there is none."""

    def skip(what: str, number: int = 1) -> None:
        for _ in range(number):
            losses.add("skipped", what, document=name, line=task.line)

    given = task.records("annotations", "an annotation") + task.records("completions", "an annotation")
    made = [a for a in given if not (a.value.get("was_cancelled") or a.value.get("skipped"))]
    skip("prediction", len(task.get("predictions", list, [])))
    skip("annotation that was cancelled", len(given) - len(made))
    if not made:
        skip("task without annotation: its text is unknown")
        return None
    skip("further annotation of the same task", len(made) - 1)
    chosen = next((annotation for annotation in made if annotation.value.get("ground_truth")), made[0])
    found: dict[str, list[_Span]] = {}
    for result in chosen.records("result", "a result"):
        kind = result.get("type", str, "")
        if kind == "labels":
            value = JsonObject(task.source, task.line, result.get("value", dict), '"value" of a result')
            found.setdefault(result.name("to_name", "text"), []).append((value, result.find("score", float)))
        elif kind.endswith("labels"):
            task.fail(f"annotated with {kind}: only spans of plain text can be read, which have the type labels")
        else:
            skip(f"result of type {kind!r}")
    if len(found) > 1:
        task.fail(f"has spans of several texts, {' and '.join(found)}, where a document has one")
    return [span for spans in found.values() for span in spans]


def _short_spans(task: JsonObject, unread: Unread) -> list[_Span]:
    """The spans of a task in JSON-MIN, which stand under the names of the controls that made them."""
    found = {
        key: task.records(key, "a span")
        for key, value in task.value.items()
        if isinstance(value, list) and value and isinstance(value[0], dict) and "labels" in value[0]
    }
    unread.watch(task, found)
    return [(value, None) for part in found.values() for value in part]


def _marks(value: JsonObject, score: float | None, name: str, losses: Losses) -> Iterator[Mark]:
    bounds = value.get("start", int), value.get("end", int)
    labels = value.get("labels", list, [])
    if not labels:
        losses.add("dropped", "mention without a label", document=name, line=value.line)
    for label in labels:
        if not isinstance(label, str):
            value.fail(f'"labels" are strings, not {dump(label)[:40]}')
        yield Mark((bounds,), label, value.find("text", str), score, value.line)


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
