"""A CRF over the pieces of words whose tags keep to word borders.

All pieces of a word tell the same: inside a word, tags only go on, so the tag of a word settles those of its pieces. A
CRF over pieces that knows the borders is therefore exactly one over words of two kinds, those of one piece and those of
several. A word's emission is the score of its pieces' part of the path, and the transition to the next word is that
from its last piece to the next one's first; so both depend on the kind, and a chain over pairs of tag and kind, in
which the wrong kind of each word has no weight, is all that is needed. Proven against enumeration of piece paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transfuse.nn.crf import CRF, Lattice, Scores
from transfuse.nn.head import CRFHead

__all__ = ["PieceCRF", "PieceHead", "PieceLattice"]


class PieceCRF(CRF):
    """A CRF over the pieces of words, as a chain over words.

    Its tags are those of words of one piece, then those of words of several.

    Args:
        start: see `CRF`; of words.
        end: see start.
        transition: see start.
        parts: for each tag of a word, the tags of the first, of a middle and of the last of its pieces. They may be
            further ones, numbered behind those of words.
    """

    first: Tensor
    middle: Tensor
    last: Tensor

    def __init__(
        self,
        start: Sequence[bool],
        end: Sequence[bool],
        transition: Sequence[Sequence[bool]],
        parts: Sequence[tuple[int, int, int]],
    ) -> None:
        super().__init__(start, end, transition)
        tags = 1 + max(max(part) for part in parts)
        if tags > len(start):
            self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
            self.transition = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        for name, rows in zip(("first", "middle", "last"), zip(*parts, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(rows), persistent=False)

    def chain(self) -> tuple[Scores, Scores]:
        """See `CRF.chain`; of words by tag and kind."""
        alone = torch.arange(len(self.first), device=self.first.device)
        first, last = torch.cat([alone, self.first]), torch.cat([alone, self.last])
        scores = self.start[first], self.end[last], self.transition[last][:, first]
        legal = self.legal_start.repeat(2), self.legal_end.repeat(2), self.legal_transition.repeat(2, 2)
        return scores, legal

    def inside(self, more: Tensor) -> Tensor:
        """What the transitions inside of a word give: ``[..., 1]`` pieces behind its first to ``[..., tags]``."""
        first, middle, last, move = self.first, self.middle, self.last, self.transition
        through = move[first, middle] + (more - 2) * move[middle, middle] + move[middle, last]
        return torch.where(more > 1, through, move[first, last])


class PieceHead(CRFHead):
    """A CRF over the pieces of words, in the place of one over words; states and tags are those of words.

    The states of a word are, side by side, the state of its first piece, the sum of those of its middle pieces, the
    state of its last one, and the number of pieces behind the first (of a word with one piece, the second and third
    part are not read). As emissions are linear in the states, nothing more need be known of the pieces.

    With a tag of its own for all pieces behind the first (``X``), what these pieces say themselves
    cancels, for the tag stands on them in every path: they have no emissions, and states have no part for them.
    Transitions lead through the tag, and what may follow it is what may follow the word.

    Args:
        width: of the states.
        start: see `CRF`.
        end: see start.
        transition: see start.
        parts: see `PieceCRF`; None for a tag of its own.
    """

    crf: PieceCRF

    def __init__(
        self,
        width: int,
        start: Sequence[bool],
        end: Sequence[bool],
        transition: Sequence[Sequence[bool]],
        *,
        parts: Sequence[tuple[int, int, int]] | None,
    ) -> None:
        tags = len(start)
        super().__init__((width - 1) // (3 if parts else 1), start, end, transition)
        self.crf = PieceCRF(start, end, transition, parts or [(tag, tags, tags) for tag in range(tags)])
        self.whole = parts is not None

    def emissions(self, states: Tensor) -> Tensor:
        """``[batch, time, width]`` states to ``[batch, time, 2 * tags]``, those of the wrong kind without weight."""
        width, more = self.projection.in_features, states[..., -1:]
        alone = self.projection(states[..., :width])
        several = alone[..., self.crf.first] + self.crf.inside(more)
        if self.whole:
            middle = nn.functional.linear(states[..., width : 2 * width], self.projection.weight)
            middle = middle + (more - 1) * self.projection.bias
            last = self.projection(states[..., 2 * width : -1])
            several = several + middle[..., self.crf.middle] + last[..., self.crf.last]
        never = _never(alone)
        return torch.cat([alone.masked_fill(more > 0, never), several.masked_fill(more == 0, never)], -1)

    def rows(self, tags: Tensor, states: Tensor) -> Tensor:
        """See `Head.rows`."""
        return tags + len(self.crf.first) * (states[..., -1] > 0)

    def loss(self, states: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """See `Head.loss`; arguments are of words."""
        if allowed is not None:
            allowed = allowed.repeat(1, 1, 2)
        return super().loss(states, lengths, tags=self.rows(tags, states), allowed=allowed)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """See `Head.decode`; tags of words."""
        return super().decode(emissions, lengths) % len(self.crf.first)

    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """See `Head.lattice`; tags of words."""
        found, tags = super().lattice(emissions, lengths), len(self.crf.first)
        several = emissions[..., 0] == _never(emissions)
        rows = torch.arange(tags, device=emissions.device) + tags * several[..., None]
        forward, backward, arriving = (x.gather(2, rows) for x in (found.forward, found.backward, found.arriving))
        return PieceLattice(found.log_partition, forward, backward, arriving, found.move, several)


@dataclass(frozen=True)
class PieceLattice(Lattice):
    """Of a chain over tags and kinds, what it says of the tags of words.

    Attributes:
        several: ``[batch, time]`` bool, words of several pieces; ``move`` is ``[2 * tags, 2 * tags]``.
    """

    several: Tensor

    def step(self, row: int, word: int) -> NDArray[np.float64]:
        """See `Lattice.step`."""
        tags = self.forward.shape[2]
        before, after = (tags * int(kind) for kind in self.several[row, word - 1 : word + 1])
        return self.numbers.move[before : before + tags, after : after + tags]


def _never(emissions: Tensor) -> float:
    """Low enough to have no weight, high enough to be added up."""
    return torch.finfo(emissions.dtype).min / 4
