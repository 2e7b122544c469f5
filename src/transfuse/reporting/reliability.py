"""How far confidences can be believed, drawn: the share of right spans against what was said of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from transfuse.ensembles.calibration import Bin
from transfuse.reporting.drawing import Drawing
from transfuse.reporting.lines import Point, Series, curves

__all__ = ["reliability"]

_Z = 1.959963984540054  # of a 95 % interval


def reliability(before: Sequence[Bin], after: Sequence[Bin]) -> Drawing:
    """A reliability diagram (DeGroot & Fienberg 1983), with 95 % intervals (Wilson 1927).

    Args:
        before: the tagger's own confidences.
        after: calibrated ones.
    """
    truth = Series("as it should be", "base", tuple(Point(x, x, x, x) for x in (0.0, 1.0)))
    series = (_series("calibrated", "c0", after), _series("as the tagger says", "c3", before), truth)
    ticks = [(step / 5, f"{step / 5:.1f}") for step in range(6)]
    return curves(series, title="Reliability", x="confidence", y="share of right spans", ticks=ticks, spread=0)


def _series(name: str, colour: str, parts: Sequence[Bin]) -> Series:
    return Series(name, colour, tuple(_point(part) for part in parts))


def _point(part: Bin) -> Point:
    n, p = part.spans, part.right
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    reach = _Z * sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
    return Point(part.confidence, p, min(p, centre - reach), max(p, centre + reach))
