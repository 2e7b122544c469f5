"""Raw text as passages of pieces: what a masked language model reads in one row.

A passage holds as many whole sentences of one document as fit, cut into words and pieces as a tagger cuts them. It
begins with a sentence, as everything begins that is tagged; only a sentence that is too long goes on in the next one.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from transfuse.data.overlap import without_overlap
from transfuse.encoders.pieces import PieceTable
from transfuse.files import write_beside
from transfuse.nn.padding import inside
from transfuse.pretraining.masking import PieceBatch
from transfuse.taggers.reading import chunks, pieces
from transfuse.taggers.vocabulary import normalise
from transfuse.text import ConfigError, Corpus, Document
from transfuse.words import is_blank

__all__ = ["Drawn", "Passages", "SplitText", "cut_passages", "join", "plan"]

_HELD = 100
"""Documents that are held out, at most; and of fewer than twenty times as many, a twentieth."""

_LOOKED_UP = 500
"""Documents that are looked up in a target at once."""

_WORDS = 50_000
"""Words that are cut into pieces at once."""

_FORMS = 1 << 18
"""So many word forms are remembered, at most."""

_TOGETHER = 32
"""Passages of so many batches are sorted by length, so that little is filled up."""


@dataclass(frozen=True)
class Passages:
    """Passages one behind the other.

    Attributes:
        pieces: ``[pieces]`` int32.
        words: ``[pieces]`` int32, to which word of its passage a piece belongs, from 0.
        told: ``[pieces]`` int32, at a word's first piece the row of its vector; 0 where it has none, and elsewhere.
        bounds: ``[passages + 1]`` where each passage begins, and where the last one ends.
    """

    pieces: Tensor
    words: Tensor
    told: Tensor
    bounds: Tensor

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Tensor:
        """``[passages]`` pieces of each."""
        return self.bounds.diff()

    def batch(self, numbers: Tensor) -> PieceBatch:
        """Some of them as a batch."""
        lengths = self.lengths[numbers]
        steps = inside(lengths, int(lengths.max()))
        places = (self.bounds[numbers][:, None] + torch.arange(steps.shape[1]))[steps]
        found, words, told = torch.zeros(3, *steps.shape, dtype=torch.long)
        for into, values in ((found, self.pieces), (words, self.words), (told, self.told)):
            into[steps] = values[places].long()
        return PieceBatch(found, words, told, lengths)


def cut_passages(
    documents: Sequence[Document], table: PieceTable, capacity: int, *, vectors: Mapping[str, int] | None = None
) -> Passages:
    """Cut documents into passages.

    Args:
        documents: any; those without a word give nothing.
        table: cuts words into pieces.
        capacity: pieces of a passage, at most; no word has more.
        vectors: rows, from 1, of normalised words that have a vector.
    """
    if len(table) > _FORMS:
        table.clear()
    found = pieces(documents)
    rows = [table.numbers(table.spell(documents[number].text, offsets)) for number, offsets in found]
    forms = table.forms()
    numbers = torch.tensor([number for row in rows for number in row], dtype=torch.long)
    counts = forms.counts[numbers]
    sizes = iter(counts.tolist())
    sentences: dict[int, list[list[int]]] = {}
    for (document, _), row in zip(found, rows, strict=True):
        sentences.setdefault(document, []).append([next(sizes) for _ in row])
    packed = [words for each in sentences.values() for words in _packed(each, capacity)]
    flat = forms.pieces[numbers][inside(counts, forms.pieces.shape[1])]
    number = torch.cat([torch.arange(words) for words in packed] or [torch.zeros(0, dtype=torch.long)])
    ends = counts.cumsum(0)[torch.tensor(packed, dtype=torch.long).cumsum(0) - 1]
    bounds = torch.cat([ends.new_zeros(1), ends])
    told = torch.zeros(len(flat), dtype=torch.int32)
    if vectors:
        spelt = (documents[number].text[a:b] for number, offsets in found for a, b in offsets)
        rows_ = torch.tensor([vectors.get(normalise(word), 0) for word in spelt], dtype=torch.int32)
        told[counts.cumsum(0) - counts] = rows_
    return Passages(flat.int(), number.repeat_interleave(counts).int(), told, bounds)


def _packed(sentences: Sequence[Sequence[int]], capacity: int) -> Iterator[int]:
    """How many words each passage of a document takes, given the pieces of its sentences' words."""
    words = held = 0
    for sizes in sentences:
        if words and held + sum(sizes) > capacity:
            yield words
            words = held = 0
        for size in sizes:
            if held + size > capacity:
                yield words
                words = held = 0
            words, held = words + 1, held + size
    if words:
        yield words


def join(parts: Iterable[Passages]) -> Passages:
    """All passages of some, in order."""
    parts = list(parts)
    starts = torch.tensor([0, *(len(part.pieces) for part in parts)]).cumsum(0).tolist()
    bounds = [part.bounds[1:] + start for part, start in zip(parts, starts, strict=False)]
    return Passages(
        torch.cat([part.pieces for part in parts]),
        torch.cat([part.words for part in parts]),
        torch.cat([part.told for part in parts]),
        torch.cat([torch.zeros(1, dtype=torch.long), *bounds]),
    )


def plan(lengths: Tensor, batch: int, *, steps: int = 0, pieces: int = 0, seed: int = 0) -> list[Tensor]:
    """Which passages are read at each step: all of them in a drawn order, then all again in another.

    Args:
        lengths: ``[passages]`` pieces of each, at least one passage.
        batch: passages a step.
        steps: how many there are; or
        pieces: steps go on until so many pieces were read.
        seed: decides the order.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    read = 0
    while True:
        order = torch.randperm(len(lengths), generator=generator)
        for some in torch.split(order, _TOGETHER * batch):
            groups = torch.split(some[lengths[some].argsort(descending=True, stable=True)], batch)
            for number in torch.randperm(len(groups), generator=generator).tolist():
                found.append(groups[number])
                read += int(lengths[groups[number]].sum())
                if read >= pieces if pieces else len(found) == steps:
                    return found


@dataclass(frozen=True)
class SplitText:
    """What is learned from, and what the learned model is asked about.

    Attributes:
        train: passages.
        held: those of the documents that were held out.
        facts: counts and SHA-256, for the record.
    """

    train: Passages
    held: Passages
    facts: dict[str, Any]

    def save(self, path: Path) -> None:
        """Keep it, so that a killed run reads the same again, and at once."""
        parts = {"train": self.train, "held": self.held}
        tensors = {f"{name}.{key}": value for name, part in parts.items() for key, value in vars(part).items()}
        with write_beside(path) as fresh:
            save_file(tensors, fresh, {"facts": json.dumps(self.facts)})

    @classmethod
    def load(cls, path: Path) -> SplitText:
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            keys = ("pieces", "words", "told", "bounds")
            train, held = (Passages(*(file.get_tensor(f"{name}.{key}") for key in keys)) for name in ("train", "held"))
            return cls(train, held, json.loads(file.metadata()["facts"]))


class Drawn:
    """Documents that hold a word, each text once, in a drawn order.

    Args:
        documents: read once, and held in memory.
        targets: documents that stand in the dev or test split of one of these are left out.
        limit: how many are drawn; 0 for all.
        seed: decides the order.
    """

    def __init__(
        self, documents: Iterable[Document], targets: Sequence[Corpus] = (), *, limit: int = 0, seed: int = 0
    ) -> None:
        self._counts = Counter(documents=0, empty=0, repeated=0, read=0)
        self._removed = {target.name: {"by_id": 0, "by_text": 0} for target in targets}
        self._targets = targets
        unique: dict[str, Document] = {}
        for document in documents:
            self._counts["documents"] += 1
            if is_blank(document.text):
                self._counts["empty"] += 1
            elif document.text in unique:
                self._counts["repeated"] += 1
            else:
                unique[document.text] = Document(document.id, document.text)  # what is annotated in it is not for us
        self._order = list(unique.values())
        random.Random(f"pretrain/{seed}").shuffle(self._order)
        if limit:
            del self._order[limit:]

    def read(
        self,
        table: PieceTable,
        capacity: int,
        *,
        passages: int,
        pieces: int = 0,
        vectors: Mapping[str, int] | None = None,
    ) -> SplitText:
        """Cut documents into passages until there are enough; the first documents are held out.

        Args:
            table: cuts words into pieces.
            capacity: pieces of a passage, at most.
            passages: how many are enough; unless
            pieces: are given, and are then what is counted.
            vectors: as `cut_passages` takes them.

        Raises:
            ConfigError: there are fewer than two documents.
        """
        digest = hashlib.sha256()
        left = _hashed(self._apart(), digest)
        held = list(islice(left, min(_HELD, max(1, len(self._order) // 20))))
        parts: list[Passages] = []
        for group in filter(None, chunks(left, _WORDS)):
            parts.append(cut_passages(group, table, capacity, vectors=vectors))
            self._counts["read"] += len(group)
            if sum(len(part.pieces) for part in parts) >= pieces if pieces else sum(map(len, parts)) >= passages:
                break
        if not parts:
            raise ConfigError(
                f"of {self._counts['documents']} documents {len(held)} can be read, and two are needed, since one is "
                "held out; txt[per=line]:FILE takes each line for a document"
            )
        train, rest = join(parts), cut_passages(held, table, capacity, vectors=vectors)
        sizes = {"held_out": len(held), "pieces": len(train.pieces), "passages": len(train)}
        facts = {**self._counts, **sizes, "removed": self._removed, "sha256": digest.hexdigest()}
        return SplitText(train, rest, {"text": facts})

    def _apart(self) -> Iterator[Document]:
        """The documents that no target is scored on; those that go are counted as they are looked up."""
        for start in range(0, len(self._order), _LOOKED_UP):
            some = Corpus("text", {"train": tuple(self._order[start : start + _LOOKED_UP])}, ())
            for target in self._targets:
                some, gone = without_overlap(some, target)
                for reason, number in gone.items():
                    self._removed[target.name][reason] += number
            yield from some.train


def _hashed(documents: Iterable[Document], digest: Any) -> Iterator[Document]:
    for document in documents:
        digest.update(f"\x1e{document.id}\x1f{document.text}".encode("utf-8", "surrogatepass"))
        yield document
