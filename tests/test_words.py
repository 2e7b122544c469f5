"""Words and sentences keep every character and every offset, whatever the text."""

from __future__ import annotations

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfuse.losses import Losses
from transfuse.text import ConfigError, Entity
from transfuse.words import ABBREVIATIONS, OVERLAP_POLICIES, align, flatten, is_blank, sentences, words

ODD = (
    "aZé\u0301\u0308ßд한ก05٣²½αΩµ-/()[]{}.,;:!?'\"+%_\\阿々あアー。！？；\u4e00𠀀😀👩\u200d\u200c\u200b\u2060\ufeff"
    "\u00a0\u3000\u2009\t\r\n\v\f\x00\x1c\x85\u2028\u2029\u00ad\ufe0f\ud800𝛼"
)
TEXTS = st.one_of(
    st.text(st.sampled_from(ODD), max_size=40),
    st.text(st.characters(), max_size=40),
    st.lists(
        st.sampled_from(
            ["The", "cells", "et al.", "Fig.", "E.", "coli", "3.5", "x.", "Ends?", "\r\n", "，好。", "(a)"]
        ),
        max_size=12,
    ).map(" ".join),
)


def blank(character: str) -> bool:
    """The definition again, by another road."""
    return unicodedata.category(character) in {"Zs", "Zl", "Zp", "Cc"} or character in "\u200b\u2060\ufeff"


@st.composite
def texts_with_ranges(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(TEXTS.filter(bool))
    pairs = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda pair: pair[0] != pair[1])
    return text, [(min(pair), max(pair)) for pair in draw(st.lists(pairs, max_size=5))]


def shown(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


@given(TEXTS)
def test_every_character_that_is_not_blank_is_in_one_word(text: str) -> None:
    found = words(text)
    assert [place for start, end in found for place in range(start, end)] == [
        place for place, character in enumerate(text) if not blank(character)
    ]
    assert all(start < end for start, end in found)
    assert is_blank(text) == (not found)


@given(TEXTS)
def test_a_word_holds_one_kind_of_character(text: str) -> None:
    for word in shown(text):
        if any(unicodedata.category(c) == "Cn" for c in word):
            continue  # newer than the tables of this Python
        solid = [c for c in word if not unicodedata.category(c).startswith("M") and c not in "\u200c\u200d"]
        letters, digits = sum(c.isalpha() for c in solid), sum(unicodedata.category(c) == "Nd" for c in solid)
        assert len(solid) <= 1 or len(solid) in {letters, digits}, word
        if len(solid) > 1:
            names = " ".join(unicodedata.name(c, "") for c in solid)
            assert not any(script in names for script in ("GREEK", "CJK UNIFIED", "HIRAGANA", "KATAKANA")), word


@given(TEXTS, TEXTS)
def test_words_on_either_side_of_a_blank_know_nothing_of_each_other(left: str, right: str) -> None:
    text, shift = f"{left} {right}", len(left) + 1
    first, second = words(left), [(start + shift, end + shift) for start, end in words(right)]
    assert words(text) == first + second
    assert words(text, 0, len(left)) == first
    assert words(text, shift) == second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TNF-α/IFNγ2", "TNF - α / IFN γ 2"),
        ("p53(-/-)", "p 53 ( - / - )"),
        ("5µg of 3.5%", "5 µ g of 3 . 5 %"),
        ("阿司匹林100mg", "阿 司 匹 林 100 mg"),
        ("コーヒーのDNA", "コ ー ヒ ー の DNA"),
        ("ab\u200bcd\ufeffef\u00a0gh\u3000ij\r\nkl", "ab cd ef gh ij kl"),
        ("E\u0301cole", "E\u0301cole"),
        ("a+\u0301 \u0301b ♀️", "a +\u0301 \u0301 b ♀️"),
        ("", ""),
    ],
)
def test_words_by_example(text: str, expected: str) -> None:
    assert shown(text) == expected.split()


@given(texts_with_ranges())
def test_sentences_cover_the_text_and_leave_what_is_kept_whole(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, keep = case
    found = sentences(text, keep)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    covered = {place for start, end in found for place in range(start, end)}
    assert covered >= {place for place, character in enumerate(text) if not blank(character)}
    assert all(start < end and not blank(text[start]) and not blank(text[end - 1]) for start, end in found)
    for start, end in keep:
        inside = [place for place in range(start, end) if not blank(text[place])]
        assert not inside or any(s <= inside[0] and inside[-1] < e for s, e in found), (start, end)


@given(TEXTS)
@example("a".join("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029").join("bb"))
def test_a_line_break_always_ends_a_sentence(text: str) -> None:
    assert not any(text[start:end].splitlines()[1:] for start, end in sentences(text))


@given(TEXTS)
@example("！\u0301")
def test_sentences_never_part_a_word(text: str) -> None:
    found = {place for span in sentences(text) for place in span}
    assert not any(start < place < end for place in found for start, end in words(text))


@pytest.mark.parametrize(
    "text",
    [
        "Two mice died.| The rest lived.",
        "We saw 3.5 mg vs. 4 mg in E. coli (cf. Fig. 2 and No. 5).| [7] agrees.",
        "It was shown by J. Smith et al. (2003) and Dr. Jones.| Was it?| Yes!| (We think so.)",
        "They had hepatitis B.| The others had hepatitis C.",
        "It is in Fig. 2B.| Mice were fed TGF-B.| Cells were not.",
        "The variant p. Arg5Gly is rare, i.e. Found once.",
        "A\n|b c\r\n|\r\n|D e.",
        "第一句。|第二句！|第三；|“好。”|还有 a. b",
        "",
    ],
)
def test_sentences_by_example(text: str) -> None:
    whole = text.replace("|", "")
    assert [whole[start:end] for start, end in sentences(whole)] == [
        s for part in text.split("|") if (s := part.strip())
    ]


def test_what_is_kept_is_cut_at_its_end_but_not_inside() -> None:
    text = "It has G. Foo\nbar. Then more."
    assert [text[start:end] for start, end in sentences(text, [(7, 17)])] == ["It has G. Foo\nbar.", "Then more."]
    assert sentences("好。坏。", [(0, 2), (2, 4)]) == [(0, 2), (2, 4)]
    assert sentences("好。坏。", [(0, 3), (2, 4)]) == [(0, 4)]


def test_abbreviations_are_written_as_they_are_looked_up() -> None:
    assert all(word == word.lower() and word.strip(".") == word and not is_blank(word) for word in ABBREVIATIONS)


@pytest.mark.parametrize("unit", [".", " ", "a", ". ", "\n", "a.", ".)", "A. ", "\u0301", "。", "(", "1"])
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    text = unit * 40_000
    begin = time.process_time()
    words(text)
    sentences(text)
    assert time.process_time() - begin < 2


def offsets_of(text: str, ranges: list[tuple[int, int]]) -> list[Entity]:
    return [Entity(start, end, "X") for start, end in ranges]


@given(texts_with_ranges())
def test_aligned_mentions_are_the_words_they_touch(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, ranges = case
    offsets, losses, expected, snapped = words(text), Losses(), [], 0
    for start, end in ranges:
        touched = [n for n, (a, b) in enumerate(offsets) if a < end and start < b]
        if touched:
            expected.append((touched[0], touched[-1] + 1, "X"))
            snapped += (offsets[touched[0]][0], offsets[touched[-1]][1]) != (start, end)
    assert align(offsets, offsets_of(text, ranges), losses=losses) == expected
    assert sum(loss.action == "snapped" for loss in losses) == snapped
    assert losses.counts.get("dropped: no word in the mention", 0) == len(ranges) - len(expected)


def test_each_way_of_not_fitting_is_counted_under_its_name() -> None:
    losses, offsets = Losses(), words("anti\u3000tumour")
    mentions = [Entity(0, 4, "A"), Entity(6, 11, "B"), Entity(0, 5, "C"), Entity(4, 5, "D")]
    assert align(offsets, mentions, losses=losses, document="7") == [(0, 1, "A"), (1, 2, "B"), (0, 1, "C")]
    assert losses.counts == {
        "snapped: boundary inside a word": 1,
        "snapped: boundary on a blank": 1,
        "dropped: no word in the mention": 1,
    }
    assert {loss.document for loss in losses} == {"7"}
    assert align(offsets, mentions) == [(0, 1, "A"), (1, 2, "B"), (0, 1, "C")]


SPANS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 4), st.sampled_from("AB")).map(lambda t: (t[0], t[0] + t[1], t[2])),
    max_size=8,
)


@given(SPANS, st.sampled_from(OVERLAP_POLICIES), st.randoms())
def test_flat_spans_share_nothing_and_the_rest_is_counted(
    spans: list[tuple[int, int, str]], policy: str, random
) -> None:  # type: ignore[no-untyped-def]
    losses = Losses()
    kept = flatten(spans, policy=policy, losses=losses)
    assert all(first[1] <= second[0] for first, second in pairwise(kept))
    assert len(kept) + len(losses) == len(spans)
    assert flatten(kept, policy=policy) == kept
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert flatten(shuffled, policy=policy) == kept
    for span in set(spans) - set(kept):
        rivals = [other for other in kept if other[0] < span[1] and span[0] < other[1]]
        better = (lambda s: (s[0] - s[1], s[0], s[2])) if policy == "longest" else (lambda s: (s[0], -s[1], s[2]))
        assert any(better(rival) < better(span) for rival in rivals)


def test_overlaps_are_settled_by_the_named_policy() -> None:
    spans = [(0, 2, "A"), (1, 5, "B"), (1, 2, "C"), (5, 6, "D")]
    assert flatten(spans) == [(1, 5, "B"), (5, 6, "D")]
    assert flatten(spans, policy="first") == [(0, 2, "A"), (5, 6, "D")]
    with pytest.raises(ConfigError, match="longest or first"):
        flatten(spans, policy="shortest")
