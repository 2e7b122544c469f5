"""Taggers that are made faster after they were loaded, at a price in exactness."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from transfuse.calibrated import CalibratedTagger
from transfuse.fusion import FusedTagger
from transfuse.neural import NeuralTagger
from transfuse.nn.encoder import Encoder
from transfuse.nn.transformer import Transformer
from transfuse.text import ConfigError, Tagger
from transfuse.votes import VoteTagger

__all__ = ["to_int8"]


def to_int8(tagger: Tagger) -> None:
    """Let the linear maps of a tagger's transformers compute in 8-bit integers on a CPU, in place.

    Weights are rounded once, with a scale for each row; what goes in is rounded anew each time, with one scale.

    Args:
        tagger: whose transformers are changed, those of its members too. It can no longer be saved.

    Raises:
        ConfigError: there is no transformer in it.
    """
    found = {id(part): part for part in _transformers(tagger)}
    if not found:
        raise ConfigError("int8 is for taggers with a transformer, and there is none in this one")
    for part in found.values():
        with warnings.catch_warnings():
            # the successor is a package of its own; until torch drops this, it needs none
            warnings.filterwarnings("ignore", message=r"(?s).*(torch\.ao\.quantization|torch\.quantize_per)")
            from torch.ao import quantization

            scheme = {nn.Linear: quantization.per_channel_dynamic_qconfig}
            part.model = quantization.quantize_dynamic(part.model.eval(), scheme, dtype=torch.qint8)  # type: ignore[no-untyped-call]


def _transformers(tagger: Any) -> Iterator[Transformer]:
    encoders: list[Any] = []
    if isinstance(tagger, NeuralTagger):
        encoders = [tagger.encoder]
    elif isinstance(tagger, VoteTagger):
        encoders = [reader.encoder for reader in tagger.readers]
    elif isinstance(tagger, FusedTagger):
        for part in tagger.members:
            yield from _transformers(part.tagger)
    elif isinstance(tagger, CalibratedTagger):
        yield from _transformers(tagger.member.tagger)
    for encoder in encoders:
        part = encoder.transformer if isinstance(encoder, Encoder) else encoder
        if isinstance(part, Transformer):
            yield part
