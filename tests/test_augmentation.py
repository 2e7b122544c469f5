"""Altered copies: labelled text stays labelled text, offsets stay right, and nobody else's documents change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.data.augmentation import Augment, augmented, rewritten
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.reporting.results import read_run
from transfuse.run import Run
from transfuse.text import ConfigError, DataError, Document, Entity, Task
from transfuse.words import words

FORMS = ["fever", "p", "53", "IL", "-", "2", "α", "of", "the", "肝", "炎", "(", ")", "é", "gout"]


@st.composite
def documents(draw: st.DrawFn, nested: bool = False, ends: tuple[str, ...] = (". The ", "\n")) -> Document:
    """Words, some run together, some on a line of their own; mentions of whole words; ranges that are not known."""
    text, offsets = "", []
    for form, blank in draw(st.lists(st.tuples(st.sampled_from(FORMS), st.sampled_from(["", " ", " ", *ends])))):
        text += form + blank
    offsets = words(text)
    entities: set[Entity] = set()
    unknown = []
    for first in range(len(offsets)):
        chance, length = draw(st.integers(0, 9)), draw(st.integers(1, 3))
        span = offsets[first][0], offsets[min(first + length, len(offsets)) - 1][1]
        entity = Entity(*span, draw(st.sampled_from("AB")))
        if chance < 3 and (nested or not any(entity.overlaps(other) for other in entities)):
            entities.add(entity)
        elif chance == 9:
            unknown.append(span)
    return Document("", text, tuple(entities), tuple(unknown))


def numbered(some: Sequence[Document]) -> list[Document]:
    return [Document(f"d{i}", d.text, d.entities, d.unknown) for i, d in enumerate(some)]


collections = st.lists(documents(), min_size=1, max_size=3).map(numbered)
nested = st.lists(documents(nested=True), min_size=1, max_size=3).map(numbered)
settings = st.builds(
    Augment,
    copies=st.integers(1, 3),
    mentions=st.sampled_from([0.0, 0.5, 1.0]),
    tokens=st.sampled_from([0.0, 0.5]),
    shuffle=st.sampled_from([0.5, 1.0]),
)


def surfaces(some: Sequence[Document]) -> set[tuple[str, str]]:
    return {(document.mention(entity), entity.label) for document in some for entity in document.entities}


def tagged(document: Document) -> Counter[tuple[str, str]]:
    """Words with the place that they have in the mention that holds them."""
    found: Counter[tuple[str, str]] = Counter()
    for start, end in words(document.text):
        inside = [e for e in document.entities if e.start <= start and end <= e.end]
        tag = f"{'B' if inside[0].start == start else 'I'}-{inside[0].label}" if inside else "O"
        found[document.text[start:end], tag] += 1
    return found


@given(collections, settings)
def test_copies_are_labelled_text_in_which_nothing_overlaps(some, chosen):
    before = [Document(d.id, d.text, d.entities, d.unknown) for d in some]
    made = augmented(some, chosen, seed=1)
    assert some == before
    assert made == augmented(some, chosen, seed=1)
    names = [copy.id for copy in made]
    assert len({*names, *(d.id for d in some)}) == len(names) + len(some)
    parents = {d.id: d for d in some}
    for copy in made:
        parent = parents[copy.id.partition("#")[0]]
        offsets = words(copy.text)
        starts, ends = {start for start, _ in offsets}, {end for _, end in offsets}
        assert all(e.start in starts and e.end in ends for e in copy.entities)
        pairs = zip(copy.entities, copy.entities[1:], strict=False)
        assert not any(first.overlaps(second) for first, second in pairs)
        assert not Counter(e.label for e in copy.entities) - Counter(e.label for e in parent.entities)


@given(nested, st.floats(0.1, 1.0))
def test_other_mentions_are_mentions_of_the_documents(some, rate):
    for copy in augmented(some, Augment(copies=2, mentions=rate), seed=0):
        assert surfaces([copy]) <= surfaces(some)


@given(nested, settings)
def test_what_is_not_known_stays_as_it_is(some, chosen):
    ranges = {document.id: [document.text[a:b] for a, b in document.unknown] for document in some}
    for copy in augmented(some, chosen, seed=0):
        whole = ranges[copy.id.partition("#")[0]]
        assert all(any(copy.text[a:b] in text for text in whole) for a, b in copy.unknown)


@given(collections, st.floats(0.1, 1.0))
def test_other_words_have_the_label_and_the_place_of_the_ones_they_replace(some, rate):
    known = sum(map(tagged, some), Counter())
    for copy in augmented(some, Augment(tokens=rate), seed=0):
        assert tagged(copy).keys() <= known.keys()


@given(documents(ends=()))
def test_shuffled_segments_have_the_same_words(document):
    line = Document("d", document.text, document.entities)
    for copy in augmented([line], Augment(shuffle=1.0), seed=0):
        assert copy.text != line.text and len(copy.text) == len(line.text.strip())
        assert [(e.label, e.end - e.start) for e in copy.entities] == [
            (e.label, e.end - e.start) for e in line.entities
        ]
        for old, new in zip(line.entities, copy.entities, strict=True):
            assert sorted(line.mention(old)) == sorted(copy.mention(new))
        assert Counter(form for form, _ in tagged(copy).elements()) == Counter(f for f, _ in tagged(line).elements())


@given(collections, settings)
def test_more_copies_hold_the_fewer(some, chosen):
    fewer = augmented(some, Augment(1, chosen.mentions, 0.0, chosen.tokens, chosen.shuffle), seed=0)
    more = augmented(some, Augment(3, chosen.mentions, 0.0, chosen.tokens, chosen.shuffle), seed=0)
    assert {copy.id: copy for copy in fewer}.items() <= {copy.id: copy for copy in more}.items()


@given(st.data())
def test_rewriting_moves_every_span_with_its_text(data):
    document = data.draw(documents(nested=True))
    borders = sorted(
        {x for e in document.entities for x in (e.start, e.end)} | {x for u in document.unknown for x in u}
    )
    edits = []
    for start, end in words(document.text):
        if data.draw(st.booleans()) and not any(start < border < end for border in borders):
            edits.append((start, end, data.draw(st.sampled_from(["x", "longer text"]))))
    new = rewritten(document, edits)

    def applied(start: int, end: int) -> str:
        text = document.text[start:end]
        for a, b, other in reversed([edit for edit in edits if start <= edit[0] and edit[1] <= end]):
            text = text[: a - start] + other + text[b - start :]
        return text

    assert new.text == applied(0, len(document.text))
    assert Counter((new.mention(e), e.label) for e in new.entities) == Counter(
        (applied(e.start, e.end), e.label) for e in document.entities
    )


NOTES = [
    Document(
        "a", "He has gout. She has Gout, too. Nothing here.", (Entity(7, 11, "Disease"), Entity(21, 25, "Disease"))
    ),
    Document("b", "Renal failure was seen.", (Entity(0, 13, "Disease"),)),
]


def test_synonyms_are_names_of_the_same_thing(tmp_path: Path):
    (tmp_path / "names.tsv").write_text(
        "gout\tpodagra\turic arthritis\nfever\tpyrexia\nrenal  failure\tkidney failure\n"
    )
    made = augmented(NOTES, Augment(copies=20, synonyms=1.0, lexicons=(str(tmp_path / "names.tsv"),)), seed=0)
    names = {name for name, _ in surfaces(made)}
    assert names == {"podagra", "uric arthritis", "kidney failure"}
    assert all("Nothing here" not in copy.text for copy in made)  # a sentence in which nothing has changed
    assert {copy.text.count("\n") for copy in made} == {0, 1}


def test_registered_lexicons_know_synonyms_and_keep_their_terms(monkeypatch, tmp_path: Path):
    from transfuse import lexicons

    path = tmp_path / "x.obo"
    path.write_text(
        '[Term]\nid: GO:1\nname: first one\nsynonym: "other \\{one\\}" EXACT []\nsynonym: "wide" BROAD []\n'
    )
    monkeypatch.setattr(lexicons.Lexicon, "concepts", lambda self: self.reader(path))
    assert list(lexicons.concepts("go-components")) == [("first one", "other {one}")]
    assert lexicons.terms("go-components") == (("first one", "CellularComponent"), ("other {one}", "CellularComponent"))


def test_names_of_mesh_are_without_the_marks_of_their_file(tmp_path: Path) -> None:
    from transfuse import lexicons

    path = tmp_path / "mesh.tsv"
    path.write_text("0\t1\t4-\\{methyl\\}benzoic acid\tCHEBI\t2\tplain\n0\t1\tleft out\tDOID\t2\tother\n", "utf-8")
    assert list(lexicons._mesh(path, "CHEBI")) == [("4-{methyl}benzoic acid", "plain")]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "augment changes nothing: set mentions, synonyms, tokens or shuffle"),
        ({"mentions": 1.5}, r"augment\.mentions lies in \[0, 1\]"),
        ({"mentions": 0.5, "copies": 0}, r"augment\.copies is at least 1"),
        ({"synonyms": 0.5}, "synonyms and lexicons mean nothing without each other"),
        ({"shuffle": 0.5, "lexicons": ["hpo"]}, "synonyms and lexicons mean nothing without each other"),
        ({"mention": 0.5}, r"unknown key data\.augment\.mention; did you mean data\.augment\.mentions\?"),
    ],
)
def test_settings_that_mean_nothing(table, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe({"data": {"target": "demo-neurology", "augment": table}})


def test_a_lexicon_without_a_second_name_is_refused(tmp_path: Path):
    (tmp_path / "names.tsv").write_text("gout\nfever\tFever\n")
    with pytest.raises(ConfigError, match="has a second name"):
        augmented(NOTES, Augment(synonyms=1.0, lexicons=(str(tmp_path / "names.tsv"),)), seed=0)


def test_names_side_by_side_do_not_run_together():
    some = [
        Document("a", "53. The fever", (Entity(0, 2, "A"), Entity(2, 3, "B"), Entity(4, 7, "A"), Entity(8, 13, "B")))
    ]
    for copy in augmented(some, Augment(copies=20, mentions=1.0), seed=1):
        offsets = words(copy.text)
        assert {e.start for e in copy.entities} <= {start for start, _ in offsets}


def test_lexicons_that_there_are_not(tmp_path: Path):
    with pytest.raises(ConfigError, match="'nowhere' is no file and no lexicon"):
        augmented(NOTES, Augment(synonyms=1.0, lexicons=("nowhere",)), seed=0)
    (tmp_path / "bad.tsv").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"bad\.tsv:1: byte 0xff is not utf-8"):
        augmented(NOTES, Augment(synonyms=1.0, lexicons=(str(tmp_path / "bad.tsv"),)), seed=0)


def test_a_run_learns_from_copies_of_what_is_labelled_and_says_how_many(tmp_path: Path, monkeypatch):
    seen: list[Task] = []
    table = {"data": {"target": "demo-neurology", "share": 0.1}, "method": {"name": "crfsuite", "iterations": 5}}
    plain = make_recipe(table)
    table["data"]["augment"] = {"mentions": 0.8, "copies": 2}  # type: ignore[index]
    copied = make_recipe(table)
    fit = type(copied.method).fit

    def spy(self: object, task: Task, *, run: Run) -> object:
        seen.append(task)
        return fit(self, task, run=run)

    monkeypatch.setattr(type(copied.method), "fit", spy)
    run_recipe(plain, tmp_path / "plain")
    run_recipe(copied, tmp_path / "copied")
    base, more = seen[0].target, seen[1].target
    assert more.train[: len(base.train)] == base.train and len(more.train) > len(base.train)
    assert (more.dev, more.test) == (base.dev, base.test)
    assert surfaces(more.train) == surfaces(base.train)
    (record,) = Run(tmp_path / "copied").records("augmented")
    assert record["documents"] == len(more.train) - len(base.train)
    first, second = (read_run(tmp_path / name) for name in ("plain", "copied"))
    assert first.data["labelled"] == second.data["labelled"] == len(base.train)
    assert second.recipe["data"]["augment"]["copies"] == 2
