r"""CoNLL: one token a line with its tag in some column, an empty line between sentences.

The text of a sentence is its tokens with one blank between them, or with nothing where tokens are Chinese or Japanese
characters; the sentences of a document stand on lines of their own. Only ``\n`` ends a line and nothing is stripped, so
that tokens may be blanks. Read as they occur in published corpora: UTF-16, ``B_x`` for ``B-x``, ``N`` for ``O``, a lone
tab between sentences, several labels in one cell (the first is taken), empty tokens; the last two are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import regex

from transfuse.files import Source, Writer
from transfuse.losses import Losses
from transfuse.mentions import Ids
from transfuse.tags import decode, encode, faults
from transfuse.text import DataError, Document, Entity
from transfuse.words import align, flatten, sentences, words

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".conll", ".tsv", ".bio", ".iob", ".iob2", ".bmes", ".bioes", ".iobes")
KEEPS: frozenset[str] = frozenset()

_DOCSTART = "-DOCSTART-"
_SEPARATORS = {"tab": "\t", "blank": " ", "run": None}
_TAG = re.compile(r"[ON]|[BIESMLUW][-_].+")
_SEVERAL = re.compile(r"([BIES][-_][^,]+),[OBIES]\b.*")
_POSITION = re.compile(r"(.)[0-9]+", re.DOTALL)
_PSEUDO = re.compile(r"</?[^<>\s]+>")
_EAST_ASIAN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_CUT = {"tab": r"[\t\r\n,]", "blank": r"[\s,]"}

Level = Literal["auto", "document", "sentence"]
Policy = Literal["repair", "drop", "raise"]
Schemes = Literal["BIO", "BIOES", "IO", "IOB1", "BMES"]


_SOUND = 0.8
"""Share of the first lines that look like this format, at least; a broken file is no other format."""


def sniff(head: str) -> bool:
    """Whether the first lines have several columns, the last of them a tag; all but a few, which `read` will name."""
    lines = [line for line in head.split("\n")[:50] if line.strip()]
    lines = lines[:-1] if len(lines) > 1 and not head.endswith("\n") else lines
    cells = [re.split(r"[ \t]+", line.rstrip("\r")) for line in lines if not line.startswith(_DOCSTART)]
    sound = sum(len(row) > 1 and _TAG.fullmatch(row[-1]) is not None for row in cells)
    return sound > _SOUND * len(cells)


@dataclass
class _Sentence:
    lines: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def read(
    source: Source,
    *,
    losses: Losses,
    scheme: Literal["auto", "BIO", "BIOES", "IO", "IOB1", "BMES"] = "auto",
    column: int | None = -1,
    token: int = 0,
    separator: str = "auto",
    joiner: str = "auto",
    level: Level = "auto",
    policy: Policy = "repair",
    outside: str = "N",
    docstart: str = _DOCSTART,
    positions: bool = False,
    pseudo: bool = False,
) -> Iterator[Document]:
    """The sentences or documents of a file.

    Args:
        source: the file.
        losses: collects repaired or dropped mentions, cells with several labels, pseudo tokens.
        scheme: how tags spell mentions; ``auto`` goes by the prefixes at the head of the file.
        column: where the tag stands, from 0 or, backwards, from -1; None if there are no tags.
        token: where the token stands.
        separator: ``tab``, ``blank`` (one each), ``run`` (of tabs and blanks) or any other text; ``auto`` is a tab
            where most lines at the head of the file have one, else a tab in lines that have one and a blank in others.
        joiner: ``blank``, ``none`` or any other text between tokens; ``auto`` is nothing where at least three in ten
            tokens at the head of the file are Chinese or Japanese.
        level: what a document is; ``auto`` is a sentence, unless the head of the file has document starts.
        policy: what becomes of an illegal tag sequence: ``repair``, ``drop`` the mention, or ``raise``.
        outside: another word for ``O``.
        docstart: how a line begins that opens a document; what follows it there, if it is no tag, is the id.
        positions: whether digits behind the first character of a token are its place in a word, and no text.
        pseudo: whether ``<X>`` and ``</X>`` at the ends of a sentence are marks, and no text.

    Raises:
        DataError: a line without its token or tag, a tag that is none of the scheme's, or, under the policy
            ``raise``, an illegal sequence.
    """
    head = [line for line in source.head().split("\n")[:2000] if not line.startswith(docstart)]
    cut = _Cutter(source, column, token, _separator(separator, head))
    glue = _joiner(joiner, [row[0] for row in map(cut.quietly, head) if row])
    if scheme == "auto":
        scheme = _scheme([row[1] for row in map(cut.quietly, head) if row])
    if level == "auto":
        level = "document" if f"\n{docstart}" in "\n" + source.head() else "sentence"
    number, name, texts, entities = 0, "", list[str](), list[Entity]()
    ids = Ids(losses)

    def finish() -> Iterator[Document]:
        nonlocal number
        if texts:
            number += 1
            yield Document(name or f"{source.stem}/{number}", "\n".join(texts), tuple(entities))
            texts.clear()
            entities.clear()

    for sentence in _sentences(cut, docstart, losses):
        if isinstance(sentence, str):
            yield from finish()
            name = ids.unique(sentence) if sentence and level == "document" else ""
            continue
        _clean(sentence, losses, outside, positions, pseudo)
        if not sentence.tokens:
            continue
        if level == "sentence":
            yield from finish()
        base = sum(map(len, texts)) + len(texts)
        entities += _entities(source, sentence, glue, base, scheme, policy, losses)
        texts.append(glue.join(sentence.tokens))
    yield from finish()


def _separator(name: str, head: Iterable[str]) -> str | None:
    """A file of tabs is held to them: a line of blanks in it would lose all words but one."""
    if name != "auto":
        return _SEPARATORS.get(name, name)
    lines = [line for line in head if line.strip()]
    return "\t" if 2 * sum("\t" in line for line in lines) > len(lines) else "auto"


class _Cutter:
    """Cuts lines into token and tag."""

    def __init__(self, source: Source, column: int | None, token: int, separator: str | None) -> None:
        self.source, self._column, self._token, self._separator = source, column, token, separator

    def cells(self, line: str) -> list[str]:
        if self._separator is None:
            return re.split(r"[ \t]+", line)
        separator = self._separator if self._separator != "auto" else "\t" if "\t" in line else " "
        if line.startswith(separator) and separator == " ":
            return [" ", *line[2:].split(" ")]
        return line.split(separator)

    def quietly(self, line: str) -> tuple[str, str] | None:
        """Token and tag, or None where the line has none."""
        try:
            cells = self.cells(line.removesuffix("\r"))
            return cells[self._token], cells[self._column] if self._column is not None else "O"
        except IndexError:
            return None

    def row(self, line: str, number: int) -> tuple[str, str]:
        """Token and tag, or a complaint."""
        cells = self.cells(line)
        if any("\r" in cell for cell in cells[1:]):
            raise self.source.error(r"lines end with a lone carriage return, as on old Macs: save them with \n", number)
        wanted = [self._token] if self._column is None else [self._token, self._column]
        if len(cells) < (1 if self._column is None else 2):
            raise self.source.error(f"one column only ({line[:40]!r}): a token and a tag are wanted", number)
        for place in wanted:
            if not -len(cells) <= place < len(cells):
                raise self.source.error(f"no column {place} in a line with {len(cells)} columns", number)
        if self._column is not None and not cells[self._column]:
            raise self.source.error("the tag is empty", number)
        return cells[self._token], cells[self._column] if self._column is not None else "O"


def _sentences(cut: _Cutter, docstart: str, losses: Losses) -> Iterator[_Sentence | str]:
    """Sentences, and where a document starts, its id (or an empty string)."""
    sentence = _Sentence()
    for number, line in cut.source.lines():
        starts = line.startswith(docstart)
        if starts or not line.strip(" \t"):
            if sentence.tokens:
                yield sentence
                sentence = _Sentence()
            if starts:
                rest = line.removeprefix(docstart).split()
                yield rest[0] if rest and not _TAG.fullmatch(rest[0]) and rest[0] != "-X-" else ""
            continue
        token, tag = cut.row(line, number)
        if not token:
            if tag != "O":
                raise cut.source.error("a token of a mention is empty", number)
            losses.add("skipped", "empty token", line=number)
            continue
        sentence.lines.append(number)
        sentence.tokens.append(token)
        sentence.tags.append(tag)
    if sentence.tokens:
        yield sentence


def _joiner(joiner: str, tokens: list[str]) -> str:
    if joiner != "auto":
        return {"blank": " ", "none": ""}.get(joiner, joiner)
    count = sum(bool(_EAST_ASIAN.search(token)) for token in tokens)
    return "" if count and count >= 0.3 * sum(map(bool, tokens)) else " "


def _scheme(tags: list[str]) -> Schemes:
    """What the prefixes at the head of a file speak for: I- at a start and B- only after its own label is IOB1."""
    parts = [re.split(r"[-_]", tag, maxsplit=1) for tag in tags]
    prefixes = {part[0] for part in parts if len(part) == 2}
    if "M" in prefixes:
        return "BMES"
    if prefixes & {"E", "S"}:
        return "BIOES"
    before: list[list[str]] = [["O"], *parts]
    opens = any(part[0] == "I" and last[1:] != part[1:] for last, part in zip(before, parts, strict=False))
    parted = all(last[1:] == part[1:] for last, part in zip(before, parts, strict=False) if part[0] == "B")
    return "IOB1" if opens and parted else "BIO"


def _clean(sentence: _Sentence, losses: Losses, outside: str, positions: bool, pseudo: bool) -> None:
    """Undo what a corpus added to its tokens and tags."""
    if pseudo and sentence.tokens and _PSEUDO.fullmatch(sentence.tokens[0]):
        last = len(sentence.tokens) - (_PSEUDO.fullmatch(sentence.tokens[-1]) is not None)
        losses.add("skipped", "pseudo tokens round a sentence", detail=sentence.tokens[0], line=sentence.lines[0])
        sentence.tokens, sentence.tags = sentence.tokens[1:last], sentence.tags[1:last]
        sentence.lines = sentence.lines[1:last]
    if positions:
        sentence.tokens = [match[1] if (match := _POSITION.fullmatch(token)) else token for token in sentence.tokens]
    for place, tag in enumerate(sentence.tags):
        several = _SEVERAL.fullmatch(tag)
        if several:
            losses.add("altered", "several labels in one cell", detail=tag, line=sentence.lines[place])
            tag = several[1]
        if tag == outside:
            tag = "O"
        sentence.tags[place] = tag[0] + "-" + tag[2:] if tag[1:2] == "_" else tag


def _entities(
    source: Source, sentence: _Sentence, glue: str, base: int, scheme: str, policy: str, losses: Losses
) -> Iterator[Entity]:
    found = Losses()
    try:
        spans = decode(sentence.tags, scheme, policy, found)
    except DataError as fault:
        raise source.error(fault.message, sentence.lines[_fault(sentence.tags, scheme)]) from None
    for loss in found:
        losses.add(loss.action, loss.reason, detail=loss.detail, line=sentence.lines[0])
    if not spans:
        return
    starts = [base]
    for token in sentence.tokens:
        starts.append(starts[-1] + len(token) + len(glue))
    for first, last, label in spans:
        yield Entity(starts[first], starts[last] - len(glue), label)


def _fault(tags: list[str], scheme: str) -> int:
    """Which tag is the first that is none of the scheme's, or else stands where it may not."""
    for place, tag in enumerate(tags):
        try:
            faults([tag], scheme)
        except DataError:
            return place
    return faults(tags, scheme)[0][0]


def write(
    documents: Iterable[Document],
    out: Writer,
    *,
    losses: Losses,
    scheme: Schemes = "BIO",
    tokens: Literal["words", "blanks", "characters"] = "words",
    separator: Literal["tab", "blank"] = "tab",
    level: Level = "auto",
    joiner: str = "auto",
    overlap: Literal["longest", "first"] = "longest",
) -> None:
    """Write tokens and tags.

    Args:
        documents: what to write.
        out: where.
        losses: collects mentions that were snapped to tokens, cut at a line end, dropped because they overlap others or
            hold no token, changed labels, and texts that ``joiner`` cannot put together again from their tokens.
        scheme: how tags spell mentions.
        tokens: ``words`` as the tagger sees them, with sentences split; what stands between ``blanks``, or single
            ``characters``, with a sentence a line of the text.
        separator: between token and tag.
        level: ``document`` writes ``-DOCSTART-`` lines; ``auto`` does so if the first document has several sentences.
        joiner: what a reader will put between tokens; ``auto`` goes by the first document, as a reader does by the
            head of the file.
        overlap: which of two overlapping mentions stays.
    """
    mark, begun, glue = "\t" if separator == "tab" else " ", False, ""
    for document in documents:
        parts = [part for part in _parts(document, tokens) if part]
        if not parts:
            losses.add("skipped", "document without words", document=document.id)
            continue
        written = [[document.text[a:b] for a, b in part] for part in parts]
        if not begun:
            glue = _joiner(joiner, [token for part in written for token in part])
        if "\n".join(map(glue.join, written)) != document.text:
            losses.add("altered", "white space is not kept", document=document.id)
        if level == "auto":
            level = "document" if len(parts) > 1 else "sentence"
        if not begun:
            losses.add("altered", "document ids are not kept", document=document.id)
        if level == "sentence" and len(parts) > 1:
            losses.add("altered", "document became several sentences", document=document.id)
        if level == "document":
            out.write(f"{_DOCSTART}{mark}O\n\n")
        begun = True
        labels = {entity.label: re.sub(_CUT[separator], "_", entity.label) for entity in document.entities}
        for old in (old for old, new in labels.items() if old != new):
            losses.add("altered", "label holds a separator", document=document.id, detail=old)
        for part, spans in zip(written, _spans(document, parts, overlap, losses), strict=True):
            tags = encode([(a, b, labels[label]) for a, b, label in spans], len(part), scheme, counts=losses)
            out.write("".join(f"{token}{mark}{tag}\n" for token, tag in zip(part, tags, strict=True)) + "\n")


def _parts(document: Document, tokens: str) -> Iterator[list[tuple[int, int]]]:
    """Offsets of tokens, sentence by sentence."""
    text = document.text
    if tokens == "words":
        ranges = sentences(text, [(entity.start, entity.end) for entity in document.entities])
    else:
        ranges = [match.span() for match in re.finditer(r"[^\n]+", text)]
    for start, end in ranges:
        part = _tokens(text, start, end, tokens)
        if any(text.startswith(_DOCSTART, first) for first, _ in part):
            raise DataError(f"document {document.id}: a token that begins with {_DOCSTART} would start a document")
        yield part


def _tokens(text: str, start: int, end: int, kind: str) -> list[tuple[int, int]]:
    if kind == "words":
        return words(text, start, end)
    pattern = re.compile(r"[^ \t\r\n]+" if kind == "blanks" else r"[^\t\r\n]")
    return [match.span() for match in pattern.finditer(text, start, end)]


def _spans(
    document: Document, parts: list[list[tuple[int, int]]], overlap: str, losses: Losses
) -> Iterator[list[tuple[int, int, str]]]:
    """Mentions as ranges of tokens, sentence by sentence; one that crosses a sentence keeps what lies in its first."""
    offsets = [span for part in parts for span in part]
    spans = flatten(
        align(offsets, document.entities, losses=losses, document=document.id),
        policy=overlap,
        losses=losses,
        document=document.id,
    )
    first, place = 0, 0
    for part in parts:
        last, found = first + len(part), []
        while place < len(spans) and spans[place][0] < last:
            start, end, label = spans[place]
            if end > last:
                losses.add("snapped", "cut at the end of a sentence", document=document.id, detail=label)
            found.append((start - first, min(end, last) - first, label))
            place += 1
        yield found
        first = last
