"""Batches of unequal length: sentences stand longest first, and nothing behind their ends is ever read."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["inside", "still_running", "turn"]


def inside(lengths: Tensor, time: int) -> Tensor:
    """Which places hold a word: ``[batch, time]`` bool, from ``[batch]`` lengths."""
    return torch.arange(time, device=lengths.device)[None] < lengths[:, None]


def still_running(lengths: Tensor, time: int) -> list[int]:
    """How many sentences, longest first, have a word at each step."""
    counts: list[int] = inside(lengths.cpu(), time).sum(0).tolist()
    return counts


def turn(lengths: Tensor, time: int) -> Tensor:
    """Positions that reverse each sentence and leave its padding where it is: ``[time, batch]``; its own inverse."""
    steps = torch.arange(time, device=lengths.device)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)
