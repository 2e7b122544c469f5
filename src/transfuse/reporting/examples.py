"""What two systems found in the same test documents: sentences that tell them apart, none picked by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transfuse.data.task import recorded_target
from transfuse.reporting.results import read_run
from transfuse.reporting.tables import Row, Table
from transfuse.scoring.analysis import outcome_overlap
from transfuse.text import Document, Entity, TransfuseError
from transfuse.words import sentences

__all__ = ["Example", "Stretch", "TwoSystems", "examples", "two_systems"]

_EXAMPLES = {"{first} wrong, {other} right": 3, "{first} right, {other} wrong": 2, "both wrong": 2}
_LONGEST = 320
_MOST_ROWS = 4
"""Of a table with more rows only the two that are told apart are shown."""


@dataclass(frozen=True)
class TwoSystems:
    """Predictions of a table's rows, by their first runs.

    Attributes:
        gold: the test split.
        first: name of the row that all are compared with.
        other: name of the one that is set against it.
        found: by row, the documents with what was found; in the table's order.
    """

    gold: tuple[Document, ...]
    first: str
    other: str
    found: dict[str, tuple[Document, ...]]

    def overlap(self) -> dict[str, dict[str, int]]:
        """See `transfuse.scoring.analysis.outcome_overlap`."""
        return outcome_overlap(self.gold, self.found[self.first], self.found[self.other])


def two_systems(table: Table) -> TwoSystems | None:
    """The predictions of a table's first row, and of the row set against it: the best on dev of those that transfer.

    None where a run folder or the target is not at hand, and where there is only one row. Where no row transfers, it
    is the best on dev of all others.
    """
    first, *rest = table.rows
    other = table.best or max(rest, key=lambda row: row.mean("dev"), default=first)
    shown = table.rows if len(table.rows) <= _MOST_ROWS else (first, other)
    try:
        corpus = recorded_target(first.first.recipe["data"])
        found = {row.name: _predictions(row) for row in shown}
    except TransfuseError:
        return None
    if corpus.sha256 != first.first.data["target"]["sha256"] or first is other:
        return None
    return TwoSystems(corpus.test, first.name, other.name, found)


def _predictions(row: Row) -> tuple[Document, ...]:
    folder = row.entries[0].folder
    if folder is None:
        raise TransfuseError("the run folder is not at hand")
    return read_run(folder).predictions()


@dataclass(frozen=True)
class Stretch:
    """Some text of an example.

    Attributes:
        text: the characters.
        label: type of the mention that it is, or "".
        state: ``gold``, ``right``, ``wrong``, ``missed``, or "" where it is no mention.
    """

    text: str
    label: str = ""
    state: str = ""


@dataclass(frozen=True)
class Example:
    """A sentence of the test split as gold has it and as each row of a table does.

    Attributes:
        kind: what it is an example of.
        document: its document's id.
        lines: ``gold`` or a row's name, with the pieces of the sentence.
    """

    kind: str
    document: str
    lines: tuple[tuple[str, tuple[Stretch, ...]], ...]


def examples(pair: TwoSystems) -> list[Example]:
    """Sentences that tell two rows apart, and some wrong in both: of each kind those evenly spread over the split."""
    first, other = pair.first, pair.other
    found: dict[str, list[Example]] = {kind.format(first=first, other=other): [] for kind in _EXAMPLES}
    right, wrong, both = found
    by_id = {name: {document.id: document for document in documents} for name, documents in pair.found.items()}
    for document in pair.gold:
        guesses = {name: documents[document.id].entities for name, documents in by_id.items()}
        spans = [(e.start, e.end) for entities in (document.entities, *guesses.values()) for e in entities]
        for start, end in sentences(document.text, keep=spans):
            gold, *ours = (_within(e, start, end) for e in (document.entities, *guesses.values()))
            if not gold or end - start > _LONGEST:
                continue
            named = dict(zip(guesses, ours, strict=True))
            good = named[first] == gold, named[other] == gold
            kind = {(False, True): right, (True, False): wrong, (False, False): both}.get(good)
            if kind:
                lines = [("gold", _pieces(document.text, start, end, gold, None))]
                lines += [(name, _pieces(document.text, start, end, gold, found_)) for name, found_ in named.items()]
                found[kind].append(Example(kind, document.id, tuple(lines)))
    return [e for few, all_ in zip(_EXAMPLES.values(), found.values(), strict=True) for e in _spread(all_, few)]


def _within(entities: Iterable[Entity], start: int, end: int) -> list[Entity]:
    return [entity for entity in entities if start <= entity.start and entity.end <= end]


def _spread(items: Sequence[Example], few: int) -> list[Example]:
    few = min(few, len(items))
    return [items[i * len(items) // few] for i in range(few)]


def _pieces(
    text: str, start: int, end: int, gold: Sequence[Entity], found: Sequence[Entity] | None
) -> tuple[Stretch, ...]:
    """A sentence cut at its mentions; of those that overlap the one that begins first is shown, then the longer."""
    if found is None:
        marks = [(entity, "gold") for entity in gold]
    else:
        marks = [(entity, "right" if entity in gold else "wrong") for entity in found]
        marks += [(e, "missed") for e in gold if not any(e.overlaps(other) for other in found)]
    pieces, at = [], start
    for entity, state in sorted(marks, key=lambda mark: (mark[0].start, -mark[0].end)):
        if entity.start >= at:
            pieces += [Stretch(text[at : entity.start]), Stretch(text[entity.start : entity.end], entity.label, state)]
            at = entity.end
    return tuple(piece for piece in (*pieces, Stretch(text[at:end])) if piece.text)
