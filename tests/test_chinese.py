"""Chinese clinical text: characters as words, records cut into sentences, widths, lists of words, vectors."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse import bundle, corpora, formats
from transfuse.context import Context, find_gazetteer
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.gazetteer import Gazetteer, Matching
from transfuse.taggers.linear import features
from transfuse.taggers.neural import NeuralTagger, read_sentences
from transfuse.taggers.reading import pieces
from transfuse.taggers.vectors import Vectors, read_vectors, train_vectors
from transfuse.taggers.vocabulary import FormTable, Vocabulary, normalise
from transfuse.text import Document, Entity
from transfuse.words import WIDTHS, fold_width, sentences, words

WIDE = {narrow: wide for wide, narrow in WIDTHS.items() if isinstance(narrow, int)}
CLINICAL = "患者头痛发热予5-FUＡｂ１ctx，,。；！？;!?\n（）() "
TEXTS = st.text(st.sampled_from(CLINICAL), max_size=40)
PARTS = Gazetteer([("头痛", "Sign"), ("头", "Part"), ("5-FU", "Drug"), ("ＡＢ", "Test")], Matching(minimum=1))


def widened(text: str, seed: int) -> str:
    """Some of its letters, digits and symbols in full width."""
    draw = random.Random(seed)
    return "".join(chr(WIDE[ord(c)]) if ord(c) in WIDE and draw.random() < 0.5 else c for c in text)


def shown(text: str) -> list[str]:
    return [text[a:b] for a, b in words(text)]


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("予5-FU联合CTX化疗2周期", "予 5 - FU 联 合 CTX 化 疗 2 周 期"),
        ("口服Aspirin肠溶片100mg，qd", "口 服 Aspirin 肠 溶 片 100 mg ， qd"),
        ("ＣＥＡ１２．５ｎｇ／ｍｌ升高", "ＣＥＡ １２ ． ５ ｎｇ ／ ｍｌ 升 高"),
        ("维生素B12（Vit B12）", "维 生 素 B 12 （ Vit B 12 ）"),
        ("PD-1抑制剂/α干扰素", "PD - 1 抑 制 剂 / α 干 扰 素"),
    ],
)
def test_latin_names_are_words_and_chinese_characters_are(text: str, expected: str) -> None:
    assert shown(text) == expected.split()
    assert shown(fold_width(text)) == fold_width(expected).split()


# Sentences


def by_character(text: str, mentions: list[tuple[int, int]]) -> list[str]:
    """Cut behind each of the Chinese marks, and a half-width one before a Chinese character, outside of mentions."""
    found, last = [], 0
    for place in range(1, len(text)):
        bare = text[:place].rstrip("）)")
        closed, mark, following = len(bare) < place, bare[-1:], text[place]
        behind = mark in "。；！？" and following not in "）)" and (closed or following not in "。；！？")
        narrow = mark in ";!?" and "\u4e00" <= following <= "\u9fff"
        cut = (mark and (behind or narrow)) or text[place - 1] == "\n" or following == "\n"
        if cut and not any(a < place < b for a, b in mentions):
            found.append(text[last:place])
            last = place
    return [part.strip() for part in [*found, text[last:]] if part.strip()]


@given(st.text(st.sampled_from("患者头痛，。；！？;!?\n（）()"), max_size=30), st.data())
def test_a_record_is_cut_at_its_marks_and_never_inside_a_mention(text: str, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True).map(sorted))
    mentions = list(zip(numbers[::2], numbers[1::2], strict=False))
    assert [text[a:b] for a, b in sentences(text, mentions)] == by_character(text, mentions)


@given(TEXTS, st.data())
def test_training_and_tagging_cut_alike_but_for_mentions(text: str, data: st.DataObject) -> None:
    from transfuse.taggers.architecture import TagSet

    table = FormTable(Vocabulary.of([], [], buckets=0))
    document = Document("d", text)
    learned = read_sentences([document], table, TagSet(("X",)), annotated=("X",))
    read = pieces([document])
    assert [len(s.forms) for s in learned] == [len(offsets) for _, offsets in read]
    if words(text):
        start = data.draw(st.sampled_from(words(text)))[0]
        end = data.draw(st.sampled_from([b for _, b in words(text) if b > start]))
        marked = read_sentences(
            [Document("d", text, [Entity(start, end, "X")])], table, TagSet(("X",)), annotated=("X",)
        )
        outside, *_ = TagSet(("X",)).names
        assert outside == "O"
        inside = [sum(tag > 0 for tag in sentence.tags) for sentence in marked]
        assert [number for number in inside if number] == [len(words(text, start, end))]


# Widths


def test_widths_are_those_of_unicode() -> None:
    for wide, usual in WIDTHS.items():
        character = usual if isinstance(usual, str) else chr(usual)
        assert unicodedata.normalize("NFKC", chr(wide)) == character
    assert len(WIDTHS) == 94 + 5


@given(TEXTS, st.integers(0, 99))
def test_width_changes_nothing_that_is_read(text: str, seed: int) -> None:
    other = widened(text, seed)
    offsets = words(text)
    assert words(other) == offsets
    assert fold_width(other) == fold_width(text)
    assert len(fold_width(other)) == len(text)
    vocabulary = Vocabulary.of(["头", "fu", ","], shown(text) * 3, buckets=50, context=Context((PARTS,)))
    assert vocabulary == Vocabulary.of(["头", "fu", ","], shown(other) * 3, buckets=50, context=vocabulary.context)
    one, two = (FormTable(vocabulary) for _ in range(2))
    one.numbers(one.spell(text, offsets))
    rows = [two.numbers(two.spell(other, [place]))[0] for place in offsets]
    assert len(rows) == len(offsets)
    assert features(shown(other)) == features(shown(text))
    (found,), (again,) = (PARTS.tag([Document("d", each)]) for each in (text, other))
    assert found.entities == again.entities


@given(TEXTS.filter(lambda text: bool(words(text))), st.integers(0, 99))
def test_a_form_has_the_same_rows_in_either_width(text: str, seed: int) -> None:
    offsets = words(text)
    vocabulary = Vocabulary.of(["头", "fu", ","], shown(text) * 3, buckets=50, context=Context((PARTS,)))
    table = FormTable(vocabulary)
    forms = [table.numbers(table.spell(each, offsets)) for each in (text, widened(text, seed))]
    known = table.forms()
    for name in ("words", "trained", "chars", "features", "context"):
        rows = getattr(known, name)
        assert rows[forms[0]].tolist() == rows[forms[1]].tolist(), name


def test_full_width_names_meet_half_width_ones() -> None:
    assert normalise("ＣＥＡ１９") == normalise("cea19") == "cea00"
    text = "查AB、５－ＦＵ"
    (document,) = PARTS.tag([Document("d", text)])
    assert [(document.mention(e), e.label) for e in document.entities] == [("AB", "Test"), ("５－ＦＵ", "Drug")]


# Lists of words


def test_a_list_of_chinese_words_is_matched_without_borders(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("头痛\t词\n偏头痛\t词\n阿司匹林\t词\n痛\t词\n", encoding="utf-8")
    gazetteer = find_gazetteer(f"terms:{tmp_path / 'words.tsv'}")
    assert "痛" not in {name for name, _ in gazetteer.terms}, "one character is too little to go by"
    text = "偏头痛予阿司匹林，头痛好转"
    (column,) = zip(*Context((gazetteer,)).read(text, words(text)), strict=True)
    names = ["O", "B", "I", "E", "S"]
    assert [names[row] for row in column] == list("BIEOBIIEOBEOO")


@pytest.mark.mirror
def test_the_published_word_lists_are_read_by_name() -> None:
    medicine = find_gazetteer("thuocl-medicine")
    sizes = [len(name) for name, _ in medicine.terms]
    assert len(sizes) > 18_500
    assert sizes.count(2) > 2900, "most words of Chinese have two characters"
    assert min(sizes) == 2


# The whole


def notes(count: int, seed: int) -> Iterator[Document]:
    """Invented records of several sentences: a drug is what follows a verb of giving, a sign what a patient has."""
    draw = random.Random(seed)
    signs, drugs = ["头痛", "发热", "咳嗽", "胸闷"], ["阿司匹林", "5-FU", "CTX", "ｃｔｘ", "青霉素Ｖ"]
    for number in range(count):
        text, found = "", []
        for _ in range(draw.randint(2, 5)):
            for before, names, label in (("患者", signs, "Sign"), ("，予", drugs, "Drug")):
                name = draw.choice(names)
                text += before
                found.append(Entity(len(text), len(text) + len(name), label))
                text += name
            text += draw.choice(["治疗。", "口服；", "静滴!", "好转？"])
        yield Document(str(number), text, found)


def test_a_character_tagger_learns_with_vectors_of_raw_text_and_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.tsv").write_text("阿司匹林\t词\n头痛\t词\n", encoding="utf-8")
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(corpora, "raw", lambda name: (Document(d.id, d.text) for d in notes(60, 9)))
    splits = {
        split: tuple(notes(number, i)) for i, (split, number) in enumerate({"train": 30, "dev": 5, "test": 15}.items())
    }
    (tmp_path / "notes").mkdir()
    for split, documents in splits.items():
        formats.write(documents, tmp_path / "notes" / f"{split}.jsonl", "jsonl")
    encoder = {"hidden": 16, "characters": "none", "word_rate": 1.0, "gazetteers": [f"terms:{tmp_path / 'words.tsv'}"]}
    recipe = make_recipe(
        {
            "data": {"target": str(tmp_path / "notes")},
            "method": {
                "name": "target-only",
                "vectors": {"kind": "train", "text": ["zh-medical-text"], "width": 8, "count": 2},
                "architecture": {"encoder": encoder},
                "training": {"epochs": 4, "steps": 25, "average": 0.0, "rate": 0.02},
            },
        }
    )
    scores = run_recipe(recipe, tmp_path / "run")
    assert scores["test"]["strict"]["micro"]["f1"] > 0.9
    told = {
        line["event"]: line for line in map(json.loads, (tmp_path / "run" / "records.jsonl").read_text().splitlines())
    }
    assert told["vectors"]["kind"] == "train"
    (kept,) = (tmp_path / "cache" / "vectors").iterdir()
    known = read_vectors(kept).words
    assert {"头", "ctx", "fu", ",", "?"} <= set(known)
    assert not {"ｃｔｘ", "，", "？"} & set(known), "one vector for both widths"
    tagger = bundle.load(tmp_path / "run" / "bundle")
    assert isinstance(tagger, NeuralTagger)
    record = Document("r", "患者咳嗽，予CTX口服；" * 30)
    (found,) = tagger.tag([record])
    assert {found.mention(entity) for entity in found.entities} == {"咳嗽", "CTX"}
    (wide,) = tagger.tag([Document("r", record.text.replace("CTX", "ＣＴＸ"))])
    assert wide.entities == found.entities, "the offsets are those of the text"


@pytest.mark.mirror
def test_vectors_of_the_published_text_are_of_characters(tmp_path: Path) -> None:
    sample = list(islice(corpora.raw("zh-medical-text"), 2000))
    settings = Vectors(kind="train", text=("zh-medical-text",), width=8)
    found = train_vectors(sample, settings, cache=tmp_path).words
    assert sum(len(word) == 1 for word in found) > 0.9 * len(found) > 700
    assert [word for word in found if len(word) > 1 and not word.isalnum()] == []
    assert all(normalise(word) == word for word in found)
