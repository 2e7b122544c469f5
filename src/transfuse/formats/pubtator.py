"""PubTator: ``id|t|title``, ``id|a|abstract``, one tab-separated mention a line, an empty line between documents.

The text is the title, one line break, and the abstract, so that offsets stay as they are; a block without an abstract
is its title alone. Every block is a document of its own, also where its id was there before. Columns behind the type
(concept identifiers, single parts of composite mentions) are not read; relations are counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from transfuse.files import Source, Writer
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark, Mismatch, Unit
from transfuse.text import Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".pubtator",)
KEEPS: frozenset[str] = frozenset()

_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)
_RELATION = re.compile(r"[A-Za-z][\w-]*")
_OFFSET = re.compile(r"[0-9]{1,18}")


def sniff(head: str) -> bool:
    """Whether the first line that is not empty is a title, or a mention: its text is missing, which `read` says."""
    return re.match(r"\s*[^|\t\n]+(\|t\||\t\d+\t\d+\t[^\t\n]+\t[^\t\n]+[\t\n])", head) is not None


def read(source: Source, *, losses: Losses, mismatch: Mismatch = "keep", unit: Unit = "auto") -> Iterator[Document]:
    """The blocks of a file.

    Args:
        source: the file.
        losses: collects repeated ids, mentions that differ from their text, relations, offsets in another unit.
        mismatch: as in `Builder`.
        unit: as in `Builder`.

    Raises:
        DataError: a line that is neither text nor mention nor relation, or belongs to another document.
    """
    build = Builder(source.name, losses, mismatch=mismatch, unit=unit)
    block = _Block()
    for number, line in source.lines():
        text = _TEXT.fullmatch(line)
        if text and text[2] == "t" and block.title is not None:
            yield block.document(build)
            block = _Block()
        if text:
            block.add_text(source, number, *text.groups())
        elif line.strip():
            block.add_mark(source, number, line, losses)
        elif block.title is not None and (block.abstract is not None or block.marks):
            yield block.document(build)
            block = _Block()
    if block.title is not None:
        yield block.document(build)


class _Block:
    def __init__(self) -> None:
        self.id, self.line = "", 0
        self.title: str | None = None
        self.abstract: str | None = None
        self.marks: list[Mark] = []

    def add_text(self, source: Source, line: int, identifier: str, kind: str, text: str) -> None:
        if kind == "t":
            self.id, self.line, self.title = identifier, line, text
        elif self.title is None or self.id != identifier:
            raise source.error(f"an abstract of {identifier} without its title (|t|) before it", line)
        elif self.abstract is not None:
            raise source.error(f"a second abstract of {identifier}: leave an empty line between documents", line)
        else:
            self.abstract = text

    def add_mark(self, source: Source, line: int, text: str, losses: Losses) -> None:
        cells = text.split("\t")
        if self.title is None:
            raise source.error("a mention without a text (id|t|...) before it", line)
        if cells[0] != self.id:
            raise source.error(
                f"{cells[0][:40]!r} stands in the block of {self.id}: no text, mention or relation", line
            )
        if len(cells) >= 3 and _RELATION.fullmatch(cells[1]):
            losses.add("skipped", f"relation {cells[1]}", document=self.id, detail=text, line=line)
            return
        if len(cells) < 5 or not (_OFFSET.fullmatch(cells[1]) and _OFFSET.fullmatch(cells[2])):
            raise source.error("not id, start, end, mention and type with a tab between each", line)
        span = (int(cells[1]), int(cells[2]))
        if span[0] >= span[1]:
            raise source.error(f"the mention ends at {span[1]}, not behind its start {span[0]}", line)
        if not cells[4].strip():
            raise source.error("the mention has no type", line)
        self.marks.append(Mark((span,), cells[4], cells[3], line=line))

    def document(self, build: Builder) -> Document:
        text = f"{self.title}\n{self.abstract}" if self.abstract else self.title or ""
        return build.document(self.id, text, self.marks, line=self.line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """One block a document: the first line of the text is the title, the rest the abstract.

    Further line breaks become blanks, and tabs and line breaks in a mention too; bars and tabs in an id become ``_``.
    All of it is counted, and no offset changes.
    """
    for document in documents:
        name = re.sub(r"[|\t\r\n]", "_", document.id).strip() or "_"
        if name != document.id:
            losses.add("altered", "id holds a bar, a tab or a line break", document=document.id)
        title, _, abstract = document.text.partition("\n")
        title = title if abstract else document.text
        if _flat(title) != title or _flat(abstract) != abstract:
            losses.add("altered", "line breaks became blanks", document=document.id)
        out.write(f"{name}|t|{_flat(title)}\n{name}|a|{_flat(abstract)}\n")
        for entity in document.entities:
            label = re.sub(r"[\t\r\n]", "_", entity.label)
            if label != entity.label:
                losses.add("altered", "label holds a tab or a line break", document=document.id, detail=entity.label)
            mention = _flat(document.mention(entity)).replace("\t", " ")
            out.write(f"{name}\t{entity.start}\t{entity.end}\t{mention}\t{label}\n")
        out.write("\n")


def _flat(text: str) -> str:
    return re.sub(r"[\r\n]", " ", text)
