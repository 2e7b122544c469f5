"""What explanations say: numbers by word, whether they add up, and how they are shown as JSON and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from transfuse import __version__
from transfuse.text import Entity

__all__ = ["TITLES", "Case", "Explanation", "Word", "explanations_html", "explanations_json"]

TITLES = {"ig": "integrated gradients", "shap": "Shapley values (kernel SHAP)", "lime": "LIME"}
"""The ways to explain by their short names."""


_ENOUGH = 10
"""Sentences a word, below which kernel SHAP's estimates of two seeds have little in common."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and how much of the log-odds it is held to account for.

    Attributes:
        start: first character in the document.
        end: one past the last one.
        text: the characters.
        score: what it adds to the log-odds of the span, in nats; negative where it speaks against it.
    """

    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True)
class Explanation:
    """Why a tagger is as sure of a span as it is.

    Attributes:
        role: ``found``, ``asked``, or of an error ``gold`` or ``predicted``.
        entity: the span.
        mention: its characters.
        by: a name of `TITLES`.
        baseline: what stood in for words.
        log_odds: of the span in the sentence as it is, in nats.
        base: of the span where all words are replaced.
        words: of the sentence.
        effort: steps of the path, or sentences that were looked at.
        tolerance: see `complete`.
        fit: share of the log-odds' variance that a linear surrogate explains; None where there is no surrogate.
    """

    role: str
    entity: Entity
    mention: str
    by: str
    baseline: str
    log_odds: float
    base: float
    words: tuple[Word, ...]
    effort: int
    tolerance: float = 0.01
    fit: float | None = None

    @property
    def probability(self) -> float:
        """Of the span."""
        return 1 / (1 + math.exp(-self.log_odds)) if self.log_odds > -700 else 0.0

    @property
    def difference(self) -> float:
        """How much surer the tagger is of the span than without any word."""
        return self.log_odds - self.base

    @property
    def total(self) -> float:
        """The sum over words."""
        return math.fsum(word.score for word in self.words)

    @property
    def gap(self) -> float:
        """By how much the words' sum misses the difference, which it should be: completeness."""
        return self.difference - self.total

    @property
    def complete(self) -> bool:
        """Whether the gap is at most the tolerance, as a share of the difference, or of one nat where that is more."""
        return abs(self.gap) <= self.tolerance * max(1.0, abs(self.difference))

    @property
    def top(self) -> list[Word]:
        """The words, that of most weight first, whatever its sign."""
        return sorted(self.words, key=lambda word: -abs(word.score))

    def check(self) -> str:
        """Whether the numbers add up, in one line."""
        sums = f"{self.total:+.3f} of {self.difference:+.3f} ({self.log_odds:+.3f} - {self.base:+.3f})"
        effort = f"{self.effort:,} {'steps' if self.by == 'ig' else 'sentences'}"
        if self.by == "lime":
            fit = f", surrogate R² {self.fit:.2f}" if self.fit is not None else ""
            return f"the words' sum is {sums}: LIME promises no more; gap {self.gap:+.3f}, {effort}{fit}"
        verdict = "adds up" if self.complete else "DOES NOT ADD UP"
        if self.by == "shap" and self.effort < 2 ** len(self.words):
            few = self.effort < _ENOUGH * len(self.words)
            verdict = "estimated, and made to add up"
            effort += ", too few for so many words: raise --samples" if few else ""
        return f"{verdict}: the words' sum is {sums}; gap {self.gap:+.4f}, {effort}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; offsets are characters of the document, numbers are nats."""
        return {
            "role": self.role,
            "start": self.entity.start,
            "end": self.entity.end,
            "label": self.entity.label,
            "mention": self.mention,
            "by": self.by,
            "baseline": self.baseline,
            "probability": self.probability,
            "log_odds": self.log_odds,
            "baseline_log_odds": self.base,
            "difference": self.difference,
            "sum": self.total,
            "gap": self.gap,
            "complete": None if self.by == "lime" else self.complete,
            "effort": self.effort,
            "fit": self.fit,
            "words": [{"start": w.start, "end": w.end, "text": w.text, "attribution": w.score} for w in self.words],
        }


@dataclass(frozen=True)
class Case:
    """Spans of one text that are explained together.

    Attributes:
        title: what is asked: the kind of an error, or nothing.
        document: id of the document.
        text: of the document.
        explanations: gold first, then what was predicted.
        notes: what could not be explained and why, and what else is to be known.
    """

    title: str
    document: str
    text: str
    explanations: tuple[Explanation, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; the text is not repeated, offsets are those of the document."""
        return {
            "title": self.title,
            "document": self.document,
            "explanations": [explanation.to_dict() for explanation in self.explanations],
            "notes": list(self.notes),
        }


def explanations_json(cases: Iterable[Case]) -> dict[str, Any]:
    """``{"unit": "nats", "cases": [...]}``."""
    return {"unit": "nats", "cases": [case.to_dict() for case in cases]}


@dataclass(frozen=True)
class _Mark:
    """Some characters as the page shows them: a word and how strongly it is coloured, or blanks between words."""

    text: str
    score: float = 0.0
    shade: int = 0
    word: bool = True

    @property
    def side(self) -> str:
        return "for" if self.score > 0 else "against"


def _marks(case: Case, explanation: Explanation) -> list[list[_Mark]]:
    """The sentence in three parts, before the span, the span and behind it; blanks between words as they stand."""
    parts: list[list[_Mark]] = [[], [], []]
    strongest = max((abs(word.score) for word in explanation.words), default=0.0) or 1.0
    entity, reached = explanation.entity, explanation.words[0].start
    for word in explanation.words:
        part = 0 if word.end <= entity.start else 2 if word.start >= entity.end else 1
        if reached < word.start:
            blank = case.text[reached : word.start]
            parts[0 if part == 1 and not parts[1] else part].append(_Mark(blank, word=False))
        shade = round(100 * abs(word.score) / strongest)
        parts[part].append(_Mark(word.text, word.score, shade))
        reached = word.end
    return parts


def explanations_html(cases: Sequence[Case], *, title: str, about: Sequence[tuple[str, str]]) -> str:
    """A page that needs nothing beside itself.

    Args:
        cases: what is shown, in order.
        title: of the page.
        about: what holds for all cases, as names with values.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("transfuse"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("explanations.html")
    return template.render(
        cases=cases, title=title, about=about, marks=_marks, ways=TITLES, bars=_bars, version=__version__
    )


def _bars(explanation: Explanation, most: int = 8) -> list[tuple[Word, int]]:
    """The words of most weight, each with its share of the strongest in per cent."""
    top = explanation.top[:most]
    strongest = abs(top[0].score) or 1.0
    return [(word, round(100 * abs(word.score) / strongest)) for word in top]
