"""Maximum mean discrepancy (Gretton et al. 2012): how far apart the states of two corpora lie, as a loss.

A kernel is a sum of Gaussians, ``k(x, y) = sum_s exp(-|x - y|^2 / (2 s))``. Squared distances come from one matrix
product a block of rows, and the value and its gradient are written together, so memory stays constant in the number
of tokens. Distances below the rounding error of that product count as exactly 0: the square root that
``torch.cdist`` takes, with its infinite slope at 0, is never taken. Draws come from torch's global CPU generator,
which a run seeds and checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from transfuse.text import ConfigError

__all__ = ["Kernel", "label_mmd", "mmd"]

RELEASED = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6)
"""Squared bandwidths in the released code of La-DTL."""

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Squared bandwidths by the median heuristic, as multiples of the median squared distance."""

_OUTSIDE = 0  # the row of O in every tag set
_MEDIAN_OF = 64  # tokens, drawn where there are more: 2,016 distances, whose median costs little beside the sum
_BLOCK = 1 << 19  # numbers that a block of rows may hold at once
_ROUNDING = 16  # a squared distance below so many rounding errors of its terms is 0
_SMALLEST = {"biased": 1, "unbiased": 2, "linear": 2, "features": 1}


@dataclass(frozen=True)
class Kernel:
    """How the distance between two samples of states is measured.

    Attributes:
        bandwidths: ``released`` sums the 19 fixed Gaussians of La-DTL's released code (squared bandwidths from 1e-6 to
            1e6); ``median`` sums five, at 1/4, 1/2, 1, 2 and 4 times the median squared distance between the tokens
            of both sides (of 64 drawn ones where there are more), no gradient flowing through the median.
        estimate: ``biased`` and ``unbiased`` as Gretton et al. (2012), equations 5 and 3; ``linear`` their section 6;
            ``features`` is biased, by random Fourier features (Rahimi & Recht 2007).
        cap: tokens a tag and side, drawn without replacement; 0 for all.
        features: how many random features, sines and cosines together; another number is refused with another estimate.
        outside: whether the tag O takes part in `label_mmd`.

    Raises:
        ConfigError: a value out of range, or one that would do nothing.
    """

    bandwidths: Literal["released", "median"] = "released"
    estimate: Literal["biased", "unbiased", "linear", "features"] = "biased"
    cap: int = 64
    features: int = 512
    outside: bool = True

    def __post_init__(self) -> None:
        if self.bandwidths not in {"released", "median"}:
            raise ConfigError(f"bandwidths is released or median, not {self.bandwidths!r}")
        if self.estimate not in _SMALLEST:
            raise ConfigError(f"estimate is one of {', '.join(_SMALLEST)}, not {self.estimate!r}")
        if self.cap and self.cap < _SMALLEST[self.estimate]:
            raise ConfigError(f"cap is 0 for all tokens, or at least {_SMALLEST[self.estimate]}, not {self.cap}")
        if self.features % 2 or self.features < 2 * len(RELEASED):
            raise ConfigError(f"features is an even number from {2 * len(RELEASED)}, not {self.features}")
        if self.features != Kernel.features and self.estimate != "features":
            raise ConfigError(f'features would do nothing with estimate = "{self.estimate}": it is of "features"')


def mmd(source: Tensor, target: Tensor, kernel: Kernel) -> Tensor:
    """Squared maximum mean discrepancy between two samples.

    Args:
        source: ``[n, width]``.
        target: ``[m, width]``, of the same type.
        kernel: how it is measured.

    Returns:
        A scalar: at least 0 where the estimate is biased. Exactly 0, with a gradient of exactly 0, where a side is
        empty, or has fewer than two tokens and the estimate needs two.
    """
    return _total(source, target, [tuple(torch.arange(len(states)) for states in (source, target))], kernel)


def label_mmd(
    source: Tensor,
    source_tags: Tensor,
    target: Tensor,
    target_tags: Tensor,
    kernel: Kernel,
    *,
    pairs: Sequence[tuple[int, int]],
) -> Tensor:
    """Label-aware discrepancy, L_LaMMD of La-DTL (Wang et al. 2018): `mmd` summed over shared tags, each weighing 1.

    Args:
        source: ``[n, width]`` states of all real tokens.
        source_tags: ``[n]`` their rows in the source's tag set.
        target: ``[m, width]``, of the same type.
        target_tags: ``[m]``.
        kernel: how it is measured.
        pairs: of each shared tag its row in the source's tag set and in the target's; row 0 is O.

    Returns:
        A scalar. A tag that is absent from one side adds exactly 0, with a gradient of exactly 0.
    """
    kept = [pair for pair in pairs if kernel.outside or pair[0] != _OUTSIDE]
    rows = [(torch.where(source_tags == here)[0], torch.where(target_tags == there)[0]) for here, there in kept]
    return _total(source, target, rows, kernel)


def _total(source: Tensor, target: Tensor, rows: Sequence[tuple[Tensor, ...]], kernel: Kernel) -> Tensor:
    """The sum over pairs of samples, each given by its rows on both sides; every side is gathered once."""
    enough = [pair for pair in rows if min(map(len, pair)) >= _SMALLEST[kernel.estimate]]
    if not enough:
        return source[:0].sum() + target[:0].sum()
    sides = []
    for states, chosen in zip((source, target), zip(*enough, strict=True), strict=True):
        drawn = [_draw(sample, kernel.cap).to(states.device) for sample in chosen]
        sides.append(torch.split(states.index_select(0, torch.cat(drawn)), [len(sample) for sample in drawn]))
    return torch.stack([_discrepancy(here, there, kernel) for here, there in zip(*sides, strict=True)]).sum()


def _draw(sample: Tensor, cap: int) -> Tensor:
    """At most so many of a sample, all in their order where they are no more; 0 for all."""
    return sample[torch.randperm(len(sample))[:cap]] if 0 < cap < len(sample) else sample


def _discrepancy(source: Tensor, target: Tensor, kernel: Kernel) -> Tensor:
    """One squared discrepancy, of samples that are large enough."""
    rates = _rates(source, target, kernel)
    match kernel.estimate:
        case "linear":
            return _linear(source, target, rates)
        case "features":
            return _random_features(source, target, rates, kernel.features)
    pooled = torch.cat([source, target])
    squared: Tensor = _Quadratic.apply(pooled, len(source), rates, kernel.estimate == "unbiased")  # type: ignore[no-untyped-call]
    return squared


def _rates(source: Tensor, target: Tensor, kernel: Kernel) -> Tensor:
    """``[kernels]`` of 1 / (2 s)."""
    if kernel.bandwidths == "released":
        return 0.5 / source.new_tensor(RELEASED)
    pooled = _draw(torch.cat([source, target]).detach(), _MEDIAN_OF)
    squared, _ = _distances(pooled - pooled.mean(0), pooled - pooled.mean(0))
    count = len(pooled)
    # In order come the distances of tokens to themselves, then each pair twice.
    middle = squared.flatten().kthvalue(count + (count * (count - 1) // 2 - 1) // 2 * 2 + 1).values
    if not middle:
        middle = squared.mean()
    return 0.5 / (source.new_tensor(MULTIPLES) * (middle if middle else 1.0))


def _distances(rows: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """``[rows, states]`` squared distances, and which of them cannot be told from 0."""
    scale = rows.square().sum(1)[:, None] + states.square().sum(1)
    squared = torch.addmm(scale, rows, states.T, alpha=-2)
    same = squared <= _ROUNDING * torch.finfo(squared.dtype).eps * scale
    return squared.masked_fill_(same, 0), same


class _Quadratic(torch.autograd.Function):
    """``sum_ij w_i w_j k(x_i, x_j)`` with w = 1/n on the source's rows and -1/m on the target's, and its gradient."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, n: int, rates: Tensor, unbiased: bool) -> Tensor:
        """``[n + m, width]`` to a scalar; unbiased leaves out a token's distance to itself."""
        m = len(states) - n
        states = states - states.mean(0)
        weight = torch.cat([states.new_full((n,), 1 / n), states.new_full((m,), -1 / m)])
        total = states.new_zeros((), dtype=torch.float64)
        gradient = torch.empty_like(states)
        step = max(1, _BLOCK // (len(states) * len(rates)))
        sums = torch.stack([torch.ones_like(rates), rates])
        lowest = math.log(torch.finfo(states.dtype).tiny) + 1
        for first in range(0, len(states), step):
            block = slice(first, first + step)
            rows = states[block]
            squared, same = _distances(rows, states)
            # What underflows takes ten times as long as what does not, and is 0 either way.
            grown = torch.outer(-rates, squared.flatten()).clamp_(min=lowest).exp_()
            value, slope = (sums @ grown).view(2, *squared.shape)
            share = weight[block, None] * weight
            if unbiased:
                share[: max(0, n - first), :n] *= n / (n - 1)
                share[max(0, n - first) :, n:] *= m / (m - 1)
                share.diagonal(first).zero_()
            total += (value * share).sum(dtype=torch.float64)
            pull = (slope * share).masked_fill_(same, 0)
            gradient[block] = 4 * (pull @ states - pull.sum(1, keepdim=True) * rows)
        ctx.save_for_backward(gradient)
        return (total if unbiased else total.clamp(min=0)).to(states.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient was made on the way forward."""
        (gradient,) = ctx.saved_tensors
        return grads[0] * gradient, None, None, None


def _linear(source: Tensor, target: Tensor, rates: Tensor) -> Tensor:
    """Gretton et al. (2012), lemma 14: disjoint pairs of tokens in random order."""
    count = min(len(source), len(target)) // 2 * 2
    x, y = (s[torch.randperm(len(s))[:count].to(s.device)] for s in (source, target))
    total = source.new_zeros(())
    for sign, a, b in ((1, x[::2], x[1::2]), (1, y[::2], y[1::2]), (-1, x[::2], y[1::2]), (-1, x[1::2], y[::2])):
        squared = (a - b).square().sum(1)
        total = total + sign * torch.outer(squared, -rates).exp().sum(1).mean()
    return total


def _random_features(source: Tensor, target: Tensor, rates: Tensor, features: int) -> Tensor:
    """Every Gaussian has its share of the frequencies, drawn from its Fourier transform, N(0, 2 rate)."""
    which = torch.arange(features // 2) % len(rates)
    scale = which.bincount(minlength=len(rates))[which].to(rates) ** -0.5
    rate = rates[which.to(rates.device)]
    draws = torch.randn(source.shape[1], features // 2, dtype=source.dtype).to(source.device)
    frequencies = draws * (2 * rate).sqrt()
    gap = source.new_zeros(())
    means = []
    for states in (source, target):
        angle = states @ frequencies
        means.append((angle.cos().mean(0) * scale, angle.sin().mean(0) * scale))
    for here, there in zip(*means, strict=True):
        gap = gap + (here - there).square().sum()
    return gap
