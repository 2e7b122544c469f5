"""How several taggers' opinions become one answer: a vote, weighted means of spans or of tags, a learned judge, or one
member's word alone.

The last three are learned on annotated documents that no member was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transfuse.ensembles.ballots import Ballot, elect
from transfuse.ensembles.evidence import Answer, Evidence, Mask
from transfuse.ensembles.thresholds import Demand, choose_threshold, prevailing
from transfuse.ensembles.votes import best_spans, mean_marginals, span_chances
from transfuse.taggers.architecture import TagSet
from transfuse.tags import Span
from transfuse.text import BundleError, Entity

__all__ = ["RULES", "Rule", "Single", "Spans", "Stack", "Tags", "Vote", "fit_rule", "load_rule", "save_rule"]

_WEIGHTINGS = 21
"""So many ways to weigh the members are tried, at most."""

_EDGE = 1e-4
"""Probabilities nearer to 0 or 1 have the log-odds of this one, for a judge."""


class Rule(Hashable, Protocol):
    """How an answer is made; its fields are what was learned."""

    kind: ClassVar[str]

    def answer(self, evidence: Evidence) -> Answer:
        """The mentions of every document, each with its probability."""
        ...

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The probabilities of some spans, by their numbers, whether they are among the mentions or not."""
        ...


@dataclass(frozen=True)
class Single:
    """The answer of one member.

    Attributes:
        member: its number.
    """

    kind: ClassVar[str] = "single"
    member: int

    def answer(self, evidence: Evidence) -> Answer:
        """See `Rule.answer`."""
        return evidence.answer(evidence.found[self.member], evidence.chances[self.member])

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """See `Rule.chances`."""
        return evidence.chances[self.member, numbers]


@dataclass(frozen=True)
class Vote:
    """Relative majority over spans, see `transfuse.ensembles.ballots.elect`."""

    kind: ClassVar[str] = "vote"

    def answer(self, evidence: Evidence) -> Answer:
        """See `Rule.answer`."""
        chosen, scores = np.zeros(len(evidence.spans), dtype=bool), np.zeros(len(evidence.spans))
        for group in _groups(evidence):
            numbers = {(evidence.spans[i].start, evidence.spans[i].end, evidence.spans[i].label): i for i in group}
            for one in elect([_ballot(evidence, member, numbers) for member in range(evidence.members)]):
                chosen[numbers[one.span]], scores[numbers[one.span]] = True, one.score
        return evidence.answer(chosen, scores)

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """See `Rule.chances`."""
        return _means(evidence, (1.0,) * evidence.members)[0][numbers]


def _ballot(evidence: Evidence, member: int, numbers: Mapping[tuple[int, int, str], int]) -> Ballot:
    chances = evidence.chances[member]
    labels = [label for label, able in zip(evidence.labels, evidence.able[member], strict=True) if able]
    spans = [span for span, i in numbers.items() if evidence.found[member, i]]
    return Ballot(spans, labels, lambda span: float(chances[numbers[span]]))


def _groups(evidence: Evidence) -> list[list[int]]:
    """The spans that somebody finds, in groups that hang together by overlapping."""
    groups: list[list[int]] = []
    place, reached = -1, 0
    for i in np.flatnonzero(evidence.found.any(0)).tolist():
        span, row = evidence.spans[i], int(evidence.rows[i])
        if row != place or span.start >= reached:
            groups.append([])
            place, reached = row, 0
        groups[-1].append(i)
        reached = max(reached, span.end)
    return groups


@dataclass(frozen=True)
class Spans:
    """The weighted mean of the members' probabilities for a span, over those that look for its label.

    Attributes:
        weights: of the members, none negative.
        threshold: what a mean must reach.
    """

    kind: ClassVar[str] = "spans"
    weights: tuple[float, ...]
    threshold: float

    def answer(self, evidence: Evidence) -> Answer:
        """See `Rule.answer`."""
        scores, stays = _means(evidence, self.weights)
        return evidence.answer(stays & (scores >= self.threshold), scores)

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """See `Rule.chances`."""
        return _means(evidence, self.weights)[0][numbers]

    @classmethod
    def fit(cls, evidence: Evidence, inside: Mask) -> Spans:
        """The weights and the threshold with the highest F1, every one of `_weightings` tried."""
        best, rule = -1.0, cls(tuple(1.0 for _ in range(evidence.members)), 0.5)
        for weights in _weightings(evidence.members):
            scores, stays = _means(evidence, weights)
            found = cls(weights, _threshold(evidence, scores, stays, inside))
            chosen = stays & (scores >= found.threshold)
            f1 = _f1(evidence, chosen, inside)
            if f1 > best:
                best, rule = f1, found
        return rule


def _means(evidence: Evidence, weights: tuple[float, ...]) -> tuple[NDArray[np.float64], Mask]:
    """The mean of each span, and whether it gives way to no other."""

    def make() -> tuple[NDArray[np.float64], Mask]:
        voices = np.array(weights)[:, None] * evidence.able[:, evidence.columns]
        scores = (voices * evidence.chances).sum(0) / np.maximum(voices.sum(0), 1e-12)
        return scores, prevailing(scores, evidence.rivals)

    return evidence.keep(("means", weights), make)


def _threshold(evidence: Evidence, scores: NDArray[np.float64], stays: Mask, inside: Mask) -> float:
    counted = stays & evidence.known & inside[evidence.rows]
    gold = sum(len(evidence.gold[i]) for i in np.flatnonzero(inside))
    return choose_threshold(scores[counted], evidence.right[counted], gold, Demand())


def _f1(evidence: Evidence, chosen: Mask, inside: Mask) -> float:
    counted = chosen & evidence.known & inside[evidence.rows]
    gold = sum(len(evidence.gold[i]) for i in np.flatnonzero(inside))
    total = int(counted.sum()) + gold
    return 2 * int(evidence.right[counted].sum()) / total if total else 0.0


def _weightings(members: int) -> list[tuple[float, ...]]:
    """Equal weights, and all ways to give so many equal parts to members that there are not too many ways."""
    parts = max(n for n in range(1, 11) if n == 1 or comb(n + members - 1, n) <= _WEIGHTINGS)
    found = [tuple(1 / members for _ in range(members))]
    for bars in combinations(range(parts + members - 1), members - 1):
        edges = (-1, *bars, parts + members - 1)
        found.append(tuple((b - a - 1) / parts for a, b in pairwise(edges)))
    return found


@dataclass(frozen=True)
class Tags:
    """The best legal path under the weighted mean of the members' tag probabilities.

    Attributes:
        weights: of the members, none negative.
    """

    kind: ClassVar[str] = "tags"
    weights: tuple[float, ...]

    def answer(self, evidence: Evidence) -> Answer:
        """See `Rule.answer`. Raises BundleError where the members give no tags of the same words."""
        return evidence.keep(("tags", self.weights), lambda: _read(evidence, self.weights))

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """See `Rule.chances`. Raises as `answer` does; a span that begins or ends inside a word has none."""
        tagset, places, means = _mean_tags(evidence, self.weights)
        found = np.zeros(len(numbers))
        seen: list[tuple[int, Tensor, Span]] = []
        for number, i in enumerate(numbers):
            span = evidence.spans[i]
            for (row, offsets), mean in zip(places, means, strict=True):
                starts, ends = [a for a, _ in offsets], [b for _, b in offsets]
                if row == evidence.rows[i] and span.start in starts and span.end in ends:
                    words = starts.index(span.start), ends.index(span.end) + 1
                    seen.append((number, mean, (*words, span.label)))
        chances = span_chances([mean for _, mean, _ in seen], tagset, [span for *_, span in seen])
        found[[number for number, *_ in seen]] = chances
        return found

    @classmethod
    def fit(cls, evidence: Evidence, inside: Mask) -> Tags:
        """The weights with the highest F1, every one of `_weightings` tried."""
        tried = [cls(weights) for weights in _weightings(evidence.members)]
        return max(tried, key=lambda rule: evidence.counts(rule.answer(evidence), inside).f1)


_Place = tuple[int, Sequence[tuple[int, int]]]
"""Of a sentence the number of its document, and its words' offsets."""


def _mean_tags(evidence: Evidence, weights: Sequence[float]) -> tuple[TagSet, list[_Place], Sequence[Tensor]]:
    """Of each sentence its place and ``[words, tags]`` mean probabilities."""
    tagset = evidence.tagset
    if tagset is None:
        raise BundleError("the members do not give tags of the same words a probability: their tags have no mean")
    places = [(row, s.offsets) for row, sentences in enumerate(evidence.sentences) for s in sentences]
    if not places:
        return tagset, [], ()
    means = mean_marginals(evidence.keep("words", lambda: _words(evidence)), tagset, weights)
    return tagset, places, torch.split(means, [len(offsets) for _, offsets in places])


def _read(evidence: Evidence, weights: Sequence[float]) -> Answer:
    found: Answer = [[] for _ in evidence.documents]
    tagset, places, means = _mean_tags(evidence, weights)
    for (row, offsets), spans in zip(places, best_spans(means, tagset), strict=True):
        for (first, last, label), score in spans:
            found[row].append(Entity(offsets[first][0], offsets[last - 1][1], label, score))
    return found


def _words(evidence: Evidence) -> list[tuple[tuple[str, ...], Tensor]]:
    """Of each member the names of its tags, and their probabilities for every word of every sentence."""
    every = [sentence.parts for sentences in evidence.sentences for sentence in sentences]
    return [(parts[0][0], torch.cat([chances for _, chances in parts])) for parts in zip(*every, strict=True)]


@dataclass(frozen=True)
class Stack:
    """A logistic regression over what the members say of a span: stacking (Wolpert 1992).

    Of each member it sees the log-odds of its probability, whether it finds the span, and whether it finds another in
    its place; and the span's length and label.

    Attributes:
        coefficients: of what it sees.
        intercept: beside them.
        threshold: what the probability must reach.
    """

    kind: ClassVar[str] = "stack"
    coefficients: tuple[float, ...]
    intercept: float
    threshold: float

    def answer(self, evidence: Evidence) -> Answer:
        """See `Rule.answer`."""
        scores = self._scores(evidence)
        return evidence.answer(prevailing(scores, evidence.rivals) & (scores >= self.threshold), scores)

    def chances(self, evidence: Evidence, numbers: Sequence[int]) -> NDArray[np.float64]:
        """See `Rule.chances`."""
        return self._scores(evidence)[numbers]

    def _scores(self, evidence: Evidence) -> NDArray[np.float64]:
        odds = _seen(evidence) @ np.array(self.coefficients) + self.intercept
        return np.asarray(1 / (1 + np.exp(-odds)))

    @classmethod
    def fit(cls, evidence: Evidence, inside: Mask) -> Stack:
        """Learned with scikit-learn on the spans of some documents; the threshold has the highest F1 on them."""
        from sklearn.linear_model import LogisticRegression

        seen, counted = _seen(evidence), evidence.known & inside[evidence.rows]
        right = evidence.right[counted]
        if right.all() or not right.any():  # nothing to tell apart
            return cls(tuple(0.0 for _ in range(seen.shape[1])), 1.0 if right.any() else -1.0, 0.5)
        learned = LogisticRegression(max_iter=2000).fit(seen[counted], right)
        rule = cls(tuple(learned.coef_[0].tolist()), float(learned.intercept_[0]), 0.5)
        scores = rule._scores(evidence)
        threshold = _threshold(evidence, scores, prevailing(scores, evidence.rivals), inside)
        return cls(rule.coefficients, rule.intercept, threshold)


def _seen(evidence: Evidence) -> NDArray[np.float64]:
    """``[spans, features]``."""

    def make() -> NDArray[np.float64]:
        clipped = evidence.chances.clip(_EDGE, 1 - _EDGE)
        able = evidence.able[:, evidence.columns]
        length = np.log([span.end - span.start for span in evidence.spans]) if evidence.spans else np.zeros(0)
        label = np.eye(len(evidence.labels))[evidence.columns, 1:]
        parts = [np.log(clipped / (1 - clipped)) * able, evidence.found, _instead(evidence)]
        return np.column_stack([*(part.T for part in parts), length, label]).astype(np.float64)

    return evidence.keep("seen", make)


def _instead(evidence: Evidence) -> Mask:
    """``[members, spans]`` whether a member finds something else where a span is."""
    found = np.zeros_like(evidence.found)
    for i, others in evidence.rivals.items():
        found[:, i] = evidence.found[:, others].any(1)
    return found


_LEARNED: Mapping[str, Callable[[Evidence, Mask], Rule]] = {
    "vote": lambda *_: Vote(),
    "spans": Spans.fit,
    "tags": Tags.fit,
    "stack": Stack.fit,
}

RULES = tuple(_LEARNED)
"""The rules that unite members, by name."""

_KINDS: Mapping[str, Any] = {kind.kind: kind for kind in (Single, Vote, Spans, Tags, Stack)}


def fit_rule(name: str, evidence: Evidence, inside: Mask) -> Rule:
    """Learn one of `RULES` on some documents.

    Args:
        name: of the rule.
        evidence: with gold.
        inside: of each document whether it is learned from; the others are not looked at.
    """
    return _LEARNED[name](evidence, inside)


def save_rule(rule: Rule) -> dict[str, Any]:
    """A rule as JSON holds it."""
    return {"kind": rule.kind, **asdict(rule)}  # type: ignore[call-overload]


def load_rule(config: Mapping[str, Any]) -> Rule:
    """Read what `save_rule` gave. Raises KeyError or TypeError where it is none."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"}
    rule: Rule = _KINDS[config["kind"]](**fields)
    return rule
