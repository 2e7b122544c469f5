"""La-DTL with a plain MMD over all words in the place of the label-aware one (Wang et al. 2018, MMD-CRF-L2)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.transfer.alignment import Aligned

__all__ = ["MmdCrfL2"]


@dataclass(frozen=True)
class MmdCrfL2(Aligned):
    """Settings: `Aligned`, with the released code's weights of the added terms."""

    mmd: float = 0.02
    crf_l2: float = 0.1
