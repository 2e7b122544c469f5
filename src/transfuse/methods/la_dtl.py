"""Joint training, label-aware MMD between states, and CRF parameters drawn together (Wang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.transfer.alignment import Aligned

__all__ = ["LaDtl"]


@dataclass(frozen=True)
class LaDtl(Aligned):
    """Settings: `Aligned`, with the released code's weights of the added terms."""

    label_mmd: float = 0.02
    crf_l2: float = 0.1
