"""Runs that are done, trained again: whether code and machine of today give what their records say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transfuse.experiments.comparison import Cell
from transfuse.reporting.records import Record

__all__ = ["Repeat"]

_GIVEN = ("counts", "wrong", "errors", "mentions", "sets", "tokens", "exposure", "forgetting", "rounds")
"""Parts of a record that a run gives; the others are what it was given, what it cost and what it ran on."""

_AREA = 1e-5
"""Areas under curves that lie further apart differ: the last digit of a probability may depend on where memory lies."""


@dataclass(frozen=True)
class Repeat:
    """A run and its repetition.

    Attributes:
        cell: which.
        kept: its record.
        now: what it gave again.
    """

    cell: Cell
    kept: Record
    now: Record

    @property
    def differing(self) -> tuple[str, ...]:
        """Parts in which the two differ, in any count; a part that the record is too old to have is left out.

        ``data`` stands for a target or a source that is no longer what it was, ``auc`` for areas under curves.
        """
        data = ("data",) if _hashes(self.kept) != _hashes(self.now) else ()
        pairs = ((part, getattr(self.kept, part), getattr(self.now, part)) for part in _GIVEN)
        auc = ("auc",) if _apart(self.kept.auc, self.now.auc) else ()
        return (*data, *(part for part, kept, now in pairs if kept and kept != now), *auc)

    @property
    def documents(self) -> int:
        """Test documents in which the two err otherwise."""
        errors = self.kept.wrong, self.now.wrong
        return sum(errors[0].get(i) != errors[1].get(i) for i in errors[0].keys() | errors[1].keys())

    def facts(self) -> dict[str, Any]:
        """All of it for a machine, F1 in percent."""
        return {
            "task": self.cell.task.name,
            "method": self.cell.variant.name,
            "share": self.cell.share,
            "seed": self.cell.seed,
            "f1": round(100 * self.kept.micro().f1, 2),
            "f1_again": round(100 * self.now.micro().f1, 2),
            "documents": self.documents,
            "differing": self.differing,
            "machines": (self.kept.machine, self.now.machine),
        }


def _apart(kept: Mapping[str, float | None], now: Mapping[str, float | None]) -> bool:
    pairs = [(area, now.get(name)) for name, area in kept.items()]
    return any(a != b and (a is None or b is None or abs(a - b) > _AREA) for a, b in pairs)


def _hashes(record: Record) -> list[str]:
    return [part["sha256"] for part in (record.data["target"], *record.data["sources"])]
