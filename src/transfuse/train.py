"""One loop: feed, objective, step. Everything that methods differ in is in what they feed and in their objective.

Objectives return terms that are already weighted, so that the log adds up to the loss. The loop knows an optimiser,
clipping, a schedule, weight averaging, stopping by a named rule on development data, the finite-loss check, and
checkpoints from which a killed run ends in the same weights, bit for bit.
"""

from __future__ import annotations

import glob
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from transfuse.checkpoint import load_checkpoint, parameters_of, save_checkpoint
from transfuse.files import write_beside
from transfuse.ranges import check_ranges
from transfuse.run import Stage
from transfuse.team import team
from transfuse.text import ConfigError, DataError, TransfuseError

__all__ = ["Feed", "Objective", "Training", "fit", "last_epochs"]

Objective = Callable[[Any], dict[str, Tensor]]
"""A batch in, weighted loss terms out; their sum is the loss."""

Feed = Callable[[int], Sequence[Any]]
"""The batches of an epoch (from 0); the same epoch always gives the same batches."""


_SAVING = 20
"""Training lasts so many times as long as the checkpoint before it took."""

_RANGES = {
    **dict.fromkeys(("epochs", "batch", "words"), "[1, inf)"),
    **dict.fromkeys(("steps", "patience", "decay"), "[0, inf)"),
    **dict.fromkeys(("warmup", "average"), "[0, 1)"),
    "rate": "(0, inf)",
    "epsilon": "(0, inf)",
    "accumulate": "[2, inf)",
    "balance": "(0, 1]",
    "clip": "(0, inf]",
}


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        epochs: passes over the feed, at most; after each, development data are scored.
        steps: an epoch goes over a small corpus again until it has made this many steps.
        batch: sentences of a batch; a step is one batch.
        words: words of a batch, at most (padding counted); a longer sentence is a batch of its own.
        optimizer: ``adam`` (decoupled weight decay), ``sgd`` or ``adagrad``.
        rate: learning rate at its highest.
        schedule: ``linear`` falls to 0 over all epochs, ``constant`` stays.
        warmup: share of all steps over which the rate rises.
        decay: weight decay.
        clip: highest gradient norm.
        average: weights used are the moving average with this decay a step; 0 for the last ones.
        patience: epochs without a better development score before it stops; 0 for never.
        select: ``best`` keeps the epoch with the highest strict micro F1 on dev, ``last`` the last one. Without
            development data it is always the last.
        last: with ``select = "last"``, how many epochs at the end give the mean of their weights; None for one.
        epsilon: of ``adam``; None for the library's.
        accumulate: batches a step, for larger steps than memory holds; None for one. Each batch counts as much as it
            has sentences, so a step is that of one larger batch wherever the loss is a mean over sentences. Several
            processes (`transfuse.team`) share these batches; what is drawn in a batch depends on its place alone, so
            that their number changes no more than the order of a sum.
        precision: ``bf16`` computes a transformer's states in training so, where that loses little; weights and
            everything behind the states stay in single precision. None for single precision throughout.
        balance: a sentence counts by the rarest label in it, ``(n / n_label) ** balance``, of n sentences with the
            commonest label and ``n_label`` with this one, scaled to a mean of 1: among those of one corpus, or of all
            that are pooled. Batches of sources beside the target's (`transfuse.transfer.together`) are not weighed.
            None for all alike.
    """

    epochs: int = 8
    steps: int = 170
    batch: int = 8
    words: int = 4000
    optimizer: Literal["adam", "sgd", "adagrad"] = "adam"
    rate: float = 2e-3
    schedule: Literal["linear", "constant"] = "linear"
    warmup: float = 0.0
    decay: float = 0.0
    clip: float = 5.0
    average: float = 0.999
    patience: int = 0
    select: Literal["best", "last"] = "best"
    last: int | None = None  # None, so that recipes of before have the hash that they had
    epsilon: float | None = None
    accumulate: int | None = None
    precision: Literal["bf16"] | None = None
    balance: float | None = None

    def __post_init__(self) -> None:
        check_ranges(self, "training", **_RANGES)
        if self.patience and self.select != "best":
            raise ConfigError('training.patience waits for a better epoch and goes with select = "best"')
        if self.last is not None and (self.select != "last" or not 2 <= self.last <= self.epochs):
            raise ConfigError('training.last goes with select = "last", and is at least 2 and at most training.epochs')
        if self.epsilon is not None and self.optimizer != "adam":
            raise ConfigError('training.epsilon goes with optimizer = "adam"')

    @property
    def least(self) -> int:
        """Batches of an epoch, at least."""
        return self.steps * (self.accumulate or 1)

    def scale(self, done: float) -> float:
        """The factor on the rate when a share of all steps is done."""
        if done < self.warmup:
            return done / self.warmup
        if self.schedule == "constant":
            return 1.0
        return (1 - done) / (1 - self.warmup)


@dataclass
class _Progress:
    """Where the loop stands: what a checkpoint holds beside tensors."""

    epoch: int = 0
    step: int = 0
    steps: int = 0
    best: float = -1.0
    best_epoch: int = -1
    cpu_seconds: float = 0.0
    sentences: int = 0
    terms: dict[str, float] = field(default_factory=dict)
    finished: bool = False


def fit(
    network: nn.Module,
    objective: Objective,
    feed: Feed,
    training: Training,
    *,
    stage: Stage,
    evaluate: Callable[[], float] | None = None,
    groups: Iterable[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Train a network in place; it ends in the chosen epoch's weights.

    Args:
        network: all parameters of it that require a gradient are trained.
        objective: see `Objective`.
        feed: see `Feed`.
        training: settings.
        stage: seed, records and checkpoint.
        evaluate: strict micro F1 on development data with the network as it stands, or None.
        groups: parameter groups with rates of their own; ``rate`` in a group is a factor on the rate.

    Returns:
        The stage's summary: epochs, best epoch, dev score, CPU seconds and sentences of training.

    Raises:
        ConfigError: there are several processes, and the steps have one batch.
        TransfuseError: a loss term is not finite; it is named.
    """
    loop = _Loop(network, training, stage, groups)
    if not loop.resume():
        torch.manual_seed(stage.seed)
    loop.run(objective, feed, evaluate)
    return loop.summary()


class _Loop:
    def __init__(
        self, network: nn.Module, training: Training, stage: Stage, groups: Iterable[dict[str, Any]] | None
    ) -> None:
        self.network, self.training, self.stage = network, training, stage
        self.team = team()
        if self.team.size > 1 and not training.accumulate:
            raise ConfigError(
                f"{self.team.size} processes share the batches of a step: set training.accumulate to {self.team.size} "
                "or a multiple of it"
            )
        self.optimizer = _optimizer(
            training, groups or [{"params": [p for p in network.parameters() if p.requires_grad]}]
        )
        self.factors = [group["factor"] for group in self.optimizer.param_groups]
        self.parameters = parameters_of(self.optimizer)
        self.average = [p.detach().clone() for p in self.parameters] if training.average else []
        self.chosen: list[Tensor] = []
        self.at = _Progress()
        self.saved, self.saving = time.monotonic(), 0.0
        stage.checkpoint.parent.mkdir(exist_ok=True)

    def run(self, objective: Objective, feed: Feed, evaluate: Callable[[], float] | None) -> None:
        training, at = self.training, self.at
        while not at.finished:
            batches = feed(at.epoch)
            began = time.process_time()
            self.network.train()
            while at.step < len(batches):
                some = batches[at.step : at.step + (training.accumulate or 1)]
                self._step(objective, some, (at.epoch + at.step / len(batches)) / training.epochs)
                at.step += len(some)
                at.sentences += sum(getattr(batch, "sentences", 0) for batch in some)
                if self._due() and at.step < len(batches):
                    at.cpu_seconds += time.process_time() - began
                    self.save()
                    began = time.process_time()
                self.stage.progress(
                    f"epoch {at.epoch + 1}/{training.epochs}", (at.epoch + at.step / len(batches)) / training.epochs
                )
            at.cpu_seconds += time.process_time() - began
            self._close_epoch(evaluate, len(batches))
            if at.finished:
                self._drop_all_but_chosen()
            if at.finished or self._due():
                self.save()

    def _due(self) -> bool:
        """Whether what a kill would undo has taken long enough to be saved: a large network is saved more rarely."""
        least = self.stage.run.checkpoint_seconds
        return time.monotonic() - self.saved > (max(least, _SAVING * self.saving) if least else 0)

    def _drop_all_but_chosen(self) -> None:
        """The optimiser and the other weights were for going on: the last checkpoint is a fraction of the others."""
        self._load(self.chosen)
        self.chosen, self.average = [], []
        self.optimizer.state.clear()

    def _step(self, objective: Objective, some: Sequence[Any], done: float) -> None:
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = self.training.rate * factor * self.training.scale(done)
        self.optimizer.zero_grad(set_to_none=True)
        sizes = [getattr(batch, "sentences", 1) for batch in some]
        terms: list[dict[str, float]] = []
        for number in self.team.mine(len(some)):
            if self.training.accumulate:
                torch.manual_seed(_place(self.stage.seed, self.at.steps, number))
            try:
                found = objective(some[number])
            except FloatingPointError as error:
                raise self._diverged(str(error)) from None
            terms.append({name: float(term.detach()) for name, term in found.items()})
            loss = sum(found.values(), torch.zeros(()))
            (loss * (sizes[number] / sum(sizes)) if len(some) > 1 else loss).backward()  # type: ignore[no-untyped-call]
        for of_process in self.team.all(terms):
            for of_batch in of_process:
                self._note(of_batch)
        self.team.add(self.parameters)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if norm > self.training.clip:
            nn.utils.clip_grads_with_norm_(self.parameters, self.training.clip, norm)
        self.optimizer.step()
        self.at.steps += 1
        if self.average:
            decay = min(self.training.average, (1 + self.at.steps) / (10 + self.at.steps))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)

    def _note(self, terms: dict[str, float]) -> None:
        for name, value in terms.items():
            if not math.isfinite(value):
                raise self._diverged(f"the loss term {name!r} is {value}")
            self.at.terms[name] = self.at.terms.get(name, 0.0) + value

    def _diverged(self, what: str) -> TransfuseError:
        return TransfuseError(f"{self.stage.name}, epoch {self.at.epoch + 1}: {what}: lower training.rate")

    def _close_epoch(self, evaluate: Callable[[], float] | None, steps: int) -> None:
        at, training = self.at, self.training
        raw = [p.detach().clone() for p in self.parameters] if self.average else []
        if self.average:
            self._load(self.average)
        score = None
        near = at.epoch + (training.last or 1) >= training.epochs
        if evaluate is not None and (training.select == "best" or training.patience or near):
            score = self.team.same(evaluate())
        if score is None or training.select == "last" or score > at.best:
            self.chosen = [p.detach().clone() for p in self.parameters]
            at.best_epoch = at.epoch
            at.best = at.best if score is None else score
        if training.last:
            self._keep_epoch(training.last)
        if raw:
            self._load(raw)
        losses = {name: round(value / max(steps, 1), 6) for name, value in at.terms.items()}
        self.stage.record(
            "epoch", epoch=at.epoch + 1, losses=losses, dev_f1=score, cpu_seconds=round(at.cpu_seconds, 2)
        )
        at.epoch, at.step, at.terms = at.epoch + 1, 0, {}
        patient = not training.patience or at.epoch - 1 - at.best_epoch < training.patience
        at.finished = at.epoch >= training.epochs or not patient
        if at.finished and training.last:
            self._average_epochs(evaluate)

    def _keep_epoch(self, last: int) -> None:
        """Write the weights beside the checkpoint; an epoch that a killed run does again writes the same."""
        if not self.team.leads:
            return
        number = self.at.epoch + 1
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        with write_beside(_epoch_file(self.stage, number)) as path:
            save_file({names[p]: p.detach().cpu().contiguous() for p in self.parameters}, path)
        _epoch_file(self.stage, number - last).unlink(missing_ok=True)

    def _average_epochs(self, evaluate: Callable[[], float] | None) -> None:
        """Choose the mean of the weights of the last epochs."""
        kept = self.team.same(last_epochs(self.stage))
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        self.chosen = [
            torch.stack([weights[names[p]] for weights in kept]).mean(0).to(p.device) for p in self.parameters
        ]
        if evaluate is not None:
            self._load(self.chosen)
            self.at.best = self.team.same(evaluate())
        self.stage.record("averaged", epochs=len(kept), dev_f1=self.at.best if evaluate else None)

    def _load(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def summary(self) -> dict[str, Any]:
        at = self.at
        return {
            "epochs": at.epoch,
            "best_epoch": at.best_epoch + 1,
            "dev_f1": at.best if at.best >= 0 else None,
            "cpu_seconds": round(at.cpu_seconds, 2),
            "sentences": at.sentences,
            "selection": self._selection(),
        }

    def _selection(self) -> str:
        if self.training.last:
            return f"mean of the weights of the last {min(self.training.last, self.at.epoch)} epochs"
        return (
            "highest strict micro F1 on dev" if self.training.select == "best" and self.at.best >= 0 else "last epoch"
        )

    def save(self) -> None:
        began = time.monotonic()
        if self.team.leads:
            copies = {"average": self.average, "chosen": self.chosen}
            save_checkpoint(self.stage.checkpoint, self.network, self.optimizer, copies, asdict(self.at))
        self.saved = time.monotonic()
        self.saving = self.saved - began

    def resume(self) -> bool:
        """Take up the state of an earlier process, if there is one."""
        path, exists = self.team.same((self.stage.checkpoint, self.stage.checkpoint.exists()))
        if not exists:
            return False
        try:
            copies, progress = load_checkpoint(path, self.network, self.optimizer)
        except (SafetensorError, KeyError, TypeError, ValueError) as fault:
            told = f"not a sound checkpoint: {type(fault).__name__}: {fault}; delete it, and the stage begins anew"
            raise DataError(told, path=str(path)) from None
        self.average, self.chosen = copies.get("average", []), copies.get("chosen", [])
        self.at = _Progress(**progress)
        self.stage.record("resumed", epoch=self.at.epoch + 1, step=self.at.step)
        return True


def last_epochs(stage: Stage) -> list[dict[str, Tensor]]:
    """The weights after each of the last epochs of a stage, by name, oldest first; see `Training.last`."""
    pattern = f"{glob.escape(stage.name)}.epoch-*.safetensors"
    return [load_file(path) for path in sorted(stage.checkpoint.parent.glob(pattern))]


def _place(*numbers: int) -> int:
    """A seed of a place in the training: of run, step and batch."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7])


def _epoch_file(stage: Stage, number: int) -> Path:
    return stage.checkpoint.with_name(f"{stage.name}.epoch-{max(number, 0):05d}.safetensors")


def _optimizer(training: Training, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    groups = [{"factor": 1.0, **group} for group in groups]
    if training.optimizer == "adam":
        eps = 1e-8 if training.epsilon is None else training.epsilon
        return torch.optim.AdamW(groups, lr=training.rate, eps=eps, weight_decay=training.decay, fused=True)
    if training.optimizer == "adagrad":
        return torch.optim.Adagrad(groups, lr=training.rate, weight_decay=training.decay, foreach=True)
    return torch.optim.SGD(groups, lr=training.rate, weight_decay=training.decay, foreach=True)
