"""Intervals and paired tests: exact enumeration on tiny inputs, calibration under the null, seeds, mistakes, time."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from transfuse.scoring.counts import mean_rates
from transfuse.scoring.score import Scores, score
from transfuse.scoring.significance import Difference, Interval, compare, holm, interval
from transfuse.text import ConfigError, DataError, Document, Entity

Row = tuple[int, int, int]
"""tp, fp and fn of one document and label."""


def made(rows: list[dict[str, Row]], labels: str = "AB") -> Scores:
    """Scores from counts alone."""
    cells = tuple((i, label, (*row, 0)) for i, found in enumerate(rows) for label, row in found.items())
    return Scores(tuple(f"d{i}" for i in range(len(rows))), tuple(labels), {"strict": cells})


def split(gold: int, tp: int, fp: int) -> Row:
    return min(tp, gold), fp, gold - min(tp, gold)


def drawn(rng: np.random.Generator, gold: np.ndarray, skill: float) -> Scores:
    """A system that finds each gold entity with the same chance, and that adds errors."""
    tp, fp = rng.binomial(gold, skill), rng.poisson(0.3, size=gold.shape)
    return made(
        [
            {label: split(int(g), int(t), int(f)) for label, g, t, f in zip("AB", *row, strict=True)}
            for row in zip(gold, tp, fp, strict=True)
        ]
    )


def subset(scores: Scores, chosen: tuple[int, ...]) -> Scores:
    """The scores of a resample, by the plain way."""
    rows = [{label: row[:3] for i, label, row in scores.rows["strict"] if i == j} for j in chosen]
    return made(rows)


TINY_A = made(
    [{"A": (2, 0, 0)}, {"A": (1, 1, 1), "B": (1, 0, 0)}, {"B": (0, 1, 2)}, {"A": (3, 0, 1)}, {"A": (1, 2, 0)}]
)
TINY_B = made(
    [{"A": (1, 0, 1)}, {"A": (0, 1, 2), "B": (1, 1, 0)}, {"B": (1, 0, 1)}, {"A": (2, 2, 2)}, {"A": (1, 2, 0)}]
)


def value(scores: Scores, average: str, metric: str) -> float:
    return getattr(scores.micro() if average == "micro" else scores.macro(), metric)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("metric", ["precision", "recall", "f1"])
def test_bootstrap_against_all_resamples(average: str, metric: str) -> None:
    every = np.sort([value(subset(TINY_A, chosen), average, metric) for chosen in product(range(5), repeat=5)])
    found = interval(TINY_A, average=average, metric=metric, resamples=40_000, level=0.9)
    assert found.value == pytest.approx(value(TINY_A, average, metric))
    # The quantile of a discrete distribution jumps, so what must agree is the mass below and up to each end.
    for end, mass in ((found.low, 0.05), (found.high, 0.95)):
        assert np.mean(every < end - 1e-9) <= mass + 0.01
        assert np.mean(every <= end + 1e-9) >= mass - 0.01


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("metric", ["precision", "recall", "f1"])
def test_paired_tests_against_all_exchanges_and_all_resamples(average: str, metric: str) -> None:
    found = compare(TINY_A, TINY_B, average=average, metric=metric, resamples=40_000)
    gap = value(TINY_A, average, metric) - value(TINY_B, average, metric)
    assert found.difference == pytest.approx(gap)
    assert found.system - found.baseline == pytest.approx(gap)

    def rows(scores: Scores, i: int) -> dict[str, Row]:
        return {label: row[:3] for j, label, row in scores.rows["strict"] if i == j}

    exchanged = []
    for swaps in product((False, True), repeat=5):
        pairs = [
            (rows(TINY_B, i), rows(TINY_A, i)) if s else (rows(TINY_A, i), rows(TINY_B, i)) for i, s in enumerate(swaps)
        ]
        first, second = (made([pair[side] for pair in pairs]) for side in (0, 1))
        exchanged.append(value(first, average, metric) - value(second, average, metric))
    exact = np.mean(np.abs(exchanged) >= abs(gap) - 1e-9)
    assert found.p_randomisation == pytest.approx(exact, abs=0.015)

    resampled = np.array(
        [
            value(subset(TINY_A, chosen), average, metric) - value(subset(TINY_B, chosen), average, metric)
            for chosen in product(range(5), repeat=5)
        ]
    )
    exact = np.mean(np.abs(resampled - gap) >= abs(gap) - 1e-9)
    assert found.p_bootstrap == pytest.approx(exact, abs=0.015)
    assert np.mean(resampled < found.low - 1e-9) <= 0.035
    assert np.mean(resampled <= found.high + 1e-9) >= 0.965


def test_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(7)
    randomised, bootstrapped = [], []
    for i in range(300):
        gold = rng.poisson(2, size=(60, 2))
        found = compare(drawn(rng, gold, 0.7), drawn(rng, gold, 0.7), resamples=300, seed=i)
        randomised.append(found.p_randomisation)
        bootstrapped.append(found.p_bootstrap)
    for values in (randomised, bootstrapped):
        assert kstest(values, "uniform").pvalue > 0.01
        assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.09


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    inside = 0
    for i in range(200):
        gold = rng.poisson(2, size=(80, 2))
        found = interval(drawn(rng, gold, 0.7), metric="recall", level=0.9, resamples=400, seed=i)
        inside += found.low <= 0.7 <= found.high
    assert 0.82 <= inside / 200 <= 0.96


def test_a_clear_difference_is_found() -> None:
    rng = np.random.default_rng(3)
    gold = rng.poisson(3, size=(200, 2))
    found = compare(drawn(rng, gold, 0.9), drawn(rng, gold, 0.6), resamples=999)
    assert 0 < found.low < found.difference < found.high
    assert found.p_randomisation == found.p_bootstrap == 1 / 1000


def test_a_system_does_not_differ_from_itself() -> None:
    found = compare(TINY_A, TINY_A)
    assert (found.difference, found.low, found.high, found.p_bootstrap, found.p_randomisation) == (0, 0, 0, 1, 1)


def test_exchanging_the_systems_turns_the_difference_round() -> None:
    there, back = compare(TINY_A, TINY_B, resamples=20_000), compare(TINY_B, TINY_A, resamples=20_000)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_randomisation == pytest.approx(back.p_randomisation, abs=0.02)


def test_the_seed_decides_and_nothing_else_does() -> None:
    rng = np.random.default_rng(5)
    gold = rng.poisson(2, size=(50, 2))
    a, b = drawn(rng, gold, 0.7), drawn(rng, gold, 0.75)
    assert interval(a, seed=1) == interval(a, seed=1) != interval(a, seed=2)
    assert compare(a, b, seed=1) == compare(a, b, seed=1) != compare(a, b, seed=2)


def test_documents_are_paired_by_id() -> None:
    gold = [Document(f"d{i}", "ab cd ef", (Entity(0, 2, "A"),)) for i in range(6)]
    predicted = [d if i % 2 else d.with_entities([Entity(3, 5, "B")]) for i, d in enumerate(gold)]
    forward = score(gold, predicted)
    backward = score(gold[::-1], predicted)
    found = compare(forward, backward)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_one_label_alone() -> None:
    found = interval(TINY_A, label="B", average="macro")
    assert found.value == TINY_A.types()["B"].f1
    assert compare(TINY_A, TINY_B, label="B").baseline == TINY_B.types()["B"].f1


def test_labels_that_only_one_system_knows_count_in_its_macro() -> None:
    plain = made([{"A": (1, 0, 1)}, {"A": (1, 0, 0)}], labels="A")
    noisy = made([{"A": (1, 0, 1)}, {"A": (1, 0, 0), "Z": (0, 2, 0)}], labels="AZ")
    found = compare(plain, noisy, average="macro")
    assert found.system == plain.macro().f1
    assert found.baseline == noisy.macro().f1 == found.system / 2


def test_several_runs_are_averaged_and_drawn_together() -> None:
    runs = [TINY_A, TINY_B]
    assert interval(runs).value == pytest.approx(mean_rates(run.micro() for run in runs).f1)
    assert interval([TINY_A] * 3) == interval(TINY_A)
    found = compare([TINY_A, TINY_B], [TINY_B, TINY_A])
    assert found.difference == pytest.approx(0)
    assert compare([TINY_A] * 2, [TINY_B] * 2).p_randomisation == compare(TINY_A, TINY_B).p_randomisation


def test_mistakes_are_told() -> None:
    with pytest.raises(DataError, match="no document to draw from"):
        interval(score([], []))
    with pytest.raises(ConfigError, match="unknown metric 'accuracy'"):
        interval(TINY_A, metric="accuracy")
    with pytest.raises(ConfigError, match="unknown average"):
        interval(TINY_A, average="weighted")
    with pytest.raises(ConfigError, match="no such label: 'C'; choose one of A, B"):
        interval(TINY_A, label="C")
    with pytest.raises(ConfigError, match="confidence level"):
        interval(TINY_A, level=95)
    with pytest.raises(ConfigError, match="too few"):
        interval(TINY_A, resamples=0)
    with pytest.raises(ConfigError, match="no scores of kind 'relaxed'"):
        interval(TINY_A, kind="relaxed")
    with pytest.raises(ConfigError, match="2 runs cannot be paired with 1"):
        compare([TINY_A, TINY_B], TINY_A)
    with pytest.raises(DataError, match="different documents"):
        compare(TINY_A, subset(TINY_B, (0, 1)))
    with pytest.raises(DataError, match="different gold annotations"):
        compare(made([{"A": (1, 0, 0)}]), made([{"A": (1, 0, 1)}]))


def test_results_go_to_json() -> None:
    assert set(interval(TINY_A).to_dict()) == set(Interval.__slots__)
    assert set(compare(TINY_A, TINY_B).to_dict()) == set(Difference.__slots__)


probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(probabilities)
def test_holm_lies_between_the_raw_values_and_bonferroni(values: list[float]) -> None:
    corrected = holm(values)
    assert all(p <= q <= min(1, p * len(values)) + 1e-12 for p, q in zip(values, corrected, strict=True))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


@given(probabilities, st.floats(0.001, 0.999))
def test_holm_rejects_what_stepping_down_rejects(values: list[float], alpha: float) -> None:
    rejected, going = set(), True
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        going = going and min(1.0, values[i] * (len(values) - rank)) <= alpha
        if going:
            rejected.add(i)
    assert {i for i, p in enumerate(holm(values)) if p <= alpha} == rejected


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_thousands_of_resamples_of_thousands_of_documents_take_less_than_a_second(average: str) -> None:
    rng = np.random.default_rng(0)
    gold = rng.poisson(2, size=(5000, 2))
    a, b = drawn(rng, gold, 0.8), drawn(rng, gold, 0.82)
    interval(a, resamples=1)
    start = time.process_time()
    interval(a, average=average, resamples=5000)
    middle = time.process_time()
    compare(a, b, average=average, resamples=2000)
    assert middle - start < 2
    assert time.process_time() - middle < 4
