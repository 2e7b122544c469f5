"""Train on the sources in order, then on the target from their weights (Lee et al. 2017, Giorgi & Bader 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from transfuse.architecture import LAYERS, Architecture, BiLSTMEncoder, TagSet, layer_of
from transfuse.nn.head import Head
from transfuse.run import Run
from transfuse.supervised import (
    Encoding,
    Supervised,
    copy_head,
    new_encoding,
    set_dropout,
    train_head,
)
from transfuse.text import ConfigError, Tagger, Task
from transfuse.train import Training
from transfuse.vectors import Vectors

__all__ = ["PRESETS", "Retrain"]


@dataclass(frozen=True)
class Retrain(Supervised):
    """Settings; what `Supervised` has is for the target.

    Attributes:
        source_training: the loop on each source.
        source_dropout: dropout while on the sources; None for the architecture's own.
        transfer: layer groups whose weights are carried over to the target; the others start afresh.
        frozen: layer groups that keep their weights on the target.
    """

    source_training: Training = field(default_factory=Training)
    source_dropout: float | None = None
    transfer: tuple[str, ...] = LAYERS
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("transfer", "frozen"):
            strangers = sorted(set(getattr(self, name)) - set(LAYERS))
            if strangers:
                raise ConfigError(f"{name}: no such layer group: {', '.join(strangers)}; there are {', '.join(LAYERS)}")
        if set(self.frozen) == set(LAYERS):
            raise ConfigError("frozen: with every layer group frozen there is nothing left to train")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Sources in the task's order, then the target; the head is rebuilt where label sets differ."""
        if not task.sources:
            raise ConfigError("retrain needs at least one source")
        encoding = new_encoding([*task.sources, task.target], self, task=task, run=run)
        fresh = {k: v.clone() for k, v in encoding.encoder.state_dict().items()}
        own = encoding.encoder.before.share
        before: tuple[Head, TagSet] | None = None
        for number, source in enumerate(task.sources, 1):
            if self.source_dropout is not None:
                set_dropout(encoding, self.source_dropout)
            tagset = encoding.tagset(source.labels)
            head = encoding.head(tagset)
            if before is not None:
                copy_head(*before, head, tagset, LAYERS)
            stage = run.stage(f"source-{number}-{source.name}")
            train_head(encoding, head, tagset, source, self.source_training, stage=stage)
            before = head, tagset
        set_dropout(encoding, own)
        self._start_afresh(encoding, fresh)
        tagset = encoding.tagset(task.target.labels)
        head = encoding.head(tagset)
        assert before is not None
        moved = copy_head(*before, head, tagset, self.transfer)
        stage = run.stage("target")
        stage.record("transferred", layers=self.transfer, frozen=self.frozen, tags=moved, fresh=_rest(tagset, moved))
        train_head(encoding, head, tagset, task.target, self.training, stage=stage, frozen=self.frozen)
        return encoding.tagger(head, tagset)

    def _start_afresh(self, encoding: Encoding, fresh: dict[str, torch.Tensor]) -> None:
        """Give the layer groups that are not transferred the weights they had before any training."""
        with torch.no_grad():
            for name, parameter in encoding.encoder.named_parameters():
                if layer_of(f"encoder.{name}") not in self.transfer:
                    parameter.copy_(fresh[name])


def _rest(tagset: TagSet, moved: Sequence[str]) -> list[str]:
    return [name for name in tagset.names if name not in moved]


def _giorgi_bader() -> Retrain:
    """Section 2.1.1: a sentence a step, frozen vectors, 25-d characters; source training is kept from converging."""
    encoder = BiLSTMEncoder(
        hidden=100, word_rate=0.0, word_width=200, characters="lstm", char_width=25, char_filters=25, dropout=0.5
    )
    target = Training(
        epochs=100, steps=0, average=0.0, batch=1, optimizer="sgd", rate=0.005, schedule="constant", patience=10
    )
    return Retrain(
        architecture=Architecture(encoder=encoder, scheme="BIOES"),
        vectors=Vectors(width=200),
        training=target,
        source_training=replace(target, epochs=5, rate=0.0005, patience=0, select="last"),
        source_dropout=0.8,
    )


PRESETS = {"giorgi-bader": _giorgi_bader()}
