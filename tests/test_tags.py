"""Tags spell spans: every scheme against its table, its neighbours and plain enumeration."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.losses import Losses
from transfuse.tags import POLICIES, PREFIXES, Scheme, Span, convert, decode, encode, faults, legal, tag_names
from transfuse.text import ConfigError, DataError, SpanError

SCHEMES = st.sampled_from(list(Scheme))
LENGTH = 10


@st.composite
def flat_spans(draw: st.DrawFn) -> list[Span]:
    """Spans that may touch but share no word, with labels that hold dashes and dots."""
    cuts = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=LENGTH)))
    labels = st.sampled_from(["Gene", "cell-type", "PER.NAM", ""])
    return [(start, end, label) for start, end in pairwise(cuts) if (label := draw(labels))]


def touching(spans: list[Span]) -> int:
    return sum(first[1] == second[0] and first[2] == second[2] for first, second in pairwise(spans))


@given(flat_spans(), SCHEMES)
def test_decoding_gives_back_what_was_encoded(spans: list[Span], scheme: Scheme) -> None:
    counts: Counter[str] = Counter()
    tags = encode(spans, LENGTH, scheme, counts=counts)
    assert len(tags) == LENGTH
    assert set(tags) <= set(tag_names(["Gene", "cell-type", "PER.NAM"], scheme))
    assert faults(tags, scheme) == []
    back = decode(tags, scheme, "raise")
    if scheme is Scheme.IO:
        assert counts.total() == touching(spans) == len(spans) - len(back)
        assert decode(encode(back, LENGTH, scheme), scheme) == back
    else:
        assert not counts
        assert back == spans


@given(flat_spans(), SCHEMES, SCHEMES)
def test_conversion_between_schemes_keeps_the_mentions(spans: list[Span], source: Scheme, target: Scheme) -> None:
    held = decode(encode(spans, LENGTH, source), source)
    there = convert(encode(spans, LENGTH, source), source, target)
    assert there == encode(held, LENGTH, target)
    if target is not Scheme.IO:
        assert convert(there, target, source) == encode(held, LENGTH, source)


def accepted(tags: tuple[str, ...], scheme: Scheme) -> bool:
    try:
        decode(tags, scheme, "raise")
    except DataError:
        return False
    return True


@pytest.mark.parametrize("scheme", list(Scheme))
def test_legal_agrees_with_enumeration_of_short_sequences(scheme: Scheme) -> None:
    names = tag_names(["A", "B"], scheme)
    start, end, matrix = legal(names, scheme)
    spellable = set()
    for length in (1, 2, 3):
        for numbers in product(range(len(names)), repeat=length):
            tags = tuple(names[n] for n in numbers)
            allowed = start[numbers[0]] and end[numbers[-1]] and all(matrix[a][b] for a, b in pairwise(numbers))
            assert allowed == accepted(tags, scheme) == (not faults(tags, scheme)), tags
            # what may be written is what some mentions are written as
            assert allowed == (encode(decode(tags, scheme), length, scheme) == list(tags)), tags
            spellable.add((tags, allowed))
    if scheme is not Scheme.IO:
        assert {allowed for _, allowed in spellable} == {True, False}


@pytest.mark.parametrize("scheme", list(Scheme))
def test_a_legal_beginning_can_always_be_finished(scheme: Scheme) -> None:
    names = tag_names(["A", "B"], scheme)
    start, end, matrix = legal(names, scheme)
    reached = {n for n, ok in enumerate(start) if ok}
    for _ in names:
        reached |= {b for a in reached for b, ok in enumerate(matrix[a]) if ok}
    assert reached == set(range(len(names)))
    alive = {n for n, ok in enumerate(end) if ok}
    for _ in names:
        alive |= {a for a in range(len(names)) if any(matrix[a][b] for b in alive)}
    assert alive == set(range(len(names)))


def conlleval(tags: tuple[str, ...]) -> list[Span]:
    """Chunks as the shared task's scorer reads them, written out rule by rule."""
    spans, start, before, label_before = [], 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        sign, _, label = tag.partition("-")
        ends = (
            (before in "BI" and sign in {"B", "S", "O"}) or before in "ES" or (before != "O" and label != label_before)
        )
        if before != "O" and ends:
            spans.append((start, place, label_before))
        starts = sign in {"B", "S"} or (before in {"E", "S", "O"} and sign in {"E", "I"}) or label != label_before
        if sign != "O" and starts:
            start = place
        before, label_before = sign, label
    return spans


@pytest.mark.parametrize("scheme", [Scheme.BIO, Scheme.BIOES, Scheme.IO])
def test_repair_reads_as_conlleval_does(scheme: Scheme) -> None:
    for length in (1, 2, 3, 4):
        for tags in product(tag_names(["A", "B"], scheme), repeat=length):
            assert decode(tags, scheme) == conlleval(tags), tags


@given(st.data(), SCHEMES)
def test_policies_agree_on_what_is_well_formed(data: st.DataObject, scheme: Scheme) -> None:
    names = tag_names(["A", "B"], scheme)
    tags = data.draw(st.lists(st.sampled_from(names), max_size=8))
    counts: Counter[str] = Counter()
    losses = Losses()
    repaired, kept = decode(tags, scheme, "repair", losses), decode(tags, scheme, "drop", counts)
    assert set(kept) <= set(repaired)
    assert len(repaired) - len(kept) == counts["dropped: illegal tag sequence"] == len(losses)
    assert bool(losses) == (not accepted(tuple(tags), scheme))
    inside = {place for place, tag in enumerate(tags) if tag != "O"}
    assert {place for start, end, _ in repaired for place in range(start, end)} == inside


@pytest.mark.parametrize(
    ("scheme", "tags", "repaired", "kept"),
    [
        ("BIO", "O I-A I-A I-B", "1-3A 3-4B", ""),
        ("BIO", "B-A I-B I-B O B-A", "0-1A 1-3B 4-5A", "0-1A 4-5A"),
        ("BIOES", "B-A O E-A S-A B-B E-B", "0-1A 2-3A 3-4A 4-6B", "3-4A 4-6B"),
        ("BMES", "O M-A E-A", "1-3A", ""),
        ("IOB1", "I-A B-A O B-A", "0-1A 1-2A 3-4A", "0-1A 1-2A"),
    ],
)
def test_illegal_sequences_by_example(scheme: str, tags: str, repaired: str, kept: str) -> None:
    for policy, expected in (("repair", repaired), ("drop", kept)):
        spans = decode(tags.split(), scheme, policy)
        assert " ".join(f"{start}-{end}{label}" for start, end, label in spans) == expected
    with pytest.raises(DataError, match=rf"illegal {scheme} tags at word \d+: "):
        decode(tags.split(), scheme, "raise")


def test_faults_name_the_place_and_the_neighbour() -> None:
    assert faults(["I-A", "I-A", "I-B"]) == [(0, "I-A after the start"), (2, "I-B after I-A")]
    assert faults(["S-A", "B-A"], "BIOES") == [(1, "B-A at the end")]
    assert faults([]) == []


@pytest.mark.parametrize("tag", ["B", "I-", "X-A", "B_A", "", "N", "E-A", "o"])
@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_no_tag_is_refused_under_every_policy(tag: str, policy: str) -> None:
    with pytest.raises(DataError, match="is no BIO tag: expected O or B-<label>, I-<label>"):
        decode(["O", tag], "BIO", policy)


def test_unknown_schemes_and_policies_are_refused_by_name() -> None:
    for call in (lambda: tag_names(["A"], "BILOU"), lambda: encode([], 1, "BILOU"), lambda: decode(["I-A"], "BILOU")):
        with pytest.raises(ConfigError, match="'BILOU': choose one of BIO, BIOES, IO, IOB1, BMES"):
            call()
    with pytest.raises(ConfigError, match="'mend'"):
        decode(["O"], "BIO", "mend")


@pytest.mark.parametrize("spans", [[(0, 0, "A")], [(3, 5, "A")], [(-1, 1, "A")], [(0, 2, "A"), (1, 3, "B")]])
def test_spans_that_words_cannot_hold_are_refused(spans: list[Span]) -> None:
    with pytest.raises(SpanError):
        encode(spans, 4)


def test_names_come_label_by_label_behind_the_outside() -> None:
    assert tag_names(["X", "Y"], "BIO") == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert set(PREFIXES) == set(Scheme)
