"""What each part of an input adds to a value: integrated gradients, Shapley values and LIME, through captum.

Integrated gradients (Sundararajan et al. 2017, equation 1) follow the gradient from a baseline to the input. Shapley
values share out what changes when words are taken away, exactly for short sentences and by kernel SHAP (Lundberg & Lee
2017, theorem 2) for longer ones. LIME (Ribeiro et al. 2016, equation 1) fits a linear surrogate near the sentence.
Nothing in here knows taggers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transfuse.text import ConfigError

__all__ = ["Game", "Shares", "integrated_gradients", "lime", "shapley"]

_EXACT = 5
"""Words up to which Shapley values are computed over all orders."""

_TOGETHER = 64


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
        raise ConfigError('explanations need an extra: pip install "transfuse[explain]"') from error
