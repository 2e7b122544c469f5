"""Folds: each document held out once, labels spread evenly, nothing on both sides."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.data.folding import Fold, hold_fold, stratified
from transfuse.text import ConfigError, Corpus, DataError, Document, Entity

LABELS = ("A", "B", "C")


def document(number: int, counts: Sequence[int], text: str = "") -> Document:
    """A document with so many mentions of each label."""
    labels = [label for label, count in zip(LABELS, counts, strict=True) for _ in range(count)]
    words = text or f"{number} " + "x " * len(labels)
    return Document(f"d{number}", words, tuple(Entity(2 * i, 2 * i + 1, label) for i, label in enumerate(labels)))


counts = st.tuples(*(st.integers(0, 4) for _ in LABELS))
collections = st.lists(counts, min_size=4, max_size=40).map(
    lambda rows: [document(i, row) for i, row in enumerate(rows)]
)


def mentions(documents: Sequence[Document], numbers: Sequence[int]) -> Counter[str]:
    return Counter(entity.label for number in numbers for entity in documents[number].entities)


def unevenness(documents: Sequence[Document], parts: Sequence[Sequence[int]]) -> float:
    """Mean squared distance of the parts' counts from an even share, over labels."""
    found = [mentions(documents, part) for part in parts]
    total = sum(found, Counter())
    return sum((count[label] - total[label] / len(parts)) ** 2 for count in found for label in total)


@given(collections, st.integers(2, 4), st.integers(0, 5))
def test_every_document_is_in_one_part_and_none_is_empty(documents, parts, seed):
    found = stratified(documents, [1] * parts, seed=seed)
    assert len(found) == parts and all(found)
    assert sorted(number for part in found for number in part) == list(range(len(documents)))
    assert found == stratified(documents, [1] * parts, seed=seed)


@given(st.lists(st.integers(0, 6), min_size=4, max_size=40), st.integers(2, 4), st.integers(0, 5))
def test_one_label_is_as_even_as_its_largest_document_allows(numbers, parts, seed):
    documents = [document(i, (number, 0, 0)) for i, number in enumerate(numbers)]
    found = [mentions(documents, part)["A"] for part in stratified(documents, [1] * parts, seed=seed)]
    assert max(found) - min(found) <= max(numbers)


@pytest.mark.parametrize("parts", [2, 5, 10])
def test_labels_are_more_even_than_by_chance(parts):
    draw = random.Random(0)
    kinds = [(0, 0, 0)] * 6 + [(1, 0, 0), (3, 1, 0), (0, 2, 0), (0, 0, 1)]  # C is rare, most have none
    ours, chance, worst = [], [], []
    for trial in range(20):
        documents = [document(i, draw.choice(kinds)) for i in range(100)]
        found = stratified(documents, [1] * parts, seed=trial)
        order = list(range(100))
        draw.shuffle(order)
        ours.append(unevenness(documents, found))
        chance.append(unevenness(documents, [order[part::parts] for part in range(parts)]))
        each = [mentions(documents, part) for part in found]
        worst += [max(count[label] for count in each) - min(count[label] for count in each) for label in LABELS]
        assert max(map(len, found)) - min(map(len, found)) <= 6
    assert sum(ours) < 0.2 * sum(chance)
    assert max(worst) <= 2 * 3  # twice the most that a document has of a label, since A and B come together


@given(st.lists(st.tuples(counts, st.integers(0, 6)), min_size=12, max_size=30), st.integers(0, 3))
def test_the_same_text_is_never_parted(rows, seed):
    documents = [document(i, (0, 0, 0), f"text {text}") for i, (_, text) in enumerate(rows)]
    texts = {each.text for each in documents}
    if len(texts) < 3:
        with pytest.raises(DataError, match="cannot be divided into 3 parts"):
            stratified(documents, [1] * 3, seed=seed)
        return
    found = [{documents[number].text for number in part} for part in stratified(documents, [1] * 3, seed=seed)]
    assert sum(map(len, found)) == len(texts)


def corpus(documents: int = 40) -> Corpus:
    made = [document(i, (i % 3, i % 2, i % 5 == 0)) for i in range(documents)]
    return Corpus("c", {"train": tuple(made[4:-8]), "dev": tuple(made[:4]), "test": tuple(made[-8:])}, LABELS)


@pytest.mark.parametrize("whole", [False, True])
def test_over_all_folds_each_document_is_tested_once_and_never_learned_from_then(whole):
    given_, tested = corpus(), []
    for number in (1, 2, 3, 4):
        held = hold_fold(given_, Fold(number, 4, whole=whole))
        assert held.name == f"c, fold {number} of 4"
        names = [{each.id for each in held.splits[split]} for split in ("train", "dev", "test")]
        assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
        assert len(names[1]) == round(0.1 * len(names[0] | names[1]))
        assert {each.id for each in given_.test}.isdisjoint(set.union(*names)) or whole
        tested += sorted(names[2])
    pool = [*given_.train, *given_.dev, *(given_.test if whole else ())]
    assert sorted(tested) == sorted(each.id for each in pool)


def test_seeds_divide_otherwise():
    first, again, other = (hold_fold(corpus(), Fold(1, 4, seed)).test for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("fold", "message"),
    [((0, 5), r"number lies in \[1, 5\], not 0"), ((6, 5), "not 6"), ((1, 1), "fold.of is at least 2, not 1")],
)
def test_folds_that_there_are_not(fold, message):
    with pytest.raises(ConfigError, match=message):
        Fold(*fold)


def test_corpora_that_cannot_be_divided():
    few = Corpus("few", {"train": tuple(document(i, (1, 0, 0)) for i in range(2))}, LABELS)
    with pytest.raises(DataError, match="leave none for training and dev"):
        hold_fold(few, Fold(1, 2))
    twice = Corpus("twice", {"train": few.train, "dev": few.train[:1]}, LABELS)
    with pytest.raises(DataError, match="document d0 is there twice"):
        hold_fold(twice, Fold(1, 2))
