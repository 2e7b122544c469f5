"""Charts: intervals, bars, stacks, a radar and overlapping circles, of numbers that others made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from transfuse.reporting.drawing import COLOURS, MARKERS, Drawing, drawn, legend
from transfuse.reporting.fonts import breadth
from transfuse.reporting.lines import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bar_panels", "bars", "intervals", "radar", "stacks", "venn"]


def intervals(rows: Sequence[tuple[str, str, Point]], *, title: str, x: str) -> Drawing:
    """A dot with its interval for each row.

    Args:
        rows: name, colour, and the point, whose y is the value; its x means nothing.
        title: what the figure shows.
        x: name of the axis.
    """
    with drawn(title, 0.75 + 0.34 * len(rows)) as (_, axes, done):
        for place, (_, colour, point) in enumerate(rows):
            axes.plot([point.low, point.high], [place, place], color=COLOURS[colour], linewidth=3, alpha=0.5)
            axes.plot([point.y], [place], "o", color=COLOURS[colour], markersize=8)
        _rows(axes, [name for name, _, _ in rows])
        axes.set_xlabel(x)
        return done()


def stacks(rows: Sequence[tuple[str, Mapping[str, float]]], *, title: str, x: str) -> Drawing:
    """A bar for each row, made of parts of the same names in the same order, with their numbers.

    Args:
        rows: name, and number by part.
        title: what the figure shows.
        x: name of the axis.
    """
    with drawn(title, 1.15 + 0.34 * len(rows)) as (figure, axes, done):
        most = max(1.0, *(sum(parts.values()) for _, parts in rows))
        left = [0.0] * len(rows)
        for number, part in enumerate(rows[0][1]):
            values = [parts[part] for _, parts in rows]
            axes.barh(range(len(rows)), values, left=left, height=0.7, color=COLOURS[f"c{7 - number % 8}"], label=part)
            for place, value in enumerate(values):
                if value > 0.04 * most:
                    axes.text(
                        left[place] + value / 2,
                        place,
                        f"{value:.0f}",
                        ha="center",
                        va="center_baseline",
                        color=COLOURS["card"],
                        fontsize=8,
                    )
            left = [a + b for a, b in zip(left, values, strict=True)]
        _rows(axes, [name for name, _ in rows])
        axes.set_xlabel(x)
        legend(figure, axes)
        return done()


def bars(groups: Sequence[str], rows: Sequence[tuple[str, str, Sequence[float]]], *, title: str, y: str) -> Drawing:
    """Bars side by side in groups.

    Args:
        groups: what stands below.
        rows: name, colour, and a value for each group.
        title: what the figure shows.
        y: name of the axis.
    """
    with drawn(title, 3.6) as (figure, axes, done):
        _bars(axes, groups, rows, letters=80)
        axes.set_ylabel(y)
        legend(figure, axes)
        return done()


def bar_panels(
    groups: Sequence[str],
    panels: Sequence[Sequence[tuple[str, Sequence[tuple[str, str, Sequence[float]]]]]],
    *,
    title: str,
    y: str,
) -> Drawing:
    """`bars` in lines of panels, all over the same groups, with the same names and up to the same height.

    Args:
        groups: what stands below.
        panels: lines of as many panels each: what stands above a panel, and its rows as in `bars`.
        title: what the figure shows.
        y: name of the axis.
    """
    across = len(panels[0])
    with drawn(title, 0.5 + 2.1 * len(panels), rows=len(panels), columns=across, shared=True) as (
        figure,
        axes,
        done,
    ):
        for line, shown in zip(axes, panels, strict=True):
            for panel, (name, rows) in zip(line, shown, strict=True):
                _bars(panel, groups, rows, letters=80 // across)
                panel.set_title(name)
            line[0].set_ylabel(y)
        legend(figure, axes[0][0])
        return done()


def _bars(axes: Axes, groups: Sequence[str], rows: Sequence[tuple[str, str, Sequence[float]]], *, letters: int) -> None:
    """Rows side by side; groups that have more letters than this together are written aslant."""
    width = 0.82 / max(1, len(rows))
    for number, (name, colour, values) in enumerate(rows):
        places = [group + (number - (len(rows) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(places, values, width=0.92 * width, color=COLOURS[colour], label=name)
    steep = sum(map(breadth, groups)) > letters
    axes.set_xticks(range(len(groups)), groups, rotation=30 if steep else 0, ha="right" if steep else "center")
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)


def radar(
    axes: Sequence[tuple[str, float, float]], rows: Sequence[tuple[str, str, Sequence[float]]], *, title: str
) -> Drawing:
    """A polygon for each row, over axes that go out from a centre, each with ends of its own.

    Args:
        axes: name, value in the centre, and value at the rim; three at least.
        rows: name, colour, and a value for each axis.
        title: what the figure shows.
    """
    turns = [math.pi / 2 - 2 * math.pi * i / len(axes) for i in range(len(axes))]
    corners = [(math.cos(turn), math.sin(turn)) for turn in turns]
    with drawn(title, 4.6) as (figure, plane, done):
        for ring in (0.25, 0.5, 0.75, 1.0):
            plane.plot(*_closed([(ring * x, ring * y) for x, y in corners]), color=COLOURS["line"], linewidth=0.8)
        for (x, y), (name, low, high) in zip(corners, axes, strict=True):
            plane.plot([0, x], [0, y], color=COLOURS["line"], linewidth=0.8)
            side = "center" if abs(x) < 0.1 else "left" if x > 0 else "right"
            height = "bottom" if y > 0.1 else "top" if y < -0.1 else "center"
            plane.text(1.06 * x, 1.06 * y, f"{name}\n{low:g} to {high:g}", ha=side, va=height, color=COLOURS["ink"])
        for rank, (name, colour, values) in enumerate(rows):
            out = [(value - low) / (high - low) for value, (_, low, high) in zip(values, axes, strict=True)]
            points = _closed([(o * x, o * y) for o, (x, y) in zip(out, corners, strict=True)])
            plane.fill(*points, color=COLOURS[colour], alpha=0.08, linewidth=0)
            marker = MARKERS[rank % len(MARKERS)]
            plane.plot(*points, color=COLOURS[colour], marker=marker, markersize=4, linewidth=1.6, label=name)
        plane.set(xlim=(-1.9, 1.9), ylim=(-1.15, 1.35), aspect="equal")
        plane.axis("off")
        legend(figure, plane)
        return done()


def _closed(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Across and up, back to the first point."""
    round_ = [*points, points[0]]
    return [x for x, _ in round_], [y for _, y in round_]


def venn(
    panels: Sequence[tuple[str, tuple[float, float, float]]], *, rows: Sequence[tuple[str, str]], title: str
) -> Drawing:
    """Two overlapping circles for each panel, with areas as their numbers.

    Args:
        panels: name, and how many the first alone, both, and the second alone have.
        rows: names and colours of the two.
        title: what the figure shows.
    """
    from matplotlib.patches import Circle

    colours = [colour for _, colour in rows]
    with drawn(title, 2.9, columns=len(panels)) as (figure, axes, done):
        for panel, (name, (first, both, second)) in zip(axes, panels, strict=True):
            radii = [
                math.sqrt(max(total, 1e-9) / max(first + both, both + second, 1))
                for total in (first + both, both + second)
            ]
            gap = _distance(radii[0], radii[1], both / max(first + both, both + second, 1) * math.pi)
            centres = -gap / 2, gap / 2
            for centre, radius, colour in zip(centres, radii, colours, strict=True):
                panel.add_patch(Circle((centre, 0), radius, facecolor=COLOURS[colour], alpha=0.45, linewidth=0))
                panel.add_patch(Circle((centre, 0), radius, fill=False, edgecolor=COLOURS[colour], linewidth=1.5))
            left, right = centres[0] - radii[0], centres[1] + radii[1]
            inner = max(centres[1] - radii[1], left), min(centres[0] + radii[0], right)
            for number, start, end, outside in (
                (first, left, inner[0], left - 0.25),
                (both, inner[0], inner[1], (inner[0] + inner[1]) / 2),
                (second, inner[1], right, right + 0.25),
            ):
                at = (start + end) / 2 if end - start > 0.11 * (1 + len(f"{number:.0f}")) else outside
                panel.text(at, 0, f"{number:.0f}", ha="center", va="center_baseline", color=COLOURS["ink"])
            panel.set(xlim=(-2.05, 2.05), ylim=(-1.05, 1.05), aspect="equal", title=name)
            panel.axis("off")
        handles = [Circle((0, 0), 1, facecolor=COLOURS[colour], alpha=0.6) for colour in colours]
        figure.legend(handles, [name for name, _ in rows], loc="outside upper left", ncols=2, frameon=False)
        return done()


def _distance(first: float, second: float, area: float) -> float:
    """How far apart the centres of two circles lie whose overlap has this area, by bisection."""
    near, far = abs(first - second), first + second
    while far - near > 1e-9 * (first + second):
        middle = (near + far) / 2
        near, far = (middle, far) if _lens(first, second, middle) > area else (near, middle)
    return far


def _lens(first: float, second: float, gap: float) -> float:
    """Area that two circles at a distance share."""

    def angle(a: float, b: float) -> float:
        return 2 * math.acos(max(-1.0, min(1.0, (gap * gap + a * a - b * b) / (2 * gap * a))))

    def segment(radius: float, theta: float) -> float:
        return radius * radius * (theta - math.sin(theta)) / 2

    return segment(first, angle(first, second)) + segment(second, angle(second, first))


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Names down the left side, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
