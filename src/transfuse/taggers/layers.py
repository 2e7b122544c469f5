"""Layer groups of a tagger: the names by which transfer says what it carries over, freezes, slices or starts afresh."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from transfuse.encoders.known import IN_LAYER

__all__ = ["LAYERS", "PIECE_LAYERS", "layer_of", "slices", "within"]

LAYERS = ("words", "characters", "features", "lstm", "projection", "crf")
"""The layer groups of a tagger, by which transfer names what it carries over, freezes or starts afresh."""

PIECE_LAYERS = ("embedding", "layers", "projection", "crf")
"""Those of a tagger with a transformer; ``layers`` stands for all of ``layer.1`` (the lowest), ``layer.2`` and so on,
and what belongs to no layer counts as ``embedding``."""

_PREFIXES = {
    "encoder.forms.correction": "words",
    "encoder.forms.chars": "characters",
    "encoder.forms.features": "features",
    "encoder.forms.context": "features",
    "encoder.lstm": "lstm",
}


def layer_of(parameter: str) -> str:
    """The layer group of a parameter, by its name in ``{"encoder": ..., "head": ...}``; there may be further heads."""
    for prefix, layer in _PREFIXES.items():
        if parameter.startswith(prefix):
            return layer
    if parameter.startswith(("encoder.model.", "encoder.transformer.model.")):
        number = IN_LAYER.search(parameter)
        return f"layer.{int(number[1]) + 1}" if number else "embedding"
    if parameter.startswith("encoder."):
        raise ValueError(f"{parameter} belongs to no layer group")
    return "crf" if ".crf." in parameter else "projection"


def slices(encoder: nn.Module) -> tuple[str, ...]:
    """The layer groups of an encoder from below, between which it can be cut; the first holds the table of words."""
    found = {layer_of(f"encoder.{name}") for name, _ in encoder.named_parameters()}
    return tuple(sorted(found, key=_height))


def _height(layer: str) -> tuple[bool, int]:
    if layer in LAYERS:
        return True, LAYERS.index(layer)
    return False, int(layer.removeprefix("layer.")) if layer.startswith("layer.") else 0


def within(layer: str, groups: Iterable[str]) -> bool:
    """Whether a layer group is among some, ``layers`` taken for what it stands for."""
    return layer in groups or (layer.startswith("layer.") and "layers" in groups)
