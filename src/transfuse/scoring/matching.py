"""Which entities of one document agree, by each rule there is: integers in, integers out.

What the rules mean, and how other scorers differ, stands in `transfuse.scoring.score`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate

from transfuse.text import Entity

__all__ = ["KINDS", "Four", "Offsets", "Words", "by_label", "count", "count_labels", "maximum_matching", "same"]

KINDS = ("strict", "relaxed", "relaxed-set", "left", "right", "span", "conlleval")
"""The rules, as the docstring of `transfuse.scoring.score` defines them."""

Offsets = tuple[int, int]
"""A half-open range."""

Words = Callable[[str], Sequence[Offsets]]
"""The words of a text, as ranges of its characters."""

Four = tuple[int, int, int, int]
"""The counts tp, fp, fn and surplus, as `transfuse.scoring.score.Counts` explains them."""

_Hits = Callable[[list[Offsets], list[Offsets]], tuple[int, int]]
"""From gold and predicted ranges of one label: how many predictions are right, and how many of gold were found."""


def count(
    text: str, gold: tuple[Entity, ...], predicted: tuple[Entity, ...], kinds: Sequence[str], words: Words | None
) -> Iterator[tuple[str, str, Four]]:
    """Kind, label and counts of one document."""
    sides = by_label(_plain(gold)), by_label(_plain(predicted))
    for kind in kinds:
        if kind == "span":
            counted = _count_spans(gold, predicted)
        elif kind == "conlleval":
            on_words = _on_words(text, words, gold, predicted)
            counted = count_labels(by_label(on_words[0]), by_label(on_words[1]), same)
        else:
            counted = count_labels(*sides, _HITS[kind])
        for label, row in counted.items():
            yield kind, label, row


def _plain(entities: Iterable[Entity]) -> Iterator[tuple[int, int, str]]:
    return ((entity.start, entity.end, entity.label) for entity in entities)


def by_label(spans: Iterable[tuple[int, int, str]]) -> dict[str, list[Offsets]]:
    grouped: dict[str, list[Offsets]] = {}
    for start, end, label in spans:
        grouped.setdefault(label, []).append((start, end))
    return grouped


def _on_words(text: str, words: Words | None, *sides: Sequence[Entity]) -> list[list[tuple[int, int, str]]]:
    from transfuse.words import align, flatten
    from transfuse.words import words as fine

    offsets = words(text) if words else fine(text)
    return [flatten(align(offsets, entities)) for entities in sides]


def count_labels(
    gold: Mapping[str, list[Offsets]], predicted: Mapping[str, list[Offsets]], hits: _Hits
) -> dict[str, Four]:
    """Counts by label, where no label minds another; each list of spans sorted and without repetition."""
    counted = {}
    for label in {**gold, **predicted}:
        truths, guesses = gold.get(label, []), predicted.get(label, [])
        if truths == guesses:
            tp = found = len(truths)
        else:
            tp, found = hits(truths, guesses) if truths and guesses else (0, 0)
        counted[label] = (tp, len(guesses) - tp, len(truths) - found, found - tp)
    return counted


def _count_spans(gold: Sequence[Entity], predicted: Sequence[Entity]) -> dict[str, Four]:
    """Counts by label for equal spans: first those of equal labels are paired, then the others in order of label."""
    lists: dict[Offsets, tuple[list[str], list[str]]] = {}
    for side, entities in enumerate((gold, predicted)):
        for start, end, label in _plain(entities):
            lists.setdefault((start, end), ([], []))[side].append(label)
    found, right = Counter[str](), Counter[str]()
    for truths, guesses in lists.values():
        both = [label for label in truths if label in guesses]
        number = min(len(truths), len(guesses))
        found.update(sorted(truths, key=lambda label: (label not in both, label))[:number])
        right.update(sorted(guesses, key=lambda label: (label not in both, label))[:number])
    total, made = Counter(entity.label for entity in gold), Counter(entity.label for entity in predicted)
    return {
        label: (right[label], made[label] - right[label], total[label] - found[label], found[label] - right[label])
        for label in {**total, **made}
    }


def same(gold: list[Offsets], predicted: list[Offsets]) -> Offsets:
    number = len(set(gold) & set(predicted))
    return number, number


def _same_side(side: int) -> _Hits:
    def hits(gold: list[Offsets], predicted: list[Offsets]) -> Offsets:
        truths, guesses = (Counter(span[side] for span in spans) for spans in (gold, predicted))
        number = (truths & guesses).total()
        return number, number

    return hits


def _relaxed(gold: list[Offsets], predicted: list[Offsets]) -> Offsets:
    number = len(maximum_matching(gold, predicted))
    return number, number


def _relaxed_set(gold: list[Offsets], predicted: list[Offsets]) -> Offsets:
    return _touched(predicted, gold), _touched(gold, predicted)


def _touched(spans: list[Offsets], others: list[Offsets]) -> int:
    """How many spans overlap at least one of the others, which are sorted."""
    starts = [start for start, _ in others]
    reach = [0, *accumulate((end for _, end in others), max)]
    return sum(reach[bisect_left(starts, end)] > start for start, end in spans)


_HITS: dict[str, _Hits] = {
    "strict": same,
    "relaxed": _relaxed,
    "relaxed-set": _relaxed_set,
    "left": _same_side(0),
    "right": _same_side(1),
}


def maximum_matching(left: Sequence[Offsets], right: Sequence[Offsets]) -> list[tuple[int, int]]:
    """As many disjoint pairs of overlapping half-open ranges as there can be, as indices into the two lists.

    The range that ends first among those that remain takes, of the ranges it overlaps, the one that ends first. All of
    them hold its last character, so what one of them can still take the one that ends later can take, too: the choice
    is never worse than another. O(n log n); ranges may nest and overlap within a list.
    """
    sides = left, right
    order = sorted((span[1], side, i) for side in (0, 1) for i, span in enumerate(sides[side]))
    starting = [sorted(((span[0], span[1], i) for i, span in enumerate(spans)), reverse=True) for spans in sides]
    open_: tuple[list[Offsets], list[Offsets]] = ([], [])
    done: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for end, side, i in order:
        if i in done[side]:
            continue
        done[side].add(i)
        other = 1 - side
        while starting[other] and starting[other][-1][0] < end:
            _, its_end, j = starting[other].pop()
            heappush(open_[other], (its_end, j))
        while open_[other] and open_[other][0][1] in done[other]:
            heappop(open_[other])
        if open_[other]:
            j = heappop(open_[other])[1]
            done[other].add(j)
            pairs.append((i, j) if side == 0 else (j, i))
    return sorted(pairs)
