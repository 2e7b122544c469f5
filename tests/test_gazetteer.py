"""Lists of names as taggers: against a search that tries every place, and the policies one by one."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse import bundle, lexicons
from transfuse.gazetteer import CASES, Gazetteer, Matching, common_words, read_terms, training_terms
from transfuse.losses import Losses
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document, Entity, Tagger
from transfuse.words import words

PLAIN = Matching(case="exact", plural=False, minimum=1)

pieces = st.sampled_from(
    ["a", "A", "ab", "b", "İ", "ß", "ẞ", "Σ", "é", "e\u0301", "1", "-", "病", " ", "  ", "\n", "\u3000"]
)
names = st.lists(pieces, min_size=1, max_size=4).map("".join)
texts = st.lists(pieces, max_size=14).map("".join)


def found(gazetteer: Gazetteer, text: str) -> list[tuple[str, str]]:
    (document,) = gazetteer.tag([Document("d", text)])
    return [(document.mention(entity), entity.label) for entity in document.entities]


def forms(text: str) -> list[str]:
    return [text[a:b] for a, b in words(text)]


def by_trying(terms: list[tuple[str, str]], text: str, folds: bool) -> list[Entity]:
    """Leftmost longest, by trying each place with each name, one word after another."""

    def same(ours: list[str], theirs: list[str]) -> bool:
        return [w.lower() for w in ours] == [w.lower() for w in theirs] if folds else ours == theirs

    offsets, entities, place = words(text), [], 0
    while place < len(offsets):
        fits = []
        for name, label in terms:
            last = place + len(forms(name))
            if last == place or last > len(offsets):
                continue
            start, end = offsets[place][0], offsets[last - 1][1]
            if same([text[a:b] for a, b in offsets[place:last]], forms(name)) and "\n" not in text[start:end]:
                fits.append((last, Entity(start, end, label)))
        longest = max((last for last, _ in fits), default=place + 1)
        entities += {entity for last, entity in fits if last == longest}
        place = longest
    return sorted(entities)


@given(st.lists(st.tuples(names, st.sampled_from("XY")), max_size=8), texts, st.booleans())
def test_finds_what_trying_every_place_finds(terms, text, folds):
    matching = Matching(case="ignore" if folds else "exact", plural=False, minimum=1)
    gazetteer = Gazetteer([("never this", "Z"), *terms], matching)
    (document,) = gazetteer.tag([Document("d", text)])
    assert list(document.entities) == by_trying(terms, text, folds)


@given(st.lists(st.tuples(names, st.just("X")), max_size=6), texts)
def test_a_mixture_of_cases_is_the_longest_of_both(terms, text):
    # Acronyms and other names are searched for apart; together they must be one search again.
    terms = [(name, label) for name, label in terms if forms(name)]
    gazetteer = Gazetteer([("never this", "Z"), *terms], Matching(acronym=2, plural=False, minimum=1))
    spelled = [t for t in terms if not gazetteer.matching.folds(forms(t[0]))]
    folded = [t for t in terms if gazetteer.matching.folds(forms(t[0]))]
    every = set()
    for names_, folds in ((spelled, False), (folded, True)):
        for term, start in product(names_, range(len(text))):
            every |= {Entity(e.start + start, e.end + start, "X") for e in by_trying([term], text[start:], folds)}
    starts, ends = {a for a, _ in words(text)}, {b for _, b in words(text)}
    left = sorted((e.start, -e.end) for e in every if e.start in starts and e.end in ends)
    expected, reached = [], 0
    for start, negative in left:
        if start >= reached:
            expected.append((start, -negative))
            reached = -negative
    (document,) = gazetteer.tag([Document("d", text)])
    assert [(e.start, e.end) for e in document.entities] == expected


def test_is_a_tagger():
    assert isinstance(Gazetteer([("asthma", "Disease")]), Tagger)


def test_longest_name_that_begins_first():
    gazetteer = Gazetteer([("lung", "A"), ("lung cancer", "D"), ("cancer of the skin", "D")], PLAIN)
    assert found(gazetteer, "lung cancer of the skin") == [("lung cancer", "D")]


def test_only_at_word_boundaries():
    gazetteer = Gazetteer([("ache", "D"), ("p5", "G")], PLAIN)
    assert found(gazetteer, "headache, ache; p53 p5") == [("ache", "D"), ("p5", "G")]


def test_blanks_between_words_do_not_count_and_line_breaks_part():
    gazetteer = Gazetteer([("beta-blocker use", "X"), ("use", "Y")], PLAIN)
    assert found(gazetteer, "beta - blocker  use") == [("beta - blocker  use", "X")]
    assert found(gazetteer, "beta-blocker\nuse") == [("use", "Y")]


@pytest.mark.parametrize("letter", ["İ", "ẞ", "ŉ", "ΐ", "ﬃ"])
def test_letters_whose_other_case_is_longer_shift_nothing(letter):
    gazetteer = Gazetteer([("Crohn disease", "D"), (f"x{letter}y", "L")], Matching(case="ignore"))
    text = f"{letter * 5} CROHN DISEASE x{letter}y {letter} crohn disease"
    assert found(gazetteer, text) == [("CROHN DISEASE", "D"), (f"x{letter}y", "L"), ("crohn disease", "D")]


def test_a_name_with_two_labels_gives_both():
    assert found(Gazetteer([("cat", "Species"), ("cat", "Gene")]), "a cat") == [("cat", "Gene"), ("cat", "Species")]


def test_chinese_names_need_no_blanks():
    assert found(Gazetteer([("糖尿病", "D")]), "患者有糖尿病史") == [("糖尿病", "D")]


def test_case_policies():
    terms, text = [("WAS", "G"), ("Insulin", "G")], "it was WAS, insulin, INSULIN"
    got = {case: [m for m, _ in found(Gazetteer(terms, Matching(case=case)), text)] for case in CASES}
    assert got == {
        "exact": ["WAS"],
        "ignore": ["was", "WAS", "insulin", "INSULIN"],
        "acronyms": ["WAS", "insulin", "INSULIN"],
    }
    long = Gazetteer(terms, Matching(acronym=2))
    assert [m for m, _ in found(long, text)] == ["was", "WAS", "insulin", "INSULIN"]


def test_plurals():
    gazetteer = Gazetteer([(n, "D") for n in ("seizure", "virus", "allergy", "essay", "mm")], Matching(minimum=1))
    text = "seizures viruses allergies essays allergys BRCAs mms Seizures"
    assert [m for m, _ in found(gazetteer, text)] == ["seizures", "viruses", "allergies", "essays", "Seizures"]
    assert not found(Gazetteer([("seizure", "D")], Matching(plural=False)), text)


def test_stop_list_and_short_names_are_left_out_and_counted():
    losses = Losses()
    gazetteer = Gazetteer(
        [("set", "G"), ("SET", "G"), ("p5", "G"), (" ", "G"), ("BRCA1", "G")], stop={"Set"}, losses=losses
    )
    assert gazetteer.terms == (("BRCA1", "G"),)
    assert losses.counts == {
        "skipped: name on the stop list": 2,
        "skipped: name that is too short": 1,
        "skipped: name without a word": 1,
    }


def test_common_words_are_those_written_small_in_many_documents():
    documents = [
        Document("1", "the cat THE"),
        Document("2", "the the dog"),
        Document("3", "WAS the"),
        Document("4", "WAS"),
    ]
    assert common_words(documents, share=0.75) == {"the"}
    assert common_words(documents, share=0.25) == {"the", "cat", "dog"}
    with pytest.raises(ConfigError, match="share"):
        common_words(documents, share=0)


def test_training_mentions_come_from_train_alone():
    def one(name: str) -> tuple[Document, ...]:
        return (Document(name, name, (Entity(0, len(name), "X"),)),)

    corpus = Corpus("c", {"train": one("alpha"), "dev": one("beta"), "test": one("gamma")}, ("X",))
    assert list(training_terms(corpus)) == [("alpha", "X")]


def test_files_of_names(tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text("asthma\nBRCA1\tGene\n\n  skin cancer \n", "utf-8")
    assert list(read_terms(path, "Disease")) == [("asthma", "Disease"), ("BRCA1", "Gene"), ("skin cancer", "Disease")]
    with pytest.raises(DataError, match=re.escape(f"{path}:1: the name has no label")):
        list(read_terms(path))
    path.write_text("a\tX\nb\tX\tY\n", "utf-8")
    with pytest.raises(DataError, match=r":2: write one name a line"):
        list(read_terms(path))
    with pytest.raises(DataError, match="no such file"):
        list(read_terms(tmp_path / "none"))


def test_a_saved_gazetteer_finds_the_same(tmp_path):
    first = Gazetteer([("Fièvre aphteuse", "D"), ("WAS", "G"), ('a"b', "G")], Matching(acronym=3), stop={"x"})
    bundle.save(first, tmp_path / "gaz")
    again = bundle.load(tmp_path / "gaz")
    assert isinstance(again, Gazetteer) and again.matching == first.matching
    assert (again.terms, again.labels, again.sha256) == (first.terms, first.labels, first.sha256)
    with pytest.raises(BundleError, match="not a gazetteer"):
        Gazetteer.load(tmp_path / "gaz", {"case": "odd"})
    with pytest.raises(BundleError, match="not a gazetteer"):
        Gazetteer.load(tmp_path, {})


def test_the_hash_tells_what_decides():
    terms = [("asthma", "D"), ("BRCA1", "G")]
    assert Gazetteer(terms).sha256 == Gazetteer(reversed(terms)).sha256
    assert Gazetteer(terms).sha256 != Gazetteer(terms, Matching(plural=False)).sha256
    assert Gazetteer(terms).sha256 != Gazetteer(terms[:1]).sha256


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"case": "upper"}, "case policy"), ({"minimum": 0}, "minimum"), ({"acronym": -1}, "acronym")],
)
def test_settings_out_of_range(settings, said):
    with pytest.raises(ConfigError, match=said):
        Matching(**settings)


def test_what_a_gazetteer_cannot_do():
    with pytest.raises(ConfigError, match="no name is left"):
        Gazetteer([])
    with pytest.raises(ConfigError, match="no confidence"):
        list(Gazetteer([("asthma", "D")]).tag([], confidence=True))


def test_obo_names_and_exact_synonyms(tmp_path):
    path = tmp_path / "x.obo"
    path.write_text(
        "format-version: 1.2\n\n[Term]\nid: GO:1\nname: first \\{odd\\}\n"
        'synonym: "exact \\"one\\"" EXACT []\nsynonym: "related" RELATED []\n\n'
        "[Term]\nid: GO:2\nname: gone\nis_obsolete: true\n\n[Term]\nid: BFO:3\nname: other\n\n"
        "[Typedef]\nid: GO:4\nname: relation\n",
        "utf-8",
    )
    assert list(lexicons.info("go-components").reader(path)) == [("first {odd}", 'exact "one"')]


@pytest.mark.parametrize("lexicon", lexicons.LEXICONS, ids=lambda lexicon: lexicon.name)
def test_facts_on_a_lexicon_are_complete(lexicon):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", lexicon.name)
    assert lexicon.title and lexicon.label and lexicon.licence and lexicon.citation and lexicon.language in {"en", "zh"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in lexicon.files.values())
    assert all(any(origin.holds(path) for origin in lexicons.ORIGINS) for path in lexicon.files)


def test_lexicons_have_names_of_their_own():
    from transfuse import corpora

    assert len(set(lexicons.names())) == len(lexicons.LEXICONS)
    assert not {*lexicons.names()} & {*corpora.names(), *corpora.raw_names()}
    with pytest.raises(ConfigError, match="disease-ontology"):
        lexicons.info("diseases-ontology")


@pytest.mark.mirror
@pytest.mark.parametrize("lexicon", lexicons.LEXICONS, ids=lambda lexicon: lexicon.name)
def test_a_lexicon_holds_what_it_says(lexicon):
    terms = lexicon.read()
    assert len(set(terms)) == len(terms) == lexicon.terms
    assert {label for _, label in terms} == {lexicon.label}
    assert all(name == " ".join(name.split()) != "" for name, _ in terms)
    assert Gazetteer(terms).labels == (lexicon.label,)
