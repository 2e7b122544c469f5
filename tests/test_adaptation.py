"""TCA and JDA against their problems written out with all pairs, and what a map must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, sparse

from transfuse.maps.adaptation import UNKNOWN, Components, Kernel, Projection, jda, separation, standardised, tca
from transfuse.text import ConfigError, DataError

EXACT = Components(dimension=4, landmarks=1_000)


def sides(seed=0, n=40, m=30, width=6):
    """Two clouds some way apart, with tags that move apart by ways of their own."""
    draw = np.random.default_rng(seed)
    tags, theirs = draw.integers(0, 3, n), draw.integers(0, 3, m)
    centres = draw.normal(size=(3, width)) * 3
    source = centres[tags] + draw.normal(size=(n, width))
    target = centres[theirs] + draw.normal(size=(m, width)) + 2 + draw.normal(size=(3, width))[theirs]
    return source, target, tags, theirs


def pairs(first, second):
    """The matrix M of a discrepancy between the rows of two masks: ``tr(Z' M Z) = |mean - mean|^2``."""
    n = len(first) + len(second)
    signs = np.zeros(n)
    signs[: len(first)] = first / max(1, first.sum())
    signs[len(first) :] = -(second / max(1, second.sum()))
    return np.outer(signs, signs)


def problem(source, target, kernel, matrices, mu):
    """Both sides of the eigenproblem of Long et al. (2013), eq. 9: price and scatter, with all rows as landmarks."""
    rows = np.concatenate([source, target])
    squared = ((rows[:, None] - rows) ** 2).sum(-1)
    k = rows @ rows.T if kernel.kind == "linear" else np.exp(-squared / (2 * kernel.bandwidth))
    centre = np.eye(len(rows)) - 1 / len(rows)
    discrepancy = k @ sum(matrices) @ k
    return discrepancy + mu * np.trace(discrepancy) * np.eye(len(rows)), k @ centre @ k


def everything(rows):
    return np.ones(len(rows))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("mu", [0.001, 1.0])
def test_tca_solves_its_problem_no_worse_than_scipy(kernel, mu):
    source, target, *_ = sides()
    found = tca(source, target, Components(kernel, mu=mu, dimension=4))
    price, scatter = problem(source, target, found.kernel, [pairs(everything(source), everything(target))], mu)
    assert_solves(found, price, scatter)


def test_jda_solves_its_problem_no_worse_than_scipy():
    source, target, tags, theirs = sides(1)
    found = jda(source, target, tags, EXACT, known=theirs, rounds=1)
    matrices = [pairs(tags == tag, theirs == tag) for tag in range(3)]
    matrices.append(pairs(everything(source), everything(target)))
    price, scatter = problem(source, target, found.projection.kernel, matrices, EXACT.mu)
    assert_solves(found.projection, price, scatter)


def assert_solves(found, price, scatter):
    """The constraint holds, and the objective is what the other route to it (the inverse problem) gives at best."""
    w = found.weights
    np.testing.assert_allclose(w.T @ scatter @ w, np.eye(w.shape[1]), atol=1e-8)
    ours = np.trace(w.T @ price @ w)
    half = linalg.inv(linalg.cholesky(price, lower=True))
    best = 1 / linalg.eigvalsh(half @ scatter @ half.T)[-w.shape[1] :]
    assert ours == pytest.approx(best.sum(), rel=1e-8)
    values = linalg.eigh(scatter, price)[0][-w.shape[1] :]
    assert ours <= (1 / values).sum() * (1 + 1e-8)


def test_a_random_map_that_keeps_the_constraint_is_worse():
    source, target, *_ = sides(2)
    found = tca(source, target, EXACT)
    price, scatter = problem(source, target, found.kernel, [pairs(everything(source), everything(target))], EXACT.mu)
    ours = np.trace(found.weights.T @ price @ found.weights)
    draw = np.random.default_rng(0)
    for _ in range(20):
        w = draw.normal(size=found.weights.shape)
        w = w @ linalg.inv(linalg.cholesky(w.T @ scatter @ w)).real
        np.testing.assert_allclose(w.T @ scatter @ w, np.eye(w.shape[1]), atol=1e-8)
        assert np.trace(w.T @ price @ w) > ours


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_sides_come_together(kernel):
    source, target, *_ = sides(3, 200, 150)
    before = separation(source, target)
    pca = tca(source, target, Components(kernel, mu=1e6, dimension=3))
    found = tca(source, target, Components(kernel, mu=1e-4, dimension=3))
    kept, gone = (separation(p.apply(source), p.apply(target)) for p in (pca, found))
    assert before > 0.3
    assert kept > 0.1
    assert abs(gone) < 0.01 * kept + 0.02


def test_jda_brings_the_tags_together_where_tca_does_not():
    source, target, tags, theirs = sides(4, 300, 300)
    first = tca(source, target, Components(dimension=4, mu=1e-3))
    second = jda(source, target, tags, Components(dimension=4, mu=1e-3), known=theirs, rounds=1).projection

    def apart(projection):
        return sum(
            separation(projection.apply(source[tags == t]), projection.apply(target[theirs == t])) for t in range(3)
        )

    assert apart(second) < 0.2 * apart(first)


def test_pseudo_tags_are_mostly_right_and_kept_where_known():
    source, target, tags, theirs = sides(5, 200, 200)
    known = np.where(np.arange(200) < 50, theirs, UNKNOWN)
    known[0] = (theirs[0] + 1) % 3  # wrong, and still what it is given for
    found = jda(source, target, tags, EXACT, known=known, rounds=10)
    assert (found.tags[:50] == known[:50]).all()
    assert (found.tags[50:] == theirs[50:]).mean() > 0.8
    assert found.changed[0] == 150
    assert len(found.changed) == 10 or found.changed[-1] == 0


def test_pseudo_tags_are_those_of_the_nearest_tagged_row():
    source, target, tags, _ = sides(6)
    first = tca(source, target, EXACT)
    found = jda(source, target, tags, EXACT, rounds=1)
    here, there = first.apply(source), first.apply(target)
    nearest = [tags[((here - row) ** 2).sum(1).argmin()] for row in there]
    assert found.tags.tolist() == nearest


def test_no_round_of_jda_is_tca():
    source, target, tags, _ = sides()
    one, two = tca(source, target, EXACT, seed=4), jda(source, target, tags, EXACT, rounds=0, seed=4)
    np.testing.assert_array_equal(one.weights, two.projection.weights)
    assert (two.tags == UNKNOWN).all()
    assert two.changed == ()
    assert not np.allclose(one.weights, jda(source, target, tags, EXACT, rounds=2, seed=4).projection.weights)


def test_a_tag_that_one_side_lacks_adds_nothing():
    source, target, tags, _ = sides()
    known = np.full(len(target), 7)
    found = jda(source, target, tags, EXACT, known=known, rounds=1)
    # the trace in mu's unit and the matrix are those of TCA
    np.testing.assert_allclose(found.projection.weights, tca(source, target, EXACT).weights)


@given(st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(seed):
    source, target, *_ = sides(7)
    draw = np.random.default_rng(seed)
    one, two = draw.permutation(len(source)), draw.permutation(len(target))
    new = draw.normal(size=(5, source.shape[1]))
    plain, mixed = tca(source, target, EXACT), tca(source[one], target[two], EXACT)
    np.testing.assert_allclose(mixed.apply(source[one]), plain.apply(source)[one], atol=1e-8)
    np.testing.assert_allclose(mixed.apply(new), plain.apply(new), atol=1e-8)


@pytest.mark.parametrize("landmarks", [1_000, 20])
def test_sparse_rows_are_mapped_as_dense_ones(landmarks):
    draw = np.random.default_rng(0)
    source, target = ((draw.random((count, 12)) < 0.3) * 1.0 for count in (50, 40))
    components = Components(dimension=3, landmarks=landmarks)
    dense = tca(source, target, components, seed=1)
    thin = tca(sparse.csr_matrix(source), sparse.csr_matrix(target), components, seed=1)
    np.testing.assert_allclose(thin.apply(sparse.csr_matrix(target)), dense.apply(target), atol=1e-8)
    assert thin.landmarks.shape[0] == min(landmarks, 90)


def test_known_rows_go_through_the_map_as_new_ones_do():
    source, target, *_ = sides()
    found = tca(source, target, EXACT)
    rows = np.concatenate([source, target])
    kernel = np.exp(-((rows[:, None] - rows) ** 2).sum(-1) / (2 * found.kernel.bandwidth))
    np.testing.assert_allclose(found.apply(rows), kernel @ found.weights, atol=1e-10)
    np.testing.assert_allclose(found.apply(rows[3:4]), (kernel @ found.weights)[3:4], atol=1e-10)


def test_landmarks_come_near_the_exact_map_and_count_all_rows():
    source, target, *_ = sides(8, 400, 300)
    exact = tca(source, target, Components(dimension=2))
    few = Components(dimension=2, landmarks=100)
    near = tca(source, target, few, seed=3)
    one, two = (p.apply(np.concatenate([source, target])) for p in (exact, near))
    one, two = (z - z.mean(0) for z in (one, two))
    assert linalg.subspace_angles(one, two).max() < 0.35
    counts = [sum((near.landmarks == row).all(1).any() for row in side) for side in (source, target)]
    assert counts == [50, 50]
    assert not np.array_equal(near.landmarks, tca(source, target, few, seed=4).landmarks)
    np.testing.assert_array_equal(near.weights, tca(source, target, few, seed=3).weights)


def test_landmarks_of_a_small_side_leave_room_for_the_other():
    few, many, *_ = sides(8, 10, 300)
    for source, target in ((few, many), (many, few)):
        found = tca(source, target, Components(landmarks=100))
        assert found.landmarks.shape[0] == 100
        assert sum((found.landmarks == row).all(1).any() for row in few) == 10


def test_the_bandwidth_is_the_median_squared_distance():
    source, target, *_ = sides()
    rows = np.concatenate([source, target])
    squared = ((rows[:, None] - rows) ** 2).sum(-1)[np.triu_indices(len(rows), 1)]
    assert tca(source, target, EXACT).kernel.bandwidth == pytest.approx(np.median(squared))
    assert tca(source, target, Components(bandwidth=2.5)).kernel.bandwidth == 2.5


def test_scaling_all_features_changes_nothing():
    # Neither the median nor mu, whose unit is the trace, knows a scale; nor does the number of landmarks enter mu.
    source, target, *_ = sides()
    for kernel in ("linear", "rbf"):
        components = Components(kernel, dimension=3)
        one, two = tca(source, target, components), tca(10 * source, 10 * target, components)
        np.testing.assert_allclose(one.apply(source), two.apply(10 * source), atol=1e-8)


@given(st.integers(0, 10_000), st.integers(5, 40), st.integers(5, 40))
def test_separation_is_the_unbiased_discrepancy_by_the_variance(seed, n, m):
    draw = np.random.default_rng(seed)
    source, target = draw.normal(size=(n, 3)), draw.normal(size=(m, 3)) + 1
    for kernel in (Kernel(), Kernel("rbf", 2.0)):
        rows = np.concatenate([source, target])
        full = kernel(rows, rows)
        within = [np.mean([full[i, j] for i in side for j in side if i != j]) for side in (range(n), range(n, n + m))]
        gap = sum(within) - 2 * full[:n, n:].mean()
        variance = np.diag(full).mean() - full.mean()
        assert separation(source, target, kernel) == pytest.approx(gap / variance)


def test_separation_of_two_points_and_of_no_difference():
    assert separation(np.zeros((5, 1)), np.ones((5, 1))) == pytest.approx(4)
    assert separation(np.ones((5, 2)), np.ones((4, 2))) == 0
    draw = np.random.default_rng(0)
    found = [separation(draw.normal(size=(50, 4)), draw.normal(size=(50, 4))) for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)


def test_standardised_columns():
    source, target, *_ = sides()
    found = standardised(tca(source, target, EXACT), source)
    np.testing.assert_allclose(found.apply(source).mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(found.apply(source).std(0), 1)
    again = standardised(found, source)
    np.testing.assert_allclose(again.apply(target), found.apply(target), atol=1e-10)
    flat = standardised(Projection(np.array([[1.0, 0.0]]), np.zeros(2)), source[:, :1])
    assert (flat.apply(source[:, :1])[:, 1] == 0).all()


def test_no_more_components_than_directions():
    source, target, *_ = sides(width=2)
    assert tca(source, target, Components("linear", dimension=9)).weights.shape[1] == 2


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (np.zeros((0, 2)), np.eye(2), "the source has no row"),
        (np.eye(2), np.zeros((0, 2)), "the target has no row"),
        (np.ones((3, 2)), np.ones((3, 2)), "all rows are alike"),
    ],
)
def test_nothing_to_map_is_said(source, target, message):
    with pytest.raises(DataError, match=message):
        tca(source, target, EXACT)


def test_no_tag_at_all_is_said():
    source, target, *_ = sides()
    with pytest.raises(DataError, match="no row has a tag"):
        jda(source, target, np.full(len(source), UNKNOWN), EXACT)


@pytest.mark.parametrize("wrong", [{"mu": 0}, {"dimension": 0}, {"landmarks": 1}, {"bandwidth": -1}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ConfigError):
        Components(**wrong)
