"""What stands behind a score: which mentions were new, what kinds of errors there are, whom two systems agree with.

A *mention* is a surface string with its label, ``(text[start:end], label)``, whatever its place. As everywhere, gold
entities and predictions that touch an ``unknown`` range of the gold document are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transfuse.scoring.counts import Counts, Rates, mean_rates
from transfuse.scoring.matching import Words
from transfuse.scoring.score import countable, pair
from transfuse.text import DataError, Document, Entity

__all__ = [
    "ERRORS",
    "Error",
    "Mention",
    "SetAnalysis",
    "TokenTable",
    "error_counts",
    "error_reduction",
    "errors",
    "mentions",
    "outcome_overlap",
    "seen_unseen",
    "set_analysis",
    "token_table",
]

Mention = tuple[str, str]
"""Surface string and label."""

ERRORS = ("boundary", "type", "boundary+type", "missed", "spurious")
"""boundary: right label, overlapping; type: same span, wrong label; boundary+type: overlapping, wrong label; missed: a
gold entity that no prediction is left for; spurious: a prediction that no gold entity is left for."""


def mentions(documents: Iterable[Document], *, fold: bool = False) -> set[Mention]:
    """The distinct mentions of some documents.

    Args:
        documents: annotated documents.
        fold: take upper and lower case for the same.
    """
    return {_mention(document, entity, fold) for document in documents for entity in document.entities}


def _mention(document: Document, entity: Entity, fold: bool) -> Mention:
    surface = document.mention(entity)
    return surface.casefold() if fold else surface, entity.label


def _sides(
    gold: Iterable[Document], predicted: Iterable[Document]
) -> Iterator[tuple[Document, set[Entity], set[Entity]]]:
    for truth, guess in pair(gold, predicted):
        unknown = truth.unknown
        yield truth, set(countable(truth.entities, unknown)), set(countable(guess.entities, unknown))


def seen_unseen(
    train: Iterable[Document], gold: Iterable[Document], predicted: Iterable[Document], *, fold: bool = False
) -> dict[str, Counts]:
    """Strict counts over mentions that stand in the training documents (``seen``) and those that do not (``unseen``).

    Gold entities and predictions are parted by their own mention, so the two counts add up to the strict counts.

    Args:
        train: what the tagger learnt from.
        gold: annotated documents.
        predicted: the same documents with the entities that were found.
        fold: take upper and lower case for the same.

    Raises:
        DataError: gold and prediction do not hold the same documents.
    """
    known = mentions(train, fold=fold)
    sums = {"seen": Counts(), "unseen": Counts()}
    for document, truths, guesses in _sides(gold, predicted):
        for entity in truths | guesses:
            part = "seen" if _mention(document, entity, fold) in known else "unseen"
            right = entity in truths, entity in guesses
            sums[part] += Counts(tp=right == (True, True), fp=right == (False, True), fn=right == (True, False))
    return sums


@dataclass(frozen=True, slots=True)
class Error:
    """One error, with what was expected and what came out.

    Attributes:
        kind: one of `ERRORS`.
        document: id of the document.
        gold: what stands in gold; None for ``spurious``.
        predicted: what was predicted; None for ``missed``.
    """

    kind: str
    document: str
    gold: Entity | None
    predicted: Entity | None


def errors(gold: Iterable[Document], predicted: Iterable[Document]) -> Iterator[Error]:
    """Every error once: each gold entity and each prediction that is not strictly right is in exactly one of them.

    Within a document the pairs are made in the order type, boundary, boundary+type; in each, those first that share
    most characters, then those that come first.

    Raises:
        DataError: gold and prediction do not hold the same documents.
    """
    for document, truths, guesses in _sides(gold, predicted):
        left, right = truths - guesses, guesses - truths
        candidates = sorted((*_closeness(a, b), a, b) for a in left for b in right if a.overlaps(b))
        for rank, _, truth, guess in candidates:
            if truth in left and guess in right:
                left.remove(truth)
                right.remove(guess)
                yield Error(("type", "boundary", "boundary+type")[rank], document.id, truth, guess)
        yield from (Error("missed", document.id, truth, None) for truth in sorted(left))
        yield from (Error("spurious", document.id, None, guess) for guess in sorted(right))


def _closeness(truth: Entity, guess: Entity) -> tuple[int, int]:
    shared = min(truth.end, guess.end) - max(truth.start, guess.start)
    same_span = (truth.start, truth.end) == (guess.start, guess.end)
    return (0 if same_span else 1 if truth.label == guess.label else 2), -shared


def error_counts(found: Iterable[Error]) -> dict[str, int]:
    """How many errors of each kind, in the order of `ERRORS`."""
    counts = Counter(error.kind for error in found)
    return {kind: counts[kind] for kind in ERRORS}


@dataclass(frozen=True, slots=True)
class SetAnalysis:
    """The five quotients of Chai et al. 2022 (figures 3 and 4) over sets of distinct mentions.

    With T the mentions of training, L those of gold and P those predicted; 0/0 is 0.

    Attributes:
        regions: sizes of the seven regions of the diagram, by the sets they lie in, as ``TL`` or ``P``.
    """

    regions: Mapping[str, int]

    @property
    def unseen_found(self) -> float:
        """``|~T & L & P| / |~T & L|``: of the new mentions, the share that was found."""
        return _share(self._sum("LP"), self._sum("L", "LP"))

    @property
    def coverage(self) -> float:
        """``|T & L| / |L|``: the share of gold that training holds."""
        return _share(self._sum("TL", "TLP"), self._sum("L", "TL", "LP", "TLP"))

    @property
    def forgotten(self) -> float:
        """``|~P & T & L| / |T & L|``: of the mentions that training holds, the share that was not found."""
        return _share(self._sum("TL"), self._sum("TL", "TLP"))

    @property
    def misled(self) -> float:
        """``|~L & P & T| / |~L & P|``: of the wrong mentions, the share that training had called right."""
        return _share(self._sum("TP"), self._sum("P", "TP"))

    @property
    def excess(self) -> float:
        """``(|P| - |L|) / |L|``: how many more mentions were predicted than there are."""
        return _share(self._sum("P", "TP") - self._sum("L", "TL"), self._sum("L", "TL", "LP", "TLP"))

    @property
    def quotients(self) -> dict[str, float]:
        """All five by name."""
        return {name: getattr(self, name) for name in ("unseen_found", "coverage", "forgotten", "misled", "excess")}

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**self.quotients, "regions": dict(self.regions)}

    def _sum(self, *names: str) -> int:
        return sum(self.regions[name] for name in names)


def set_analysis(
    train: Iterable[Document], gold: Iterable[Document], predicted: Iterable[Document], *, fold: bool = False
) -> SetAnalysis:
    """Compare the mentions of training, gold and prediction as sets.

    Args:
        train: what the tagger learnt from, sources included where there were any.
        gold: annotated documents.
        predicted: the same documents with the entities that were found.
        fold: take upper and lower case for the same.

    Raises:
        DataError: gold and prediction do not hold the same documents.
    """
    known, right, found = mentions(train, fold=fold), set[Mention](), set[Mention]()
    for document, truths, guesses in _sides(gold, predicted):
        right.update(_mention(document, entity, fold) for entity in truths)
        found.update(_mention(document, entity, fold) for entity in guesses)
    named = {"T": known, "L": right, "P": found}
    places = Counter("".join(name for name in named if m in named[name]) for m in known | right | found)
    return SetAnalysis({name: places[name] for name in ("T", "L", "P", "TL", "TP", "LP", "TLP")})


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def outcome_overlap(
    gold: Sequence[Document], first: Iterable[Document], second: Iterable[Document]
) -> dict[str, dict[str, int]]:
    """How the true positives, false negatives and false positives of two systems overlap (Giorgi & Bader, figure 4).

    Args:
        gold: annotated documents.
        first: one system's prediction, as the baseline's.
        second: the other's.

    Returns:
        For each of ``tp``, ``fn``, ``fp``: how many ``first`` alone, ``both``, and ``second`` alone have.

    Raises:
        DataError: gold and a prediction do not hold the same documents.
    """
    outcomes = []
    for predicted in (first, second):
        sets: dict[str, set[tuple[str, Entity]]] = {"tp": set(), "fn": set(), "fp": set()}
        for document, truths, guesses in _sides(gold, predicted):
            for name, part in (("tp", truths & guesses), ("fn", truths - guesses), ("fp", guesses - truths)):
                sets[name].update((document.id, entity) for entity in part)
        outcomes.append(sets)
    one, two = outcomes
    return {
        name: {
            "first": len(one[name] - two[name]),
            "both": len(one[name] & two[name]),
            "second": len(two[name] - one[name]),
        }
        for name in one
    }


def error_reduction(base: float, new: float) -> float:
    """Share of the baseline's error that is gone, ``(new - base) / (1 - base)``; negative where the error grew.

    Giorgi & Bader 2018 print it in per cent of scores in per cent; here all three are fractions.

    Raises:
        DataError: the baseline makes no error, so none can go.
    """
    if base >= 1:
        raise DataError("the baseline makes no error: an error reduction means nothing there")
    return (new - base) / (1 - base)


@dataclass(frozen=True)
class TokenTable:
    """Words by their class in gold and in prediction; tables of the same classes add.

    Attributes:
        pairs: how many words are of a class in gold and of a class in the prediction, by ``(gold, predicted)``.
    """

    pairs: Counter[tuple[str, str]]

    @classmethod
    def of(cls, confusion: Mapping[str, Mapping[str, int]]) -> TokenTable:
        """From what `confusion` gives."""
        return cls(Counter({(truth, guess): n for truth, row in confusion.items() for guess, n in row.items()}))

    def __add__(self, other: TokenTable) -> TokenTable:
        return TokenTable(self.pairs + other.pairs)

    @property
    def classes(self) -> dict[str, Counts]:
        """Counts by class, for classes that occur: ``B``, ``I``, ``O`` first to last."""
        names = sorted({name for pair_ in self.pairs for name in pair_})
        return {name: self._counts(name) for name in names}

    def _counts(self, name: str) -> Counts:
        tp = self.pairs[name, name]
        fp = sum(n for (_, guess), n in self.pairs.items() if guess == name) - tp
        fn = sum(n for (truth, _), n in self.pairs.items() if truth == name) - tp
        return Counts(tp, fp, fn)

    @property
    def accuracy(self) -> float:
        """Share of the words whose class is right, ``O`` included; 0 where there is no word."""
        return _share(sum(n for (truth, guess), n in self.pairs.items() if truth == guess), self.pairs.total())

    @property
    def macro(self) -> Rates:
        """Means over classes."""
        return mean_rates(self.classes.values())

    @property
    def weighted(self) -> Rates:
        """Means over classes, each with the weight of its words in gold."""
        total = self.pairs.total() or 1
        parts = [(counts.gold / total, counts.rates) for counts in self.classes.values()]
        return Rates(
            sum(weight * rates.precision for weight, rates in parts),
            sum(weight * rates.recall for weight, rates in parts),
            sum(weight * rates.f1 for weight, rates in parts),
        )

    def with_means(self, values: Mapping[str, float | None]) -> dict[str, float | None]:
        """Values by class, with their ``macro`` and ``weighted`` means over the classes that have one."""
        known = {name: value for name, value in values.items() if value is not None}
        weights = {name: self._counts(name).gold for name in known}
        macro = sum(known.values()) / len(known) if known else None
        total = sum(weights.values())
        weighted = sum(weights[name] * value for name, value in known.items()) / total if total else None
        return {**values, "macro": macro, "weighted": weighted}

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """Words by class in gold and then in the prediction."""
        names = list(self.classes)
        return {truth: {guess: self.pairs[truth, guess] for guess in names} for truth in names}

    def to_dict(self) -> dict[str, Any]:
        """``{"classes": {...}, "accuracy", "macro", "weighted", "confusion": {gold: {predicted: words}}}``."""
        return {
            "classes": {name: counts.to_dict() for name, counts in self.classes.items()},
            "accuracy": self.accuracy,
            "macro": self.macro.to_dict(),
            "weighted": self.weighted.to_dict(),
            "confusion": self.confusion,
        }


def token_table(
    gold: Iterable[Document],
    predicted: Iterable[Document],
    *,
    scheme: str = "BIO",
    typed: bool = False,
    words: Words | None = None,
) -> TokenTable:
    """Score words by tag class, as ``B``, ``I`` and ``O``; words in unknown ranges are left out.

    Entities grow to whole words, and overlapping ones are thinned to the longest.

    Args:
        gold: annotated documents.
        predicted: the same documents with the entities that were found.
        scheme: one of `transfuse.tags.Scheme`; its signs are the classes.
        typed: keep the labels, so that ``B-Disease`` and ``B-Chemical`` are two classes.
        words: offsets of a text's words; `transfuse.words.words` unless given.

    Raises:
        DataError: gold and prediction do not hold the same documents.
        ConfigError: no such scheme.
    """
    from transfuse.tags import encode
    from transfuse.words import align, flatten
    from transfuse.words import words as fine

    pairs = Counter[tuple[str, str]]()
    for document, *sides in _sides(gold, predicted):
        offsets = words(document.text) if words else fine(document.text)
        spans = (flatten(align(offsets, sorted(entities))) for entities in sides)
        tags = [encode(found, len(offsets), scheme) for found in spans]
        for (start, end), *both in zip(offsets, *tags, strict=True):
            if not any(start < stop and begin < end for begin, stop in document.unknown):
                truth, guess = both if typed else (tag.partition("-")[0] for tag in both)
                pairs[truth, guess] += 1
    return TokenTable(pairs)
