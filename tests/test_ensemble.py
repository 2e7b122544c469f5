"""Harmonising taggers: what must hold for any of their annotations, and small cases by hand."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.ensembles.ensemble import BOUNDARIES, Agreed, Agreement, harmonise
from transfuse.text import ConfigError, DataError, Document, Entity

TEXT = "abcdefghijklmnopqrst"
spans = st.tuples(st.integers(0, 12), st.integers(1, 6), st.sampled_from("XY"))
annotations = st.lists(spans.map(lambda s: Entity(s[0], s[0] + s[1], s[2])), max_size=6, unique=True)
taggers = st.dictionaries(st.sampled_from("abcd"), annotations, min_size=1)
rules = st.sampled_from(BOUNDARIES)


def doc(
    *entities: Entity | tuple[int, int] | tuple[int, int, str], unknown: tuple[tuple[int, int], ...] = ()
) -> Document:
    made = (e if isinstance(e, Entity) else Entity(e[0], e[1], e[2] if len(e) == 3 else "X") for e in entities)
    return Document("d", TEXT, tuple(made), unknown)


def vote(found: dict[str, list], threshold: float = 2, boundary: str = "exact", **settings) -> tuple[Agreed, ...]:
    agreement = Agreement(threshold, boundary, settings.pop("weights", None))
    tagged = {name: [doc(*entities)] for name, entities in found.items()}
    ((document, votes),) = harmonise(tagged, agreement, **settings)
    assert document.entities == tuple(v.entity for v in votes)
    return votes


def kept(*args, **settings) -> list[tuple[int, int]]:
    return [(v.entity.start, v.entity.end) for v in vote(*args, **settings)]


def flat(entities: list[Entity]) -> list[Entity]:
    left: list[Entity] = []
    for entity in entities:
        if not any(entity.label == other.label and entity.overlaps(other) for other in left):
            left.append(entity)
    return sorted(left)


@given(annotations, rules)
def test_one_tagger_alone_gives_itself(entities, boundary):
    assert [v.entity for v in vote({"a": flat(entities)}, 1, boundary)] == flat(entities)


@given(taggers, rules, st.sampled_from([0.5, 1, 2, 3]))
def test_nothing_of_one_label_overlaps_and_all_was_proposed(found, boundary, threshold):
    votes = vote(found, threshold, boundary)
    for one, other in combinations([v.entity for v in votes], 2):
        assert one.label != other.label or not one.overlaps(other)
    for v in votes:
        assert any(v.entity in entities for entities in found.values())
        for name in v.taggers:
            near = [e for e in found[name] if e.label == v.entity.label and e.overlaps(v.entity)]
            assert v.entity in near if boundary == "exact" else near
        assert v.entity.score == pytest.approx(len(v.taggers) / len(found))
        assert len(v.taggers) >= (threshold if threshold >= 1 else threshold * len(found))


@given(
    taggers,
    rules,
    st.sampled_from([1, 2, 0.6]),
    st.fixed_dictionaries({n: st.sampled_from([0.1, 0.2, 0.7, 1, 3]) for n in "abcd"}),
)
def test_the_order_of_taggers_changes_nothing(found, boundary, threshold, weights):
    weights = {name: weights[name] for name in found}
    results = {vote(dict(order), threshold, boundary, weights=weights) for order in permutations(found.items())}
    assert len(results) == 1


@given(taggers, st.sampled_from([(1, 2), (2, 3), (3, 4), (0.3, 0.8), (0.9, 4)]))
def test_a_higher_threshold_gives_a_subset_of_exact_mentions(found, thresholds):
    low, high = thresholds
    assert set(vote(found, high)) <= set(vote(found, low))


@given(taggers, rules)
def test_a_mention_speaks_for_one_result_at_most(found, boundary):
    votes = vote(found, 1, boundary)
    for name, entities in found.items():
        for label in "XY":
            said = sum(name in v.taggers for v in votes if v.entity.label == label)
            assert said <= len([e for e in entities if e.label == label])


@given(annotations, st.integers(1, 4), rules)
def test_taggers_of_one_opinion_are_agreed(entities, number, boundary):
    found = {name: flat(entities) for name in "abcd"[:number]}
    assert [v.entity for v in vote(found, number, boundary)] == flat(entities)


def test_boundary_rules():
    found = {"a": [(0, 10)], "b": [(0, 8)], "c": [(2, 8)], "d": [(5, 6)]}
    assert kept(found, 2) == []
    assert {rule: kept(found, 4, rule) for rule in BOUNDARIES[1:]} == {
        "longest": [(0, 10)],
        "shortest": [(5, 6)],
        "majority": [(0, 8)],
    }
    # Where the one asked first finds too few, the next is asked, and it keeps the votes of the first.
    chain = {"a": [(0, 9)], "b": [(8, 12)], "c": [(11, 13)]}
    assert kept(chain, 3, "longest") == [(8, 12)]
    assert kept(chain, 2, "longest") == [(0, 9)]


def test_exact_conflicts_go_to_the_majority():
    found = {"a": [(0, 5)], "b": [(0, 5)], "c": [(3, 9)], "d": [(3, 9)], "e": [(3, 9)]}
    assert kept(found, 2) == [(3, 9)]


def test_labels_vote_apart():
    assert kept({"a": [(0, 5, "X")], "b": [(0, 5, "Y")]}, 2) == []
    assert kept({"a": [(0, 5, "X")], "b": [(0, 5, "Y")]}, 1) == [(0, 5), (0, 5)]


def test_weights_and_shares():
    found = {"a": [(0, 3)], "b": [(5, 8)], "c": [(5, 8)]}
    assert kept(found, 2) == [(5, 8)]
    assert kept(found, 2, weights={"a": 2}) == [(0, 3), (5, 8)]
    assert kept(found, 0.5) == [(5, 8)]
    assert kept(found, 0.5, weights={"a": 3}) == [(0, 3)]
    (chosen,) = vote(found, 2)
    assert chosen.taggers == ("b", "c") and chosen.entity.score == pytest.approx(2 / 3)


def test_a_share_is_taken_of_those_that_look_for_the_label():
    found = {"a": [(0, 3)], "b": [], "c": []}
    assert kept(found, 0.5) == []
    assert kept(found, 0.5, labels={"b": {"Y"}, "c": {"Y"}}) == [(0, 3)]


def test_what_anybody_marks_as_unknown_stays_unknown():
    tagged = {"a": [doc((0, 3), unknown=((5, 8),))], "b": [doc((0, 3), unknown=((5, 8), (9, 10)))]}
    ((document, _),) = harmonise(tagged, Agreement(2))
    assert document.unknown == ((5, 8), (9, 10))


def test_spans_are_never_widened_to_words():
    # "bcd" stands inside a word; silver keeps what the taggers said, as training reports what it has to move.
    assert kept({"a": [(1, 4)], "b": [(1, 4)]}, 2) == [(1, 4)]


def test_white_space_of_another_kind_is_the_same_text():
    one, other = Document("d", "ab\ncd", (Entity(3, 5, "X"),)), Document("d", "ab cd", (Entity(3, 5, "X"),))
    ((document, votes),) = harmonise({"a": [one], "b": [other]}, Agreement(2))
    assert document.text == "ab\ncd" and len(votes) == 1


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "b ends before document d"),
        ([Document("e", TEXT)], "b has document e in place of d"),
        ([Document("d", TEXT[1:])], "b has another text of document d"),
        ([doc(), Document("e", "x")], "b has a document more than a: e"),
    ],
)
def test_documents_that_are_not_the_same(documents, said):
    with pytest.raises(DataError, match=said):
        list(harmonise({"a": [doc()], "b": documents}, Agreement(1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": 0}, "agreement"),
        ({"boundary": "widest"}, "boundary rule"),
        ({"weights": {"a": 0}}, "weight of a"),
    ],
)
def test_settings_out_of_range(settings, said):
    with pytest.raises(ConfigError, match=said):
        Agreement(**settings)


def test_no_tagger_and_a_weight_for_a_stranger():
    with pytest.raises(ConfigError, match="no tagger"):
        list(harmonise({}, Agreement(1)))
    with pytest.raises(ConfigError, match="no tagger is called z"):
        list(harmonise({"a": [doc()]}, Agreement(1, weights={"z": 2})))
