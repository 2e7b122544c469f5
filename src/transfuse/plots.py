"""Figures as SVG, written by hand so that a report needs nothing else; colours come from the page they stand in.

Classes that the page styles: ``grid``, ``dot`` and ``whisker``, in a group ``first`` for the first row, ``other`` for
the rest; ``c0``, ``c1``, ... for parts of a bar; ``tick`` and ``on`` for small text beside and on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["bars", "intervals"]

WIDTH, LEFT, RIGHT, LINE = 760, 190, 40, 34


def intervals(rows: Sequence[tuple[str, float, float, float]], *, title: str) -> str:
    """A dot with its interval for each row, over a common axis.

    Args:
        rows: name, value, lower and upper end; fractions, shown in per cent.
        title: told to those who cannot see the figure.
    """
    low = math.floor(10 * min(row[2] for row in rows)) / 10
    high = math.ceil(10 * max(row[3] for row in rows)) / 10
    high = high if high > low else low + 0.1

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    bottom = 8 + LINE * len(rows)
    parts = []
    for tenth in range(round(10 * low), round(10 * high) + 1):
        at = x(tenth / 10)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{10 * tenth}</text>')
    for i, (name, value, start, end) in enumerate(rows):
        y = 8 + LINE * (i + 0.5)
        group = "first" if i == 0 else "other"
        parts.append(
            f'<g class="{group}"><text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            f'<line class="whisker" x1="{x(start):.1f}" x2="{x(end):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{x(value):.1f}" cy="{y}" r="6"/>'
            f"<title>{escape(name)}: {100 * value:.2f} ({100 * start:.2f} to {100 * end:.2f})</title></g>"
        )
    return _figure(parts, bottom + 26, title)


def bars(rows: Sequence[tuple[str, Mapping[str, int]]], *, title: str) -> str:
    """A bar for each row, made of parts of the same names in the same order, with their numbers.

    Args:
        rows: name, and number by part.
        title: told to those who cannot see the figure.
    """
    most = max(1, *(sum(parts.values()) for _, parts in rows))
    scale = (WIDTH - LEFT - RIGHT - 20) / most
    drawn = []
    for i, (name, counts) in enumerate(rows):
        y, at = 4 + LINE * i, float(LEFT)
        drawn.append(f'<text x="{LEFT - 14}" y="{y + 18}" text-anchor="end">{escape(name)}</text>')
        for number, (part, many) in enumerate(counts.items()):
            if not many:
                continue
            width = many * scale
            drawn.append(f'<g><rect class="c{number}" x="{at:.1f}" y="{y}" width="{width:.1f}" height="24"/>')
            if width > 9 * len(str(many)):
                drawn.append(
                    f'<text class="on" x="{at + width / 2:.1f}" y="{y + 17}" text-anchor="middle">{many}</text>'
                )
            drawn.append(f"<title>{escape(name)}: {escape(part)}: {many}</title></g>")
            at += width
        drawn.append(f'<text class="tick" x="{at + 8:.1f}" y="{y + 17}">{sum(counts.values())}</text>')
    return _figure(drawn, 4 + LINE * len(rows), title)


def _figure(parts: Sequence[str], height: float, title: str) -> str:
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>'
