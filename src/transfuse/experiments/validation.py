"""Cross-validation: a recipe once for each part of its target's documents, and what the runs say together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transfuse.data.folding import Fold
from transfuse.experiments.comparison import Cell, Transfer
from transfuse.experiments.recipe import Recipe
from transfuse.experiments.variants import Variant
from transfuse.reporting.records import Record
from transfuse.scoring.counts import Counts
from transfuse.text import ConfigError

__all__ = ["CrossValidation", "cross_validation", "fold_cells"]


def fold_cells(recipe: Recipe, folds: int, *, seed: int = 0, whole: bool = False) -> list[Cell]:
    """A run for each fold, in order; `transfuse.experiments.cells.run_cells` does them.

    Args:
        recipe: what is done on each; its data name no fold.
        folds: how many.
        seed: see `transfuse.data.folding.Fold`.
        whole: likewise.

    Raises:
        ConfigError: fewer than two folds, or the recipe names one.
    """
    if recipe.data.fold:
        raise ConfigError("data.fold: cross-validation goes through all of them: leave it out")
    variant, found = Variant(recipe.name, recipe.name, recipe.method), []
    for number in range(1, max(folds, 1) + 1):
        fold = Fold(number, folds, seed, whole)
        task = Transfer(recipe.data.target, recipe.data.sources, recipe.data.labels, fold)
        data = replace(recipe.data, fold=fold)
        found.append(Cell(task, variant, data.share, replace(recipe, data=data, published=None)))
    return found


@dataclass(frozen=True)
class CrossValidation:
    """Records of folds. All scores are fractions, of the held-out documents.

    Attributes:
        records: of the finished folds, by their number.
        folds: how many there are to be.
    """

    records: Mapping[int, Record]
    folds: int

    @property
    def pooled(self) -> Counts:
        """Strict counts over all labels and all held-out documents, each of which was tagged once."""
        return sum((record.micro() for record in self.records.values()), Counts())

    def mean(self, kind: str = "strict") -> dict[str, float]:
        """Of the folds' micro ``precision``, ``recall`` and ``f1``, and ``sd``: the sample standard deviation of F1.

        There is no ``sd`` of a single fold. Folds share most of their training documents, so their spread is less than
        that of runs on documents of their own (Bengio & Grandvalet 2004).
        """
        return _mean([record.micro(kind=kind) for record in self.records.values()])

    def types(self) -> dict[str, dict[str, float]]:
        """By label what `mean` says of it, strict, over the folds that hold it."""
        labels = dict.fromkeys(label for record in self.records.values() for label in record.types())
        found = {}
        for label in labels:
            counts = [record.types()[label] for record in self.records.values() if label in record.types()]
            if held := [each for each in counts if each.gold]:
                found[label] = _mean(held)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        each = [
            {
                "fold": number,
                "documents": dict(record.data["target"]["documents"]),
                "labelled": record.data["labelled"],
                "strict": record.micro().to_dict(),
                "relaxed": record.micro(kind="relaxed").to_dict(),
                "dev": record.micro("dev").to_dict(),
                "types": {label: counts.to_dict() for label, counts in record.types().items()},
                "selection": record.selection,
                "cpu_seconds": record.cpu_seconds,
            }
            for number, record in self.records.items()
        ]
        return {
            "unit": "fraction",
            "planned": self.folds,
            "folds": each,
            "mean": {kind: self.mean(kind) for kind in ("strict", "relaxed")},
            "types": self.types(),
            "pooled": self.pooled.to_dict(),
        }


def _mean(counts: Sequence[Counts]) -> dict[str, float]:
    found = {name: statistics.fmean(getattr(each, name) for each in counts) for name in ("precision", "recall", "f1")}
    return found | ({"sd": statistics.stdev(each.f1 for each in counts)} if len(counts) > 1 else {})


def cross_validation(cells: Iterable[Cell], records: Mapping[str, Record]) -> CrossValidation:
    """Put the records of folds in their order.

    Args:
        cells: as `fold_cells` gives them.
        records: by the hash of their recipe; those that are not there are not finished.
    """
    cells = list(cells)
    hashes = {cell.task.fold.number: cell.recipe.hash for cell in cells if cell.task.fold}
    return CrossValidation({n: records[name] for n, name in hashes.items() if name in records}, len(cells))
