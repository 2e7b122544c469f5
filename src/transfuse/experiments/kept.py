"""Which cells of a comparison are finished: what has a record is never run again, also where its run folder is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transfuse.data.task import build_task
from transfuse.experiments.comparison import Cell
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.unchanged import check_files, check_unchanged
from transfuse.formats import parse_spec
from transfuse.reporting.records import Record, read_records
from transfuse.reporting.tables import Entry
from transfuse.settings import holds, without
from transfuse.text import ConfigError, UnusedSettingError

__all__ = ["cell_entries", "check_data", "check_present", "find_records", "pending_cells"]


def find_records(cells: Iterable[Cell], folder: Path) -> dict[str, Record]:
    """The records of cells that are finished, by the hash of the cell's recipe.

    A record that was written before a method had some setting is taken for the setting's default, and one from when a
    setting that does nothing was not refused yet for the same without it.

    Args:
        cells: whose records.
        folder: of the records.

    Raises:
        DataError: a file is no record.
    """
    wanted = {cell.recipe.hash for cell in cells}
    records = read_records(folder)
    found = {name: record for name, record in records.items() if name in wanted}
    if len(found) < len(wanted):
        for name, record in records.items():
            if name not in wanted and (now := _hash_now(record.recipe)) in wanted:
                found.setdefault(now, record)
    return found


def check_data(cells: Iterable[Cell], records: Mapping[str, Record], folder: Path) -> None:
    """Refuse records of runs on a user's own files where these are other ones by now.

    Args:
        cells: of a comparison.
        records: as `find_records` gives them.
        folder: of the comparison, for the message.

    Raises:
        ConfigError: a corpus or a file has changed.
        DataError: a corpus cannot be read.
    """
    seen: set[Any] = set()
    for cell in cells:
        data, record = cell.recipe.data, records.get(cell.recipe.hash)
        what = data.target, data.sources, data.labels, data.fold
        if data.paths and record and what not in seen:
            seen.add(what)
            _, facts = build_task(data, seed=cell.seed)
            check_unchanged(record.data, facts, folder)
        files = tuple(record.data.get("files", {}).items()) if record else ()
        if files not in seen:
            seen.add(files)
            check_files(dict(files), folder)


def check_present(cells: Iterable[Cell], recipe: Path) -> None:
    """Refuse to begin with cells of which some would fail for want of a corpus.

    Args:
        cells: that are to be run.
        recipe: of a shipped comparison, for the message; its head says how such a corpus is made.

    Raises:
        ConfigError: a user's own corpora are not there.
    """
    specs = {spec: None for cell in cells for spec in cell.recipe.data.paths}
    missing = [spec for spec in specs if not Path(parse_spec(spec)[2]).exists()]
    if missing:
        raise ConfigError(f"not here: {', '.join(missing)}; how to make them stands at the head of {recipe}")


def _hash_now(recipe: Mapping[str, Any]) -> str:
    try:
        return make_recipe(recipe).hash
    except UnusedSettingError as error:
        path = ["method", *error.setting.split(".")]
        return _hash_now(without(recipe, path)) if holds(recipe, path) else ""  # it is a fusion's member that has it
    except ConfigError:  # of a setting or a method that is no more
        return ""


def pending_cells(cells: Iterable[Cell], records: Iterable[str]) -> list[Cell]:
    """Cells without a record, in order, each recipe once."""
    done = set(records)
    found: dict[str, Cell] = {}
    for cell in cells:
        if cell.recipe.hash not in done:
            found.setdefault(cell.recipe.hash, cell)
    return list(found.values())


def cell_entries(cells: Iterable[Cell], records: dict[str, Record], folder: Path | None = None) -> list[Entry]:
    """The finished cells with their places in the tables.

    Args:
        cells: in the order of the tables.
        records: as `find_records` gives them.
        folder: that `run_cells` worked in, where the runs may still be.
    """
    entries = []
    for cell in cells:
        name = cell.recipe.hash
        if name in records:
            place = folder / "cells" / name if folder else None
            there = place if place and (place / "done").exists() else None
            entries.append(
                Entry(cell.task.name, cell.variant.name, cell.share, records[name], there, cell.variant.swept)
            )
    return entries
