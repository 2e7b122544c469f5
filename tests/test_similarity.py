"""Weights of source sentences: against language models written out by hand, and against plain expectations."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from transfuse.text import ConfigError, DataError
from transfuse.transfer import similarity
from transfuse.transfer.similarity import cross_entropy_difference, gaussian, polynomial

LETTERS = ["a", "b", "c", "d", "e"]
SENTENCES = st.lists(st.lists(st.sampled_from(LETTERS), max_size=5), max_size=7)


def read(sentences: list[list[str]], known: set[str]) -> list[list[str]]:
    return [[word if word in known else "<unknown>" for word in words] + ["<end>"] for words in sentences]


class Model:
    """An interpolated Witten-Bell bigram in exact fractions, one dictionary look-up at a time."""

    def __init__(self, sentences: list[list[str]], known: set[str]) -> None:
        self.outcomes = [*sorted(known), "<unknown>", "<end>"]
        self.known = known
        self.words: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        for words in read(sentences, known):
            self.words.update(words)
            self.pairs.update(zip(["<end>", *words], words, strict=False))

    def single(self, word: str) -> Fraction:
        kinds, total = len(self.words), sum(self.words.values())
        even = Fraction(1, len(self.outcomes))
        return (self.words[word] + kinds * even) / (total + kinds) if total else even

    def after(self, context: str, word: str) -> Fraction:
        followers = [count for (left, _), count in self.pairs.items() if left == context]
        if not followers:
            return self.single(word)
        spread = len(followers)
        return (self.pairs[context, word] + spread * self.single(word)) / (sum(followers) + spread)

    def entropy(self, words: list[str]) -> float:
        (ids,) = read([words], self.known)
        chances = [self.after(left, right) for left, right in zip(["<end>", *ids], ids, strict=False)]
        return -sum(math.log(chance) for chance in chances) / len(chances)


def scaled(raw: list[float], mean: float) -> list[float]:
    """``min(1, C r)`` of the given mean, C found by bisection on its logarithm."""
    low, high = -800.0, 800.0
    for _ in range(200):
        middle = (low + high) / 2
        average = sum(min(1.0, math.exp(middle) * r) for r in raw) / len(raw)
        low, high = (middle, high) if average < mean else (low, middle)
    return [min(1.0, math.exp(low) * r) for r in raw]


@given(SENTENCES, SENTENCES)
def test_a_model_is_the_exact_one_and_sums_to_one(training, scored):
    known = {"a", "c"}
    ids = {"a": 2, "c": 3}
    ours = similarity._Bigrams(similarity._Text(training, ids), 4)
    exact = Model(training, known)
    names = ["<end>", "<unknown>", "a", "c"]
    for i, context in enumerate(names):
        chances = ours.probability(np.full(4, i), np.arange(4))
        assert sum(exact.after(context, word) for word in names) == 1
        assert chances == pytest.approx([float(exact.after(context, word)) for word in names], rel=1e-12)
    entropies = ours.entropy(similarity._Text(scored, ids))
    assert entropies == pytest.approx([exact.entropy(words) for words in scored], rel=1e-9)


@given(SENTENCES, SENTENCES, st.sampled_from([0.1, 0.5, 0.9]))
def test_cross_entropy_difference_is_what_moore_and_lewis_say(source, target, mean):
    assume(source and target)
    counts = Counter(word for words in target for word in words)
    known = {word for word, count in counts.items() if count > 1}
    raw = []
    there = Model(target, known)
    for place, words in enumerate(source):
        other = [other for i, other in enumerate(source) if i % 2 != place % 2]
        kept = min(len(other), len(target))
        here = Model([other[i * len(other) // kept] for i in range(kept)], known)
        raw.append(math.exp(here.entropy(words) - there.entropy(words)))
    assert cross_entropy_difference(source, target, mean=mean) == pytest.approx(scaled(raw, mean), rel=1e-6)


def vectors(rows: int) -> st.SearchStrategy[np.ndarray]:
    numbers = st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=3, max_size=3)
    return st.lists(numbers, min_size=1, max_size=rows).map(np.array)


@given(vectors(9), vectors(4), st.sampled_from([0.2, 0.5, 0.9]))
def test_gaussian_is_the_formula(source, target, mean):
    centre = [sum(column) / len(target) for column in target.T]
    squared = [math.dist(row, centre) ** 2 for row in source]
    assume(np.median(squared) > 1e-3)
    raw = [math.exp(-d / (2 * np.median(squared))) for d in squared]
    assume(min(raw) > 0)
    assert gaussian(source, target, mean=mean) == pytest.approx(scaled(raw, mean), rel=1e-6)


@given(vectors(9), vectors(4), st.sampled_from([1, 2, 5]), st.sampled_from([0.2, 0.5, 0.9]))
def test_polynomial_is_the_formula(source, target, degree, mean):
    centre = target.mean(0)
    lengths = np.array([math.hypot(*row) * math.hypot(*centre) for row in source])
    assume(lengths.min() > 1e-3)
    raw = [max(0.0, float(row @ centre) / length) ** degree for row, length in zip(source, lengths, strict=True)]
    weights = polynomial(source, target, degree=degree, mean=mean)
    assume(all(r == 0 or r > 1e-6 for r in raw))
    if sum(r > 0 for r in raw) > mean * len(raw):
        assert weights == pytest.approx(scaled(raw, mean), rel=1e-6)
    elif any(raw):
        assert weights.tolist() == [float(r > 0) for r in raw]
    else:
        assert weights.tolist() == [mean] * len(raw)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.01, 1))
@example([1.0, 5e-324, 0.0], 0.5)
def test_scaling_keeps_order_and_mean(raw, mean):
    weights = similarity._scaled(np.array(raw), mean)
    assert ((weights >= 0) & (weights <= 1)).all()
    order = np.argsort(raw)
    assert (np.diff(weights[order]) >= 0).all()
    if sum(r > 0 and r / max(raw) > 1e-200 for r in raw) >= mean * len(raw):
        assert weights.mean() == pytest.approx(mean)


TOPICS = {
    "clinic": ["patient", "dose", "fever", "cough", "doctor", "severe", "given"],
    "kitchen": ["cook", "pot", "butter", "spoon", "night", "salted", "stirred"],
    "": ["the", "of", "a", "was", "and", "with"],
}


def domains(count: int) -> tuple[list[list[str]], ...]:
    """Invented sentences of a clinic and of a kitchen, some words being common to both."""
    draw = random.Random(0)
    return tuple(
        [draw.choices(TOPICS[topic] + TOPICS[""], k=draw.randint(4, 9)) for _ in range(count)]
        for topic in ("clinic", "kitchen")
    )


def embed(sentences: list[list[str]]) -> np.ndarray:
    """Mean word vectors; those of a topic have a direction in common, as trained ones do."""
    draw = np.random.default_rng(0)
    drawn = {}
    for words in TOPICS.values():
        topic = draw.standard_normal(30)
        drawn.update({word: topic + draw.standard_normal(30) for word in words})
    return np.array([np.mean([drawn[word] for word in words], 0) for words in sentences])


@pytest.mark.parametrize("kind", ["cross-entropy", "gaussian", "polynomial"])
def test_a_sentence_of_the_targets_domain_weighs_more_than_a_foreign_one(kind):
    clinic, kitchen = domains(60)
    target, source = clinic[:40], clinic[40:] + kitchen
    weights = {
        "cross-entropy": lambda: cross_entropy_difference(source, target),
        "gaussian": lambda: gaussian(embed(source), embed(target)),
        "polynomial": lambda: polynomial(embed(source), embed(target)),
    }[kind]()
    assert weights.mean() == pytest.approx(0.5)
    assert weights[:20].mean() > 1.3 * weights[20:].mean()
    better = (weights[:20, None] > weights[20:]).mean() + (weights[:20, None] == weights[20:]).mean() / 2
    assert better > 0.9


def test_distances_have_no_unit_where_most_sentences_are_alike():
    source, target = np.zeros((9, 3)), np.zeros((4, 3))
    source[:3] = [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    weights = gaussian(source, target)
    assert weights[:3].tolist() == sorted(weights[:3], reverse=True)
    assert weights[2] < weights[0] < weights[3]
    assert gaussian(source * 1e-3, target) == pytest.approx(weights)


def test_degrees_differ_and_prefer_the_nearest():
    draw = np.random.default_rng(0)
    source, target = draw.standard_normal((50, 6)) + 0.5, draw.standard_normal((20, 6)) + 0.5
    spread = [polynomial(source, target, degree=degree).std() for degree in (1, 2, 4)]
    assert spread == sorted(spread)
    assert spread[0] < spread[2] / 1.2


@pytest.mark.parametrize("mean", [0.2, 0.5, 1.0])
def test_degenerate_sentences_have_finite_weights(mean):
    for source in ([], [[]], [["x"]], [[], []], [["x"], [], ["x", "y"]]):
        for target in ([[]], [["x"]], [["x"], ["x"]], [[], ["x", "x", "y"]]):
            weights = cross_entropy_difference(source, target, mean=mean)
            assert weights.shape == (len(source),)
            assert np.isfinite(weights).all()
            if source:
                assert weights.mean() == pytest.approx(mean)


@pytest.mark.parametrize("mean", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("kind", [gaussian, polynomial])
def test_degenerate_vectors_have_finite_weights(kind, mean):
    one = np.ones((1, 3))
    for source in (np.zeros((0, 3)), np.zeros((4, 3)), one, -one, np.vstack([one, 0 * one, -one]), one * 1e9):
        for target in (0 * one, one, np.vstack([one, -one])):
            weights = kind(source, target, mean=mean)
            assert weights.shape == (len(source),)
            assert np.isfinite(weights).all()
            assert ((weights >= 0) & (weights <= 1)).all()
    assert kind(np.zeros((4, 3)), 0 * one, mean=mean) == pytest.approx([mean] * 4)


def test_vectors_of_single_precision_do():
    draw = np.random.default_rng(0)
    source, target = (draw.standard_normal((n, 8)).astype(np.float32) for n in (20, 10))
    for kind in (gaussian, polynomial):
        weights = kind(source, target)
        assert weights.dtype == np.float64
        assert weights == pytest.approx(kind(source.astype(float), target.astype(float)), rel=1e-6)


def test_bad_settings_are_refused():
    one = np.ones((2, 3))
    for mean in (0, -1, 1.5):
        for call in (
            lambda mean=mean: cross_entropy_difference([["x"]], [["x"]], mean=mean),
            lambda mean=mean: gaussian(one, one, mean=mean),
            lambda mean=mean: polynomial(one, one, mean=mean),
        ):
            with pytest.raises(ConfigError, match="mean weight"):
                call()
    with pytest.raises(ConfigError, match="degree"):
        polynomial(one, one, degree=0)
    for call in (
        lambda: cross_entropy_difference([["x"]], []),
        lambda: gaussian(one, one[:0]),
        lambda: polynomial(one, one[:0]),
    ):
        with pytest.raises(DataError, match="no target sentence"):
            call()


def test_a_large_source_takes_seconds_at_most():
    draw = random.Random(0)
    words = [f"w{i}" for i in range(20_000)]
    grown = list(itertools.accumulate(1 / (i + 1) for i in range(20_000)))
    source = [draw.choices(words, cum_weights=grown, k=draw.randint(3, 45)) for _ in range(25_000)]
    began = time.process_time()
    cross_entropy_difference(source, source[::5])
    assert time.process_time() - began < 3
