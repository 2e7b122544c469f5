"""How far each of several voters is to be believed, found from their votes alone (Dawid & Skene 1979).

A voter here is a view: some heads on one extractor, which err together. What is seen of it at a span is how many of its
heads found it. Whether the span is a mention is not known; how often each voter finds what is one, and what is none, is
estimated together with it by expectation maximisation. So the silence of a source that annotates little says little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transfuse.ensembles.ballots import Ballot, Elected
from transfuse.tags import Span

__all__ = ["Credit", "estimate", "observe"]

Seen = tuple[int | None, ...]
"""Of a span: how many heads of each voter found it, None of a voter that does not look for its label."""


@dataclass(frozen=True)
class Credit:
    """What is known of voters.

    Attributes:
        sizes: heads of each voter, in the order of the ballots.
        prior: share of mentions among the spans that anybody finds.
        mention: of each voter the probability that 0, 1, ... of its heads find a span that is a mention.
        other: the same of a span that is none.
    """

    sizes: tuple[int, ...]
    prior: float
    mention: tuple[tuple[float, ...], ...]
    other: tuple[tuple[float, ...], ...]

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Credit:
        """What `dataclasses.asdict` made. Raises KeyError or TypeError where it is not."""
        mention, other = (tuple(tuple(map(float, row)) for row in table[name]) for name in ("mention", "other"))
        return cls(tuple(map(int, table["sizes"])), float(table["prior"]), mention, other)

    def chance(self, seen: Seen) -> float:
        """The probability that a span is a mention."""
        odds = math.log(self.prior) - math.log1p(-self.prior)
        for mention, other, number in zip(self.mention, self.other, seen, strict=True):
            if number is not None:
                odds += math.log(mention[number]) - math.log(other[number])
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0

    def elect(self, ballots: Sequence[Ballot]) -> list[Elected]:
        """Spans that are rather a mention than not, the likeliest first where they overlap; in order."""
        chances = {span: self.chance(seen) for span, seen in observe(ballots, self.sizes).items()}
        found: list[Elected] = []
        for span in sorted(chances, key=lambda span: (-chances[span], span[0] - span[1], span)):
            if chances[span] > 0.5 and not any(span[0] < one.span[1] and one.span[0] < span[1] for one in found):
                votes = sum(span in ballot.spans for ballot in ballots)
                found.append(Elected(span, votes, 2 * chances[span] - 1, chances[span]))
        return sorted(found, key=lambda elected: elected.span)

    def doubted(self, ballots: Sequence[Ballot], lead: float) -> set[int]:
        """The words of a sentence that a span holds of which it is not clear whether it is a mention.

        Args:
            ballots: on the sentence.
            lead: by how much the likelier has to be more probable.
        """
        found: set[int] = set()
        for span, seen in observe(ballots, self.sizes).items():
            if abs(2 * self.chance(seen) - 1) < lead:
                found.update(range(*span[:2]))
        return found - {i for one in self.elect(ballots) if one.margin >= lead for i in range(*one.span[:2])}


def observe(ballots: Sequence[Ballot], sizes: Sequence[int]) -> dict[Span, Seen]:
    """What is seen of every span that anybody finds in a sentence."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    groups = [ballots[start : start + size] for start, size in zip(starts, sizes, strict=True)]

    def seen(span: Span, group: Sequence[Ballot]) -> int | None:
        return sum(span in ballot.spans for ballot in group) if span[2] in group[0].labels else None

    spans = dict.fromkeys(span for ballot in ballots for span in ballot.spans)
    return {span: tuple(seen(span, group) for group in groups) for span in spans}


def estimate(seen: Sequence[Seen], sizes: Sequence[int], *, rounds: int = 100) -> Credit:
    """Expectation maximisation from the majority, each count smoothed by one.

    Args:
        seen: of spans in raw text.
        sizes: heads of each voter.
        rounds: of expectation and maximisation.
    """
    counted: dict[Seen, int] = {}
    for one in seen:
        counted[one] = counted.get(one, 0) + 1
    chances = {one: _share(one, sizes) for one in counted}
    for _ in range(rounds):
        credit = _fitted(counted, chances, sizes)
        chances = {one: credit.chance(one) for one in counted}
    return _fitted(counted, chances, sizes)


def _share(seen: Seen, sizes: Sequence[int]) -> float:
    able = [(number, size) for number, size in zip(seen, sizes, strict=True) if number is not None]
    return sum(number for number, _ in able) / sum(size for _, size in able)


def _fitted(counted: Mapping[Seen, int], chances: Mapping[Seen, float], sizes: Sequence[int]) -> Credit:
    def rates(voter: int, weight: Mapping[Seen, float]) -> tuple[float, ...]:
        rows = [1.0] * (sizes[voter] + 1)
        for one, times in counted.items():
            number = one[voter]
            if number is not None:
                rows[number] += times * weight[one]
        return tuple(row / sum(rows) for row in rows)

    against = {one: 1 - chance for one, chance in chances.items()}
    total = sum(counted.values())
    prior = (1 + sum(times * chances[one] for one, times in counted.items())) / (2 + total)
    voters = range(len(sizes))
    mention, other = (tuple(rates(voter, weight) for voter in voters) for weight in (chances, against))
    return Credit(tuple(sizes), prior, mention, other)
