"""Finished runs, as their folders have them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfuse import formats
from transfuse.files import records_in
from transfuse.text import DataError, Document

__all__ = ["Finished", "find_runs", "read_run"]


@dataclass(frozen=True)
class Finished:
    """A finished run, as its folder has it.

    Attributes:
        folder: of the run.
        recipe: resolved.
        environment: what it ran on.
        records: what happened, in order.
        scores: by split and kind, fractions.
    """

    folder: Path
    recipe: dict[str, Any]
    environment: dict[str, Any]
    records: tuple[dict[str, Any], ...]
    scores: dict[str, Any]

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.recipe["method"]["name"])

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.recipe["run"]["seed"])

    @property
    def data(self) -> dict[str, Any]:
        """What was learned from: counts, hashes, and what was removed."""
        return self._last("data")[""]

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.data["target"]["name"])

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources' names, in order."""
        return tuple(source["name"] for source in self.data["sources"])

    @property
    def cpu_seconds(self) -> float:
        """CPU time of training over all stages, word vectors apart."""
        return sum(float(record["cpu_seconds"]) for record in self._last("trained").values())

    @property
    def shared_seconds(self) -> float:
        """Of the CPU time, what went into models that are trained once and kept, whichever run trained them."""
        return sum(float(record["cpu_seconds"]) for record in self._last("shared").values())

    @property
    def selection(self) -> str:
        """The rule by which the weights were chosen."""
        found = list(self._last("trained").values())
        return str(found[-1].get("selection", "")) if found else ""

    @property
    def sets(self) -> dict[str, int]:
        """Regions of the set analysis of the test split; nothing where the run did not record them."""
        regions: dict[str, int] = self._last("sets").get("", {}).get("regions", {})
        return regions

    @property
    def auc(self) -> dict[str, float | None]:
        """By tag class on the test split, see `transfuse.experiments.ranking.class_auc`; nothing where not recorded."""
        classes: dict[str, float | None] = self._last("auc").get("", {}).get("classes", {})
        return classes

    def predictions(self, split: str = "test") -> tuple[Document, ...]:
        """What the tagger found in a split of the target. Raises DataError where it is not there."""
        return tuple(formats.read(self.folder / "predictions" / f"{split}.jsonl", "jsonl"))

    def _last(self, event: str) -> dict[str, dict[str, Any]]:
        """By stage the last record of an event; a run that was killed may have told a thing twice."""
        return {record.get("stage", ""): record for record in self.records if record["event"] == event}


def read_run(folder: Path) -> Finished:
    """Read a finished run.

    Raises:
        DataError: there is no finished run in the folder.
    """
    if not (folder / "done").exists():
        raise DataError("holds no finished run", path=str(folder))
    try:
        recipe = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
        environment = json.loads((folder / "environment.json").read_text("utf-8"))
        scores = json.loads((folder / "scores.json").read_text("utf-8"))
        records = tuple(records_in((folder / "records.jsonl").read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"not a sound run folder: {error}", path=str(folder)) from None
    if not ("data" in recipe and "method" in recipe and isinstance(scores, dict)):
        raise DataError("not a sound run folder: recipe.toml or scores.json is not what was written", path=str(folder))
    if not any(record["event"] == "data" for record in records):
        raise DataError("not a sound run folder: records.jsonl does not say what was learned from", path=str(folder))
    return Finished(folder, recipe, environment, records, scores)


def find_runs(folder: Path) -> list[Finished]:
    """All finished runs in and below a folder, in the order of their paths.

    Raises:
        DataError: there is none.
    """
    found = [read_run(mark.parent) for mark in sorted(folder.rglob("done")) if (mark.parent / "recipe.toml").exists()]
    if not found:
        raise DataError("holds no finished run", path=str(folder))
    return found
