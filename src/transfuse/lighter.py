"""Taggers that are made faster after they were loaded, at a price in exactness."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear

from transfuse.ensembles.calibrated import CalibratedTagger
from transfuse.ensembles.fusion import FusedTagger
from transfuse.ensembles.votes import VoteTagger
from transfuse.nn.encoder import Encoder
from transfuse.nn.transformer import Transformer
from transfuse.taggers.neural import NeuralTagger
from transfuse.text import ConfigError, Tagger

__all__ = ["to_int8"]

_APART = 4
"""Units of what a map reads that are kept in single precision; in MiniLM-L6 one is four times the fifth."""


def to_int8(tagger: Tagger) -> None:
    """Let the linear maps of a tagger's transformers compute in 8-bit integers on a CPU, in place.

    Weights are rounded once, with a scale for each row; what goes in is rounded anew each time, with one scale, which
    the few units with the largest values would make too coarse for all others. So the widening and narrowing maps of a
    layer, where such units are, read four of them in single precision (Dettmers et al. 2022, there for large models).
    Which ones, a batch of random pieces tells when the tagger is loaded.

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

            apart = _apart(part.model.eval())
            scheme = {nn.Linear: quantization.per_channel_dynamic_qconfig}
            model = quantization.quantize_dynamic(part.model, scheme, dtype=torch.qint8)  # type: ignore[no-untyped-call]
        for name, module in [*model.named_modules()]:
            if type(module) is Linear:
                model.set_submodule(name, _Rounded(module, apart.get(name)))
        part.model = model


_Columns = tuple[torch.Tensor, torch.Tensor]
"""Numbers of some units, and ``[units, outputs]`` their weights."""


@torch.no_grad()
def _apart(model: Any) -> dict[str, _Columns]:
    """By the name of a map the units with the largest values in what it reads, for maps that widen or narrow."""
    highest: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def note(_: nn.Module, read: tuple[torch.Tensor]) -> None:
            highest[name] = read[0].abs().flatten(0, -2).amax(0)

        return note

    wide = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and m.in_features != m.out_features}
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in wide.items()]
    pieces = torch.randint(model.config.vocab_size, (8, 32), generator=torch.Generator().manual_seed(0))
    model(input_ids=pieces)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, values in highest.items():
        units = values.topk(min(_APART, len(values))).indices
        found[name] = units, wide[name].weight.detach()[:, units].T.contiguous()
    return found


class _Rounded(nn.Module):
    """A linear map in 8-bit integers.

    Args:
        rounded: the map as the library has it.
        apart: units that are read in single precision.
    """

    def __init__(self, rounded: Linear, apart: _Columns | None) -> None:
        super().__init__()
        self.rounded, self.apart = rounded, apart
        # without these instructions sums of products overflow unless a bit is left unused
        self.seven_bits = not getattr(torch.cpu, "_is_vnni_supported", lambda: False)()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[..., inputs]`` to ``[..., outputs]``."""
        if self.apart is None:
            return self._map(x)
        units, weights = self.apart
        rest = self._map(x.index_fill(-1, units, 0.0))
        exact = x.index_select(-1, units).flatten(0, -2)
        return torch.addmm(rest.flatten(0, -2), exact, weights).view(rest.shape)

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.rounded._packed_params._packed_params
        found: torch.Tensor = torch.ops.quantized.linear_dynamic(x, weights, self.seven_bits)
        return found


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
