"""What voters are worth, found from their votes alone: against voters that are made, and Bayes' rule by hand."""

from __future__ import annotations

import math
import random
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.ensembles.ballots import Ballot
from transfuse.ensembles.credit import Credit, estimate, observe

SIZES = (2, 1, 2)
THREE = Credit(
    (2, 1, 2),
    0.4,
    ((0.1, 0.2, 0.7), (0.3, 0.7), (0.6, 0.1, 0.3)),
    ((0.8, 0.15, 0.05), (0.9, 0.1), (0.5, 0.2, 0.3)),
)


def draw(credit: Credit, number: int, seed: int) -> list[tuple[int, ...]]:
    """What is seen of spans by voters that err as they are said to, those that nobody finds included."""
    rng = random.Random(seed)
    found = []
    for _ in range(number):
        rows = credit.mention if rng.random() < credit.prior else credit.other
        found.append(tuple(rng.choices(range(len(row)), row)[0] for row in rows))
    return found


def test_the_chance_is_that_of_bayes() -> None:
    for seen in product(range(3), (0, 1, None), range(3)):
        pro, contra = THREE.prior, 1 - THREE.prior
        for mention, other, number in zip(THREE.mention, THREE.other, seen, strict=True):
            if number is not None:
                pro, contra = pro * mention[number], contra * other[number]
        assert THREE.chance(seen) == pytest.approx(pro / (pro + contra), rel=1e-12)


def test_voters_are_found_out() -> None:
    found = estimate(draw(THREE, 40_000, 1), SIZES, rounds=400)
    assert found.prior == pytest.approx(THREE.prior, abs=0.04)
    for ours, theirs in ((found.mention, THREE.mention), (found.other, THREE.other)):
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, abs=0.04)


def test_each_round_makes_what_was_seen_likelier() -> None:
    seen = draw(THREE, 500, 2)

    def likelihood(credit: Credit) -> float:
        rows = [(math.log(credit.prior), credit.mention), (math.log1p(-credit.prior), credit.other)]
        each = [
            math.log(
                sum(
                    math.exp(first + sum(math.log(v[n]) for v, n in zip(voters, one, strict=True)))
                    for first, voters in rows
                )
            )
            for one in seen
        ]
        smoothed = sum(math.log(p) for _, voters in rows for voter in voters for p in voter) + sum(f for f, _ in rows)
        return sum(each) + smoothed

    values = [likelihood(estimate(seen, SIZES, rounds=rounds)) for rounds in range(12)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(values))
    assert values[-1] > values[0] + 1


SPANS = [(0, 1, "A"), (0, 2, "A"), (1, 3, "A"), (4, 5, "A"), (4, 5, "B")]


@given(st.lists(st.sets(st.sampled_from(SPANS)), min_size=5, max_size=5), st.sampled_from([0.0, 0.3, 0.9]))
def test_who_is_elected_and_what_is_doubted(found: list[set[tuple[int, int, str]]], lead: float) -> None:
    deaf = ("A",)
    labels = [("A", "B"), ("A", "B"), deaf, ("A", "B"), ("A", "B")]
    ballots = [
        Ballot(sorted(span for span in spans if span[2] in known), known, lambda span: 0.5)
        for spans, known in zip(found, labels, strict=True)
    ]
    seen = observe(ballots, SIZES)
    for span, numbers in seen.items():
        counts = [sum(span in ballot.spans for ballot in ballots[a:b]) for a, b in ((0, 2), (2, 3), (3, 5))]
        assert numbers == (counts[0], None if span[2] == "B" else counts[1], counts[2])
    elected = THREE.elect(ballots)
    chances = {span: THREE.chance(numbers) for span, numbers in seen.items()}
    won = [one.span for one in elected]
    assert won == sorted(won) and all(chances[span] > 0.5 for span in won)
    for span, chance in chances.items():
        rivals = [other for other in won if other[0] < span[1] and span[0] < other[1]]
        assert span in won or chance <= 0.5 or any(chances[other] >= chance for other in rivals)
        assert span not in won or rivals == [span]
    sure = {word for one in elected if one.margin >= lead for word in range(*one.span[:2])}
    unclear = {word for span, chance in chances.items() if abs(2 * chance - 1) < lead for word in range(*span[:2])}
    assert THREE.doubted(ballots, lead) == unclear - sure
