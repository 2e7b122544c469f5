"""PubTator, brat, BioC, PubAnnotation and the Chinese JSON lines as they occur. All texts are invented."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented import ANY, MEAN

from transfuse.formats import read
from transfuse.losses import Losses
from transfuse.mentions import UNITS
from transfuse.text import DataError, Document, Entity


def _read(text: str, format: str, **options: Any) -> tuple[list[Document], dict[str, int]]:
    losses = Losses()
    return list(read(io.StringIO(text, newline=""), format, losses=losses, **options)), losses.counts


def _mentions(found: list[Document]) -> list[str]:
    return [document.mention(entity) for document in found for entity in document.entities]


# PubTator


def test_pubtator_joins_title_and_abstract_with_one_character() -> None:
    text = (
        "\n7|t|Fever in mice.\n7|a|A drug helps.\n7\t0\t5\tFever\tDisease\tD005334\n7\t17\t21\tdrug\tChemical\tx\ty\n\n"
    )
    found, lost = _read(text, "pubtator")
    assert found == [
        Document("7", "Fever in mice.\nA drug helps.", (Entity(0, 5, "Disease"), Entity(17, 21, "Chemical")))
    ]
    assert not lost


def test_pubtator_blocks_with_one_id_are_documents_of_their_own() -> None:
    found, lost = _read("7|t|One.\n7|a|\n7\t0\t3\tOne\tX\n\n7|t|Two.\n7|a|\n\n7|t|Three.\n7|a|\n", "pubtator")
    assert [(document.id, document.text) for document in found] == [("7", "One."), ("7#2", "Two."), ("7#3", "Three.")]
    assert lost == {"altered: document id is there twice": 2}


def test_pubtator_blocks_need_no_empty_line_between_them() -> None:
    found, _ = _read("7|t|One.\n7\t0\t3\tOne\tX\n8|t|Two.\n8|a|More.\n", "pubtator")
    assert [document.text for document in found] == ["One.", "Two.\nMore."]


def test_pubtator_text_may_hold_bars_and_tabs() -> None:
    found, lost = _read("7|t|a|b|t|c\td\te\tf\tg\n7|a|x|a|y\n7\t2\t3\tb\tX|t|Y\n", "pubtator")
    assert found[0].text == "a|b|t|c\td\te\tf\tg\nx|a|y" and found[0].entities == (Entity(2, 3, "X|t|Y"),) and not lost


def test_pubtator_relations_are_counted() -> None:
    found, lost = _read("7|t|One.\n7\tCID\tD1\tD2\n7\tNegative_Correlation\tD1\tD2\tNovel\n", "pubtator")
    assert not found[0].entities
    assert lost == {"skipped: relation CID": 1, "skipped: relation Negative_Correlation": 1}


# mentions that are not where they should be


@pytest.mark.parametrize(
    ("mismatch", "mentions", "lost"),
    [
        ("keep", ["bc"], {"altered: mention differs from the text": 1}),
        ("move", ["cd"], {"snapped: mention moved to where its words stand": 1}),
        ("drop", [], {"dropped: mention differs from the text": 1}),
    ],
)
def test_a_mention_that_differs_from_the_text(mismatch: str, mentions: list[str], lost: dict[str, int]) -> None:
    for text, format in (
        ("7|t|abcdefg\n7\t1\t3\tcd\tX\n", "pubtator"),
        ('{"text": "abcdefg", "label": {"X": {"cd": [[1, 2]]}}}', "cluener"),
    ):
        found, counts = _read(text, format, mismatch=mismatch)
        assert _mentions(found) == mentions and counts == lost


def test_a_mention_that_differs_may_raise() -> None:
    with pytest.raises(DataError, match=r"^<handle>:2: document 7: 'cd' is said to stand where 'bc' does$"):
        _read("7|t|abcdefg\n7\t1\t3\tcd\tX\n", "pubtator", mismatch="raise")


def test_a_mention_that_ends_behind_the_text_is_cut_or_moved() -> None:
    text = "7|t|abc\n7\t2\t5\tbc\tX\n"
    assert _read(text, "pubtator")[1] == {"snapped: offsets outside the text": 1}
    assert _mentions(_read(text, "pubtator")[0]) == ["c"]
    assert _mentions(_read(text, "pubtator", mismatch="move")[0]) == ["bc"]
    assert _read(text, "pubtator", mismatch="drop")[1] == {"dropped: offsets outside the text": 1}


def test_white_space_of_another_kind_is_no_difference() -> None:
    assert not _read("7|t|a\u00a0 b\n7\t0\t4\ta b\tX\n", "pubtator")[1]


def test_the_same_mention_twice_counts_once() -> None:
    found, lost = _read("7|t|ab\n7\t0\t2\tab\tX\n7\t0\t2\tab\tX\n7\t0\t2\tab\tY\n", "pubtator")
    assert len(found[0].entities) == 2 and lost == {"dropped: the same mention twice": 1}


# units


def _in_unit(text: str, place: int, unit: str) -> int:
    before = text[:place]
    match unit:
        case "utf-16":
            return len(before.encode("utf-16-le")) // 2
        case "bytes":
            return len(before.encode())
        case "crlf":
            return len(before.replace("\r\n", "\n"))
    return place


@given(data=st.data(), unit=st.sampled_from(list(UNITS)))
def test_offsets_in_any_unit_find_their_mention_when_the_unit_is_named(data: st.DataObject, unit: str) -> None:
    text = data.draw(st.text(ANY | MEAN, min_size=1))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = _in_unit(text, start, unit), _in_unit(text, end, unit)
    if first == last or (unit == "crlf" and "\r\n" in (text[start - 1 : start + 1], text[end - 1 : end + 1])):
        return
    for format, value in (
        ("ccks", {"originalText": text, "entities": [{"start_pos": first, "end_pos": last - 1, "label_type": "X"}]}),
        ("pubannotation", {"text": text, "denotations": [{"span": {"begin": first, "end": last}, "obj": "X"}]}),
    ):
        found, lost = _read(json.dumps(value), format, unit=unit)
        assert found[0].entities == (Entity(start, end, "X"),)
        assert lost == ({} if unit == "characters" else {f"altered: offsets counted in {unit}": 1})


@pytest.mark.parametrize("unit", ["utf-16", "bytes", "crlf"])
def test_the_unit_is_found_out_where_mentions_are_spelled(unit: str, tmp_path: Path) -> None:
    text = "𝒳é\r\nthe gene 𝒴βγ binds"
    places = [(text.index(word), text.index(word) + len(word), word) for word in ("gene", "𝒴βγ", "binds")]
    lines = [f"T1\tX {_in_unit(text, a, unit)} {_in_unit(text, b, unit)}\t{word}\n" for a, b, word in places]
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.ann").write_text("".join(lines), encoding="utf-8")
    losses = Losses()
    found = list(read(tmp_path, losses=losses))
    assert _mentions(found) == [word for _, _, word in places]
    assert losses.counts == {f"altered: offsets counted in {unit}": 1}


@pytest.mark.parametrize("last", [4, 5])
def test_code_points_win_a_tie_and_one_wrong_mention_does_not_turn_the_unit(last: int) -> None:
    text = f"7|t|é a b c d\n7\t2\t3\ta\tX\n7\t{last}\t{last + 1}\tb\tX\n"
    text += "7\t7\t8\tc\tX\n" if last == 4 else ""
    found, lost = _read(text, "pubtator")
    assert _mentions(found)[:1] == ["a"] and lost == {"altered: mention differs from the text": 1}


# brat


def _brat(folder: Path, annotations: str, text: str = "red and white cells", **options: Any) -> Any:
    (folder / "a.txt").write_bytes(text.encode())
    (folder / "a.ann").write_text(annotations, encoding="utf-8")
    losses = Losses()
    return list(read(folder, losses=losses, **options)), losses.counts


@pytest.mark.parametrize(
    ("fragments", "mentions", "lost"),
    [
        ("join", ["red and white cells"], {"joined: discontinuous mention": 1}),
        ("first", ["red"], {"snapped: discontinuous mention": 1}),
        ("drop", [], {"dropped: discontinuous mention": 1}),
    ],
)
def test_discontinuous_mentions(fragments: str, mentions: list[str], lost: dict[str, int], tmp_path: Path) -> None:
    found, counts = _brat(tmp_path, "T1\tCell 0 3;14 19\tred cells\n", fragments=fragments)
    assert _mentions(found) == mentions and counts == lost


def test_pieces_parted_by_a_line_end_are_one_mention(tmp_path: Path) -> None:
    found, lost = _brat(tmp_path, "T1\tCell 0 3;4 7\tred and\n", "red\nand", fragments="drop")
    assert _mentions(found) == ["red\nand"] and lost == {"joined: pieces parted by white space alone": 1}


def test_overlapping_mentions_stay_and_what_is_no_mention_is_counted(tmp_path: Path) -> None:
    lines = [
        "T1\tCell 0 19\tred and white cells",
        "T2\tColour 8 13\twhite",
        "E1\tBinding:T1 Theme:T2",
        "R1\tPart Arg1:T1 Arg2:T2",
        "*\tEquiv T1 T2",
        "A1\tNegation E1",
        "M1\tSpeculation E1",
        "N1\tReference T1 CL:1\tcell",
        "#1\tAnnotatorNotes T1\tT9\tnot sure",
    ]
    found, lost = _brat(tmp_path, "\n".join(lines))
    assert _mentions(found) == ["red and white cells", "white"]
    assert lost == {
        "skipped: relation": 2,
        "skipped: attribute": 2,
        "skipped: event": 1,
        "skipped: normalisation": 1,
        "skipped: note": 1,
    }


def test_brat_reads_a_folder_of_folders_in_natural_order_and_single_files(tmp_path: Path) -> None:
    for name in ("x/10", "x/9", "y/1.2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text("ab")
        (tmp_path / f"{name}.ann").write_text("T1\tX 0 2\tab\n")
    (tmp_path / "x" / "11.txt").write_text("no annotations")
    assert [document.id for document in read(tmp_path)] == ["x/9", "x/10", "x/11", "y/1.2"]
    for suffix in ("txt", "ann"):
        single = list(read(tmp_path / "x" / f"9.{suffix}"))
        assert single == [Document("9", "ab", (Entity(0, 2, "X"),))]


# BioC and PubAnnotation

PASSAGES = """<?xml version="1.0"?><!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source>x</source><date/><key/>
<document><id>7</id>
 <passage><infon key="type">title</infon><offset>0</offset><text>Fever</text>
  <annotation id="1"><infon key="type">Disease</infon><location offset="0" length="5"/><text>Fever</text></annotation>
 </passage>
 <passage><offset>8</offset>
  <sentence><offset>8</offset><text>A drug.</text>
   <annotation id="2"><infon key="type">Chemical</infon><location offset="10" length="4"/><text>drug</text></annotation>
   <annotation id="3"><infon key="type">Chemical</infon></annotation>
  </sentence>
  <sentence><offset>16</offset><text>It helps</text></sentence>
  <relation id="R1"><node refid="1" role="x"/></relation>
 </passage>
</document></collection>"""


def test_bioc_passages_and_sentences_become_one_text_with_their_offsets() -> None:
    found, lost = _read(PASSAGES, "bioc-xml")
    assert found == [
        Document("7", "Fever\n  A drug.\nIt helps", (Entity(0, 5, "Disease"), Entity(10, 14, "Chemical"))),
    ]
    assert lost == {"skipped: relation": 1, "skipped: annotation without a location": 1}


def test_bioc_xml_comments_are_no_text_and_do_not_cut_it() -> None:
    assert _read(PASSAGES.replace("It helps", "It <!-- really -->helps"), "bioc-xml") == _read(PASSAGES, "bioc-xml")


def test_bioc_json_reads_what_the_library_makes_of_bioc_xml() -> None:
    from bioc import biocjson, biocxml

    text = biocjson.dumps(biocxml.loads(PASSAGES))
    assert _read(text, "auto") == _read(PASSAGES, "auto")


def test_bioc_offsets_in_bytes_are_found_out_across_passages() -> None:
    def passage(offset: int, text: str, place: int, word: str) -> dict[str, Any]:
        location = {"offset": offset + place, "length": len(word.encode())}
        annotation = {"infons": {"type": "X"}, "text": word, "locations": [location]}
        return {"offset": offset, "text": text, "annotations": [annotation]}

    value = {
        "id": "1",
        "passages": [passage(0, "éé ab", 5, "ab"), passage(8, "β cd é", 3, "cd"), passage(17, "é", 0, "é")],
    }
    found, lost = _read(json.dumps(value), "bioc-json")
    assert found[0].text == "éé ab\nβ cd é\né" and _mentions(found) == ["ab", "cd", "é"]
    assert lost == {"altered: offsets counted in bytes": 1}


def test_bioc_passages_that_overlap_are_put_behind_each_other_and_counted() -> None:
    found, lost = _read('{"passages": [{"offset": 0, "text": "abc"}, {"offset": 2, "text": "def"}]}', "bioc-json")
    assert found[0].text == "abc\ndef" and lost == {"altered: passages overlap": 1}


def test_pubannotation_alone_in_an_array_and_one_behind_the_other() -> None:
    first = {"sourcedb": "PubMed", "sourceid": "7", "divid": 1, "text": "ab cd", "relations": [{"id": "R1"}]}
    first["denotations"] = [{"id": "T1", "span": [{"begin": 0, "end": 1}, {"begin": 3, "end": 5}], "obj": "X"}]
    second = {"text": "ef"}
    expected = [Document("PubMed:7-1", "ab cd", (Entity(0, 5, "X"),)), Document("handle/2", "ef")]
    for text in (json.dumps([first, second], indent=1), f"{json.dumps(first)}\n{json.dumps(second, indent=2)}"):
        found, lost = _read(text, "pubannotation")
        assert found == expected
        assert lost == {"skipped: relation": 1, "joined: discontinuous mention": 1}


# JSON lines


def test_jsonl_names_what_it_does_not_read_once() -> None:
    found, lost = _read('{"text": "a", "meta": 1}\n\n{"id": 3, "text": "b", "meta": 2, "entities": null}\n', "jsonl")
    assert [document.id for document in found] == ["handle/1", "3"]
    assert lost == {'skipped: member "meta" is not read': 1}


def test_cluener_ends_are_inclusive_and_labels_may_be_missing() -> None:
    text = '{"text": "患者发热", "label": {"症状": {"发热": [[2, 3]]}}}\n{"id": 0, "text": "无"}\n'
    found, lost = _read(text, "cluener")
    assert found == [Document("handle/1", "患者发热", (Entity(2, 4, "症状"),)), Document("0", "无")] and not lost


@pytest.mark.parametrize(("end", "mention"), [("exclusive", "发"), ("inclusive", "发热")])
def test_ccks_ends_are_what_they_are_said_to_be(end: str, mention: str) -> None:
    entity = {"start_pos": 2, "end_pos": 3, "label_type": "症状", "overlap": 0}
    found, _ = _read(json.dumps({"originalText": "患者发热", "entities": [entity]}), "ccks", end=end)
    assert _mentions(found) == [mention]
    if end == "exclusive":
        with pytest.raises(DataError, match="end=inclusive"):
            _read(json.dumps({"originalText": "患者", "entities": [entity | {"end_pos": 2}]}), "ccks", end=end)
