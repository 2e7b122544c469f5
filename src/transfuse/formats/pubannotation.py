"""PubAnnotation JSON: ``{"text": ..., "denotations": [{"span": {"begin", "end"}, "obj"}]}``, alone or in an array.

The id is ``sourcedb:sourceid`` (and ``-divid``), or ``sourceid`` where no source is named. A span that is an array is a
discontinuous mention. Relations, attributes, modifications, blocks and tracks (which hold those of other projects) are
counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from transfuse.files import Source, Writer
from transfuse.jsonio import JsonObject, dump, values
from transfuse.losses import Losses
from transfuse.mentions import Builder, Fragments, Mark, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".json",)
KEEPS: frozenset[str] = frozenset()

_OTHER = ("relations", "attributes", "modifications", "blocks", "tracks")


def sniff(head: str) -> bool:
    """Whether this is JSON that speaks of denotations."""
    return re.match(r"\s*[\[{]", head) is not None and re.search(r'"denotations"\s*:', head) is not None


def read(
    source: Source, *, losses: Losses, fragments: Fragments = "join", unit: Unit = "characters"
) -> Iterator[Document]:
    """The documents of a file, one at a time.

    Args:
        source: the file.
        losses: collects discontinuous mentions, doubles, repeated ids, and whatever is no mention.
        fragments: as in `Builder`.
        unit: what offsets count; the file does not spell its mentions, so nothing can be found out.

    Raises:
        DataError: no JSON or no PubAnnotation; the line is that on which the document begins.
    """
    build = Builder(source.name, losses, fragments=fragments, unit=unit)
    for number, record in enumerate(values(source), 1):
        name = _name(record) or f"{source.stem}/{number}"
        for kind in _OTHER:
            for _ in record.get(kind, list, []):
                losses.add("skipped", kind.removesuffix("s"), document=name, line=record.line)
        marks = [_mark(denotation) for denotation in record.records("denotations", "a denotation")]
        yield build.document(name, record.get("text", str), marks, line=record.line)


def _name(record: JsonObject) -> str:
    source, name, part = (record.name(key, "") for key in ("sourcedb", "sourceid", "divid"))
    return (f"{source}:{name}" if source and name else name) + (f"-{part}" if part and name else "")


def _mark(denotation: JsonObject) -> Mark:
    span = denotation.value.get("span")
    parts = span if isinstance(span, list) else [span]
    places = [JsonObject(denotation.source, denotation.line, part, "a span") for part in parts]
    if not places:
        denotation.fail("a denotation without a span")
    spans = tuple((place.get("begin", int), place.get("end", int)) for place in places)
    return Mark(spans, denotation.get("obj", str), line=denotation.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """An array, one document a line."""
    out.write("[")
    for number, document in enumerate(documents):
        denotations = [
            {"id": f"T{place}", "span": {"begin": entity.start, "end": entity.end}, "obj": entity.label}
            for place, entity in enumerate(document.entities, 1)
        ]
        value = {"sourceid": document.id, "text": document.text, "denotations": denotations}
        out.write((",\n" if number else "\n") + dump(value))
    out.write("\n]\n")
