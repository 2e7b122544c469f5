"""The words in which everything is said: entities, documents, corpora, tasks and taggers.

Offsets are half-open and count characters (Unicode code points): ``text[start:end]`` is the mention, always.
Nothing in here knows tags, tokens or tensors, and nothing outside the standard library is imported.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

__all__ = [
    "SPLITS",
    "BundleError",
    "ConfigError",
    "Corpus",
    "DataError",
    "Document",
    "Entity",
    "LabelError",
    "SpanError",
    "Tagger",
    "Task",
    "TransfuseError",
    "UnusedSettingError",
]

SPLITS = ("train", "dev", "test")


class TransfuseError(Exception):
    """A user's mistake or broken input, told in one line. The command line prints it and exits with status 2."""


class SpanError(TransfuseError):
    """A span that its text cannot hold."""


class LabelError(TransfuseError):
    """A label that nobody declared."""


class ConfigError(TransfuseError):
    """A setting that is unknown or out of range."""


class UnusedSettingError(ConfigError):
    """A setting that would do nothing beside the others.

    Args:
        setting: its path in the method's table, as ``kernel.outside``.
        why: it would.
    """

    def __init__(self, setting: str, why: str) -> None:
        super().__init__(f"{setting} would do nothing: {why}")
        self.setting = setting


class BundleError(TransfuseError):
    """A saved tagger that is altered, of another version, or unsafe to load."""


class DataError(TransfuseError):
    """Malformed input: ``FILE:LINE: what is wrong and what to do``.

    Args:
        message: what is wrong, and where it helps, what to do.
        path: the file (or ``<stdin>``) it stands in.
        line: line number, from 1; 0 where lines have no meaning.
    """

    def __init__(self, message: str, *, path: str = "", line: int = 0) -> None:
        self.message, self.path, self.line = message, path, line
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{place}{message}")


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A mention of a type: ``text[start:end]`` is called ``label``.

    Attributes:
        start: first character, from 0.
        end: one past the last character; ``end > start``.
        label: the entity type.
        score: confidence in [0, 1], or None where nobody gave one. Two entities that differ only in it are equal.

    Raises:
        SpanError: the span is empty or starts before 0, or the label is empty.
    """

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise SpanError(f"no such span: [{self.start}, {self.end})")
        if not self.label:
            raise SpanError(f"the span [{self.start}, {self.end}) has no label")

    def overlaps(self, other: Entity) -> bool:
        """Whether the two share a character, whatever their labels."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Document:
    """A text and its entities, which are kept sorted by (start, end, label) and may nest or overlap.

    Attributes:
        id: what the corpus calls it.
        text: the text, never changed by anyone.
        entities: its annotations.
        unknown: half-open character ranges in which the annotation is not known. A tagger is never taught that
            they are outside, and a scorer counts nothing in them.

    Raises:
        SpanError: an entity or range ends behind the text, or an entity is there twice.
    """

    id: str
    text: str
    entities: tuple[Entity, ...] = ()
    unknown: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "entities", tuple(sorted(self.entities)))
        object.__setattr__(self, "unknown", tuple(sorted(self.unknown)))
        for entity in self.entities:
            if entity.end > len(self.text):
                raise SpanError(
                    f"document {self.id}: [{entity.start}, {entity.end}) ends behind its {len(self.text)} characters"
                )
        for first, second in zip(self.entities, self.entities[1:], strict=False):
            if first == second:
                raise SpanError(f"document {self.id}: {first} is there twice")
        for start, end in self.unknown:
            if not 0 <= start < end <= len(self.text):
                raise SpanError(f"document {self.id}: no such range: [{start}, {end})")

    def mention(self, entity: Entity) -> str:
        """The characters that an entity covers."""
        return self.text[entity.start : entity.end]

    def with_entities(self, entities: Iterable[Entity]) -> Document:
        """The same text with other entities."""
        return replace(self, entities=tuple(entities))


@dataclass(frozen=True)
class Corpus:
    """Documents in splits, and what was annotated in them.

    Attributes:
        name: how it is called in records and tables.
        splits: documents by ``train``, ``dev`` and ``test``; any of them may be missing.
        labels: the types that its annotators looked for. What is not in here is *not annotated*, which differs
            from *annotated as outside*.
        language: BCP 47 tag, as ``en`` or ``zh``.

    Raises:
        LabelError: a document holds a label that ``labels`` lacks.
    """

    name: str
    splits: Mapping[str, tuple[Document, ...]]
    labels: tuple[str, ...]
    language: str = "en"

    def __post_init__(self) -> None:
        known = set(self.labels)
        strangers = sorted({e.label for docs in self.splits.values() for d in docs for e in d.entities} - known)
        if strangers:
            raise LabelError(f"corpus {self.name}: undeclared labels {', '.join(strangers)}")

    @property
    def train(self) -> tuple[Document, ...]:
        """Documents to learn from."""
        return self.splits.get("train", ())

    @property
    def dev(self) -> tuple[Document, ...]:
        """Documents to choose with."""
        return self.splits.get("dev", ())

    @property
    def test(self) -> tuple[Document, ...]:
        """Documents to score once, at the end."""
        return self.splits.get("test", ())

    @cached_property
    def sha256(self) -> str:
        """Over names of splits, texts, entities and unknown ranges: what the numbers of a run depend on."""
        digest = hashlib.sha256()
        for split, documents in sorted(self.splits.items()):
            digest.update(f"\x1d{split}".encode())
            for document in documents:
                spans = ";".join(f"{e.start},{e.end},{e.label}" for e in document.entities)
                digest.update(f"\x1e{document.text}\x1f{spans}\x1f{document.unknown}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def with_split(self, split: str, documents: Iterable[Document]) -> Corpus:
        """The same corpus with one split replaced."""
        return replace(self, splits={**self.splits, split: tuple(documents)})

    def sample(self, share: float, *, seed: int) -> Corpus:
        """Keep a share of the training documents, drawn with the seed; smaller shares are part of larger ones.

        Args:
            share: in [0, 1]; at least one document is kept unless it is 0.
            seed: decides the draw, and nothing else does.

        Raises:
            ConfigError: the share is out of range.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"a share lies between 0 and 1, not at {share}")
        if share == 1:
            return self
        order = list(range(len(self.train)))
        random.Random(f"share/{seed}").shuffle(order)
        kept = sorted(order[: max(1, round(share * len(order)))] if share else [])
        return self.with_split("train", (self.train[i] for i in kept))


@dataclass(frozen=True)
class Task:
    """What a method is given: all of it already in the target's label names.

    Attributes:
        target: the labelled target; its ``labels`` are what may come out.
        sources: labelled corpora to learn from, in order.
        raw: target text without labels.
        judge: told what was found in raw documents, it says how many mentions are right and how many of them stand in
            documents whose gold is known. For the record alone: nothing is chosen by it. None where no gold is known.
    """

    target: Corpus
    sources: tuple[Corpus, ...] = ()
    raw: tuple[Document, ...] = ()
    judge: Callable[[Iterable[Document]], tuple[int, int]] | None = field(default=None, compare=False, repr=False)


@runtime_checkable
class Tagger(Protocol):
    """Anything that finds entities: a network, a dictionary, a vote of others."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        ...

    def tag(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents in the same order, with entities replaced by those found; streams."""
        ...
