"""Why a tagger labels a span, or misses it: what each word of the sentence adds to the span's log-odds.

Three ways, all through captum. Integrated gradients (Sundararajan et al. 2017, equation 1) follow the gradient from
vectors that stand in for words to the words' own. Shapley values share out what changes when words are taken away,
exactly for short sentences and by kernel SHAP (Lundberg & Lee 2017, theorem 2) for longer ones. LIME (Ribeiro et al.
2016, equation 1) fits a linear surrogate near the sentence. The attributions of the first two sum to the log-odds of
the span less those of its baseline, and that is checked each time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transfuse.explanations import TITLES, Explanation, Word
from transfuse.losses import Losses
from transfuse.neural import NeuralTagger
from transfuse.odds import BASELINES, Network, Removal, differentiable
from transfuse.reading import pieces
from transfuse.text import ConfigError, Document, Entity, LabelError, SpanError, Tagger
from transfuse.words import align

__all__ = ["Explaining", "Shares", "explain", "integrated_gradients", "lime", "shapley"]

_EXACT = 5
"""Words up to which Shapley values are computed over all orders."""

_TOGETHER = 64


@dataclass(frozen=True)
class Explaining:
    """How spans are explained.

    Attributes:
        by: ``ig``, ``shap`` or ``lime``; or ``auto``: ``ig`` where `transfuse.odds.differentiable`, else ``shap``.
        baseline: one of `transfuse.odds.BASELINES`.
        steps: of the path from the baseline, to begin with; doubled until the sum is right.
        most: steps at most.
        samples: sentences with words taken away that ``shap`` and ``lime`` look at.
        tolerance: see `transfuse.explanations.Explanation.complete`.
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
        if self.steps < 1 or self.most < self.steps or self.samples < 2 or self.tolerance <= 0:
            raise ConfigError("steps and samples are at least 1 and 2, most is at least steps, the tolerance above 0")


def explain(
    tagger: Tagger, document: Document, entity: Entity, settings: Explaining | None = None, *, role: str = "asked"
) -> Explanation:
    """Explain how sure a tagger is of a span, whether it found it or not.

    Args:
        tagger: neural, voting, or a linear CRF.
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


class Shares(NamedTuple):
    """What each word is held to account for.

    Attributes:
        scores: one a word, in nats.
        effort: steps, or distinct sentences.
        fit: weighted R² of a linear surrogate.
    """

    scores: list[float]
    effort: int
    fit: float | None = None


Game = Callable[[Tensor], Tensor]
"""``[n, words]`` bool, the words that stay, to ``[n]`` values."""


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


def integrated_gradients(
    value: Callable[[Tensor], Tensor],
    inputs: Tensor,
    baseline: Tensor,
    *,
    steps: int = 32,
    most: int = 1024,
    tolerance: float = 0.01,
) -> tuple[Tensor, int]:
    """Integrated gradients with Gauss-Legendre nodes; steps are doubled until the sum is right or there are too many.

    Args:
        value: ``[n, ...]`` to ``[n]``, differentiable.
        inputs: one item, ``[...]``.
        baseline: of the same shape.
        steps: to begin with.
        most: steps at most.
        tolerance: of the gap between the sum and the difference, as a share of the difference, or of 1.

    Returns:
        Attributions of the shape of the inputs, and the steps that they took.
    """
    methods = _captum()
    with torch.no_grad():
        after, before = (float(value(x[None])[0]) for x in (inputs, baseline))
    allowed = tolerance * max(1.0, abs(after - before))
    while True:
        found: Tensor = (
            methods.IntegratedGradients(value)
            .attribute(
                inputs[None],
                baselines=baseline[None],
                n_steps=steps,
                method="gausslegendre",
                internal_batch_size=_TOGETHER,
            )[0]
            .detach()
        )
        gap = abs(after - before - float(found.double().sum()))
        if gap <= allowed or 2 * steps > most:
            return found, steps
        steps *= 2


def shapley(game: Game, words: int, *, samples: int = 1000, seed: int = 0) -> Shares:
    """Shapley values: exact for up to 5 words, else by kernel SHAP.

    Args:
        game: says what a sentence is worth of which only some words stay.
        words: of the sentence.
        samples: sentences to look at where not all are.
        seed: decides which.
    """
    methods, known, whole = _captum(), _Known(game), torch.ones(1, words)
    if words <= _EXACT:
        found = methods.ShapleyValues(known).attribute(whole, perturbations_per_eval=_TOGETHER)
    else:
        with _seeded(seed):
            found = methods.KernelShap(known).attribute(whole, n_samples=samples, perturbations_per_eval=_TOGETHER)
    return Shares(found[0].tolist(), len(known.values))


def lime(game: Game, words: int, *, samples: int = 1000, seed: int = 0, width: float = 0.25) -> Shares:
    """LIME: ridge regression on which words stay, near sentences counting most.

    How many words are taken away is drawn evenly, then which. A sentence counts ``exp(-d² / (2 width²))``, d being the
    cosine distance, as in the authors' own explainer of texts, of which the width and the ridge of 1 are, too.

    Args:
        game: says what a sentence is worth of which only some words stay.
        words: of the sentence.
        samples: sentences to look at.
        seed: decides which.
        width: of the kernel.
    """
    methods = _captum()
    from captum._utils.models.linear_model import SkLearnRidge

    def near(_: Tensor, kept: Tensor, *__: Any, **___: Any) -> Tensor:
        return torch.exp(-((1 - kept.float().mean(1).sqrt()) ** 2) / (2 * width**2))

    known, surrogate = _Known(game), SkLearnRidge(alpha=1.0)
    way = methods.Lime(known, interpretable_model=surrogate, similarity_func=near, perturb_func=_fewer)
    with _seeded(seed):
        found = way.attribute(torch.ones(1, words), n_samples=samples, perturbations_per_eval=_TOGETHER)
    kept, values = known.table()
    weight, guess = near(kept, kept).double(), (surrogate(kept.float()).squeeze(-1).detach()).double()
    spread = (weight * (values - (weight * values).sum() / weight.sum()) ** 2).sum()
    rest = (weight * (values - guess) ** 2).sum()
    return Shares(found[0].tolist(), len(values), float(1 - rest / spread) if spread > 0 else 1.0)


def _fewer(whole: Tensor, **_: Any) -> Iterator[Tensor]:
    """The whole sentence, then for ever ones with words taken away: ``[1, words]``, 1 for those that stay."""
    words = whole.shape[1]
    kept = torch.ones(1, words, dtype=torch.long)
    while True:
        yield kept
        kept = torch.ones(1, words, dtype=torch.long)
        kept[0, torch.randperm(words)[: int(torch.randint(1, words + 1, ()))]] = 0


class _Known:
    """A game that is asked for each sentence once, however often captum asks.

    Args:
        game: to be asked.
    """

    def __init__(self, game: Game) -> None:
        self._game = game
        self.values: dict[bytes, float] = {}

    def __call__(self, kept: Tensor) -> Tensor:
        rows = kept.bool()
        keys = [row.numpy().tobytes() for row in rows]
        new = {key: i for i, key in enumerate(keys) if key not in self.values}
        if new:
            found = self._game(rows[list(new.values())]).tolist()
            self.values |= dict(zip(new, found, strict=True))
        return torch.tensor([self.values[key] for key in keys], dtype=torch.float64)

    def table(self) -> tuple[Tensor, Tensor]:
        """All sentences that were asked for, ``[n, words]`` bool, and their values ``[n]``, float64."""
        rows = torch.stack([torch.frombuffer(bytearray(key), dtype=torch.bool) for key in self.values])
        return rows, torch.tensor(list(self.values.values()), dtype=torch.float64)


def _kept(words: int, rows: Sequence[bool]) -> Tensor:
    return torch.tensor(rows)[:, None].expand(-1, words)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Settled randomness, and outside as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _captum() -> Any:
    try:
        return importlib.import_module("captum.attr")
    except ImportError as error:
        raise ConfigError("explanations need an extra: pip install transfuse[explain]") from error
