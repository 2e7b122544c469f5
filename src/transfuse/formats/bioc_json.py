"""BioC JSON: the model of BioC XML as a collection, ``{"documents": [...]}``, or as documents one behind the other.

Passages become one text, in which offsets stay as they are. The label is the infon ``type``, the confidence the infon
``score``; other infons are not read. Relations and annotations without a location are counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, dump, values
from transfuse.losses import Losses
from transfuse.mentions import Builder, Fragments, Mark, Mismatch, Passage, Unit
from transfuse.text import Document, Entity

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS = frozenset({"score"})


def sniff(head: str) -> bool:
    """Whether this is JSON that speaks of passages."""
    return re.match(r"\s*[\[{]", head) is not None and re.search(r'"passages"\s*:', head) is not None


def read(
    source: Source,
    *,
    losses: Losses,
    fragments: Fragments = "join",
    mismatch: Mismatch = "keep",
    unit: Unit = "auto",
    label: str = "type",
) -> Iterator[Document]:
    """The documents of a collection, one at a time.

    Args:
        source: the file.
        losses: collects discontinuous mentions, mentions that differ from their text, offsets in another unit,
            relations, annotations without a location, repeated ids.
        fragments: as in `Builder`.
        mismatch: as in `Builder`.
        unit: as in `Builder`.
        label: the infon that holds the label.

    Raises:
        DataError: no JSON or no BioC; the line is that on which the document begins.
    """
    build = Builder(source.name, losses, mismatch=mismatch, fragments=fragments, unit=unit)
    for number, record in enumerate(values(source, "documents"), 1):
        name = record.name("id", f"{source.stem}/{number}")
        record.get("passages", list)
        passages = record.records("passages", "a passage")
        pieces, holders = [], [record, *passages]
        for passage in passages:
            sentences = passage.records("sentences", "a sentence")
            holders += sentences
            parts = [passage] if passage.value.get("text") or not sentences else sentences
            pieces += [Passage(part.get("offset", int), part.get("text", str, "")) for part in parts]
        marks = []
        for holder in holders:
            for _ in holder.get("relations", list, []):
                losses.add("skipped", "relation", document=name, line=record.line)
            for annotation in holder.records("annotations", "an annotation"):
                if not annotation.value.get("locations"):
                    losses.add("skipped", "annotation without a location", document=name, line=record.line)
                else:
                    marks.append(_mark(annotation, label))
        yield build.document(name, pieces, marks, line=record.line)


def _mark(annotation: JsonObject, label: str) -> Mark:
    infons = JsonObject(annotation.source, annotation.line, annotation.get("infons", dict), "infons of an annotation")
    spans = []
    for location in annotation.records("locations", "a location"):
        start = location.get("offset", int)
        spans.append((start, start + location.get("length", int)))
    score = infons.value.get("score")
    try:
        confidence = None if score is None else float(score)
    except (TypeError, ValueError):
        infons.fail(f"the score {score!r} is no number")
    return Mark(tuple(spans), infons.get(label, str), annotation.find("text", str), confidence, annotation.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """A collection with one passage a document, one document a line."""
    out.write('{"source": "", "date": "", "key": "", "version": "1.0", "infons": {}, "documents": [')
    for number, document in enumerate(documents):
        annotations = [_annotation(document, f"T{place}", entity) for place, entity in enumerate(document.entities, 1)]
        empty: dict[str, Any] = {"infons": {}, "annotations": [], "relations": []}
        passage = empty | {"offset": 0, "text": document.text, "sentences": [], "annotations": annotations}
        out.write((",\n" if number else "\n") + dump(empty | {"id": document.id, "passages": [passage]}))
    out.write("\n]}\n")


def _annotation(document: Document, name: str, entity: Entity) -> dict[str, Any]:
    infons = {"type": entity.label} | ({} if entity.score is None else {"score": repr(entity.score)})
    location = {"offset": entity.start, "length": entity.end - entity.start}
    return {"id": name, "infons": infons, "text": document.mention(entity), "locations": [location]}
