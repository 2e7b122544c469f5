"""What is told of a method that labels raw text in rounds (MUCT): what it took, how much of it was right, the vote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any

__all__ = ["Round", "mean_rounds", "read_rounds", "rounds_grid"]


@dataclass(frozen=True)
class Round:
    """A round, its views together. Round 0 is the warm-up, before anything is labelled.

    Attributes:
        number: from 0.
        sentences: raw ones that were looked at, each once a view; None in round 0, as all that is told of labelling.
        accepted: of them, into training.
        mentions: in the accepted ones.
        right: of the judged mentions.
        judged: mentions in documents whose labels were only hidden; None where nobody knows.
        agreement: of the voters after the round, F1 between their mentions on held-out raw text.
        margin: mean lead of an elected mention there, as a share of the voters; None where none was elected.
    """

    number: int
    sentences: float | None = None
    accepted: float | None = None
    mentions: float | None = None
    right: float | None = None
    judged: float | None = None
    agreement: float | None = None
    margin: float | None = None

    @property
    def taken(self) -> float | None:
        """Share of the sentences that were accepted."""
        return self.accepted / self.sentences if self.sentences and self.accepted is not None else None

    @property
    def precision(self) -> float | None:
        """Of the pseudo-labels, where anybody knows."""
        return self.right / self.judged if self.judged and self.right is not None else None


_COUNTS = ("sentences", "accepted", "mentions", "right", "judged")


def read_rounds(records: Iterable[Mapping[str, Any]]) -> tuple[Round, ...]:
    """The rounds of a run from its records; none where its method has none.

    Args:
        records: events ``pseudo``, one a view, and ``round``. A run that was killed may have told one twice: the last
            counts.
    """
    views: dict[tuple[str, int], Mapping[str, Any]] = {}
    votes: dict[int, Mapping[str, Any]] = {}
    for record in records:
        if record["event"] == "round":
            votes[record["round"]] = record
        elif record["event"] == "pseudo" and "round" in record:
            views[record.get("stage", ""), record["round"]] = record
    found = []
    for number, vote in sorted(votes.items()):
        told = [record for (_, each), record in views.items() if each == number]
        counts = {name: _sum(record[name] for record in told) for name in _COUNTS}
        found.append(Round(number, **counts, agreement=vote["agreement"], margin=vote["margin"]))
    return tuple(found)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def mean_rounds(runs: Sequence[Sequence[Round]]) -> tuple[Round, ...]:
    """Means over runs of the same settings, so that the precision is that of all their pseudo-labels together."""
    shortest = min((len(rounds) for rounds in runs), default=0)
    return tuple(_mean([rounds[i] for rounds in runs]) for i in range(shortest))


def _mean(rounds: Sequence[Round]) -> Round:
    means: dict[str, float | None] = {}
    for name in (field.name for field in fields(Round)):
        values = [getattr(each, name) for each in rounds]
        means[name] = None if None in values else fmean(values)
    return Round(**{**means, "number": rounds[0].number})  # type: ignore[arg-type]


def rounds_grid(methods: Mapping[str, Sequence[Round]]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells: a line a method and round, rates in per cent.

    Args:
        methods: rounds by the method's name; one without rounds has no line.
    """
    heads = ["method", "round", "accepted", "of raw, %", "mentions", "precision", "agreement", "margin"]
    cells = [
        [
            name,
            str(each.number),
            _shown(each.accepted, ",.0f", 1),
            _shown(each.taken, ".1f"),
            _shown(each.mentions, ",.0f", 1),
            _shown(each.precision),
            _shown(each.agreement),
            _shown(each.margin),
        ]
        for name, rounds in methods.items()
        for each in rounds
    ]
    return heads, cells


def _shown(value: float | None, form: str = ".2f", factor: float = 100) -> str:
    return "-" if value is None else f"{factor * value:{form}}"
