"""Linear maps of a pre-trained model in 8-bit integers, on a CPU.

Weights have a scale for each row; what a map reads has one scale, set when the model is changed, by a batch of random
pieces: a sentence is read alike in any company. One scale for all units would be set by the few whose values stand
out. So units are scaled to meet their weights halfway (Xiao et al. 2023, SmoothQuant, equation 4, with a strength of
one half), and maps that narrow read four units in single precision beside the integers (Dettmers et al. 2022,
LLM.int8(), section 3.2; there for large models).

Where a map widens, a known curve bends what comes out, and a map narrows it, the three are one, and what stands between
them is integers only. There, instead, units that stand out are split (Zhao et al. 2019, outlier channel splitting,
section 3; theirs in halves): the first says what is within the scale, copies with lower biases what is past it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfuse.text import ConfigError

__all__ = ["lighten"]

_APART = 4
"""Units that are read in single precision."""

_COPIES = 16
"""Of units that are split, all together; one of MiniLM-L6 goes five times as high as the next."""

_STRAIGHT = 3.0
"""From here on no curve bends, and no unit is split below it: gelu of 3 is 2.996."""

_WHOLE = 1.5 * 2**23
"""Single precision holds no fractions here, so a sum is rounded, and its last bits say by how much it is above."""

_PIECES = (32, 32)
"""Sentences and pieces of the batch that sets scales."""

_Curve = tuple[str, str]
"""What bends, by its names in oneDNN."""

_CURVES: dict[_Curve, Callable[[Tensor], Tensor]] = {
    ("gelu", "none"): F.gelu,
    ("gelu", "tanh"): partial(F.gelu, approximate="tanh"),
    ("relu", ""): F.relu,
}


@torch.no_grad()
def lighten(model: nn.Module) -> None:
    """Let all linear maps of a model compute in 8-bit integers, in place; it can be neither saved nor trained then.

    Args:
        model: of the `transformers` library, on a CPU, in evaluation mode.

    Raises:
        ConfigError: torch was built without the library that multiplies integers.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        raise ConfigError("int8 needs a torch that was built with oneDNN, and this one was not: leave it out")
    watch = _Watch(model)
    get: Any = model.get_submodule
    joined = watch.joined()
    inside = {name for joint in joined for name in (joint.widens, joint.narrows)}
    for joint in joined:
        first, second = ((get(name), watch.read[name]) for name in (joint.widens, joint.narrows))
        pair = _Pair(*first, *second, joint.curve)
        model.set_submodule(joint.widens, _Call(pair.widen))
        model.set_submodule(joint.bends, nn.Identity())
        model.set_submodule(joint.narrows, _Call(pair.narrow))
    for read in watch.reads:
        if not inside.intersection(read.names):
            shared = _Shared([get(name) for name in read.names], read)
            for place, name in enumerate(read.names):
                model.set_submodule(name, _Call(partial(shared.part, place=place)))


class _Call(nn.Module):
    """A function in the place of a module."""

    weight = None
    """T5 asks for it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


@dataclass
class _Read:
    """What linear maps read that read the same.

    Attributes:
        names: of the maps.
        low: ``[inputs]`` the lowest value of each unit.
        high: ``[inputs]`` the highest.
    """

    names: list[str]
    low: Tensor
    high: Tensor

    @property
    def size(self) -> Tensor:
        """``[inputs]`` the largest value of each unit, whatever its sign."""
        return torch.maximum(-self.low, self.high)


class _Joint(NamedTuple):
    """A map that widens, what bends what comes out of it, and the map that narrows that: their names, and the curve."""

    widens: str
    bends: str
    narrows: str
    curve: _Curve


@dataclass
class _Made:
    """A tensor, by which map it was made, and how it was bent since: by which module, along which curve."""

    value: Tensor
    by: str
    bent: tuple[str, _Curve] | None = None


@dataclass
class _Watch:
    """What the linear maps of a model read while it reads random pieces."""

    model: Any
    reads: list[_Read] = field(default_factory=list)
    read: dict[str, _Read] = field(default_factory=dict)
    _fed: dict[str, set[tuple[str, str, _Curve] | None]] = field(default_factory=dict)
    _bent: dict[str, set[str | None]] = field(default_factory=dict)
    _last: Tensor | None = None
    _made: _Made | None = None

    def __post_init__(self) -> None:
        names: dict[nn.Module, list[str]] = {}
        for name, module in self.model.named_modules(remove_duplicate=False):
            names.setdefault(module, []).append(name)
        leaves = [(name, module) for module, (name, *more) in names.items() if not more and not [*module.children()]]
        hooks = [module.register_forward_hook(partial(self._note, name)) for name, module in leaves]
        drawn = torch.Generator().manual_seed(0)
        self.model(input_ids=torch.randint(self.model.config.vocab_size, _PIECES, generator=drawn))
        for hook in hooks:
            hook.remove()
        self._last = self._made = None

    def _note(self, name: str, module: nn.Module, given: tuple[Any, ...], found: Any) -> None:
        if not given or not isinstance(given[0], Tensor) or not isinstance(found, Tensor):
            return
        if found is given[0]:  # dropout at rest
            return
        made = self._made if self._made is not None and self._made.value is given[0] else None
        if type(module) is nn.Linear:
            self._note_read(name, given[0])
            came = (made.by, *made.bent) if made and made.bent else None
            self._fed.setdefault(name, set()).add(came)
            self._made = _Made(found, name)
            return
        curve = _curve(given[0], found) if made and not made.bent else None
        self._bent.setdefault(name, set()).add(made.by if made and curve else None)
        self._made = _Made(found, made.by, (name, curve)) if made and curve else None

    def _note_read(self, name: str, x: Tensor) -> None:
        units = x.flatten(0, -2)
        low, high = units.amin(0), units.amax(0)
        read = self.read.get(name)
        if read:  # layers that share their weights
            read.low, read.high = torch.minimum(read.low, low), torch.maximum(read.high, high)
        elif self._last is x:
            self.read[name] = self.reads[-1]
            self.reads[-1].names.append(name)
        else:
            self.read[name] = _Read([name], low, high)
            self.reads.append(self.read[name])
        self._last = x

    def joined(self) -> list[_Joint]:
        """The maps between which a curve stands and nothing else, whenever any of the three was called."""
        found = []
        for name, ways in self._fed.items():
            [way, *others] = ways
            if way and not others and len(self.read[name].names) == 1 == len(self.read[way[0]].names):
                found.append(_Joint(way[0], way[1], name, way[2]))
        widen = {joint.widens for joint in found}
        return [joint for joint in found if self._bent[joint.bends] <= widen]


def _curve(x: Tensor, found: Tensor) -> _Curve | None:
    if found.shape != x.shape:
        return None
    return next((key for key, bend in _CURVES.items() if torch.allclose(bend(x), found, atol=1e-6)), None)


class _Scale(NamedTuple):
    """A number n of 8 bits stands for ``(n - zero) * step``."""

    step: float
    zero: int

    @classmethod
    def over(cls, low: Tensor, high: Tensor) -> _Scale:
        """From the lowest to the highest of some values, and 0."""
        lowest, highest = min(float(low.min()), 0.0), max(float(high.max()), 0.0)
        step = max((highest - lowest) / 255, 1e-12)
        return cls(step, round(-lowest / step))

    def beyond(self, x: Tensor) -> Tensor:
        """What is left of values where they are past what 8 bits can say."""
        return x - x.clamp(-self.zero * self.step, (255 - self.zero) * self.step)


class _Rounding:
    """Values to 8 bits.

    Args:
        scale: of what comes out.
        units: ``[inputs]`` by what each unit is multiplied before.
    """

    def __init__(self, scale: _Scale, units: Tensor) -> None:
        self._factors = units / scale.step
        self._zeros = torch.full_like(units, _WHOLE + scale.zero)

    def __call__(self, x: Tensor) -> Tensor:
        """``[..., inputs]``; what is past the scale becomes its end."""
        numbers = torch.addcmul(self._zeros, x, self._factors).clamp_(_WHOLE, _WHOLE + 255)
        return numbers.view(torch.int32).to(torch.uint8)


class _Product:
    """What a linear map makes of 8-bit numbers.

    Args:
        weight: ``[outputs, inputs]``.
        bias: ``[outputs]``.
        scale: of what is read.
    """

    def __init__(self, weight: Tensor, bias: Tensor, scale: _Scale) -> None:
        # without these instructions sums of products overflow unless a bit is left unused
        most = 127 if getattr(torch.cpu, "_is_vnni_supported", lambda: False)() else 63
        steps = weight.abs().amax(1).clamp_min(1e-12) / most
        rounded = (weight / steps[:, None]).round().to(torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._weights = packed, steps, torch.zeros(len(steps), dtype=torch.long), bias
        self._scale = scale

    def __call__(self, x: Tensor) -> Tensor:
        """``[..., outputs]`` in single precision."""
        return self._multiply(x, 1.0, 0, torch.float32, "none", [], "")

    def bent(self, x: Tensor, curve: _Curve, scale: _Scale) -> Tensor:
        """``[..., outputs]`` along a curve, and to 8 bits."""
        return self._multiply(x, *scale, torch.uint8, curve[0], [], curve[1])

    def _multiply(self, x: Tensor, *after: Any) -> Tensor:
        found: Tensor = torch.ops.onednn.qlinear_pointwise.default(x.contiguous(), *self._scale, *self._weights, *after)
        return found


def _bias(map: nn.Linear) -> Tensor:
    return map.weight.new_zeros(map.out_features) if map.bias is None else map.bias.detach()


def _halfway(weight: Tensor, read: _Read) -> Tensor:
    """``[inputs]`` by what units are multiplied so that their largest values are like those of their weights."""
    units = (weight.abs().amax(0).clamp_min(1e-6) / read.size.clamp_min(1e-6)).sqrt()
    return units / units.median()


class _Shared:
    """Linear maps that read the same, which is rounded once for all of them.

    Args:
        maps: as they were trained.
        read: what they read.
    """

    def __init__(self, maps: Sequence[nn.Linear], read: _Read) -> None:
        self._sizes = [each.out_features for each in maps]
        weight = torch.cat([each.weight.detach() for each in maps])
        self._apart: tuple[Tensor, Tensor] | None = None
        units = torch.ones_like(read.low)
        within = units
        if maps[0].in_features > maps[0].out_features:
            apart = read.size.topk(min(_APART, len(read.size))).indices
            self._apart = apart, weight[:, apart].T.contiguous()
            within = units.index_fill(0, apart, 0.0)
        else:
            units = within = _halfway(weight, read)
        self._scale = _Scale.over(read.low * within, read.high * within)
        self._rounding = _Rounding(self._scale, units)
        self._product = _Product(weight / units, torch.cat([_bias(each) for each in maps]), self._scale)
        self._read: Tensor | None = None
        self._found: Sequence[Tensor] = ()

    @torch.no_grad()
    def part(self, x: Tensor, place: int) -> Tensor:
        """Of ``[..., inputs]`` the ``[..., outputs]`` of one of the maps."""
        if self._read is not x:
            self._read, self._found = x, torch.split(self._all(x), self._sizes, -1)
        found = self._found[place]
        if place + 1 == len(self._sizes):
            self._read, self._found = None, ()
        return found

    def _all(self, x: Tensor) -> Tensor:
        found = self._product(self._rounding(x))
        if self._apart is not None:
            units, weights = self._apart
            beyond = self._scale.beyond(x.index_select(-1, units))
            found.flatten(0, -2).addmm_(beyond.flatten(0, -2), weights)
        return found


class _Pair:
    """A map that widens and the one that narrows, see `_Joint`.

    Args:
        widens: as it was trained.
        read: what it reads.
        narrows: as it was trained.
        between: what that reads.
        curve: between them.
    """

    def __init__(self, widens: nn.Linear, read: _Read, narrows: nn.Linear, between: _Read, curve: _Curve) -> None:
        places, below, end = _split(between.high.clamp_min(0))
        weight, bias = widens.weight.detach()[places], _bias(widens)[places] - below
        units = _halfway(weight, read)
        scale = _Scale.over(read.low * units, read.high * units)
        self._between, self._curve = _Scale.over(between.low, end), curve
        self._rounding = _Rounding(scale, units)
        self._first = _Product(weight / units, bias, scale)
        self._second = _Product(narrows.weight.detach()[:, places], _bias(narrows), self._between)

    @torch.no_grad()
    def widen(self, x: Tensor) -> Tensor:
        """``[..., inputs]`` to ``[..., wide]``, bent, in 8 bits."""
        return self._first.bent(self._rounding(x), self._curve, self._between)

    @torch.no_grad()
    def narrow(self, x: Tensor) -> Tensor:
        """What `widen` gave to ``[..., outputs]``."""
        return self._second(x)


def _split(high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Units with their copies: which unit each is, what the ones before it say at most, and what each says at most.

    Args:
        high: ``[units]`` the highest value of each, none below 0.
    """
    parts = torch.ones_like(high)
    for _ in range(_COPIES):
        highest = (high / parts).argmax()
        if high[highest] < _STRAIGHT * (parts[highest] + 1):
            break
        parts[highest] += 1
    end = (high / parts).max()
    places = torch.arange(len(high)).repeat_interleave(parts.long())
    first = parts.cumsum(0) - parts
    return places, (torch.arange(len(places)) - first[places]) * end, end
