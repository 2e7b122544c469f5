"""What is written is read again, for everything that the format can hold."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from invented import ANY, LABELS, MEAN, documents, entities, texts

from transfuse.formats import read, write
from transfuse.losses import Losses
from transfuse.text import DataError, Document, Entity

JSON = ("bioc-json", "ccks", "cluener", "doccano", "jsonl", "label-studio", "prodigy", "pubannotation")
XML = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\n\r\t")
FLAT = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")


def _again(found: list[Document], format: str, **options: Any) -> tuple[list[Document], Losses, Losses]:
    lost, missed, handle = Losses(), Losses(), io.BytesIO()
    write(found, handle, format, losses=lost, **options)
    handle.seek(0)
    return list(read(handle, format, losses=missed)), lost, missed


def _scores(found: list[Document]) -> list[float | None]:
    return [entity.score for document in found for entity in document.entities]


@pytest.mark.parametrize("format", JSON)
@given(found=documents())
def test_json_formats_hold_any_text_and_any_overlap(format: str, found: list[Document]) -> None:
    again, lost, missed = _again(found, format)
    assert again == found
    assert not lost.counts and not missed.counts


@given(found=documents(), end=st.sampled_from(["inclusive", "exclusive"]))
def test_ccks_holds_either_kind_of_end(found: list[Document], end: str) -> None:
    handle = io.StringIO()
    write(found, handle, "ccks", end=end)
    handle.seek(0)
    assert list(read(handle, "ccks", end=end)) == found


@given(found=documents(scored=True, unknown=True))
def test_jsonl_holds_scores_and_unknown_ranges(found: list[Document]) -> None:
    again, lost, missed = _again(found, "jsonl")
    assert again == found and _scores(again) == _scores(found)
    assert not lost.counts and not missed.counts


@pytest.mark.parametrize("format", ["bioc-xml", "bioc-json"])
@given(found=documents(XML, scored=True))
def test_bioc_holds_scores(format: str, found: list[Document]) -> None:
    again, lost, missed = _again(found, format)
    assert again == found and _scores(again) == _scores(found)
    assert not lost.counts and not missed.counts


@given(found=documents(XML))
def test_the_library_bioc_reads_what_is_written_in_it(found: list[Document]) -> None:
    from bioc import biocjson, biocxml

    for format, library in (("bioc-xml", biocxml), ("bioc-json", biocjson)):
        handle = io.StringIO()
        write(found, handle, format)
        text = handle.getvalue()
        collection = library.loads(text)
        assert [document.id for document in collection.documents] == [document.id for document in found]
        for theirs, ours in zip(collection.documents, found, strict=True):
            passage = theirs.passages[0]
            assert (passage.text or "") == ours.text
            spans = [(a.total_span.offset, a.total_span.end, a.infons["type"], a.text) for a in passage.annotations]
            assert spans == [(e.start, e.end, e.label, ours.mention(e)) for e in ours.entities]


@given(found=documents())
def test_bioc_xml_replaces_what_xml_forbids_and_counts_it(found: list[Document]) -> None:
    again, lost, _ = _again(found, "bioc-xml")
    assert [len(document.text) for document in again] == [len(document.text) for document in found]
    changed = [before.text for before, after in zip(found, again, strict=True) if before.text != after.text]
    assert len(changed) == lost.counts.get("altered: characters that XML forbids", 0)


@st.composite
def _abstracts(draw: st.DrawFn) -> list[Document]:
    found = []
    for number in range(draw(st.integers(1, 3))):
        title, abstract = draw(texts(FLAT)), draw(texts(FLAT))
        text = f"{title}\n{abstract}" if abstract else title
        found.append(Document(f"{number}", text, tuple(draw(entities(text)))))
    return found


@given(found=_abstracts())
def test_pubtator_holds_titles_and_abstracts(found: list[Document]) -> None:
    again, lost, missed = _again(found, "pubtator")
    assert again == found
    assert not lost.counts and not missed.counts


@given(found=documents())
def test_pubtator_keeps_every_offset_of_any_text(found: list[Document]) -> None:
    again, lost, _ = _again(found, "pubtator")
    for before, after in zip(found, again, strict=True):
        assert len(before.text) == len(after.text) and before.entities == after.entities
        assert before.text == after.text or any(loss.document == before.id for loss in lost)


@given(found=documents(ids="folder/doc-{}".format))
def test_brat_holds_any_text_and_any_overlap(found: list[Document]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lost, missed = Losses(), Losses()
        write(found, Path(folder) / "out", "brat", losses=lost)
        again = list(read(Path(folder) / "out", "brat", losses=missed))
    assert [(document.id, document.text) for document in again] == [(document.id, document.text) for document in found]
    for before, after in zip(found, again, strict=True):
        trimmed = {_trim(before, entity) for entity in before.entities} - {None}
        assert set(after.entities) == trimmed
        inner = "".join(before.mention(entity).strip("\r\n") for entity in before.entities)
        if not set(inner) & set("\r\n"):
            assert not [
                loss for loss in missed if loss.document == before.id and loss.reason != "the same mention twice"
            ]


def _trim(document: Document, entity: Entity) -> Entity | None:
    mention = document.mention(entity)
    start = entity.start + len(mention) - len(mention.lstrip("\r\n"))
    end = entity.end - len(mention) + len(mention.rstrip("\r\n"))
    return Entity(start, end, entity.label) if start < end else None


@given(text=texts(), draw=st.data())
def test_brat_holds_a_document_in_two_handles(text: str, draw: st.DataObject) -> None:
    flat = text.replace("\n", " ").replace("\r", " ")
    found = Document("handle", flat, tuple(draw.draw(entities(flat))))
    first, second = io.BytesIO(), io.StringIO()
    write([found], first, "brat", annotations=second)
    first.seek(0), second.seek(0)
    assert list(read(first, "brat", annotations=second)) == [found]


@st.composite
def _tokenised(draw: st.DrawFn, tokens: st.SearchStrategy[str], glue: str, sentences: int) -> list[Document]:
    """Documents of tokens, whose mentions are runs of tokens that do not overlap."""
    found = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        lines, mentions, base = [], [], 0
        for _ in range(draw(st.integers(1, sentences))):
            words = draw(st.lists(tokens, min_size=1, max_size=8))
            starts = [base + sum(len(word) + len(glue) for word in words[:place]) for place in range(len(words) + 1)]
            cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)))
            for first, last in zip(cuts[::2], cuts[1::2], strict=False):
                label = draw(st.sampled_from(LABELS))
                mentions.append(Entity(starts[first], starts[last] - len(glue), label))
            lines.append(glue.join(words))
            base += len(lines[-1]) + 1
        found.append(Document(f"handle/{number}", "\n".join(lines), tuple(mentions)))
    return found


TOKENS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\r\n"), min_size=1, max_size=5).filter(
    lambda token: not token.startswith("-DOCSTART-")
)
CHINESE = st.sampled_from("病人服用阿司匹林，。 \u3000\u00a0β2")
SCHEMES = st.sampled_from(["BIO", "BIOES", "IOB1", "BMES"])


@given(
    found=_tokenised(TOKENS, " ", 1),
    scheme=SCHEMES,
    separator=st.sampled_from(["tab", "blank"]),
)
def test_conll_holds_sentences_of_tokens(found: list[Document], scheme: str, separator: str) -> None:
    handle, lost, missed = io.BytesIO(), Losses(), Losses()
    write(found, handle, "conll", tokens="blanks", joiner="blank", scheme=scheme, separator=separator, losses=lost)
    handle.seek(0)
    again = list(
        read(handle, "conll", scheme=scheme, separator=separator, joiner="blank", level="sentence", losses=missed)
    )
    assert again == found
    assert set(lost.counts) == {"altered: document ids are not kept"} and not missed.counts


@given(found=_tokenised(TOKENS, " ", 3))
def test_conll_holds_documents_of_several_sentences(found: list[Document]) -> None:
    handle = io.BytesIO()
    write(found, handle, "conll", tokens="blanks", level="document")
    handle.seek(0)
    assert list(read(handle, "conll", joiner="blank")) == found


@given(found=_tokenised(CHINESE, "", 1), separator=st.sampled_from(["tab", "blank"]))
def test_conll_holds_characters_and_blanks_among_them(found: list[Document], separator: str) -> None:
    handle = io.BytesIO()
    write(found, handle, "conll", tokens="characters", separator=separator, scheme="BIOES")
    handle.seek(0)
    assert list(read(handle, "conll", joiner="none", scheme="BIOES")) == found


@settings(max_examples=50)
@given(found=_tokenised(st.sampled_from(["the", "BRCA", "gene", ",", "∆", "β"]), " ", 2))
def test_conll_finds_scheme_joiner_and_level_by_itself(found: list[Document]) -> None:
    handle = io.BytesIO()
    write(found, handle, "conll", tokens="words", level="document")
    handle.seek(0)
    assert list(read(handle)) == found


@given(
    found=documents(),
    tokens=st.sampled_from(["words", "blanks", "characters"]),
    joiner=st.sampled_from(["blank", "none"]),
)
def test_conll_counts_everything_that_it_cannot_hold(found: list[Document], tokens: str, joiner: str) -> None:
    assume(not any("-DOCSTART-" in document.text for document in found))
    handle, lost = io.BytesIO(), Losses()
    write(found, handle, "conll", tokens=tokens, level="document", scheme="BIO", joiner=joiner, losses=lost)
    handle.seek(0)
    again = iter(list(read(handle, "conll", scheme="BIO", joiner=joiner)))
    for before in found:
        told = [(loss.action, loss.reason) for loss in lost if loss.document == before.id]
        told = [loss for loss in told if loss[1] != "document ids are not kept"]
        if ("skipped", "document without words") in told:
            continue
        after = next(again)
        assert len(before.entities) - len(after.entities) == sum(action == "dropped" for action, _ in told)
        assert told or (after.text, after.entities) == (before.text, before.entities)
    assert not list(again)


@given(text=texts(ANY | MEAN))
def test_plain_text_is_read_as_it_stands(text: str) -> None:
    assert [document.text for document in read(io.BytesIO(("\ufeff" + text).encode()), "txt")] == [text]
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    assert [d.text for d in read(io.StringIO(text, newline=""), "txt", per="line", encoding="utf-8")] == [
        line for line in lines if line and not line.isspace()
    ]


def test_our_own_lines_are_what_the_documentation_says() -> None:
    handle = io.StringIO()
    write([Document("a", "β gene", (Entity(2, 6, "Gene", 0.5),), ((0, 1),))], handle, "jsonl")
    assert json.loads(handle.getvalue()) == {
        "id": "a",
        "text": "β gene",
        "entities": [{"start": 2, "end": 6, "label": "Gene", "score": 0.5}],
        "unknown": [[0, 1]],
    }


@pytest.mark.parametrize("format", ["brat", "conll", "jsonl", "pubtator"])
def test_a_text_that_begins_with_a_byte_order_mark_keeps_it(format: str, tmp_path: Path) -> None:
    found = [Document("\ufeffa" if format == "pubtator" else "a", "\ufeff b", (Entity(2, 3, "X"),))]
    write(found, tmp_path / "out", format, **({"tokens": "blanks"} if format == "conll" else {}))
    again = list(read(tmp_path / "out", format))
    assert [(document.text, document.entities) for document in again] == [("\ufeff b", (Entity(2, 3, "X"),))]
    assert format != "pubtator" or again == found


def test_pubtator_keeps_a_mention_that_is_the_line_break_at_the_end() -> None:
    again, lost, _ = _again([Document("a", "b\n", (Entity(1, 2, "X"),))], "pubtator")
    assert again == [Document("a", "b ", (Entity(1, 2, "X"),))] and lost.counts == {
        "altered: line breaks became blanks": 1
    }


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_brat_cuts_line_ends_off_a_mention_and_says_so(end: str, tmp_path: Path) -> None:
    lost, document = Losses(), Document("a", f"b{end}c", (Entity(0, 1 + len(end), "X"), Entity(1, 1 + len(end), "Y")))
    write([document], tmp_path / "out", "brat", losses=lost)
    assert list(read(tmp_path / "out")) == [Document("a", f"b{end}c", (Entity(0, 1, "X"),))]
    assert lost.counts == {"snapped: line break at the end of a mention": 1, "dropped: mention of line breaks alone": 1}


def test_brat_makes_file_names_of_any_id_and_says_so(tmp_path: Path) -> None:
    lost, ids = Losses(), ["A", "a", "b", "B", "../../x", "/etc/x", "", "CON:1", "y" * 300, "..", "a\\b"]
    write([Document(name, "b") for name in ids], tmp_path / "out", "brat", losses=lost)
    again = [document.id for document in read(tmp_path / "out", "brat")]
    assert len({name.casefold() for name in again}) == len(ids)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert lost.counts == {"altered: id is no file name": len(ids) - 2}


def test_our_own_lines_may_spell_their_mentions_and_are_held_to_them() -> None:
    line = (
        '{"text": "😀 asthma", "entities": [{"start": 3, "end": 9, "label": "Disease", "text": "asthma", "by": "x"}]}'
    )
    losses = Losses()
    (document,) = read(io.StringIO(line), "jsonl", losses=losses)
    assert [document.mention(entity) for entity in document.entities] == ["asthma"]
    assert losses.counts == {"altered: offsets counted in utf-16": 1, 'skipped: member "by" is not read': 1}
    with pytest.raises(DataError, match="'asthma' is said to stand where"):
        list(read(io.StringIO(line.replace("😀", "a bad")), "jsonl", mismatch="raise"))
