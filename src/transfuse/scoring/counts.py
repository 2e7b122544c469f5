"""Counts of right, wrong and missed entities, and the rates that are made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Counts", "Rates", "mean_rates"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Precision, recall and F1, as fractions."""

    precision: float
    recall: float
    f1: float

    def to_dict(self) -> dict[str, float]:
        """As JSON holds it."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True, slots=True)
class Counts:
    """Right and wrong entities; they add.

    Attributes:
        tp: predictions that are right.
        fp: predictions that are wrong.
        fn: gold entities that nothing found.
        surplus: gold entities found less ``tp``. It is 0 wherever entities are paired one to one, but in
            ``relaxed-set`` one prediction may find several, and for one type of ``span`` the finder may be of another.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    surplus: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.surplus + other.surplus)

    @property
    def predicted(self) -> int:
        """How many predictions there are."""
        return self.tp + self.fp

    @property
    def gold(self) -> int:
        """How many gold entities there are."""
        return self.tp + self.surplus + self.fn

    @property
    def precision(self) -> float:
        """Share of the predictions that is right; 0 where there is none."""
        return self.tp / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold entities that was found; 0 where there is none."""
        return (self.tp + self.surplus) / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def rates(self) -> Rates:
        """The three fractions."""
        return Rates(self.precision, self.recall, self.f1)

    def to_dict(self) -> dict[str, float]:
        """Fractions and counts, as JSON holds them."""
        counts = {"tp": self.tp, "fp": self.fp, "fn": self.fn, "gold": self.gold, "predicted": self.predicted}
        return {**self.rates.to_dict(), **counts}


def mean_rates(parts: Iterable[Rates | Counts]) -> Rates:
    """Plain means of precision, recall and F1, as for macro averages, folds and seeds; 0 of nothing."""
    rows = [(part.precision, part.recall, part.f1) for part in parts]
    if not rows:
        return Rates(0.0, 0.0, 0.0)
    precision, recall, f1 = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return Rates(precision, recall, f1)
