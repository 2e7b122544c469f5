"""Parts of a corpus, for cross-validation and for splits: by document, each label's mentions spread evenly over all.

Documents with the same text are never parted, so that nothing which is held out stands in training too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transfuse.mentions import kin
from transfuse.ranges import check_ranges
from transfuse.text import ConfigError, Corpus, DataError, Document

__all__ = ["Fold", "hold_fold", "stratified"]

_DEV = 10
"""What is not held out gives one of so many parts to the development split."""


@dataclass(frozen=True)
class Fold:
    """Which part of a corpus is held out.

    Attributes:
        number: of the part, from 1.
        of: how many parts there are.
        seed: decides the parts; no run's seed does.
        whole: divide the published test split too, which else takes no part in it and stays unseen.
    """

    number: int
    of: int
    seed: int = 0
    whole: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, "data.fold", of="[2, inf)", seed="[0, inf)")
        if not 1 <= self.number <= self.of:
            raise ConfigError(f"data.fold.number lies in [1, {self.of}], not {self.number}")


def hold_fold(corpus: Corpus, fold: Fold) -> Corpus:
    """The corpus with one part of its documents as test split, a tenth of the others as dev, and the rest as train.

    Args:
        corpus: its training and development documents are divided, those of its test split where the fold says so.
        fold: which part.

    Raises:
        DataError: there are too few documents with different texts, or two have the same id.
    """
    splits = ("train", "dev", "test") if fold.whole else ("train", "dev")
    documents = [document for split in splits for document in corpus.splits.get(split, ())]
    doubled = [name for name, times in Counter(document.id for document in documents).items() if times > 1]
    if doubled:
        raise DataError(f"{corpus.name}: document {doubled[0]} is there twice: ids must be unique to be divided")
    held = set(stratified(documents, [1] * fold.of, seed=fold.seed)[fold.number - 1])
    rest = [number for number in range(len(documents)) if number not in held]
    apart = len(kin([documents[number] for number in rest], 2))
    if apart < 2:
        raise DataError(f"{corpus.name}: {fold.of} parts of {len(documents)} documents leave none for training and dev")
    dev = {rest[i] for i in stratified([documents[i] for i in rest], [1] * min(_DEV, apart), seed=fold.seed)[0]}
    rows = {"train": [number for number in rest if number not in dev], "dev": sorted(dev), "test": sorted(held)}
    made = {split: tuple(documents[number] for number in numbers) for split, numbers in rows.items()}
    return replace(corpus, name=f"{corpus.name}, fold {fold.number} of {fold.of}", splits=made)


def stratified(
    documents: Sequence[Document], weights: Sequence[int], *, seed: int, least: int = 0
) -> list[tuple[int, ...]]:
    """Numbers of documents by part: each in exactly one, none empty.

    The iterative stratification of Sechidis, Tsoumakas & Vlahavas (2011, algorithm 1), with two things of our own:
    what is to be even are the counts of mentions, so that documents with many are placed first; and what belongs
    together goes together (`transfuse.mentions.kin`).

    Args:
        documents: what to divide.
        weights: how much each part is to hold beside the others.
        seed: decides ties, and nothing else decides anything.
        least: see `transfuse.mentions.kin`; as many as there are parts unless more are wanted.

    Raises:
        DataError: there are fewer different texts than parts.
    """
    groups = kin(documents, max(least, len(weights)))
    if len(groups) < len(weights):
        raise DataError(f"{len(groups)} documents with different texts cannot be divided into {len(weights)} parts")
    labels = [Counter(e.label for number in group for e in documents[number].entities) for group in groups]
    placed = _Placing(labels, [len(group) for group in groups], weights, seed).place()
    found: list[list[int]] = [[] for _ in weights]
    for part, group in zip(placed, groups, strict=True):
        found[part] += group
    return [tuple(sorted(numbers)) for numbers in found]


class _Placing:
    """Puts groups of documents into parts, one after another, each where most is wanting."""

    def __init__(self, labels: Sequence[Counter[str]], sizes: Sequence[int], weights: Sequence[int], seed: int) -> None:
        self.labels, self.sizes = labels, sizes
        self.draw = random.Random(f"folds/{seed}")
        total, whole = sum(labels, Counter()), sum(weights)
        self.wanted = [{label: count * weight / whole for label, count in total.items()} for weight in weights]
        self.room = [sum(sizes) * weight / whole for weight in weights]
        self.part = [-1] * len(labels)
        self.empty = set(range(len(weights)))
        order = list(range(len(labels)))
        self.draw.shuffle(order)
        self.left = dict.fromkeys(order)

    def place(self) -> list[int]:
        """The part of each group."""
        while label := self._rarest():
            those = [number for number in self.left if self.labels[number][label]]
            for number in sorted(those, key=lambda number: -self.labels[number][label]):
                self._put(number, label)
        for number in list(self.left):
            self._put(number, None)
        return self.part

    def _rarest(self) -> str | None:
        """The label that the fewest groups which are left have."""
        groups = Counter(label for number in self.left for label in self.labels[number])
        return min(groups, key=lambda label: (groups[label], label), default=None)

    def _put(self, number: int, label: str | None) -> None:
        parts = sorted(self.empty) if len(self.empty) >= len(self.left) else range(len(self.room))
        best = max(parts, key=lambda part: (self._lacks(part, label), self.room[part], self.draw.random()))
        self.part[number] = best
        self.empty.discard(best)
        del self.left[number]
        self.room[best] -= self.sizes[number]
        for name, count in self.labels[number].items():
            self.wanted[best][name] -= count

    def _lacks(self, part: int, label: str | None) -> float:
        return 0.0 if label is None else self.wanted[part][label]
