"""Several processes, one a device, that share the batches of a step; started by ``torchrun`` or ``accelerate launch``.

Each of them does the same run, from the same seed to the same weights, and differs only in which batches of a step it
computes. The first one leads: it alone writes the run folder and speaks. One machine, or one file system, is assumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from transfuse.text import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Team", "team"]

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """The processes of a run. Methods are called by all of them, in the same order, or they wait for ever.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        device: of this process; None for the one that the user named.
    """

    rank: int = 0
    size: int = 1
    device: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def mine(self, count: int) -> range:
        """Which of so many batches this process computes."""
        return range(self.rank, count, self.size)

    def same(self, value: T) -> T:
        """The leader's value, for all."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        (found,) = broadcast_object_list([value])
        return found  # type: ignore[no-any-return]

    def all(self, value: T) -> list[T]:
        """The values of all, by rank."""
        if self.size == 1:
            return [value]
        from accelerate.utils import gather_object

        found: list[T] = gather_object([value])
        return found

    def add(self, parameters: Sequence[Tensor]) -> None:
        """Replace the gradient of each parameter by its sum over all processes, where any has one."""
        if self.size == 1:
            return
        import torch
        from accelerate.utils import reduce

        has = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        total = reduce(torch.cat([has, *(part.flatten() for part in parts)]), "sum")
        sums = torch.split(total[len(parts) :], [p.numel() for p in parameters])
        for parameter, known, summed in zip(parameters, total[: len(parts)].tolist(), sums, strict=True):
            parameter.grad = summed.view_as(parameter) if known else None

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    @contextmanager
    def first(self) -> Iterator[None]:
        """The leader does it before the others, who then find on disk what it left there."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()


@cache
def team() -> Team:
    """The processes that were started together; one alone where nothing says otherwise.

    Raises:
        ConfigError: there are several, and `accelerate` is not installed.
    """
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        return Team()
    try:
        from accelerate import PartialState
    except ImportError:
        raise ConfigError('several processes need accelerate: pip install "transfuse[devices]"') from None
    import torch

    state = PartialState(cpu=not torch.accelerator.is_available())
    return Team(state.process_index, state.num_processes, None if state.device.type == "cpu" else str(state.device))
