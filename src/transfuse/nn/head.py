"""Heads: states in, tags out. One head knows one tag set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transfuse.nn.crf import CRF, Lattice
from transfuse.nn.padding import inside

__all__ = ["CRFHead", "Head", "MLPHead", "SoftmaxHead"]


class Head(nn.Module, ABC):
    """A projection of states onto tags, ``E = W h + b``; what is made of the emissions is up to the kinds."""

    def __init__(self, width: int, tags: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, tags)

    @property
    def first(self) -> nn.Linear:
        """The layer that reads the states."""
        return self.projection

    def emissions(self, states: Tensor) -> Tensor:
        """``[batch, time, width]`` states to ``[batch, time, tags]`` scores."""
        scores: Tensor = self.projection(states)
        return scores

    def rows(self, tags: Tensor, states: Tensor) -> Tensor:
        """Which of the emissions of words are those of some tags: ``[..., time]`` tags to columns of `emissions`.

        Args:
            tags: ``[..., time]``.
            states: ``[..., time, width]``.
        """
        return tags

    @abstractmethod
    def loss(self, states: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each sentence in nats: ``[batch]``. Arguments as in `CRF.loss`."""

    @abstractmethod
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The best tags ``[batch, time]`` for ``[batch, time, tags]`` emissions, 0 where a sentence has ended."""

    @abstractmethod
    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """Everything that a confidence needs; shapes as in `decode`."""


class CRFHead(Head):
    """A conditional random field over the emissions; arguments as in `CRF`."""

    def __init__(
        self, width: int, start: Sequence[bool], end: Sequence[bool], transition: Sequence[Sequence[bool]]
    ) -> None:
        super().__init__(width, len(start))
        self.crf = CRF(start, end, transition)

    def loss(self, states: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """See `Head.loss`."""
        return self.crf.loss(self.emissions(states), lengths, tags=tags, allowed=allowed)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """See `Head.decode`."""
        return self.crf.decode(emissions, lengths)

    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """See `Head.lattice`."""
        return self.crf.lattice(emissions, lengths)


class SoftmaxHead(Head):
    """Every word for itself (the BiLSTM baseline of Gan & Wang 2026).

    Decoding takes each word's best tag; illegal sequences are repaired where tags become spans.
    """

    def loss(self, states: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """See `Head.loss`; a word of which several tags agree with what is known counts their joint probability."""
        logs = self.emissions(states).log_softmax(-1)
        if allowed is None:
            known = logs.gather(2, tags[..., None]).squeeze(2)
        else:
            known = logs.masked_fill(~allowed, -torch.inf).logsumexp(-1)
        steps = inside(lengths, tags.shape[1])
        return -known.masked_fill(~steps, 0).sum(1)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """See `Head.decode`."""
        return emissions.argmax(-1) * inside(lengths, emissions.shape[1])

    @torch.no_grad()
    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """See `Head.lattice`: words do not know of each other, so every step is worth what its word says."""
        chances = emissions.double().softmax(-1)
        tags = chances.shape[-1]
        return Lattice(
            chances.new_zeros(len(lengths)), chances, torch.ones_like(chances), chances, chances.new_ones(tags, tags)
        )


class MLPHead(SoftmaxHead):
    """Every word for itself behind a hidden layer, half as wide as the states (the second head of Gan & Wang 2026).

    It learns words one by one. Among its readings of a sentence only legal ones count: a mention of which it misses a
    word would else be two wrong ones.
    """

    def __init__(
        self, width: int, start: Sequence[bool], end: Sequence[bool], transition: Sequence[Sequence[bool]]
    ) -> None:
        super().__init__(width // 2, len(start))
        self.hidden = nn.Linear(width, width // 2)
        self.paths = CRF(start, end, transition).requires_grad_(False)
        nn.init.zeros_(self.paths.transition)

    @property
    def first(self) -> nn.Linear:
        """See `Head.first`."""
        return self.hidden

    def emissions(self, states: Tensor) -> Tensor:
        """See `Head.emissions`."""
        return super().emissions(self.hidden(states).relu())

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """See `Head.decode`."""
        return self.paths.decode(emissions, lengths)

    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """See `Head.lattice`."""
        return self.paths.lattice(emissions, lengths)
