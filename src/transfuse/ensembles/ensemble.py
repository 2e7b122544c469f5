"""Several taggers on one text, harmonised by agreement: what enough of them find stays.

The idea is that of the CALBC silver standard (Rebholz-Schuhmann et al., CALBC silver standard corpus, Journal of
Bioinformatics and Computational Biology 2010): mentions of one semantic group that lie on each other are aligned, the
taggers vote, and a rule settles the boundaries. Here every tagger has one voice for each mention that comes out, and
every mention that goes in speaks for at most one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from transfuse.text import ConfigError, DataError, Document, Entity

__all__ = ["BOUNDARIES", "Agreed", "Agreement", "harmonise"]

BOUNDARIES = ("exact", "longest", "shortest", "majority")
"""exact: only equal mentions vote for each other. Under the others all that overlap a mention vote for it, and the
first to get enough votes is the longest, the shortest, or the one whose two boundaries most taggers share."""


_BLANK = re.compile(r"\s")


@dataclass(frozen=True)
class Agreement:
    """How many taggers have to agree, and on what.

    Attributes:
        threshold: from 1, a number of taggers, or their weight; below 1, a share of those that look for the label.
        boundary: one of `BOUNDARIES`.
        weights: of taggers by name; 1 for those that are not named.

    Raises:
        ConfigError: no such boundary rule, a threshold or weight that is not positive.
    """

    threshold: float = 2
    boundary: str = "exact"
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not self.threshold > 0:  # nan is none, either
            raise ConfigError(f"agreement is a number of taggers, or a share below 1, not {self.threshold:g}")
        if self.boundary not in BOUNDARIES:
            raise ConfigError(f"unknown boundary rule {self.boundary!r}: choose one of {', '.join(BOUNDARIES)}")
        for name, weight in (self.weights or {}).items():
            if weight <= 0:
                raise ConfigError(f"the weight of {name} is {weight:g}, not a positive number")

    def weight(self, taggers: Iterable[str]) -> float:
        """Of some taggers together, the same in whatever order they come."""
        return fsum((self.weights or {}).get(name, 1.0) for name in taggers)


@dataclass(frozen=True, slots=True, order=True)
class Agreed:
    """A mention that came out, and who voted for it.

    Attributes:
        entity: the mention; its score is the share of the taggers' weight that voted for it.
        taggers: their names, sorted.
    """

    entity: Entity
    taggers: tuple[str, ...]


def harmonise(
    tagged: Mapping[str, Iterable[Document]],
    agreement: Agreement,
    *,
    labels: Mapping[str, Collection[str]] | None = None,
) -> Iterator[tuple[Document, tuple[Agreed, ...]]]:
    """The documents with what enough taggers found, and who found it; streams.

    No two mentions of one label overlap in what comes out. What any tagger marks as unknown is unknown.

    Args:
        tagged: the same documents in the same order, as each tagger annotated them; their texts may differ in the kind
            of white space, a line break for a blank, and the first one's stay.
        agreement: how many have to agree, and on what.
        labels: what each tagger looks for; those that are not named look for everything. It decides of how many
            taggers a share is taken.

    Raises:
        ConfigError: there is no tagger, or a weight is given for one that is not there.
        DataError: the documents of two taggers differ.
    """
    if not tagged:
        raise ConfigError("there is no tagger to harmonise")
    strangers = sorted(set(agreement.weights or ()) - set(tagged))
    if strangers:
        raise ConfigError(f"no tagger is called {', '.join(strangers)}; there are {', '.join(tagged)}")
    total = _Total(tuple(tagged), agreement, labels or {})
    streams = [iter(documents) for documents in tagged.values()]
    names = tuple(tagged)
    for first in streams[0]:
        row = [first, *(_follow(stream, name, first) for stream, name in zip(streams[1:], names[1:], strict=True))]
        mentions = sorted((e, name) for name, document in zip(names, row, strict=True) for e in document.entities)
        votes = tuple(sorted(_settle(mentions, agreement, total)))
        unknown = {span for document in row for span in document.unknown}
        yield Document(first.id, first.text, tuple(vote.entity for vote in votes), tuple(unknown)), votes
    for stream, name in zip(streams[1:], names[1:], strict=True):
        if (more := next(stream, None)) is not None:
            raise DataError(f"{name} has a document more than {names[0]}: {more.id}")


def _follow(stream: Iterator[Document], name: str, first: Document) -> Document:
    document = next(stream, None)
    if document is None:
        raise DataError(f"{name} ends before document {first.id}")
    if document.id != first.id or not _same_text(document.text, first.text):
        what = "another text of document" if document.id == first.id else f"document {document.id} in place of"
        raise DataError(f"{name} has {what} {first.id}: all taggers need the same documents in the same order")
    return document


def _same_text(one: str, other: str) -> bool:
    """Whether offsets into one hold in the other: they differ in the kind of white space at most."""
    return one == other or (len(one) == len(other) and _BLANK.sub(" ", one) == _BLANK.sub(" ", other))


class _Total:
    """The weight of all taggers that look for a label."""

    def __init__(self, names: Sequence[str], agreement: Agreement, labels: Mapping[str, Collection[str]]) -> None:
        self._names, self._agreement, self._labels = names, agreement, labels
        self._known: dict[str, float] = {}

    def __getitem__(self, label: str) -> float:
        if label not in self._known:
            able = [name for name in self._names if label in self._labels.get(name, (label,))]
            self._known[label] = self._agreement.weight(able)
        return self._known[label]


_Mention = tuple[Entity, str]
"""A mention and the tagger that found it."""


def _settle(mentions: Sequence[_Mention], agreement: Agreement, total: _Total) -> Iterator[Agreed]:
    for label in sorted({entity.label for entity, _ in mentions}):
        least = agreement.threshold if agreement.threshold >= 1 else agreement.threshold * total[label]
        for group in _groups([mention for mention in mentions if mention[0].label == label]):
            for entity, taggers in _elect(group, agreement, least):
                weight = agreement.weight(taggers)
                yield Agreed(replace(entity, score=min(1.0, weight / total[label])), taggers)


def _groups(mentions: Sequence[_Mention]) -> Iterator[list[_Mention]]:
    """Mentions that hang together by overlapping; they come sorted."""
    group: list[_Mention] = []
    reached = 0
    for mention in mentions:
        if group and mention[0].start >= reached:
            yield group
            group = []
        group.append(mention)
        reached = max(reached, mention[0].end)
    if group:
        yield group


def _elect(group: list[_Mention], agreement: Agreement, least: float) -> Iterator[tuple[Entity, tuple[str, ...]]]:
    """Mentions that get enough votes, best first; each takes with it whatever it overlaps."""
    agree, rank = _RULES[agreement.boundary]
    left = group
    rejected: set[Entity] = set()

    def voters(candidate: Entity) -> tuple[str, ...]:
        return tuple(sorted({name for entity, name in left if agree(candidate, entity)}))

    def order(candidate: Entity) -> tuple[float, ...]:
        return (*rank(candidate, left, agreement), candidate.start - candidate.end, candidate.start)

    while candidates := {entity for entity, _ in left} - rejected:
        best = min(candidates, key=order)
        found = voters(best)
        # A share of several weights may miss its own threshold by a rounding error.
        if agreement.weight(found) >= least - 1e-9:
            yield best, found
            left = [mention for mention in left if not mention[0].overlaps(best)]
        else:
            rejected.add(best)


def _same(candidate: Entity, other: Entity) -> bool:
    return (candidate.start, candidate.end) == (other.start, other.end)


_Rank = Callable[[Entity, Sequence[_Mention], Agreement], tuple[float, ...]]


def _by_votes(candidate: Entity, mentions: Sequence[_Mention], agreement: Agreement) -> tuple[float, ...]:
    return (-agreement.weight({name for entity, name in mentions if _same(candidate, entity)}),)


def _by_boundaries(candidate: Entity, mentions: Sequence[_Mention], agreement: Agreement) -> tuple[float, ...]:
    starts = {name for entity, name in mentions if entity.start == candidate.start}
    ends = {name for entity, name in mentions if entity.end == candidate.end}
    return (-agreement.weight(starts) - agreement.weight(ends),)


_RULES: Mapping[str, tuple[Callable[[Entity, Entity], bool], _Rank]] = {
    "exact": (_same, _by_votes),
    "longest": (Entity.overlaps, lambda candidate, *_: (candidate.start - candidate.end,)),
    "shortest": (Entity.overlaps, lambda candidate, *_: (candidate.end - candidate.start,)),
    "majority": (Entity.overlaps, _by_boundaries),
}
"""Who votes for a mention, and which mention is asked first: the one with the lowest key."""
