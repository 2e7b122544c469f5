"""Rows of a comparison that nobody trained: of several variants the one that development data prefers.

The choice is made anew for each task, share and seed, so that the row is what somebody gets who tries all of them and
keeps the best on dev, at the price of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from transfuse.reporting.records import Record
from transfuse.reporting.tables import Entry

__all__ = ["with_choices"]


def with_choices(entries: Iterable[Entry], choices: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Entries, and behind them those of choices, wherever all that is chosen among is there.

    Args:
        entries: of runs.
        choices: name of a row, and the variants that it is chosen among; of equals the first is kept.
    """
    found = list(entries)
    cells: dict[tuple[str, float, int], dict[str, Entry]] = {}
    for entry in found:
        cells.setdefault((entry.task, entry.share, entry.record.seed), {})[entry.variant] = entry
    for name, among in choices.items():
        found += [_chosen(name, [cell[one] for one in among]) for cell in cells.values() if cell.keys() >= set(among)]
    return found


def _chosen(name: str, tried: Sequence[Entry]) -> Entry:
    best = max(tried, key=lambda entry: entry.record.micro("dev").f1)
    return replace(best, variant=name, record=_priced(best, [entry.record for entry in tried]), swept=None)


def _priced(best: Entry, tried: Sequence[Record]) -> Record:
    """The chosen record at the price of all: what they share is paid for once."""
    shared = max(record.shared_seconds for record in tried)
    own = sum(record.cpu_seconds - record.shared_seconds for record in tried)
    rule = f"the best of {len(tried)} by strict micro F1 on dev: {best.variant}; {best.record.selection}"
    return replace(best.record, cpu_seconds=round(shared + own, 2), shared_seconds=shared, selection=rule)
