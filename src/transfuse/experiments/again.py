"""Runs that are done, trained again: whether code and machine of today give what their records say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transfuse.experiments.comparison import Cell
from transfuse.reporting.records import Record

__all__ = ["Repeat"]

_GIVEN = ("counts", "wrong", "errors", "mentions", "sets", "tokens", "auc", "exposure", "forgetting", "rounds")
"""Parts of a record that a run gives; the others are what it was given, what it cost and what it ran on."""


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
        """Parts in which the two differ, to the last digit; a part that the record is too old to have is left out.

        ``data`` stands for a target or a source that is no longer what it was.
        """
        data = ("data",) if _hashes(self.kept) != _hashes(self.now) else ()
        pairs = ((part, getattr(self.kept, part), getattr(self.now, part)) for part in _GIVEN)
        return (*data, *(part for part, kept, now in pairs if kept and kept != now))

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


def _hashes(record: Record) -> list[str]:
    return [part["sha256"] for part in (record.data["target"], *record.data["sources"])]
