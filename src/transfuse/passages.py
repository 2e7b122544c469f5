"""Raw text as passages of pieces: what a masked language model reads in one row.

A passage holds as many whole sentences of one document as fit, cut into words and pieces as a tagger cuts them. It
begins with a sentence, as everything begins that is tagged; only a sentence that is too long goes on in the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transfuse.masking import PieceBatch
from transfuse.nn.padding import inside
from transfuse.pieces import PieceTable
from transfuse.reading import pieces
from transfuse.text import Document

__all__ = ["Passages", "cut_passages", "join", "plan"]

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
        bounds: ``[passages + 1]`` where each passage begins, and where the last one ends.
    """

    pieces: Tensor
    words: Tensor
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
        found, words = torch.zeros(2, *steps.shape, dtype=torch.long)
        found[steps], words[steps] = self.pieces[places].long(), self.words[places].long()
        return PieceBatch(found, words, lengths)


def cut_passages(documents: Sequence[Document], table: PieceTable, capacity: int) -> Passages:
    """Cut documents into passages.

    Args:
        documents: any; those without a word give nothing.
        table: cuts words into pieces.
        capacity: pieces of a passage, at most; no word has more.
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
    return Passages(flat.int(), number.repeat_interleave(counts).int(), bounds)


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
