"""A document as the library `bioc` models it, which its XML and its JSON share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfuse.text import Document

if TYPE_CHECKING:
    from bioc import BioCDocument

__all__ = ["LABEL", "SCORE", "to_bioc"]

LABEL = "type"
"""The infon that holds the label of an annotation."""

SCORE = "score"
"""The infon that holds its confidence, where there is one."""


def to_bioc(document: Document) -> BioCDocument:
    """One passage with the whole text and the mentions as its annotations; offsets in code points."""
    from bioc import BioCAnnotation, BioCDocument, BioCLocation, BioCPassage

    passage = BioCPassage()
    passage.offset, passage.text = 0, document.text
    for number, entity in enumerate(document.entities, 1):
        annotation = BioCAnnotation()
        annotation.id, annotation.text = f"T{number}", document.mention(entity)
        annotation.infons = {LABEL: entity.label} | ({} if entity.score is None else {SCORE: repr(entity.score)})
        annotation.add_location(BioCLocation(entity.start, entity.end - entity.start))
        passage.add_annotation(annotation)
    whole = BioCDocument()
    whole.id = document.id
    whole.add_passage(passage)
    return whole
