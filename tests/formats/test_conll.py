"""CoNLL as it occurs: schemes, separators, joiners, levels, and what corpora do to it. All lines are invented."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.formats import read, write
from transfuse.losses import Losses
from transfuse.tags import decode, encode
from transfuse.text import DataError, Document, Entity


def _read(text: str | bytes, **options: Any) -> tuple[list[Document], dict[str, int]]:
    losses = Losses()
    handle = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    return list(read(handle, "conll", losses=losses, **options)), losses.counts


def _mentions(found: Sequence[Document]) -> list[tuple[str, str]]:
    return [(document.mention(entity), entity.label) for document in found for entity in document.entities]


@pytest.mark.parametrize("separator", ["\t", " "])
def test_sentences_are_documents(separator: str) -> None:
    found, lost = _read(f"a{separator}B-X\nb{separator}I-X\n\nc{separator}O\n")
    assert [(document.id, document.text) for document in found] == [("handle/1", "a b"), ("handle/2", "c")]
    assert _mentions(found) == [("a b", "X")] and not lost


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a x B-X\nb x O\n", {}),
        ("a\t  x   B-X\nb x\tO\n", {"separator": "run"}),
        ("a|x|B-X\nb|x|O\n", {"separator": "|"}),
        ("B-X\ta\nO\tb\n", {"column": 0, "token": 1}),
        ("1\ta\tB-X\tx\n2\tb\tO\tx\n", {"column": -2, "token": 1}),
    ],
)
def test_any_separator_and_any_column(text: str, options: dict[str, Any]) -> None:
    found, lost = _read(text, **options)
    assert found[0].text == "a b" and _mentions(found) == [("a", "X")] and not lost


def test_tokens_without_tags() -> None:
    assert _read("a\nb\n\nc\n", column=None)[0] == [Document("handle/1", "a b"), Document("handle/2", "c")]


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from(["X", "Y"])), max_size=4, unique_by=lambda span: span[0]
    ),
    scheme=st.sampled_from(["BIO", "BIOES", "BMES", "IOB1"]),
)
def test_the_scheme_found_reads_the_same_mentions(spans: list[tuple[int, str]], scheme: str) -> None:
    spans = sorted(spans)
    ends = [start for start, _ in spans[1:]] + [8] * bool(spans)
    whole = [(start, min(end, start + 3), label) for (start, label), end in zip(spans, ends, strict=True)]
    tags = encode(whole, 8, scheme)
    found, lost = _read("".join(f"w{tag_number}\t{tag}\n" for tag_number, tag in enumerate(tags)))
    assert _mentions(found) == [(" ".join(f"w{n}" for n in range(a, b)), label) for a, b, label in decode(tags, scheme)]
    assert not lost


def test_what_a_sentence_of_iob1_says_is_not_what_bio_says() -> None:
    text = "a I-X\nb B-X\nc I-Y\nd O\n"
    assert _mentions(_read(text)[0]) == [("a", "X"), ("b", "X"), ("c", "Y")]
    assert _read(text)[1] == {} and _read(text, scheme="BIO")[1] == {"altered: illegal tag sequence": 2}


@pytest.mark.parametrize(("policy", "mentions"), [("repair", ["a", "c"]), ("drop", ["a"])])
def test_illegal_tags_follow_the_policy_and_are_counted_with_their_line(policy: str, mentions: list[str]) -> None:
    losses = Losses()
    handle = io.StringIO("a B-X\nb O\n\nb O\nc I-X\n")
    found = list(read(handle, "conll", scheme="BIO", policy=policy, losses=losses))
    assert [mention for mention, _ in _mentions(found)] == mentions
    assert [loss.line for loss in losses] == [4]


def test_illegal_tags_may_raise() -> None:
    with pytest.raises(DataError, match=r"^<handle>:4: illegal BIO tags at word 2"):
        _read("a B-X\n\nb O\nc I-X\n", policy="raise", scheme="BIO")


def test_document_starts_make_documents_of_lines() -> None:
    text = "-DOCSTART- -X- O\n\na B-X\n\nb O\nc B-X\n\n-DOCSTART-\tO\n\nd O\n"
    found, _ = _read(text)
    assert [(document.id, document.text) for document in found] == [("handle/1", "a\nb c"), ("handle/2", "d")]
    assert _mentions(found) == [("a", "X"), ("c", "X")]
    assert [document.text for document in _read(text, level="sentence")[0]] == ["a", "b c", "d"]


def test_document_starts_may_look_otherwise_and_give_an_id() -> None:
    found, _ = _read("###ID:77\n\na O\n\nb O\n###ID:78\nc O\n", docstart="###ID:")
    assert [(document.id, document.text) for document in found] == [("77", "a\nb"), ("78", "c")]


def test_a_file_without_document_starts_can_be_one_document() -> None:
    assert _read("a O\n\nb O\n", level="document")[0] == [Document("handle/1", "a\nb")]


def test_chinese_characters_are_joined_with_nothing_unless_told() -> None:
    text = "患 O\n者 O\n服 O\nC B-药\nT I-药\n。 O\n"
    assert _read(text)[0][0].text == "患者服CT。"
    assert _mentions(_read(text)[0]) == [("CT", "药")]
    assert _read(text, joiner="blank")[0][0].text == "患 者 服 C T 。"
    assert _read("a O\nb O\n", joiner="none")[0][0].text == "ab"
    assert _read("a O\nb O\n", joiner="_")[0][0].text == "a_b"


def test_one_chinese_name_in_an_english_file_glues_nothing() -> None:
    assert _read("the O\nherb O\n当归 B-X\nhelps O\n")[0][0].text == "the herb 当归 helps"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_byte_order_marks_and_windows_line_ends(codec: str) -> None:
    mark = "" if codec in {"utf-16", "utf-8-sig"} else "\ufeff"
    found, lost = _read((mark + "病 B-X\r\n人 I-X\r\n\r\n。 N\r\n").encode(codec))
    assert _mentions(found) == [("病人", "X")] and [d.text for d in found] == ["病人", "。"] and not lost


def test_another_outside_tag_can_be_named() -> None:
    assert _mentions(_read("a B-X\nb out\n", outside="out")[0]) == [("a", "X")]


@pytest.mark.parametrize(
    ("separator", "token"), [("\t", " "), (" ", " "), (" ", "\u3000"), (" ", "\u00a0"), ("\t", "\u2028")]
)
def test_tokens_may_be_blanks(separator: str, token: str) -> None:
    text = f"病{separator}O\n{token}{separator}O\n人{separator}B-X\n"
    found, lost = _read(text, joiner="none")
    assert found[0].text == f"病{token}人" and found[0].entities == (Entity(2, 3, "X"),) and not lost


def test_a_lone_tab_ends_a_sentence() -> None:
    assert [document.text for document in _read("a\tO\n\t\nb\tO\n \t \nc\tO\n")[0]] == ["a", "b", "c"]


def test_an_empty_token_outside_mentions_is_passed_over_and_counted() -> None:
    found, lost = _read("a\tO\n\tO\nb\tO\n")
    assert found[0].text == "a b" and lost == {"skipped: empty token": 1}


def test_position_digits_are_taken_off_on_request() -> None:
    text = "病0\tB-X\n人1\tI-X\n20\tO\n.12\tO\n𠀋3\tO\n药\tO\n"
    assert _read(text, positions=True)[0][0].text == "病人2.𠀋药"
    assert _read(text)[0][0].text == "病0人120.12𠀋3药"


def test_labels_may_hang_on_an_underscore() -> None:
    found, lost = _read("a B_cell_line\nb I_cell_line\nc B-x_y\n")
    assert _mentions(found) == [("a b", "cell_line"), ("c", "x_y")] and not lost


def test_the_first_of_several_labels_is_taken_and_the_cell_counted() -> None:
    found, lost = _read("a\tB-x,B-y\nb\tI-x,I-y\nc\tO\n")
    assert _mentions(found) == [("a b", "x")] and lost == {"altered: several labels in one cell": 2}
    losses = Losses()
    list(read(io.StringIO("a\tO\n\nb\tO\nc\tB-x,B-y\n"), "conll", losses=losses))
    assert [loss.line for loss in losses] == [4]


def test_pseudo_tokens_are_taken_off_on_request() -> None:
    text = "<ALL>\tO\na\tB-X\n</ALL>\tO\n\n<ALL>\tO\nb\tO\n</ALL>\tO\n"
    found, lost = _read(text, pseudo=True)
    assert [d.text for d in found] == ["a", "b"] and lost == {"skipped: pseudo tokens round a sentence": 2}
    assert _read(text)[0][0].text == "<ALL> a </ALL>"


def test_broken_bytes_can_be_replaced_and_are_counted() -> None:
    found, lost = _read(b"a\xff\tO\nb\tB-X\n", errors="replace")
    assert found[0].text == "a\ufffd b" and lost == {"altered: bytes that are not utf-8": 1}
    assert _read("é\tO\n".encode("latin-1"), encoding="latin-1")[0][0].text == "é"


def _write(document: Document, **options: Any) -> tuple[str, dict[str, int]]:
    handle, losses = io.StringIO(), Losses()
    write([document], handle, "conll", losses=losses, **options)
    losses_but_ids = {k: v for k, v in losses.counts.items() if k != "altered: document ids are not kept"}
    return handle.getvalue(), losses_but_ids


def test_words_are_finer_than_blanks_and_mentions_snap_to_tokens() -> None:
    document = Document("a", "anti-TNF drug", (Entity(5, 8, "Gene"),))
    assert _write(document)[0] == "anti\tO\n-\tO\nTNF\tB-Gene\ndrug\tO\n\n"
    text, lost = _write(document, tokens="blanks")
    assert text == "anti-TNF\tB-Gene\ndrug\tO\n\n" and lost == {"snapped: boundary inside a word": 1}


def test_of_two_overlapping_mentions_one_is_written() -> None:
    document = Document("a", "a b c", (Entity(0, 3, "X"), Entity(2, 5, "Y"), Entity(0, 5, "Z")))
    text, lost = _write(document, tokens="blanks")
    assert text == "a\tB-Z\nb\tI-Z\nc\tI-Z\n\n" and lost == {"dropped: overlaps another mention": 2}


def test_a_mention_across_a_line_end_keeps_what_stands_in_the_first_line() -> None:
    document = Document("a", "a b\nc", (Entity(2, 5, "X"),))
    text, lost = _write(document, tokens="blanks", level="sentence")
    assert text == "a\tO\nb\tB-X\n\nc\tO\n\n"
    assert lost == {"snapped: cut at the end of a sentence": 1, "altered: document became several sentences": 1}


def test_labels_are_changed_where_they_would_break_a_line() -> None:
    text, lost = _write(Document("a", "b", (Entity(0, 1, "cell line,B-x"),)), separator="blank")
    assert text == "b B-cell_line_B-x\n\n" and lost == {"altered: label holds a separator": 1}


def test_a_token_that_would_start_a_document_is_refused() -> None:
    with pytest.raises(DataError, match="would start a document"):
        _write(Document("a", "b -DOCSTART- c"), tokens="blanks")


def test_in_a_file_of_tabs_a_line_of_blanks_is_no_row() -> None:
    with pytest.raises(DataError, match=r"3: one column only \('two words O'\)"):
        _read("a\tO\nb\tB-X\ntwo words O\nc\tO\n")


def test_an_id_that_a_file_gives_twice_is_told_apart() -> None:
    found, counts = _read("-DOCSTART- 7\n\nfever\tO\n\n-DOCSTART- 7\n\ngout\tO\n")
    assert [document.id for document in found] == ["7", "7#2"]
    assert counts == {"altered: document id is there twice": 1}
