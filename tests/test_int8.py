"""Maps in 8-bit integers: what stands between them, and how near they are to those they replace."""

from __future__ import annotations

import copy
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from transfuse.nn import int8
from transfuse.nn.int8 import lighten
from transfuse.text import ConfigError


class Model(nn.Module):
    """Pieces through layers that are told apart by their numbers."""

    config = SimpleNamespace(vocab_size=50)

    def __init__(self, *layers: nn.Module, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Embedding(50, width), nn.LayerNorm(width), *layers).eval()
        for layer in self.inner.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.5)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(input_ids)
        return found


class Gate(nn.Module):
    """Half of the units open the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = x.chunk(2, -1)
        return F.gelu(one) * other


class Wide(nn.Module):
    """What a layer ends with."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.bend, self.narrow = nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)


IDS = torch.arange(50).view(5, 10)


def wide_and_narrow(curve: nn.Module, *more: nn.Module) -> Model:
    return Model(nn.Linear(16, 64), curve, *more, nn.Linear(64, 16))


def lightened(model: Model) -> Model:
    """A copy in 8-bit integers."""
    light = copy.deepcopy(model)
    lighten(light)
    return light


def error(model: Model, light: Model) -> float:
    """The largest one, as a share of the largest value."""
    with torch.no_grad():
        exact = model(IDS)
        return float((light(IDS) - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize(
    ("curve", "joined"),
    [
        (nn.GELU(), True),
        (nn.GELU(approximate="tanh"), True),
        (nn.ReLU(), True),
        (nn.SiLU(), False),
        (nn.Tanh(), False),
        (nn.Identity(), False),
    ],
    ids=str,
)
def test_what_stands_between_two_maps_is_known_by_what_it_does(curve: nn.Module, joined: bool) -> None:
    model = wide_and_narrow(curve, nn.Dropout())
    light = lightened(model)
    between: list[torch.Tensor] = []
    light.inner[5].register_forward_pre_hook(lambda _, given: between.append(given[0]))
    assert error(model, light) < 0.03
    assert (between[0].dtype == torch.uint8) is joined
    assert torch.equal(light(IDS[:1]), light(IDS)[:1]), "what is read beside a sentence changes nothing"


def test_maps_with_a_gate_between_are_rounded_apart() -> None:
    model = Model(nn.Linear(16, 128), Gate(), nn.Linear(64, 16))
    light = lightened(model)
    assert not any(isinstance(layer, nn.Linear) for layer in light.modules())
    assert error(model, light) < 0.03


def test_maps_that_read_the_same_are_multiplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 24, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.one(x), self.two(x), self.three(x), self.one(x[..., :1] * x)], -1)

    model = Model(Three())
    light = lightened(model)
    times: list[int] = []
    real = int8._Product.__call__
    monkeypatch.setattr(int8._Product, "__call__", lambda self, x: times.append(1) or real(self, x))
    assert error(model, light) < 0.03
    assert len(times) == 2


def test_a_layer_that_is_called_again_has_the_scale_of_all_calls() -> None:
    class Again(Wide):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            small, large = (self.narrow(self.bend(self.widen(x * size))) for size in (1.0, 4.0))
            return small + large

    model = Model(Again())
    light = lightened(model)
    assert isinstance(light.inner[2].bend, nn.Identity)
    assert error(model, light) < 0.03


def test_a_map_that_is_fed_in_two_ways_is_not_joined() -> None:
    class Both(Wide):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.narrow(self.bend(self.widen(x))) + self.narrow(self.widen(x).sin())
            return found

    model = Model(Both())
    light = lightened(model)
    assert error(model, light) < 0.03


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_curve_that_others_need_stays(elsewhere: bool) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bend = nn.GELU()
            self.maps = nn.ModuleList([nn.Linear(16, 64), nn.Linear(64, 16), nn.Linear(16, 48), nn.Linear(48, 16)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, two, three, four = self.maps
            x = x + two(self.bend(one(x)))
            x = x + four(self.bend(three(x)))
            return self.bend(x) if elsewhere else x

    model = Model(Shared())
    light = lightened(model)
    assert error(model, light) < 0.03
    assert isinstance(light.inner[2].bend, nn.GELU if elsewhere else nn.Identity)


@pytest.mark.parametrize("seven", [False, True])
def test_a_product_is_that_of_the_rounded_numbers(seven: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: not seven, raising=False)
    torch.manual_seed(1)
    weight, bias, x = torch.randn(7, 33), torch.randn(7), torch.randn(4, 33)
    scale = int8._Scale.over(torch.tensor(-1.5), torch.tensor(2.0))
    numbers = int8._Rounding(scale, torch.ones(33))(x)
    assert torch.equal(numbers, ((x / scale.step).round() + scale.zero).clamp(0, 255).to(torch.uint8))
    read = (numbers.double() - scale.zero) * scale.step
    torch.testing.assert_close(x - read.float(), scale.beyond(x), atol=scale.step / 2 + 1e-6, rtol=0)
    most = 63 if seven else 127
    steps = weight.abs().amax(1, keepdim=True) / most
    expected = read @ ((weight / steps).round() * steps).double().T + bias
    product = int8._Product(weight, bias, scale)
    torch.testing.assert_close(product(numbers), expected.float(), atol=1e-4, rtol=1e-4)
    after = int8._Scale.over(torch.tensor(-0.2), torch.tensor(4.0))
    bent = product.bent(numbers, ("gelu", "none"), after)
    torch.testing.assert_close(
        (bent.double() - after.zero) * after.step,
        F.gelu(expected).clamp(-after.zero * after.step, (255 - after.zero) * after.step),
        atol=after.step * 0.51,
        rtol=0,
    )


@pytest.mark.parametrize("curve", [None, nn.GELU()], ids=str)
def test_a_unit_that_stands_out_does_not_make_the_others_coarse(curve: Any) -> None:
    layers = [nn.Linear(16, 64)] if curve is None else [nn.Linear(16, 64), curve, nn.Linear(64, 16)]
    model = Model(*layers)
    with torch.no_grad():
        model.inner[1].weight[3] = 40.0
        if curve is not None:
            model.inner[2].weight[:, 3] /= 40.0
            model.inner[2].bias[5] = 60.0
    light = lightened(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})  # type: ignore[no-untyped-call]
    assert error(model, light) < error(model, plain) / 3


@pytest.mark.parametrize(
    ("high", "copies"), [([1.0, 2.0, 0.0], 0), ([20.0, 4.0, 4.5], 4), ([5.0, 5.9, 4.0], 0), ([6.1, 6.2, 3.0], 2)]
)
def test_units_that_are_split_say_together_what_they_said(high: list[float], copies: int) -> None:
    places, below, end = int8._split(torch.tensor(high))
    assert len(places) == len(high) + copies
    values = torch.rand(100, len(high)) * torch.tensor(high)
    said = (values[:, places] - below).clamp(torch.zeros(()), end)
    whole = torch.zeros_like(values).index_add(1, places, said)
    torch.testing.assert_close(whole, values)


def test_a_torch_without_the_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="int8 needs a torch that was built with oneDNN"):
        lighten(Model())
