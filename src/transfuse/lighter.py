"""Taggers that are made faster after they were loaded, at a price in exactness."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

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
            modules: list[Any] = list(part.model.modules())
            for module in modules:
                if hasattr(module, "lora_A"):  # an adapter is added to the map that it stands beside
                    module.merge()
            for group in _groups(part.model.eval()):
                maps: list[Any] = [part.model.get_submodule(name) for name in group.names]
                shared = _Rounded(maps, group.apart)
                for place, name in enumerate(group.names):
                    part.model.set_submodule(name, _Part(shared, place))


@dataclass
class _Group:
    """Maps that read the same.

    Attributes:
        names: of the maps, as they are called.
        apart: numbers of units that are read in single precision.
    """

    names: list[str]
    apart: torch.Tensor | None = None


@torch.no_grad()
def _groups(model: Any) -> list[_Group]:
    """All linear maps; where they widen or narrow, with the units that have the largest values in what they read."""
    found: list[_Group] = []
    read: list[torch.Tensor] = []  # kept, so that no other tensor gets the identity of one

    def watch(name: str, module: nn.Linear) -> Any:
        def note(_: nn.Module, given: tuple[torch.Tensor]) -> None:
            if any(name in group.names for group in found):  # layers that share their weights
                return
            if read and read[-1] is given[0]:
                found[-1].names.append(name)
                return
            read.append(given[0])
            found.append(_Group([name]))
            if module.in_features != module.out_features:
                highest = given[0].abs().flatten(0, -2).amax(0)
                found[-1].apart = highest.topk(min(_APART, len(highest))).indices

        return note

    maps = [(name, module) for name, module in model.named_modules() if type(module) is nn.Linear]
    hooks = [module.register_forward_pre_hook(watch(name, module)) for name, module in maps]
    pieces = torch.randint(model.config.vocab_size, (8, 32), generator=torch.Generator().manual_seed(0))
    model(input_ids=pieces)
    for hook in hooks:
        hook.remove()
    seen = {name for group in found for name in group.names}
    return found + [_Group([name]) for name, _ in maps if name not in seen]


class _Rounded:
    """Linear maps that read the same, in 8-bit integers: what they read is rounded once for all of them.

    Args:
        maps: as they were trained.
        apart: units that are read in single precision.
    """

    def __init__(self, maps: Sequence[nn.Linear], apart: torch.Tensor | None) -> None:
        from torch.ao import quantization

        self.sizes = [each.out_features for each in maps]
        whole = _joined(maps)
        scheme, quick = {nn.Linear: quantization.per_channel_dynamic_qconfig}, _has_quick_products()
        engine = torch.backends.quantized.engine
        if quick and "onednn" in torch.backends.quantized.supported_engines:
            torch.backends.quantized.engine = "onednn"  # a fifth faster there than what torch takes by itself
        try:
            [rounded] = quantization.quantize_dynamic(nn.Sequential(whole), scheme, dtype=torch.qint8)  # type: ignore[no-untyped-call]
        finally:
            torch.backends.quantized.engine = engine
        self.weights = rounded._packed_params._packed_params
        self.apart = None if apart is None else (apart, whole.weight.detach()[:, apart].T.contiguous())
        # without these instructions sums of products overflow unless a bit is left unused
        self.seven_bits = not quick
        self.read: torch.Tensor | None = None
        self.found: Sequence[torch.Tensor] = ()

    @torch.no_grad()
    def part(self, x: torch.Tensor, place: int) -> torch.Tensor:
        """Of ``[..., inputs]`` the ``[..., outputs]`` of one of the maps."""
        if self.read is not x:
            self.read, self.found = x, torch.split(self._map(x), self.sizes, -1)
        found = self.found[place]
        if place + 1 == len(self.sizes):
            self.read, self.found = None, ()
        return found

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        if self.apart is None:
            return self._rounded(x)
        units, weights = self.apart
        exact = x.index_select(-1, units)
        # filled and put back where it stands: a copy of x, and of what comes out, would cost a tenth of tagging
        found = self._rounded(x.index_fill_(-1, units, 0.0))
        x.index_copy_(-1, units, exact)
        found.flatten(0, -2).addmm_(exact.flatten(0, -2), weights)
        return found

    def _rounded(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.ops.quantized.linear_dynamic(x, self.weights, self.seven_bits)
        return found


def _joined(maps: Sequence[nn.Linear]) -> nn.Linear:
    weight = torch.cat([each.weight.detach() for each in maps])
    biases = [each.weight.new_zeros(each.out_features) if each.bias is None else each.bias.detach() for each in maps]
    whole = nn.Linear(weight.shape[1], len(weight), device="meta")
    whole.weight, whole.bias = nn.Parameter(weight), nn.Parameter(torch.cat(biases))
    return whole


def _has_quick_products() -> bool:
    return bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)())


class _Part(nn.Module):
    """One of the maps.

    Args:
        shared: all of them.
        place: of this one among them.
    """

    def __init__(self, shared: _Rounded, place: int) -> None:
        super().__init__()
        self.shared, self.place = shared, place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[..., inputs]`` to ``[..., outputs]``."""
        return self.shared.part(x, self.place)


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
