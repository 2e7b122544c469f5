"""Begin with the lower layers of a model of all corpora, the upper ones as pre-trained (MTL-LS, Chai et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.encoding import Encoding
from transfuse.text import ConfigError, Tagger, Task
from transfuse.train import Training
from transfuse.transfer.layered import (
    PAPER,
    XLNET,
    Layered,
    averaged,
    begin_slice,
    sliced,
    train_again,
    train_shared,
    voting,
)
from transfuse.transfer.supervised import dev_score

__all__ = ["PRESETS", "MtlLs"]


@dataclass(frozen=True)
class MtlLs(Layered):
    """Settings; ``training`` is the loop on the target.

    Attributes:
        rates: slicing rates that are tried: the share of the encoder's layers, from below, that begins as `mtl-xc` left
            it. The one with the highest strict micro F1 on the target's development split is kept, of equals the first.
        shared_training: the loop over all corpora, as that of `mtl-xc`.
        restarts: how many times the target is learned again with ``training``, each time from where the first time
            ended; what these end in is averaged.
        average: of restarts, and of the last epochs (``training.last``): of their ``weights``, which makes one tagger,
            or of their ``scores``, the tag probabilities of as many taggers.
    """

    rates: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    shared_training: Training = field(default_factory=lambda: Training(batch=16, select="last"))
    restarts: int = 0
    average: Literal["weights", "scores"] = "weights"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, rates="[0, 1]")
        if not self.rates:
            raise ConfigError("rates: there is none")
        if getattr(self.architecture.encoder, "frozen", 0) == "all":
            raise ConfigError('encoder.frozen = "all" leaves every slice as it was: there is nothing to carry over')
        if self.restarts < 0 or self.restarts == 1:
            raise ConfigError("restarts is 0, or at least 2: they are averaged")
        if self.average == "scores" and not self.restarts and self.training.last is None:
            raise ConfigError('average = "scores" needs something to average: training.last, or restarts')

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn all corpora together, then the target once for each rate."""
        if len(self.rates) > 1 and not task.target.dev:
            raise ConfigError(f"rates: {task.target.name} has no development split to choose by: name one rate")
        shared = train_shared(task, self, self.shared_training, run=run, name="shared").encoding
        rates: dict[tuple[str, ...], float] = {}
        for rate in self.rates:
            rates.setdefault(sliced(shared, rate), rate)  # what falls on the same layer is tried once
        best: _Tried | None = None
        scores: dict[str, float | None] = {}
        for layers, rate in rates.items():
            one = self._try(shared, layers, rate, task, run)
            scores[f"{rate:g}"] = one.dev_f1
            if best is None or (one.dev_f1 or 0.0) > (best.dev_f1 or 0.0):
                best = one
        assert best is not None
        many = (
            f"slicing rate {best.rate:g} of {', '.join(scores)} by strict micro F1 on dev; " if len(scores) > 1 else ""
        )
        stage = run.stage("target")
        stage.record("rates", rate=best.rate, layers=best.layers, dev_f1=scores)
        stage.record("trained", corpus=task.target.name, cpu_seconds=0.0, selection=many + best.selection)
        return best.tagger

    def _try(self, shared: Encoding, layers: Sequence[str], rate: float, task: Task, run: Run) -> _Tried:
        name = f"rate-{rate:g}"
        encoding, target = begin_slice(shared, task, layers, run=run, stage=run.stage(name))
        ends = train_again(encoding, target, self.training, self.restarts, run=run, name=name)
        if self.average == "scores":
            tagger: Tagger = voting(ends)
            after = "the last epochs" if self.training.last else ends[0].selection
            selection = f"mean of the tag probabilities after {after}"
        else:
            tagger, selection = averaged(ends), ends[0].selection
        if len(ends) > 1:
            selection += f", over {len(ends)} restarts"
        plain = len(ends) == 1 and self.average == "weights"
        dev = task.target.dev
        score = ends[0].dev_f1 if plain else dev_score(tagger, dev) if dev else None
        return _Tried(rate, layers, tagger, score, selection)


@dataclass(frozen=True)
class _Tried:
    """A slicing rate and what came of it."""

    rate: float
    layers: Sequence[str]
    tagger: Tagger
    dev_f1: float | None
    selection: str


PRESETS = {"chai": MtlLs(architecture=XLNET, training=PAPER, shared_training=PAPER, restarts=3)}
