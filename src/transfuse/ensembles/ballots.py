"""Votes on the mentions of one sentence: relative majority over spans, and how far voters agree.

At every place the voters choose between the mentions that were proposed there and nothing (Gan & Wang 2026, equation
11, carried over from classes to spans). A vote counts for the very span: first word, last word and label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum

from transfuse.tags import Span

__all__ = ["Ballot", "Elected", "agreement", "doubted", "elect"]


@dataclass(frozen=True)
class Ballot:
    """What one voter finds in a sentence.

    Attributes:
        spans: its mentions, none overlapping another.
        labels: what it looks for; it has no voice on other labels.
        chance: the probability in [0, 1] that it gives to a span of its labels, whether it found it or not.
    """

    spans: Sequence[Span]
    labels: Collection[str]
    chance: Callable[[Span], float]


@dataclass(frozen=True)
class Elected:
    """A mention that won.

    Attributes:
        span: the mention.
        votes: how many voters found it.
        margin: by how many votes it leads the strongest alternative, nothing among them, as a share of the voters that
            look for its label; 0 where the confidence decided. With a quorum nothing has one vote less than that.
        score: mean probability over those voters; None where nobody asked for it.
    """

    span: Span
    votes: int
    margin: float
    score: float | None


def elect(ballots: Sequence[Ballot], *, scores: bool = True, quorum: int = 0) -> list[Elected]:
    """The mentions with a relative majority, in order; no two overlap.

    A mention beats its rivals, the mentions that overlap it, by votes, then by the summed probability that its voters
    give it, then by length, then by coming first. It is elected if more voters found it than found nothing in its
    place; where these are as many, if its voters believe in it more, summed, than those who found nothing disbelieve.

    Args:
        ballots: one a voter.
        scores: ask for `Elected.score`.
        quorum: above 0, finding nothing is no vote, and a mention needs so many voters.
    """
    votes = Counter(span for ballot in ballots for span in ballot.spans)
    rivals = {span: [other for other in votes if other != span and _overlap(span, other)] for span in votes}

    def rank(span: Span) -> tuple[float, ...]:
        return (-votes[span], -_belief(span, ballots) if rivals[span] else 0.0, span[0] - span[1], span[0])

    found: list[Elected] = []
    for span in sorted(votes, key=lambda span: (rank(span), span[2])):
        able = [ballot for ballot in ballots if span[2] in ballot.labels]
        against = [ballot for ballot in able if not any(_overlap(span, other) for other in ballot.spans)]
        elected = votes[span] >= quorum if quorum else _beats_nothing(span, ballots, against)
        if not elected or any(_overlap(span, other.span) for other in found):
            continue
        nothing = quorum - 1 if quorum else len(against)
        lead = votes[span] - max(nothing, *(votes[other] for other in rivals[span]), 0)
        score = fsum(ballot.chance(span) for ballot in able) / len(able) if scores else None
        found.append(Elected(span, votes[span], max(0, lead) / len(able), score))
    return sorted(found, key=lambda elected: elected.span)


def doubted(ballots: Sequence[Ballot], elected: Sequence[Elected], lead: float, *, quorum: int = 0) -> set[int]:
    """The words of a sentence on which the voters are not sure enough.

    Args:
        ballots: one a voter.
        elected: what `elect` made of them.
        lead: by how many votes, as a share of the voters, an elected mention has to lead its strongest alternative, and
            nothing has to lead a mention that was not elected, for their words to be sure.
        quorum: as in `elect`; above 0, words that anybody names and nobody was elected for are doubted.
    """
    found: set[int] = set()
    for one in elected:
        if one.margin < lead:
            found.update(range(*one.span[:2]))
    votes = Counter(span for ballot in ballots for span in ballot.spans)
    for span in votes.keys() - {one.span for one in elected}:
        able = [ballot for ballot in ballots if span[2] in ballot.labels]
        against = sum(not any(_overlap(span, other) for other in ballot.spans) for ballot in able)
        if quorum or against - votes[span] < lead * len(able):
            found.update(range(*span[:2]))
    return found - {word for one in elected if one.margin >= lead for word in range(*one.span[:2])}


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _belief(span: Span, ballots: Sequence[Ballot]) -> float:
    return fsum(ballot.chance(span) for ballot in ballots if span in ballot.spans)


def _beats_nothing(span: Span, ballots: Sequence[Ballot], against: Sequence[Ballot]) -> bool:
    lead = sum(span in ballot.spans for ballot in ballots) - len(against)
    if lead:
        return lead > 0
    return _belief(span, ballots) > fsum(1 - ballot.chance(span) for ballot in against)


def agreement(sentences: Iterable[Sequence[Ballot]]) -> float:
    """F1 between the mentions of two voters, pooled over all pairs of voters and all sentences.

    Args:
        sentences: the ballots on each, always of the same voters in the same order.

    Returns:
        In [0, 1]. A pair is compared on the labels that both look for; 0 where nobody finds anything, so that silence
        is no agreement.
    """
    same = total = 0
    for ballots in sentences:
        for one, other in combinations(ballots, 2):
            here = {span for span in one.spans if span[2] in other.labels}
            there = {span for span in other.spans if span[2] in one.labels}
            same += 2 * len(here & there)
            total += len(here) + len(there)
    return same / total if total else 0.0
