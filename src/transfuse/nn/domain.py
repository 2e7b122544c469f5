"""What stands between an encoder and a head for one domain alone (Peng & Dredze 2017, section 3), and a gate."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from transfuse.nn.head import Head

__all__ = ["DomainHead", "Gate", "LinearMap", "Mask"]


class LinearMap(nn.Linear):
    """A linear map of a domain's states; it starts as the identity, so that the head sees what it was trained on.

    Args:
        width: of the states.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)
        with torch.no_grad():
            nn.init.eye_(self.weight)
            nn.init.zeros_(self.bias)


class Mask(nn.Module):
    """Lets a domain see the units that all share and those of its own block.

    Each direction's units are split alike, so that no domain loses one side of the context.

    Args:
        width: of the states, two directions side by side.
        shared: share of the units that all domains see.
        domains: number of blocks into which the other units are split.
        number: this domain's block, from 0.
    """

    units: Tensor

    def __init__(self, width: int, *, shared: float, domains: int, number: int) -> None:
        super().__init__()
        hidden = width // 2
        common = round(shared * hidden)
        block = torch.arange(hidden).sub(common).mul(domains).div(max(1, hidden - common), rounding_mode="floor")
        seen = (torch.arange(hidden) < common) | (block == number)
        self.register_buffer("units", torch.cat([seen, seen]).float(), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """``[..., width]`` in and out."""
        return states * self.units


class Gate(nn.Module):
    """Lets each unit through by a learned share in (0, 2): a reading of Gan & Wang's feature selection layer (2026).

    It starts as the identity.

    Args:
        width: of the states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.openness = nn.Parameter(torch.zeros(width))

    def forward(self, states: Tensor) -> Tensor:
        """``[..., width]`` in and out."""
        return states * (2 * self.openness.sigmoid())


class DomainHead(nn.Module):
    """A head behind an affine map, of one of the domains that share it.

    Args:
        shared: the head.
        domain: an affine map of states, ``[..., width]`` in and out.
    """

    def __init__(self, shared: Head, domain: nn.Module) -> None:
        super().__init__()
        self.shared = shared
        self.domain = domain

    def loss(self, states: Tensor, lengths: Tensor, *, tags: Tensor, allowed: Tensor | None = None) -> Tensor:
        """See `Head.loss`."""
        return self.shared.loss(self.domain(states), lengths, tags=tags, allowed=allowed)

    @torch.no_grad()
    def folded(self) -> Head:
        """One head that does the same: the map multiplied into its first layer, so that tagging pays nothing for it."""
        head = copy.deepcopy(self.shared)
        weight = self.shared.first.weight
        offset = self.domain(weight.new_zeros(weight.shape[1]))
        matrix = self.domain(torch.eye(weight.shape[1], device=weight.device)) - offset
        head.first.bias.add_(weight @ offset)
        head.first.weight.copy_(weight @ matrix.T)
        return head
