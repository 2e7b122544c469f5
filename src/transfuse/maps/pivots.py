"""A look at structural correspondence learning: its pivots, and which words of source and target correspond.

What a figure of Blitzer et al. (2006) shows for the Wall Street Journal and MEDLINE, on any two corpora.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from transfuse.maps.correspondence import Correspondences, choose_pivots, correspond, mutual_information
from transfuse.maps.token_features import HandMade, number_tags, pivot_candidates, positions
from transfuse.taggers.linear import Tokens
from transfuse.text import ConfigError

__all__ = ["Look", "Match", "Pivot", "look"]

_OWN = 5.0  # times as frequent as in the other domain: from here, a word is one domain's own
_NEAREST = 3  # target words that are named beside a source word

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pivot:
    """A feature that both domains have.

    Attributes:
        word: in lower case.
        position: 0 where it is the word that is tagged, -1 where it stands before that word, 1 behind it.
        bits: mutual information with the tag, over the source.
        source: how often the source has it.
        target: how often the target has it.
        inside: share of the source's words with it that are inside a mention.
    """

    word: str
    position: int
    bits: float
    source: int
    target: int
    inside: float


@dataclass(frozen=True)
class Match:
    """A word of the source's own, and the target's own words that are nearest to it.

    Attributes:
        word: in lower case; at least five times as frequent in the source as in the target.
        source: how often the source has it.
        inside: share of these that are inside a mention.
        target: words, with their cosine in the space of the pivots' predictors, the nearest first.
    """

    word: str
    source: int
    inside: float
    target: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Look:
    """What is there to see.

    Attributes:
        pivots: all that were chosen, the most informative first.
        matches: words that say something of the tag, those that stand inside mentions more than the average first.
        words: how many of either side were looked at.
    """

    pivots: tuple[Pivot, ...]
    matches: tuple[Match, ...]
    words: dict[str, int]


def look(
    source: Sequence[Tokens],
    target: Sequence[Tokens],
    labels: Sequence[str],
    settings: Correspondences,
    *,
    label: str = "",
    count: int = 10,
) -> Look:
    """Choose pivots, learn the map, and see which words it brings together.

    Args:
        source: sentences with tags.
        target: sentences; their tags are not looked at.
        labels: of the tags.
        settings: as of the method ``scl``.
        label: information is about tags of this label alone.
        count: source words to name that stand inside mentions, and as many that do not.

    Raises:
        ConfigError: there is no such label.
        DataError: see `transfuse.maps.correspondence.choose_pivots` and `transfuse.maps.correspondence.correspond`.
    """
    if label and label not in labels:
        raise ConfigError(f"no label {label!r}; there are {', '.join(labels)}")
    extractor = HandMade.of(item.forms for item in (*source, *target))
    first, second = (extractor.rows([item.forms for item in items]) for items in (source, target))
    tags = _only(number_tags(source, labels), labels, label)
    names = extractor.names
    chosen = choose_pivots(first, second, tags, settings, candidates=pivot_candidates(names))
    where = [positions(name) for name in names]
    both = sparse.vstack([first, second], format="csr")
    theta = correspond(both, chosen.columns, settings, positions=where)
    seen = _Seen(names, first, second, tags)
    pivots = tuple(seen.pivot(c, b) for c, b in zip(chosen.columns, chosen.information, strict=True))
    sizes = {"source": first.shape[0], "target": second.shape[0]}
    return Look(pivots, seen.matches(theta, set(chosen.columns.tolist()), settings.frequent, count), sizes)


def _only(tags: Ints, labels: Sequence[str], label: str) -> Ints:
    """Tags of other labels become the outside; every label has two (BIO)."""
    if not label:
        return tags
    first = 1 + 2 * list(labels).index(label)
    return np.where((tags == -1) | (tags == first) | (tags == first + 1), tags, 0)


class _Seen:
    """Features of both sides, counted."""

    def __init__(self, names: Sequence[str], source: Any, target: Any, tags: Ints) -> None:
        self.names = names
        self.tagged = source[np.flatnonzero(tags >= 0)]
        self.tags = tags[tags >= 0]
        self.source, self.target = (np.asarray(side.sum(0)).reshape(-1) for side in (source, target))
        self.rates = self.source / max(1, source.shape[0]), self.target / max(1, target.shape[0])
        tagged = np.asarray(self.tagged.sum(0)).reshape(-1)
        inside = np.asarray(self.tagged[np.flatnonzero(self.tags)].sum(0)).reshape(-1)
        self.inside: Floats = inside / np.maximum(1, tagged)

    def pivot(self, column: int, bits: float) -> Pivot:
        """By its column."""
        template, _, word = self.names[column].partition("=")
        (position,) = positions(f"{template}=")
        counts = int(self.source[column]), int(self.target[column])
        return Pivot(word, position, float(bits), *counts, float(self.inside[column]))

    def matches(self, theta: Floats, pivots: set[int], frequent: int, count: int) -> tuple[Match, ...]:
        """Words of the source's own that say most of the tag, with the nearest of the target's own."""
        known = np.linalg.norm(theta, axis=1) > 0
        words = [c for c, name in enumerate(self.names) if name.startswith("w=") and known[c] and c not in pivots]
        ours, theirs = self.rates
        here = [c for c in words if self.source[c] >= frequent and ours[c] >= _OWN * theirs[c]]
        there = np.array([c for c in words if self.target[c] >= frequent and theirs[c] >= _OWN * ours[c]], dtype=int)
        if not here or not len(there):
            return ()
        bits = dict(zip(here, mutual_information(self.tagged[:, here], self.tags), strict=True))
        average = float((self.tags > 0).mean())
        ranked = sorted(here, key=lambda c: (-bits[c], self.names[c]))
        sides = ([c for c in ranked if (self.inside[c] > average) == side][:count] for side in (True, False))
        found = _unit(theta[there])
        return tuple(self._match(c, found @ _unit(theta[[c]])[0], there) for side in sides for c in side)

    def _match(self, column: int, cosines: Floats, there: Ints) -> Match:
        nearest = np.argsort(-cosines, kind="stable")[:_NEAREST]
        words = tuple((self.names[there[i]].partition("=")[2], float(cosines[i])) for i in nearest)
        word = self.names[column].partition("=")[2]
        return Match(word, int(self.source[column]), float(self.inside[column]), words)


def _unit(rows: Floats) -> Floats:
    scaled: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled
