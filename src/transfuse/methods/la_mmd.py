"""La-DTL without its parameter transfer: joint training and label-aware MMD (Wang et al. 2018, La-MMD)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.transfer.alignment import Aligned

__all__ = ["LaMmd"]


@dataclass(frozen=True)
class LaMmd(Aligned):
    """Settings: `Aligned`, with the released code's weights of the added terms."""

    label_mmd: float = 0.02
