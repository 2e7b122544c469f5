"""Which of many spans come out: those that do not give way to a more probable one, and are probable enough.

A threshold is chosen on annotated documents, for F1 or for a precision or recall that somebody demands, by trying every
one that makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transfuse.text import ConfigError, Entity

__all__ = ["Demand", "choose_threshold", "overlapping", "prevailing"]

NEUTRAL = 0.5
"""The threshold where nothing can be learned since nothing is right."""


@dataclass(frozen=True)
class Demand:
    """What a threshold is chosen for.

    Attributes:
        kind: ``f1``, ``precision`` or ``recall``.
        least: of precision or recall, in (0, 1].
    """

    kind: str = "f1"
    least: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Demand:
        """From ``f1``, ``precision=0.9`` or ``recall=0.9``. Raises ConfigError."""
        kind, _, number = text.partition("=")
        try:
            least = float(number) if number else 0.0
        except ValueError:
            least = -1.0
        if kind == "f1" and not number:
            return cls()
        if kind not in {"precision", "recall"} or not 0 < least <= 1:
            raise ConfigError(f"cannot tune for {text!r}: write f1, precision=0.9 or recall=0.9, the number in (0, 1]")
        return cls(kind, least)


def overlapping(entities: Sequence[Entity], documents: Sequence[int]) -> dict[int, list[int]]:
    """For each entity that overlaps others of its document, the numbers of these.

    Args:
        entities: sorted within a document.
        documents: the number of each one's document; those of one document stand together.
    """
    rivals: dict[int, list[int]] = {}
    for i, entity in enumerate(entities):
        j = i + 1
        while j < len(entities) and documents[j] == documents[i] and entities[j].start < entity.end:
            rivals.setdefault(i, []).append(j)
            rivals.setdefault(j, []).append(i)
            j += 1
    return rivals


def prevailing(scores: NDArray[np.float64], rivals: dict[int, list[int]]) -> NDArray[np.bool_]:
    """Which spans stay when each gives way to those that overlap it, have a higher score and stay themselves.

    Of equal ones the first stays. One threshold on all scores may come before or after: the same spans come out. Where
    labels have thresholds of their own these come after, as they were chosen: what gave way does not come back.
    """
    stays = np.ones(len(scores), dtype=bool)
    contested = np.array(sorted(rivals), dtype=np.int64)
    settled = np.zeros(len(scores), dtype=bool)
    for i in contested[np.argsort(-scores[contested], kind="stable")].tolist():
        stays[i] = not any(settled[j] and stays[j] for j in rivals[i])
        settled[i] = True
    return stays


def choose_threshold(scores: NDArray[np.float64], right: NDArray[np.bool_], gold: int, demand: Demand) -> float:
    """The threshold that serves a demand best; spans at or above it come out.

    For F1 the one with the highest; under a demand on precision the one with the highest recall that meets it, and the
    other way round. Of equal ones the highest. It lies in the middle between two scores, at 0 where all come out.

    Args:
        scores: of spans none of which overlaps another.
        right: whether each is an entity of gold.
        gold: entities of gold.
        demand: what to choose for.

    Raises:
        ConfigError: no threshold meets the demand; the message says what can be had.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, tp = scores[order], np.cumsum(right[order])
    cuts = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, dtype=np.int64)
    precision, recall = tp[cuts] / (cuts + 1), tp[cuts] / max(gold, 1)
    f1 = 2 * tp[cuts] / (cuts + 1 + gold)
    if demand.kind == "f1":
        if not right.any():
            return NEUTRAL
        best = int(np.argmax(f1))
    else:
        asked, other = (precision, recall) if demand.kind == "precision" else (recall, precision)
        meets = asked >= demand.least
        if not meets.any():
            most = asked.max(initial=0.0)
            raise ConfigError(f"no threshold has a {demand.kind} of {demand.least:g} on dev: the highest is {most:.4f}")
        best = int(np.argmax(np.where(meets, other, -1.0)))
    cut = cuts[best]
    if cut + 1 == len(ranked):
        return 0.0
    last, first_out = float(ranked[cut]), float(ranked[cut + 1])
    middle = (last + first_out) / 2
    return middle if middle > first_out else last  # there is no number between them
