"""Train on the sources in order, then on the target from their weights (Lee et al. 2017, Giorgi & Bader 2018)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transfuse.encoders.known import depth as depth_of
from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.layers import LAYERS, within
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, Tagger, Task, UnusedSettingError
from transfuse.train import Training
from transfuse.transfer.supervised import pull_back
from transfuse.transfer.together import FromSources, fit_together, start_from_sources

__all__ = ["PRESETS", "Retrain"]


@dataclass(frozen=True)
class Retrain(FromSources):
    """Settings.

    Attributes:
        source_epochs: rehearsal: passes over each source, with its own head, while the target is learned; 0 for none.
        source_dropout: dropout while on the sources; None for the architecture's own.
        transfer: layer groups whose weights are carried over to the target; the others start afresh. A transformer's
            are ``embedding``, ``layers`` or single ones as ``layer.1``, ``projection`` and ``crf``.
        frozen: layer groups that keep their weights on the target.
        source_l2: weight of the squared distance of the transferred layers' weights, the word table apart, to what they
            were before the target was learned (L2-SP of Li et al. 2018); 0 for none. What is new in such a layer, as
            the rows of a tag that no source has, is held to where it begins.
    """

    source_epochs: float = 0.0
    source_dropout: float | None = None
    transfer: tuple[str, ...] = LAYERS
    frozen: tuple[str, ...] = ()
    source_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.architecture.layers
        if self.transfer == LAYERS:  # everything, by the names that the encoder has for it
            object.__setattr__(self, "transfer", known)
        for name in ("transfer", "frozen"):
            strangers = sorted(
                layer for layer in getattr(self, name) if layer not in known and not _numbered(layer, known)
            )
            if strangers:
                raise ConfigError(f"{name}: no such layer group: {', '.join(strangers)}; there are {', '.join(known)}")
        if set(self.frozen) >= set(known):
            raise ConfigError("frozen: with every layer group frozen there is nothing left to train")
        check_ranges(self, source_l2="[0, inf)")
        for name in ("source_batch", "source_weight"):
            if not self.source_epochs and getattr(self, name) != getattr(FromSources, name):
                raise UnusedSettingError(name, "source_epochs is 0: no source is learned beside the target")
        if self.source_l2 and all(within(layer, ("words", *self.frozen)) for layer in self.transfer):
            raise ConfigError("source_l2: no layer that is transferred is trained, the word table apart")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Sources in the task's order, then the target; the head is rebuilt where label sets differ."""
        self._check_numbers()
        begun = start_from_sources(
            task, self, run=run, dropout=self.source_dropout, layers=self.transfer, frozen=self.frozen
        )
        penalty = None
        if self.source_l2:
            held = {"layers": self.transfer, "frozen": self.frozen}
            penalty = pull_back(begun.encoding, begun.target.head, self.source_l2, **held)
        return fit_together(begun, self, run=run, penalty=penalty, frozen=self.frozen)

    def _check_numbers(self) -> None:
        """Refuse layers above the encoder's highest before anything is trained."""
        numbers = [int(layer.removeprefix("layer.")) for layer in (*self.transfer, *self.frozen) if layer[-1].isdigit()]
        encoder = self.architecture.encoder
        pretrained = encoder.transformer if isinstance(encoder, BiLSTMEncoder) else encoder
        if numbers and pretrained:
            depth = pretrained.layers or depth_of(pretrained.name)
            if max(numbers) > depth:
                raise ConfigError(f"there is no layer.{max(numbers)}: {pretrained.name} has {depth} layers")


def _numbered(layer: str, known: Sequence[str]) -> bool:
    return "layers" in known and re.fullmatch(r"layer\.[1-9]\d*", layer) is not None


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


def _gan_wang() -> Retrain:
    """Sections 3.1.3 and 3.1.4 (2026): résumés until F1 is highest, then health records; a word is a character."""
    training = Training(epochs=50, steps=0, average=0.0, batch=32, rate=0.003, schedule="constant")
    encoder = BiLSTMEncoder(word_width=100, characters="none", dropout=0.5)
    return Retrain(
        architecture=Architecture(encoder=encoder),
        vectors=Vectors(width=100),
        training=training,
        source_training=training,
        source_epochs=0.0,
    )


PRESETS = {"gan-wang": _gan_wang(), "giorgi-bader": _giorgi_bader()}
