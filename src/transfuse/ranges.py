"""Numbers that settings may have, written as intervals: ``[1, inf)``, ``(0, 1]``."""

from __future__ import annotations

import math

from transfuse.text import ConfigError

__all__ = ["SEEDS", "check_ranges"]

SEEDS = "[0, 4294967295]"
"""What every library takes for a seed."""


def check_ranges(settings: object, where: str = "", **intervals: str) -> None:
    """Refuse settings with a number out of its range; nan lies in none.

    Args:
        settings: its attributes are looked at, a tuple's items each by itself; None is not looked at.
        where: name of the table that the settings stand in, for messages.
        intervals: attribute to interval, as ``"[0, 1)"``; only ``inf]`` holds what is infinite.

    Raises:
        ConfigError: the first attribute outside, with its value and its interval.
    """
    for name, interval in intervals.items():
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not _within(number, interval):
                path = f"{where}.{name}" if where else name
                raise ConfigError(f"{path} {_said(interval)}, not {number:g}")


def _parts(interval: str) -> tuple[float, float]:
    low, high = (float(end) for end in interval[1:-1].split(","))
    return low, high


def _within(number: float, interval: str) -> bool:
    low, high = _parts(interval)
    above = number >= low if interval[0] == "[" else number > low
    return above and (number <= high if interval[-1] == "]" else number < high)


def _said(interval: str) -> str:
    low, high = _parts(interval)
    if math.isinf(high):
        return f"is {'at least' if interval[0] == '[' else 'above'} {low:g}"
    return f"lies in {interval}"
