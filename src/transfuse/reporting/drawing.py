"""A drawing: a figure in our style, kept as SVG and PNG, and put into a page in the page's own colours.

A drawing knows nothing of what it shows. Its colours are named in `COLOURS`; in a page each becomes the CSS variable
of its name, so that a figure follows the page from light to dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfuse.files import write_beside
from transfuse.reporting.fonts import breadth, font_families, warn_of_boxes
from transfuse.text import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "WIDTH", "Drawing", "drawn", "legend"]

COLOURS = {
    "card": "#ffffff",
    "ink": "#1d2b2f",
    "soft": "#5d6f75",
    "line": "#dde5e7",
    "base": "#546e7a",
    "c0": "#00796b",
    "c1": "#8e44ad",
    "c2": "#c77700",
    "c3": "#c0392b",
    "c4": "#2471a3",
    "c5": "#6d8b1f",
    "c6": "#c2397f",
    "c7": "#7a5c3e",
}
"""``base`` is for a baseline, ``c0`` and on for what is compared with it; no two share a value."""

MARKERS = "osD^vP"
"""Shapes of points, one a name."""

WIDTH = 7.6
"""Of a drawing, in inches of 100 pixels."""


@dataclass(frozen=True)
class Drawing:
    """A figure in the forms in which it is kept.

    Attributes:
        title: what it shows, for those who cannot see it.
        svg: a file of its own.
        png: the same, at 200 dots an inch.
    """

    title: str
    svg: str
    png: bytes

    @property
    def inline(self) -> str:
        """The SVG as part of a page, in the page's colours and type."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
        body = re.sub(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', self._opening, body, count=1)
        for name, value in COLOURS.items():
            body = body.replace(value, f"var(--{name})")
        return body.strip()

    def _opening(self, found: re.Match[str]) -> str:
        return f'<svg viewBox="{found[1]}" role="img" aria-label="{escape(self.title)}">'

    def save(self, path: Path) -> None:
        """Write ``path.svg`` and ``path.png``."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise DataError(f"cannot be a folder of figures: {fault.strerror}", path=str(path.parent)) from None
        for suffix, content in ((".svg", self.svg.encode()), (".png", self.png)):
            with write_beside(path.with_name(path.name + suffix)) as fresh:
                fresh.write_bytes(content)


@contextmanager
def drawn(
    title: str, height: float, *, columns: int = 1, rows: int = 1, shared: bool = False
) -> Iterator[tuple[Figure, Any, Callable[[], Drawing]]]:
    """A figure in our style with its axes, and what makes a drawing of it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_style()):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=not shared)

        def done() -> Drawing:
            svg, png = io.StringIO(), io.BytesIO()
            with warn_of_boxes():
                figure.savefig(svg, format="svg", metadata={"Date": None, "Title": title})
                figure.savefig(png, format="png", dpi=200)
            return Drawing(title, svg.getvalue(), png.getvalue())

        yield figure, axes, done


@cache
def _style() -> Any:
    return {
        "axes.edgecolor": COLOURS["soft"],
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelcolor": COLOURS["soft"],
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 10,
        "figure.facecolor": COLOURS["card"],
        "font.family": font_families(),
        "font.size": 9.5,
        "grid.color": COLOURS["line"],
        "grid.linewidth": 0.8,
        "savefig.facecolor": COLOURS["card"],
        "svg.fonttype": "none",
        "svg.hashsalt": "transfuse",
        "text.color": COLOURS["ink"],
        "text.parse_math": False,
        "xtick.color": COLOURS["soft"],
        "ytick.color": COLOURS["soft"],
        "ytick.labelcolor": COLOURS["ink"],
        "xtick.labelcolor": COLOURS["ink"],
    }


def legend(figure: Figure, axes: Axes) -> None:
    """Names above the figure, in as many columns as go there; none where there is one name."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        columns = max(1, min(6, 110 // (8 + max(map(breadth, labels)))))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False)
