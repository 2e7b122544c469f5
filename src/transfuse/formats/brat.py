"""brat standoff: a folder with a text (``.txt``) and its annotations (``.ann``) for each document.

The id of a document is its place in the folder without the suffix. Overlapping mentions are kept; events, relations,
attributes, normalisations and notes are counted as skipped. A text without annotations has no entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from transfuse.files import Source, Writer, natural, open_output
from transfuse.losses import Losses
from transfuse.mentions import Builder, Fragments, Mark, Mismatch, Unit
from transfuse.text import ConfigError, Document

__all__ = ["KEEPS", "SUFFIXES", "claims", "read", "sniff", "write"]

SUFFIXES = (".ann",)
KEEPS: frozenset[str] = frozenset()

_MENTION = re.compile(r"(?P<label>[^ \t]+) (?P<spans>\d{1,18} \d{1,18}(?:;\d{1,18} \d{1,18})*)")
_OTHER = {
    "R": "relation",
    "*": "relation",
    "E": "event",
    "A": "attribute",
    "M": "attribute",
    "N": "normalisation",
    "#": "note",
}
_UNSAFE = re.compile(r'[\x00-\x1f\\:*?"<>|]')


def claims(path: Path) -> bool:
    """Whether this is a folder with annotations, an annotation file, or a text beside one."""
    if path.is_dir():
        return next(path.rglob("*.ann"), None) is not None
    return path.suffix == ".ann" or (path.suffix == ".txt" and path.with_suffix(".ann").exists())


def sniff(head: str) -> bool:
    """Never: a text says nothing of the file beside it."""
    return False


def read(
    source: Source,
    *,
    losses: Losses,
    fragments: Fragments = "join",
    mismatch: Mismatch = "keep",
    unit: Unit = "auto",
    annotations: IO[Any] | None = None,
) -> Iterator[Document]:
    """The documents of a folder, or one document.

    Args:
        source: a folder, a ``.txt`` or an ``.ann`` file, or a handle of a text.
        losses: collects discontinuous mentions, mentions that differ from their text, offsets in another unit, and
            whatever is no mention.
        fragments: as in `Builder`.
        mismatch: as in `Builder`.
        unit: as in `Builder`.
        annotations: the annotations, where ``source`` is a handle.

    Raises:
        DataError: an annotation that cannot be read, annotations without a text, or a folder without either.
    """
    rules: dict[str, Any] = {"fragments": fragments, "mismatch": mismatch, "unit": unit}
    if not source.path:
        marks = Source(annotations) if annotations else None
        yield _document(source, marks, losses, rules)
        return
    if annotations:
        raise ConfigError("annotations are given beside a handle of a text, not beside a path")
    for path in _texts(source):
        partner = path.with_suffix(".ann")
        with source.child(path) as text:
            if not partner.exists():
                yield _document(text, None, losses, rules)
                continue
            with source.child(partner) as marks:
                yield _document(text, marks, losses, rules)


def _texts(source: Source) -> list[Path]:
    """The text files, in natural order."""
    if source.path and source.path.is_dir():
        texts = {path for path in source.path.rglob("*.txt") if path.is_file()}
        alone = sorted(path for path in source.path.rglob("*.ann") if path.with_suffix(".txt") not in texts)
        if not texts and not alone:
            raise source.error("holds no .txt and .ann files")
    else:
        path = source.path or Path()
        texts = {path.with_suffix(".txt")} if path.with_suffix(".txt").exists() else set()
        alone = [] if texts else [path]
    if alone:
        raise Source(alone[0]).error(f"the text {alone[0].with_suffix('.txt').name} is not beside it")
    return sorted(texts, key=natural)


def _document(text: Source, annotations: Source | None, losses: Losses, rules: dict[str, Any]) -> Document:
    build = Builder((annotations or text).name, losses, **rules)
    marks = list(_marks(annotations, text.stem, losses)) if annotations else []
    return build.document(text.stem, text.text(), marks)


def _marks(source: Source, document: str, losses: Losses) -> Iterator[Mark]:
    for number, line in source.lines():
        if not line.strip():
            continue
        if line[0] in _OTHER:
            losses.add("skipped", _OTHER[line[0]], document=document, detail=line, line=number)
            continue
        cells = line.split("\t", 2)
        if line[0] != "T":
            raise source.error(
                f"{line[0]!r} opens no annotation: mentions open with T, others with R * E A M N #", number
            )
        match = _MENTION.fullmatch(cells[1]) if len(cells) > 1 else None
        if not match:
            raise source.error(
                "not T1, label, start and end, and mention, with a tab before and behind the offsets", number
            )
        pairs = [pair.split() for pair in match["spans"].split(";")]
        spans = tuple((int(start), int(end)) for start, end in pairs)
        if any(start >= end for start, end in spans):
            raise source.error(f"a mention that ends where it starts, or before: {match['spans']}", number)
        yield Mark(spans, match["label"], cells[2] if len(cells) > 2 else None, line=number)


def write(
    documents: Iterable[Document], out: Path | Writer, *, losses: Losses, annotations: IO[Any] | None = None
) -> None:
    """Write a folder, or one document to a pair of handles.

    A mention with line breaks is written in pieces, one a line, as brat wants it; line breaks at its ends are cut off.

    Args:
        documents: what to write; ids become file names, slashes become folders.
        out: a folder, or a handle for the text.
        losses: collects changed ids and labels, and mentions whose ends were cut.
        annotations: a handle for the annotations, where ``out`` is one.

    Raises:
        ConfigError: a handle for the text alone, or several documents for one pair of handles.
    """
    if isinstance(out, Path):
        names: set[str] = set()
        for document in documents:
            path = out / _name(document.id, names, losses)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open_output(path.with_name(path.name + ".txt")) as text:
                text.write(document.text)
            with open_output(path.with_name(path.name + ".ann")) as marks:
                _write_marks(document, marks, losses)
        return
    if annotations is None:
        raise ConfigError("brat is a folder: name a path to write to, or a second handle as annotations")
    for number, document in enumerate(documents):
        if number:
            raise ConfigError("a pair of handles holds one document in brat: name a folder to write several")
        out.write(document.text)
        with open_output(annotations) as marks:
            _write_marks(document, marks, losses)


def _name(identifier: str, names: set[str], losses: Losses) -> str:
    """A path within the folder that no other document has, whatever the case of letters counts for."""
    parts = [_UNSAFE.sub("_", part)[:80].strip(". ") for part in PurePosixPath(identifier).parts]
    safe = name = "/".join(part for part in parts if part.strip("/")) or "document"
    count = 1
    while name.casefold() in names:
        count += 1
        name = f"{safe}-{count}"
    names.add(name.casefold())
    if name != identifier:
        losses.add("altered", "id is no file name", document=identifier, detail=name)
    return name


def _write_marks(document: Document, out: Writer, losses: Losses) -> None:
    number = 0
    for entity in document.entities:
        mention = document.mention(entity)
        spans = [(entity.start + m.start(), entity.start + m.end()) for m in re.finditer(r"[^\r\n]+", mention)]
        if not spans:
            losses.add("dropped", "mention of line breaks alone", document=document.id, detail=entity.label)
            continue
        if (spans[0][0], spans[-1][1]) != (entity.start, entity.end):
            losses.add("snapped", "line break at the end of a mention", document=document.id, detail=repr(mention))
        label = re.sub(r"\s", "_", entity.label)
        if label != entity.label:
            losses.add("altered", "label holds a blank", document=document.id, detail=entity.label)
        number += 1
        offsets = ";".join(f"{start} {end}" for start, end in spans)
        words = " ".join(document.text[start:end] for start, end in spans)
        out.write(f"T{number}\t{label} {offsets}\t{words}\n")
