"""Charts of points over an axis: lines with bars, panels of them, and points alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfuse.reporting.drawing import COLOURS, MARKERS, Drawing, drawn, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Point", "Series", "curve_panels", "curves", "scatter"]


@dataclass(frozen=True)
class Point:
    """A value with what it may vary by.

    Attributes:
        x: place on the axis.
        y: the value.
        low: lower end of its bar.
        high: upper end.
        filled: or drawn as an outline, where figures set the two apart.
    """

    x: float
    y: float
    low: float
    high: float
    filled: bool = True


@dataclass(frozen=True)
class Series:
    """Points of one name.

    Attributes:
        name: in the legend.
        colour: one of `COLOURS`.
        points: by x.
    """

    name: str
    colour: str
    points: tuple[Point, ...]


def curves(
    series: Sequence[Series],
    *,
    title: str,
    x: str,
    y: str,
    ticks: Sequence[tuple[float, str]],
    logarithmic: bool = False,
    level: tuple[str, float] | None = None,
    spread: float = 0.04,
) -> Drawing:
    """A line with bars for each series.

    Args:
        series: what to draw; the first lies on top.
        title: what the figure shows.
        x: name of the axis.
        y: name of the axis.
        ticks: places on the x axis and what stands there.
        logarithmic: the x axis.
        level: name and height of a line across.
        spread: how far apart points of one place are set, as a share of the axis, so that their bars do not hide each
            other; 0 where their places are measured. A logarithmic axis has its own.
    """
    with drawn(title, 4.2) as (figure, axes, done):
        width = max(place for place, _ in ticks) - min(place for place, _ in ticks)
        for rank, one in enumerate(series):
            aside = (rank - (len(series) - 1) / 2) / len(series)
            places = [p.x * 1.08**aside if logarithmic else p.x + spread * width * aside for p in one.points]
            _line(axes, places, one, rank)
        if level:
            axes.axhline(level[1], color=COLOURS["base"], linestyle="--", linewidth=1.2, label=level[0], zorder=2)
        if logarithmic:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        legend(figure, axes)
        return done()


def curve_panels(
    panels: Sequence[tuple[str, Sequence[Series]]], *, title: str, x: str, ticks: Sequence[tuple[float, str]]
) -> Drawing:
    """`curves` in panels side by side, two in a line, all over the same ticks, each with heights of its own.

    Args:
        panels: what stands above a panel, and its series, which have the same names in all.
        title: what the figure shows.
        x: name of the axis.
        ticks: places on the x axis and what stands there.
    """
    lines = (len(panels) + 1) // 2
    with drawn(title, 0.5 + 2.2 * lines, rows=lines, columns=2) as (figure, axes, done):
        plain = list(axes.flat)
        for panel, (name, series) in zip(plain, panels, strict=False):
            for rank, one in enumerate(series):
                _line(panel, [point.x for point in one.points], one, rank)
            panel.set_title(name)
            places = [place for place, _ in ticks]
            panel.set_xticks(places, [text for _, text in ticks])
            panel.set_xlim(min(places) - 0.2, max(places) + 0.2)
            panel.set_xlabel(x)
        for empty in plain[len(panels) :]:
            empty.axis("off")
        legend(figure, plain[0])
        return done()


def _line(axes: Axes, places: Sequence[float], series: Series, rank: int) -> None:
    points = series.points
    axes.errorbar(
        places,
        [point.y for point in points],
        yerr=[[point.y - point.low for point in points], [point.high - point.y for point in points]],
        color=COLOURS[series.colour],
        marker=MARKERS[rank % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        elinewidth=1,
        capsize=3,
        linestyle="--" if series.colour == "base" else "-",
        label=series.name,
        zorder=4 - rank / 100,
    )


def scatter(series: Sequence[Series], *, title: str, x: str, y: str, level: tuple[str, float]) -> Drawing:
    """Points without lines or bars over a logarithmic axis.

    Args:
        series: what to draw; places above 0, in any order.
        title: what the figure shows.
        x: name of the axis.
        y: name of the axis.
        level: name and height of a line across.
    """
    with drawn(title, 4.2) as (figure, axes, done):
        for rank, one in enumerate(series):
            colour, marker = COLOURS[one.colour], MARKERS[rank % len(MARKERS)]
            faces = [colour if point.filled else "none" for point in one.points]
            places, heights = [point.x for point in one.points], [point.y for point in one.points]
            axes.scatter(places, heights, 36, faces, marker=marker, edgecolors=colour, linewidths=1.2, zorder=3)
            axes.plot([], [], marker, color=colour, label=one.name)
        axes.axhline(level[1], color=COLOURS["base"], linestyle="--", linewidth=1.2, label=level[0], zorder=2)
        axes.set_xscale("log")
        every = [point.x for one in series for point in one.points]
        ticks = [n * 10**power for power in range(9) for n in (1, 2, 5)]
        inside = [tick for tick in ticks if min(every) / 2 < tick < 2 * max(every)]
        axes.set_xticks(inside, [f"{tick:,}" for tick in inside])
        axes.minorticks_off()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        legend(figure, axes)
        return done()
