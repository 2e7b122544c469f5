"""Taggers that are made faster after they were loaded, at a price in exactness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transfuse.ensembles.calibrated import CalibratedTagger
from transfuse.ensembles.fusion import FusedTagger
from transfuse.ensembles.votes import VoteTagger
from transfuse.nn.encoder import Encoder
from transfuse.nn.int8 import lighten
from transfuse.nn.transformer import Transformer
from transfuse.taggers.neural import NeuralTagger
from transfuse.text import ConfigError, Tagger

__all__ = ["to_int8"]


def to_int8(tagger: Tagger) -> None:
    """Let the linear maps of a tagger's transformers compute in 8-bit integers on a CPU, in place.

    Args:
        tagger: whose transformers are changed, those of its members too. It can no longer be saved.

    Raises:
        ConfigError: there is no transformer in it, or torch was built without the library that multiplies integers.
    """
    found = {id(part): part for part in _transformers(tagger)}
    if not found:
        raise ConfigError("int8 is for taggers with a transformer, and there is none in this one")
    for part in found.values():
        modules: list[Any] = list(part.model.modules())
        for module in modules:
            if hasattr(module, "lora_A"):  # an adapter is added to the map that it stands beside
                module.merge()
        lighten(part.model.eval())


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
