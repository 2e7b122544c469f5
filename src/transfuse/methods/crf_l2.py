"""La-DTL without its feature transfer: joint training and CRF parameters drawn together (Wang et al. 2018, CRF-L2)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.transfer.alignment import Aligned

__all__ = ["CrfL2"]


@dataclass(frozen=True)
class CrfL2(Aligned):
    """Settings: `Aligned`, with the released code's weights of the added terms."""

    crf_l2: float = 0.1
