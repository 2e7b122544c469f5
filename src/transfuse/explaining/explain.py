"""Why a tagger labels a span, or misses it: what each word of the sentence adds to the span's log-odds.

The ways are those of `transfuse.explaining.attribution`. What integrated gradients and Shapley values give to words
sums to the log-odds of the span less those that it has where all words are replaced, and that is checked each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transfuse.explaining.attribution import Shares, integrated_gradients, lime, shapley
from transfuse.explaining.explanations import TITLES, Case, Explanation, Word
from transfuse.explaining.odds import BASELINES, Network, Removal, differentiable
from transfuse.losses import Losses
from transfuse.ranges import SEEDS, check_ranges
from transfuse.scoring.analysis import Error, errors
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import pieces
from transfuse.text import ConfigError, Document, Entity, LabelError, SpanError, Tagger
from transfuse.words import align

__all__ = ["Explaining", "explain", "explain_errors", "explain_text"]


@dataclass(frozen=True)
class Explaining:
    """How spans are explained.

    Attributes:
        by: ``ig``, ``shap`` or ``lime``; or ``auto``: ``ig`` where `transfuse.explaining.odds.differentiable`,
            else ``shap``.
        baseline: one of `transfuse.explaining.odds.BASELINES`.
        steps: of the path from the baseline, to begin with; doubled until the sum is right.
        most: steps at most.
        samples: sentences with words taken away that ``shap`` and ``lime`` look at.
        tolerance: see `transfuse.explaining.explanations.Explanation.complete`.
        seed: decides which words are taken away.
    """

    by: str = "auto"
    baseline: str = "auto"
    steps: int = 32
    most: int = 1024
    samples: int = 1000
    tolerance: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (("way", self.by, ("auto", *TITLES)), ("baseline", self.baseline, BASELINES)):
            if value not in known:
                raise ConfigError(f"unknown {name} {value!r}: choose one of {', '.join(known)}")
        check_ranges(self, seed=SEEDS)
        if self.steps < 1 or self.most < self.steps or self.samples < 2 or self.tolerance <= 0:
            raise ConfigError("steps and samples are at least 1 and 2, most is at least steps, the tolerance above 0")


def explain(
    tagger: Tagger, document: Document, entity: Entity, settings: Explaining | None = None, *, role: str = "asked"
) -> Explanation:
    """Explain how sure a tagger is of a span, whether it found it or not.

    Args:
        tagger: of any kind.
        document: whose text holds the span; its entities are not looked at.
        entity: the span. Where its boundaries lie inside words, the words are meant.
        settings: how.
        role: of the span, for those who read the explanation.

    Raises:
        LabelError: the tagger does not know the label.
        SpanError: no sentence as the tagger reads them holds the span.
        ConfigError: the tagger, or its encoder, cannot be explained so; captum is not installed.
    """
    settings = settings or Explaining()
    if entity.label not in tagger.labels:
        raise LabelError(f"the tagger knows no label {entity.label!r}, only {', '.join(tagger.labels)}")
    offsets, first, last = _locate(document, entity)
    by = settings.by
    if by == "auto":
        by = "ig" if differentiable(tagger) else "shap"
    game, named = _game(tagger, document, offsets, (first, last, entity.label), settings.baseline, by)
    full, empty = game(_kept(len(offsets), [True, False])).tolist()
    if by == "ig":
        shares = _words_of(game, len(offsets), settings)
    else:
        way = shapley if by == "shap" else lime
        shares = way(game, len(offsets), samples=settings.samples, seed=settings.seed)
    start, end = offsets[first][0], offsets[last - 1][1]
    return Explanation(
        role=role,
        entity=Entity(start, end, entity.label),
        mention=document.text[start:end],
        by=by,
        baseline=named,
        log_odds=full,
        base=empty,
        words=tuple(Word(a, b, document.text[a:b], s) for (a, b), s in zip(offsets, shares.scores, strict=True)),
        effort=shares.effort,
        tolerance=settings.tolerance,
        fit=shares.fit,
    )


def _locate(document: Document, entity: Entity) -> tuple[list[tuple[int, int]], int, int]:
    """The words of the sentence that holds a span, and the span in words."""
    for piece in pieces([document]):
        if piece.offsets[0][0] <= entity.start and entity.end <= piece.offsets[-1][1]:
            for first, last, _ in align(piece.offsets, [entity], losses=Losses()):
                return piece.offsets, first, last
    span = f"[{entity.start}, {entity.end})"
    raise SpanError(
        f"document {document.id}: no sentence that the tagger reads holds all of {span}, or no word is in it"
    )


def _game(
    tagger: Tagger, document: Document, offsets: Sequence[tuple[int, int]], span: Any, baseline: str, by: str
) -> tuple[Any, str]:
    """What is explained, and the name of its baseline."""
    if isinstance(tagger, NeuralTagger) and (by == "ig" or differentiable(tagger)):
        network = Network(tagger, document, offsets, span, baseline=baseline)
        return network, network.named
    if by == "ig":
        kind = getattr(tagger, "kind", type(tagger).__name__)
        raise ConfigError(f"a {kind} tagger is no single network to follow a gradient through: explain by shap or lime")
    if baseline not in {"auto", "unknown"}:
        raise ConfigError(f"the baseline {baseline!r} is for single networks: choose unknown")
    return Removal(tagger, document, offsets, span), "unknown"


def _words_of(network: Network, words: int, settings: Explaining) -> Shares:
    found, steps = integrated_gradients(
        network.value,
        network.inputs,
        network.baseline,
        steps=settings.steps,
        most=settings.most,
        tolerance=settings.tolerance,
    )
    scores = torch.zeros(words, dtype=torch.float64).index_add_(0, network.word.cpu(), found.double().sum(1).cpu())
    return Shares(scores.tolist(), steps)


def _kept(words: int, rows: Sequence[bool]) -> Tensor:
    return torch.tensor(rows)[:, None].expand(-1, words)


def explain_text(
    tagger: Tagger, document: Document, asked: Sequence[Entity] = (), settings: Sequence[Explaining] = ()
) -> list[Case]:
    """Explain spans of a text: those that are asked for, or else all that the tagger finds.

    Args:
        tagger: see `explain`.
        document: the text.
        asked: spans.
        settings: ways to explain each of them; one by default.

    Raises:
        SpanError, LabelError, ConfigError: see `explain`.
    """
    ways = settings or [Explaining()]
    spans = asked or next(iter(tagger.tag([document]))).entities
    if not spans:
        return [Case("", document.id, document.text, (), ("nothing is found in the text: ask for a span",))]
    role = "asked" if asked else "found"
    return [Case("", document.id, document.text, *_told(tagger, document, span, role, ways)) for span in spans]


def explain_errors(
    tagger: Tagger, documents: Iterable[Document], settings: Sequence[Explaining] = ()
) -> Iterator[Case]:
    """Explain a tagger's errors in the order of the text: the gold span, and beside it what was predicted instead.

    A span that cannot be explained is told in the notes of its case: one that no sentence holds, or whose label the
    tagger does not know.

    Args:
        tagger: see `explain`.
        documents: annotated.
        settings: ways to explain each span; one by default.

    Raises:
        ConfigError: see `explain`.
    """
    ways = settings or [Explaining()]
    for gold in documents:
        (found,) = tagger.tag([gold])
        for error in sorted(errors([gold], [found]), key=_place):
            told: list[Explanation] = []
            notes: list[str] = []
            for role, entity in (("gold", error.gold), ("predicted", error.predicted)):
                if entity is not None:
                    try:
                        more, said = _told(tagger, gold, entity, role, ways)
                    except (LabelError, SpanError) as reason:
                        more, said = (), (f"{role} {_name(gold, entity)} is not explained: {reason}",)
                    told += more
                    notes += said
            yield Case(error.kind, gold.id, gold.text, tuple(told), tuple(notes))


def _told(
    tagger: Tagger, document: Document, entity: Entity, role: str, ways: Iterable[Explaining]
) -> tuple[tuple[Explanation, ...], tuple[str, ...]]:
    """A span explained in all ways, and what is to be noted."""
    told = tuple(explain(tagger, document, entity, way, role=role) for way in ways)
    if all(one.entity == entity for one in told):
        return told, ()
    return told, (
        f"{role} {_name(document, entity)} begins or ends inside a word or on a blank: whole words are meant",
    )


def _name(document: Document, entity: Entity) -> str:
    return f"[{entity.start}, {entity.end}) {document.mention(entity)!r} {entity.label}"


def _place(error: Error) -> Entity:
    return min(entity for entity in (error.gold, error.predicted) if entity is not None)
