"""A linear-chain conditional random field (Lafferty et al. 2001): own forward-backward, its gradient written directly.

The score of a tag path is ``start[y_1] + sum_i E[i, y_i] + sum_i A[y_i, y_{i+1}] + end[y_n]``. Illegal starts, ends
and transitions have no weight, in training as in decoding. Where only some of a word's tags are known to be wrong, the
numerator sums over all paths that agree with what is known (partial CRF, Tsuboi et al. 2008).

The recursions run on probabilities that are scaled to sum to one at each step, in float64: two small products a step
instead of a logarithm of sums. Proven against enumeration of all paths in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transfuse.nn.padding import inside, still_running

__all__ = ["CRF", "Lattice", "Numbers", "Scores"]

Scores = tuple[Tensor, Tensor, Tensor]
"""Of starts ``[tags]``, ends ``[tags]`` and transitions ``[tags, tags]``."""


class CRF(nn.Module):
    """Transitions, start and end scores over tags, with constraints.

    Args:
        start: for each tag whether a sentence may begin with it.
        end: for each tag whether a sentence may end with it.
        transition: ``transition[i][j]`` is whether tag j may follow tag i.
    """

    legal_start: Tensor
    legal_end: Tensor
    legal_transition: Tensor

    def __init__(self, start: Sequence[bool], end: Sequence[bool], transition: Sequence[Sequence[bool]]) -> None:
        super().__init__()
        tags = len(start)
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))
        self.transition = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        for name, legal in (("start", start), ("end", end), ("transition", transition)):
            self.register_buffer(f"legal_{name}", torch.tensor(legal), persistent=False)

    def chain(self) -> tuple[Scores, Scores]:
        """The scores, and bool which of them are of what is legal."""
        legal = self.legal_start, self.legal_end, self.legal_transition
        return (self.start, self.end, self.transition), legal

    def loss(self, emissions: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each sentence.

        Args:
            emissions: ``[batch, time, tags]``.
            lengths: ``[batch]``, longest first, none 0.
            tags: ``[batch, time]`` the gold path; read where ``allowed`` is None.
            allowed: ``[batch, time, tags]`` bool, the tags that agree with what is known; at least one a word.

        Returns:
            ``[batch]``, in nats, at least 0.
        """
        parameters, legal = self.chain()
        everything: Tensor = _Partition.apply(emissions, *parameters, legal, lengths, None)  # type: ignore[no-untyped-call]
        if allowed is None:
            return everything - self.score(emissions, lengths, tags)
        known: Tensor = _Partition.apply(emissions, *parameters, legal, lengths, allowed)  # type: ignore[no-untyped-call]
        return everything - known

    def score(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """The score of one path a sentence: ``[batch]``; shapes as in `loss`."""
        start, end, transition = self.chain()[0]
        steps = inside(lengths, tags.shape[1])
        words = emissions.gather(2, tags[..., None]).squeeze(2) * steps
        moves = transition[tags[:, :-1], tags[:, 1:]] * steps[:, 1:]
        last = tags.gather(1, lengths[:, None] - 1).squeeze(1)
        return start[tags[:, 0]] + words.sum(1) + moves.sum(1) + end[last]

    @torch.no_grad()
    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """Everything that a confidence needs; shapes as in `loss`."""
        start, end, move = self._weights()
        return _forward_backward(emissions, lengths, start, end, move, None)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The best legal path of each sentence (Viterbi 1967).

        Returns:
            ``[batch, time]`` tags; 0 where a sentence has ended.
        """
        never = torch.finfo(emissions.dtype).min / 4
        start, end, move = (scores.masked_fill(~legal, never) for scores, legal in zip(*self.chain(), strict=True))
        move = move.T.contiguous()
        best = emissions[:, 0] + start
        batch, time, tags = emissions.shape
        alive = still_running(lengths, time)
        came_from = torch.zeros(time, batch, tags, dtype=torch.long, device=emissions.device)
        for t in range(1, time):
            n = alive[t]
            value, came_from[t, :n] = (best[:n, None] + move).max(-1)
            best[:n] = value.add_(emissions[:n, t])
        # numpy takes single numbers in a fraction of torch's time
        tag, before = (best + end).argmax(-1).cpu().numpy(), came_from.cpu().numpy()
        path = np.zeros((batch, time), dtype=np.int64)
        row = np.arange(batch)
        for t in range(time - 1, 0, -1):
            n = alive[t]
            path[:n, t] = tag[:n]
            tag[:n] = before[t, row[:n], tag[:n]]
        path[:, 0] = tag
        return torch.from_numpy(path).to(emissions.device)

    def _weights(self) -> Scores:
        """Start, end and transition as float64 weights, 0 where illegal."""
        start, end, move = (scores.double().exp() * legal for scores, legal in zip(*self.chain(), strict=True))
        return start, end, move


class Numbers(NamedTuple):
    """What a `Lattice` holds under these names."""

    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    arriving: NDArray[np.float64]
    move: NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """The forward-backward quantities of a batch, longest sentence first, all float64.

    Attributes:
        log_partition: ``[batch]``.
        forward: ``[batch, time, tags]`` p(tag | words up to here), summing to 1.
        backward: ``[batch, time, tags]``, scaled so that ``forward * backward`` is the marginal.
        arriving: ``[batch, time, tags]`` emission weight over scale: what a step into this tag is worth.
        move: ``[tags, tags]`` transition weights.
    """

    log_partition: Tensor
    forward: Tensor
    backward: Tensor
    arriving: Tensor
    move: Tensor

    @property
    def marginals(self) -> Tensor:
        """``[batch, time, tags]`` p(tag | sentence)."""
        return self.forward * self.backward

    @cached_property
    def numbers(self) -> Numbers:
        """All but the partition as arrays: single numbers come out of them many times faster than out of tensors."""
        return Numbers(*(each.cpu().numpy() for each in (self.forward, self.backward, self.arriving, self.move)))

    def step(self, row: int, word: int) -> NDArray[np.float64]:
        """``[tags, tags]`` transition weights from the word before to a word."""
        return self.numbers.move

    def span(self, row: int, first: int, tags: Sequence[int], closed_by: Sequence[bool] | None) -> float:
        """Probability that a sentence's path reads ``tags`` from word ``first`` on, and then does not go on.

        Args:
            row: sentence.
            first: word at which the span begins.
            tags: the span's tags, one a word.
            closed_by: for each tag whether the word after the span may have it; None where the span ends the sentence.
        """
        forward, backward, arriving, _ = self.numbers
        value = forward[row, first, tags[0]]
        for step, (before, tag) in enumerate(pairwise(tags), start=first + 1):
            value = value * self.step(row, step)[before, tag] * arriving[row, step, tag]
        after = first + len(tags)
        if closed_by is None:
            return float(value * backward[row, after - 1, tags[-1]])
        onward = self.step(row, after)[tags[-1]] * arriving[row, after] * backward[row, after]
        return float(value * onward[list(closed_by)].sum())


def _forward_backward(
    emissions: Tensor, lengths: Tensor, start: Tensor, end: Tensor, move: Tensor, allowed: Tensor | None
) -> Lattice:
    """Scaled forward-backward (Rabiner 1989, section V.A).

    Args:
        emissions: ``[batch, time, tags]`` scores.
        lengths: ``[batch]``, longest first.
        start: ``[tags]`` weights, not scores; ``end`` likewise, and ``move`` ``[tags, tags]``.
        end: see start.
        move: see start.
        allowed: ``[batch, time, tags]`` bool or None for all.

    Raises:
        FloatingPointError: no path has any weight: the constraints contradict each other, or scores lie more than 700
            nats apart.
    """
    batch, time, tags = emissions.shape
    alive = still_running(lengths, time)
    highest = emissions.amax(-1, keepdim=True)
    weight = (emissions - highest).double().exp()
    if allowed is not None:
        weight = weight * allowed
    weight = weight.transpose(0, 1).contiguous()
    forward = weight.new_zeros(time, batch, tags)
    scale = weight.new_ones(time, batch, 1)
    state = weight[0] * start
    for t in range(time):
        n = alive[t]
        if t:
            state = torch.mm(state[:n], move).mul_(weight[t, :n])
        total = state.sum(-1, keepdim=True)
        state = torch.div(state, total, out=forward[t, :n])
        scale[t, :n] = total
    rows = torch.arange(batch, device=lengths.device)
    closing = (forward[lengths - 1, rows] * end).sum(-1)
    steps = inside(lengths, time).T
    log_partition = scale.squeeze(-1).log().sum(0) + closing.log() + (highest.squeeze(-1).T * steps).double().sum(0)
    if not torch.isfinite(log_partition).all():
        raise FloatingPointError("no tag path has any weight: scores are not finite or the constraints contradict")
    arriving = weight.div_(scale)
    backward = torch.zeros_like(forward)
    opened = end / closing[:, None]
    state = opened[: alive[-1]]
    backward[-1, : alive[-1]] = state
    back = move.T
    for t in range(time - 2, -1, -1):
        n, m = alive[t], alive[t + 1]
        torch.mm(arriving[t + 1, :m] * backward[t + 1, :m], back, out=backward[t, :m])
        if n > m:
            backward[t, m:n] = opened[m:n]
    return Lattice(log_partition, forward.transpose(0, 1), backward.transpose(0, 1), arriving.transpose(0, 1), move)


class _Partition(torch.autograd.Function):
    """log Z with its gradient: the marginals of tags, of transitions, of starts and of ends."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        end: Tensor,
        transition: Tensor,
        legal: tuple[Tensor, Tensor, Tensor],
        lengths: Tensor,
        allowed: Tensor | None,
    ) -> Tensor:
        """See `CRF.loss`: ``[batch]``."""
        begin, close, move = (x.double().exp() * mask for x, mask in zip((start, end, transition), legal, strict=True))
        lattice = _forward_backward(emissions, lengths, begin, close, move, allowed)
        ctx.save_for_backward(lattice.forward, lattice.backward, lattice.arriving, lattice.move, lengths)
        ctx.dtype = emissions.dtype
        return lattice.log_partition.to(emissions.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """``[batch]`` in; gradients of emissions, start, end, transition out."""
        forward, backward, arriving, move, lengths = ctx.saved_tensors
        share = grads[0].double()[:, None, None]
        marginal = forward * backward * share
        before = (forward * share)[:, :-1].flatten(0, 1)
        after = (arriving * backward)[:, 1:].flatten(0, 1)
        pairs = torch.mm(before.T, after) * move
        rows = torch.arange(len(lengths), device=lengths.device)
        last = marginal[rows, lengths - 1].sum(0)
        out = (marginal, marginal[:, 0].sum(0), last, pairs)
        return *(g.to(ctx.dtype) for g in out), None, None, None
