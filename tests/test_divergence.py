"""The maximum mean discrepancy against double sums written out, and what a loss owes to training."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from transfuse.nn import divergence
from transfuse.nn.divergence import Kernel, label_mmd, mmd
from transfuse.text import ConfigError

RELEASED = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6]
ESTIMATES = ("biased", "unbiased", "linear", "features")
QUADRATIC = ("biased", "unbiased")
BANDWIDTHS = ("released", "median")


def sample(count: int, *, width: int = 4, shift: float = 0.0, seed: int = 0, dtype: torch.dtype = torch.float64):
    made = torch.Generator().manual_seed(seed)
    return (torch.randn(count, width, generator=made, dtype=dtype) + shift).requires_grad_()


def sigmas(source: Tensor, target: Tensor, bandwidths: str) -> list[float]:
    """The squared bandwidths, with a median taken the slow way."""
    if bandwidths == "released":
        return RELEASED
    pooled = [*source.tolist(), *target.tolist()]
    apart = sorted(math.dist(a, b) ** 2 for i, a in enumerate(pooled) for b in pooled[:i])
    return [factor * apart[(len(apart) - 1) // 2] for factor in (0.25, 0.5, 1, 2, 4)]


def kernel_of(x: Tensor, y: Tensor, widths: list[float]) -> Tensor:
    """The sum of Gaussians of two tokens."""
    return torch.stack([torch.exp(-(x - y).square().sum() / (2 * width)) for width in widths]).sum()


def double_sum(source: Tensor, target: Tensor, *, estimate: str, bandwidths: str) -> Tensor:
    """Equations 5 and 3 of Gretton et al. (2012), term by term, in float64."""
    source, target = source.double(), target.double()
    widths = sigmas(source, target, bandwidths)
    n, m = len(source), len(target)
    total = torch.zeros((), dtype=torch.float64)
    own = 0 if estimate == "biased" else 1
    for states, count in ((source, n), (target, m)):
        for i in range(count):
            for j in range(count):
                if i != j or not own:
                    total = total + kernel_of(states[i], states[j], widths) / (count * (count - own))
    for x in source:
        for y in target:
            total = total - 2 * kernel_of(x, y, widths) / (n * m)
    return total


def number(value: Tensor) -> float:
    return value.detach().item()


def gradients(value: Tensor, *of: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, of))


@pytest.mark.parametrize("estimate", QUADRATIC)
@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
@pytest.mark.parametrize(("n", "m", "scale"), [(5, 7, 1.0), (2, 3, 0.01), (6, 4, 30.0)])
def test_value_and_gradient_are_those_of_the_double_sum(estimate, bandwidths, n, m, scale):
    source, target = (s.detach().mul(scale).requires_grad_() for s in (sample(n), sample(m, shift=0.5, seed=1)))
    ours = mmd(source, target, Kernel(bandwidths, estimate))
    expected = double_sum(source, target, estimate=estimate, bandwidths=bandwidths)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    # The slow median is a list of floats: as in ours, no gradient flows through it.
    for own, slow in zip(gradients(ours, source, target), gradients(expected, source, target), strict=True):
        torch.testing.assert_close(own, slow, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("estimate", QUADRATIC)
def test_single_precision_is_close_to_double(estimate):
    source, target = (sample(n, width=64, seed=n, dtype=torch.float32) for n in (9, 8))
    ours = mmd(source, target, Kernel(estimate=estimate))
    expected = double_sum(source, target, estimate=estimate, bandwidths="released")
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)
    far = mmd(source + 100, target + 100, Kernel(estimate=estimate))
    torch.testing.assert_close(far.double(), expected, rtol=1e-3, atol=1e-3)
    for own, slow in zip(gradients(ours, source, target), gradients(expected, source, target), strict=True):
        torch.testing.assert_close(own, slow, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_gradients_are_those_of_finite_differences(estimate):
    source, target = sample(4), sample(5, shift=0.5, seed=1)
    kernel = Kernel(estimate=estimate, features=38 if estimate == "features" else Kernel.features)

    def value(x: Tensor, y: Tensor) -> Tensor:
        torch.manual_seed(0)
        return mmd(x, y, kernel)

    # Frequencies for the narrowest Gaussians are too high for any step; a kernel of wide ones is checked instead.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divergence, "RELEASED", tuple(RELEASED[6:]))
        assert torch.autograd.gradcheck(value, (source, target))


def test_blocks_of_rows_change_nothing(monkeypatch):
    source, target = sample(13), sample(6, seed=1)
    for estimate in QUADRATIC:
        whole = mmd(source, target, Kernel(estimate=estimate))
        slopes = gradients(whole, source, target)
        for rows in (1, 2, 5, 18):
            monkeypatch.setattr(divergence, "_BLOCK", rows * 19 * len(RELEASED))
            parts = mmd(source, target, Kernel(estimate=estimate))
            torch.testing.assert_close(parts, whole)
            torch.testing.assert_close(gradients(parts, source, target), slopes)
        monkeypatch.undo()


@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
def test_linear_estimate_by_hand(monkeypatch, bandwidths):
    source, target = sample(5), sample(7, seed=1, shift=0.3)
    widths = sigmas(source, target, bandwidths)
    orders = iter([torch.tensor([3, 0, 4, 1, 2]), torch.tensor([6, 2, 0, 5, 1, 3, 4])])
    monkeypatch.setattr(torch, "randperm", lambda count: next(orders))
    ours = mmd(source, target, Kernel(bandwidths, "linear"))
    expected = torch.zeros((), dtype=torch.float64)
    for (a, b), (c, d) in zip([(3, 0), (4, 1)], [(6, 2), (0, 5)], strict=True):
        expected = expected + kernel_of(source[a], source[b], widths) + kernel_of(target[c], target[d], widths)
        expected = expected - kernel_of(source[a], target[d], widths) - kernel_of(source[b], target[c], widths)
    torch.testing.assert_close(ours, expected / 2)
    torch.testing.assert_close(gradients(ours, source, target), gradients(expected / 2, source, target))


@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
def test_random_features_converge_to_the_kernel(bandwidths):
    source, target = sample(12), sample(15, seed=1, shift=1.0)
    torch.manual_seed(0)
    exact = mmd(source, target, Kernel(bandwidths))
    wrong = []
    for features in (200, 3_200, 51_200):
        found = torch.stack([mmd(source, target, Kernel(bandwidths, "features", features=features)) for _ in range(8)])
        wrong.append(number((found - exact).square().mean().sqrt()))
    assert wrong[2] < 0.01 * exact
    assert 2 < wrong[0] / wrong[1] < 8  # four times as exact with sixteen times as many
    assert 2 < wrong[1] / wrong[2] < 8


def test_random_features_keep_every_gaussian_at_its_weight():
    # At distance 0 all kernels are 1 whatever is drawn: with one token a side far apart only those terms are left.
    source, target = torch.zeros(1, 3, dtype=torch.float64), torch.full((1, 3), 1e9, dtype=torch.float64)
    torch.manual_seed(0)
    found = [mmd(source, target, Kernel(estimate="features", features=50_000)) for _ in range(5)]
    assert number(torch.stack(found).mean()) == pytest.approx(2 * len(RELEASED), rel=0.02)


@pytest.mark.parametrize("estimate", ("unbiased", "linear"))
def test_estimates_are_right_on_average(estimate):
    # All 4-token samples of a finite population have the population's own discrepancy as their mean.
    source, target = sample(40, width=2), sample(40, width=2, seed=1, shift=0.7)
    kernel = Kernel(estimate=estimate, cap=4)
    torch.manual_seed(0)
    found = torch.stack([mmd(source, target, kernel) for _ in range(3_000)])
    whole = mmd(source, target, Kernel(estimate="unbiased", cap=0))
    error = number(found.std() / math.sqrt(len(found)))
    assert number(found.mean()) == pytest.approx(number(whole), abs=4 * error)
    biased = torch.stack([mmd(source, target, Kernel(cap=4)) for _ in range(500)]).mean()
    assert number(biased) > number(whole) + 8 * error


@settings(max_examples=60)
@given(st.integers(1, 8), st.integers(1, 8), st.floats(-6, 3), st.sampled_from(BANDWIDTHS), st.sampled_from((32, 64)))
def test_biased_is_never_negative_and_ignores_order(n, m, log_scale, bandwidths, bits):
    dtype = {32: torch.float32, 64: torch.float64}[bits]
    scale = 10**log_scale
    source, target = (sample(k, seed=k, dtype=dtype).detach() * scale for k in (n, m + 10))
    kernel = Kernel(bandwidths)
    value = mmd(source, target, kernel)
    assert 0 <= number(value) < math.inf
    shuffled = mmd(source[torch.randperm(n)], target[torch.randperm(m + 10)], kernel)
    torch.testing.assert_close(shuffled, value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mmd(target, source, kernel), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("estimate", ("biased", "features"))
@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
def test_equal_samples_are_nothing_apart(dtype, estimate, bandwidths):
    # Far from the origin, where the rounding of a matrix product exceeds the narrowest bandwidths by far.
    source = sample(50, width=100, shift=20.0, dtype=dtype)
    target = source.detach().clone()[torch.randperm(50)].requires_grad_()
    value = mmd(source, target, Kernel(bandwidths, estimate))
    assert number(value) >= 0
    assert number(value) == pytest.approx(0, abs=1e-4 if dtype == torch.float32 else 1e-12)
    if estimate == "biased":
        for slope in gradients(value, source, target):
            assert number(slope.abs().max()) < (1e-6 if dtype == torch.float32 else 1e-14)


def test_rounding_makes_nothing_negative():
    for count in range(1, 30):
        for bandwidths in BANDWIDTHS:
            states = sample(count, width=8, seed=count).detach()
            assert number(mmd(states, states.flip(0), Kernel(bandwidths))) >= 0


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
def test_further_apart_is_larger(estimate, bandwidths):
    torch.manual_seed(0)
    source = sample(400, width=8)
    values = [
        number(mmd(source, sample(400, width=8, seed=1, shift=shift), Kernel(bandwidths, estimate, cap=0)))
        for shift in (0.0, 0.5, 1.0, 2.0)
    ]
    assert values == sorted(values)
    assert values[0] < values[-1] / 10


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (1, 3), (3, 1)])
def test_too_few_tokens_are_exactly_nothing(estimate, n, m):
    source, target = sample(n), sample(m, seed=1)
    value = mmd(source, target, Kernel(estimate=estimate))
    if min(n, m) == 0 or estimate in {"unbiased", "linear"}:
        assert number(value) == 0
        for slope in gradients(value, source, target):
            assert not slope.any()
    else:
        assert number(value) > 0


def test_all_tokens_alike_has_no_gradient_and_no_nan():
    for bandwidths in BANDWIDTHS:
        for estimate in ESTIMATES:
            source, target = (torch.full((n, 3), 0.25, requires_grad=True) for n in (3, 4))
            value = mmd(source, target, Kernel(bandwidths, estimate))
            assert number(value) == pytest.approx(0, abs=1e-5)
            for slope in gradients(value, source, target):
                assert number(slope.abs().max()) < 1e-2 if estimate == "features" else not slope.any()


def test_median_where_most_tokens_are_alike_and_a_median_from_a_draw():
    states = torch.zeros(10, 2)
    states[0] = 5.0
    value = mmd(states, torch.zeros(4, 2), Kernel("median"))
    assert 0 < number(value) < math.inf
    torch.testing.assert_close(mmd(states * 100, torch.zeros(4, 2), Kernel("median")), value)  # has no unit
    torch.manual_seed(0)
    many = Kernel("median", cap=0)
    value = mmd(sample(700), sample(700, seed=1, shift=1.0), many)
    assert number(value) == pytest.approx(number(mmd(sample(30), sample(30, seed=1, shift=1.0), many)), rel=0.5)


def tagged() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source tags 0 to 3, target tags 0 to 2; tag 2 of the source and tag 1 of the target are the same, as are the Os.

    The source's tag 3 is shared with the target's tag 2, which no token has.
    """
    source_tags = torch.tensor([0, 2, 0, 1, 2, 3, 3, 0, 2])
    target_tags = torch.tensor([1, 0, 0, 1, 1, 0, 0, 0])
    return sample(len(source_tags)), source_tags, sample(len(target_tags), seed=1, shift=0.4), target_tags


PAIRS = [(0, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize("estimate", QUADRATIC)
@pytest.mark.parametrize("bandwidths", BANDWIDTHS)
def test_label_mmd_is_the_sum_over_shared_tags(estimate, bandwidths):
    source, source_tags, target, target_tags = tagged()
    kinds = {"estimate": estimate, "bandwidths": bandwidths}
    outside = double_sum(source[source_tags == 0], target[target_tags == 0], **kinds)
    inside = double_sum(source[source_tags == 2], target[target_tags == 1], **kinds)
    value = label_mmd(source, source_tags, target, target_tags, Kernel(**kinds), pairs=PAIRS)
    torch.testing.assert_close(value, outside + inside)
    without = label_mmd(source, source_tags, target, target_tags, Kernel(**kinds, outside=False), pairs=PAIRS)
    torch.testing.assert_close(without, inside)


def test_a_tag_absent_from_one_side_adds_nothing():
    # The released code guards against it with a condition that is always true.
    source, source_tags, target, target_tags = tagged()
    for estimate in ESTIMATES:
        for pairs in ([(3, 2)], [(1, 2)], []):
            value = label_mmd(source, source_tags, target, target_tags, Kernel(estimate=estimate), pairs=pairs)
            assert number(value) == 0
            for slope in gradients(value, source, target):
                assert not slope.any()
        value = label_mmd(source, source_tags, target, target_tags, Kernel(estimate=estimate), pairs=PAIRS)
        here, there = gradients(value, source, target)
        assert not here[(source_tags == 1) | (source_tags == 3)].any()
        if estimate == "biased":
            assert here[(source_tags == 0) | (source_tags == 2)].abs().sum(1).all()
            assert there.abs().sum(1).all()


def test_nothing_leaks_out_of_tokens_that_take_no_part():
    source, source_tags, target, target_tags = tagged()
    with torch.no_grad():
        source[source_tags == 3] = math.nan
    value = label_mmd(source, source_tags, target, target_tags, Kernel(), pairs=PAIRS)
    assert torch.isfinite(value)
    assert all(torch.isfinite(slope).all() for slope in gradients(value, source, target))
    assert number(label_mmd(source, source_tags, target, target_tags, Kernel(), pairs=[(3, 2)])) == 0


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_draws_depend_on_the_seed_alone(estimate):
    source, target = sample(30), sample(40, seed=1)
    tags = [torch.arange(n) % 2 for n in (30, 40)]

    def value(seed: int) -> tuple[float, Tensor]:
        torch.manual_seed(seed)
        kernel = Kernel("median", estimate, cap=6)
        found = number(label_mmd(source, tags[0], target, tags[1], kernel, pairs=[(0, 0), (1, 1)]))
        return found, torch.get_rng_state()

    first, state = value(3)
    again, after = value(3)
    assert first == again
    assert torch.equal(state, after)
    assert value(4)[0] != first


def test_the_cap_draws_without_replacement_and_only_where_it_must():
    source, target = sample(20), sample(8, seed=1)
    state = torch.get_rng_state()
    whole = mmd(source, target, Kernel(cap=20))
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(whole, mmd(source, target, Kernel(cap=0)))
    slopes = gradients(mmd(source, target, Kernel(cap=10)), source, target)
    assert [int(slope.abs().sum(1).bool().sum()) for slope in slopes] == [10, 8]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"bandwidths": "wide"}, "bandwidths"),
        ({"estimate": "cubic"}, "estimate"),
        ({"cap": -1}, "cap"),
        ({"cap": 1, "estimate": "unbiased"}, "cap"),
        ({"features": 36}, "features"),
        ({"features": 513}, "features"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings_, message):
    with pytest.raises(ConfigError, match=message):
        Kernel(**settings_)


def test_a_recipe_can_hold_it():
    adapter = TypeAdapter(Kernel)
    made = Kernel("median", "linear", cap=0, outside=False)
    assert adapter.validate_python(adapter.dump_python(made, mode="json")) == made
