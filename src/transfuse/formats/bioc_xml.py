"""BioC XML: documents of passages (or of sentences), each at an offset, with annotations that have locations.

Passages become one text, in which offsets stay as they are. The label is the infon ``type``, the confidence the infon
``score``; other infons are not read. Relations and annotations without a location are counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from transfuse.files import Source, Writer
from transfuse.losses import Losses
from transfuse.mentions import Builder, Fragments, Mark, Mismatch, Passage, Unit
from transfuse.text import DataError, Document, Entity

if TYPE_CHECKING:
    from bioc import BioCDocument

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".xml",)
KEEPS = frozenset({"score"})

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BEGIN = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source></source><date></date><key></key>
"""


def sniff(head: str) -> bool:
    """Whether this is XML whose root is a collection."""
    return re.match(r"\s*<(?:\?xml|!DOCTYPE\s+collection|collection)\b", head) is not None and "<collection" in head


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
        source: the file; in the encoding that it declares itself where none is named.
        losses: collects discontinuous mentions, mentions that differ from their text, offsets in another unit,
            relations, annotations without a location, repeated ids.
        fragments: as in `Builder`.
        mismatch: as in `Builder`.
        unit: as in `Builder`.
        label: the infon that holds the label.

    Raises:
        DataError: XML that is not well-formed or no BioC.
    """
    from lxml import etree  # type: ignore[import-untyped]

    build = Builder(source.name, losses, mismatch=mismatch, fragments=fragments, unit=unit)
    parser = etree.XMLPullParser(
        ("start", "end"), resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    depth, number = 0, 0
    try:
        for piece in _pieces(source):
            parser.feed(piece)
            for event, element in parser.read_events():
                depth += 1 if event == "start" else -1
                if event == "start" and depth == 1 and element.tag != "collection":
                    raise source.error(f"<{element.tag}> is not the root of BioC: <collection> is", element.sourceline)
                if event == "end" and element.tag == "document":
                    number += 1
                    yield _Reader(source, losses, label).document(build, element, f"{source.stem}/{number}")
                    while element.getprevious() is not None:
                        del element.getparent()[0]
        parser.close()
    except etree.XMLSyntaxError as fault:
        raise source.error(f"not well-formed XML: {fault.msg}", max(1, fault.lineno or 0)) from None


def _pieces(source: Source) -> Iterator[bytes | str]:
    """The file: as bytes, whose encoding it declares itself, or as text where somebody named one."""
    if source.named_encoding:
        yield from source.pieces()
        return
    with source.unpacking():
        while piece := source.stream.read(1 << 16):
            yield piece


class _Reader:
    def __init__(self, source: Source, losses: Losses, label: str) -> None:
        self._source, self._losses, self._label = source, losses, label

    def document(self, build: Builder, element: Any, default: str) -> Document:
        from lxml import etree

        for entity in element.iter(etree.Entity):
            raise self._source.error(f"the entity {entity.text} is not declared in XML", element.sourceline)
        name = (element.findtext("id") or "").strip() or default
        pieces = []
        for passage in element.iterfind("passage"):
            parts = [passage] if passage.find("text") is not None else passage.findall("sentence") or [passage]
            pieces += [Passage(self._offset(part), part.findtext("text") or "") for part in parts]
        for relation in element.iter("relation"):
            self._losses.add("skipped", "relation", document=name, line=relation.sourceline)
        marks = [mark for annotation in element.iter("annotation") if (mark := self._mark(name, annotation))]
        return build.document(name, pieces, marks, line=element.sourceline)

    def _offset(self, part: Any) -> int:
        return self._number(part, part.findtext("offset"), f"offset of a <{part.tag}>")

    def _number(self, element: Any, value: str | None, what: str) -> int:
        if value is None or not re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
            raise self._source.error(f"the {what} is a whole number, not {value!r}", element.sourceline)
        return int(value)

    def _mark(self, name: str, annotation: Any) -> Mark | None:
        infons = {infon.get("key"): infon.text or "" for infon in annotation.iterfind("infon")}
        spans = []
        for location in annotation.iterfind("location"):
            start = self._number(location, location.get("offset"), "offset of a location")
            spans.append((start, start + self._number(location, location.get("length"), "length of a location")))
        if not spans:
            self._losses.add("skipped", "annotation without a location", document=name, line=annotation.sourceline)
            return None
        if not infons.get(self._label):
            raise self._source.error(f"an annotation without the infon {self._label!r}", annotation.sourceline)
        try:
            score = float(infons["score"]) if "score" in infons else None
        except ValueError:
            raise self._source.error(f"the score {infons['score']!r} is no number", annotation.sourceline) from None
        return Mark(tuple(spans), infons[self._label], annotation.findtext("text"), score, annotation.sourceline)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """A collection with one passage a document; characters that XML forbids become U+FFFD, counted."""
    from bioc.biocxml.encoder import encode_document
    from lxml import etree

    out.write(_BEGIN)
    for document in documents:
        try:
            out.write(etree.tostring(encode_document(_to_bioc(_allowed(document, losses))), encoding="unicode") + "\n")
        except ValueError as fault:
            raise DataError(f"document {document.id}: XML cannot hold it: {fault}") from None
    out.write("</collection>\n")


def _allowed(document: Document, losses: Losses) -> Document:
    def clean(text: str) -> str:
        return _FORBIDDEN.sub("\ufffd", text)

    entities = [Entity(e.start, e.end, clean(e.label), e.score) for e in document.entities]
    allowed = Document(clean(document.id), clean(document.text), tuple(entities))
    if (allowed.id, allowed.text, allowed.entities) != (document.id, document.text, document.entities):
        losses.add("altered", "characters that XML forbids", document=document.id)
    return allowed


def _to_bioc(document: Document) -> BioCDocument:
    from bioc import BioCAnnotation, BioCDocument, BioCLocation, BioCPassage

    passage = BioCPassage()
    passage.offset, passage.text = 0, document.text
    for number, entity in enumerate(document.entities, 1):
        annotation = BioCAnnotation()
        annotation.id, annotation.text = f"T{number}", document.mention(entity)
        annotation.infons = {"type": entity.label} | ({} if entity.score is None else {"score": repr(entity.score)})
        annotation.add_location(BioCLocation(entity.start, entity.end - entity.start))
        passage.add_annotation(annotation)
    whole = BioCDocument()
    whole.id = document.id
    whole.add_passage(passage)
    return whole
