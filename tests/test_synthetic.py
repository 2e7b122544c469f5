"""The built-in corpora: exact offsets, the same notes everywhere, and a shift between departments that is there."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse import synthetic
from transfuse.synthetic import DEPARTMENTS, LABELS, LANGUAGES, department
from transfuse.text import ConfigError
from transfuse.words import words

EVERY = [(name, language) for language in LANGUAGES for name in DEPARTMENTS]
FINGERPRINT = "e40ff8a41f16d714276f080103f095efd01e2199a3bec9e7d3c601836758265f"


def tables(language: str) -> dict:
    return tomllib.loads(files("transfuse").joinpath("grammars", f"{language}.toml").read_text("utf-8"))


def documents(name: str, language: str, **options) -> list:
    corpus = department(name, language=language, **options)
    return [document for split in corpus.splits.values() for document in split]


def mentions(name: str, language: str) -> list[tuple[str, str]]:
    return [(d.mention(e), e.label) for d in documents(name, language) for e in d.entities]


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_every_piece_of_a_note_keeps_its_label_and_place(name, language, monkeypatch):
    # An independent account: replay the pieces that the grammar emits, and rebuild text and mentions from them.
    told: list[list[tuple[str, str]]] = []
    original = synthetic._joined

    def spy(pieces):
        told.append(list(original(pieces)))
        return iter(told[-1])

    monkeypatch.setattr(synthetic, "_joined", spy)
    monkeypatch.setattr(synthetic, "_mistype", lambda piece, rng, rate: piece)
    made = sorted(documents(name, language, seed=5, documents=40), key=lambda d: int(d.id.split("/")[1]))
    assert len(told) == 40
    for document, pieces in zip(made, told, strict=True):
        assert document.text.lower() == "".join(piece for piece, _ in pieces).lower()
        expected = [(piece.lower(), label) for piece, label in pieces if label]
        assert [(document.mention(e).lower(), e.label) for e in document.entities] == expected


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_mentions_are_clean(name, language):
    corpus = department(name, language=language)
    assert corpus.labels == LABELS
    assert corpus.language == language
    found = set()
    for document in documents(name, language):
        assert not re.search(r"[<>{}]", document.text)
        borders = {border for word in words(document.text) for border in word}
        for entity in document.entities:
            mention = document.mention(entity)
            assert mention == mention.strip()
            assert "\n" not in mention
            assert {entity.start, entity.end} <= borders, mention
            found.add(entity.label)
        for first, second in zip(document.entities, document.entities[1:], strict=False):
            assert not first.overlaps(second)
    assert found == set(LABELS)


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_splits_share_no_text(name, language):
    corpus = department(name, language=language, documents=500)
    assert [len(corpus.splits[split]) for split in ("train", "dev", "test")] == [300, 100, 100]
    texts = [document.text for document in documents(name, language, documents=500)]
    assert len(set(texts)) == 500
    assert len({document.id for document in documents(name, language, documents=500)}) == 500


@given(st.sampled_from(EVERY), st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 12))
def test_a_smaller_corpus_begins_a_larger_one(which, seed, few, more):
    name, language = which
    small = department(name, language=language, seed=seed, documents=few)
    large = department(name, language=language, seed=seed, documents=few + more)
    for split, documents_of_split in small.splits.items():
        assert large.splits[split][: len(documents_of_split)] == documents_of_split


def test_another_seed_gives_other_notes_from_the_same_words():
    first = {d.text for d in documents("neurology", "en", seed=0)}
    second = {d.text for d in documents("neurology", "en", seed=1)}
    assert not first & second
    vocabulary = [set(" ".join(texts).split()) for texts in (first, second)]
    assert len(vocabulary[0] & vocabulary[1]) > 0.4 * len(vocabulary[0])


def fingerprint() -> str:
    notes = [
        (d.id, d.text, [(e.start, e.end, e.label) for e in d.entities])
        for name, language in EVERY
        for d in documents(name, language, seed=3, documents=20)
    ]
    return hashlib.sha256(json.dumps(notes).encode()).hexdigest()


def test_the_same_notes_in_another_process_and_on_another_machine():
    script = "import test_synthetic; print(test_synthetic.fingerprint())"
    command = [sys.executable, "-c", script]
    told = subprocess.run(
        command, cwd=Path(__file__).parent, env={"PYTHONHASHSEED": "77"}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == fingerprint() == FINGERPRINT


@pytest.mark.parametrize("language", LANGUAGES)
def test_departments_differ_in_words_and_in_style(language):
    vocabulary = {}
    for name in DEPARTMENTS:
        vocabulary[name] = {mention.lower() for mention, _ in mentions(name, language)}
    shares = {}
    for first, second in combinations(DEPARTMENTS, 2):
        common = vocabulary[first] & vocabulary[second]
        shares[first, second] = len(common) / len(vocabulary[first] | vocabulary[second])
    print("mentions in common:", {" and ".join(pair): f"{share:.0%}" for pair, share in shares.items()})  # noqa: T201
    assert all(0.02 < share < 0.3 for share in shares.values())
    density = [
        sum(d.text.count(stop) for d in documents(name, language) for stop in ".。")
        for name in ("cardiology", "neurology")
    ]
    assert 2 * density[0] < density[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_within_a_department_much_is_seen_again_but_not_all(language):
    for name in DEPARTMENTS:
        corpus = department(name, language=language)
        seen = {d.mention(e).lower() for d in corpus.train for e in d.entities}
        test = [d.mention(e).lower() for d in corpus.test for e in d.entities]
        assert 0.5 < sum(mention in seen for mention in test) / len(test) < 0.95


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_mean_different_things_by_place_and_context(language):
    labels: dict[str, set[str]] = {}
    for name in DEPARTMENTS:
        for mention, label in mentions(name, language):
            labels.setdefault(mention, set()).add(label)
    assert labels["MS"] == {"Problem", "Treatment"}
    assert labels["PT"] == {"Test", "Treatment"}
    assert labels["RA"] == {"Anatomy", "Problem"}
    # A known disease also stands outside of mentions, as in the name of a clinic.
    for name in DEPARTMENTS:
        outside = 0
        known = [mention for mention, label in mentions(name, language) if label == "Problem" and len(mention) > 3]
        for document in documents(name, language):
            rest = list(document.text)
            for entity in document.entities:
                rest[entity.start : entity.end] = "|" * (entity.end - entity.start)
            outside += any(mention in "".join(rest) for mention in known)
        assert outside > 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_grammar_is_whole(language):
    grammar = tables(language)
    assert set(grammar["style"]) == set(DEPARTMENTS)
    for name in DEPARTMENTS:
        rules = grammar["common"] | grammar[name]
        reached, todo = set(), ["note"]
        while todo:
            rule = todo.pop()
            if rule not in reached:
                reached.add(rule)
                todo += re.findall(r"\{(\w+)\}", " ".join(rules[rule]))
        assert reached == set(rules), "rules that nothing uses"
        assert set(grammar["pools"]) <= reached


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_mention_lies_in_another(language):
    grammar = tables(language)
    for name in DEPARTMENTS:
        rules = grammar["common"] | grammar[name]
        marked = {rule for rule, templates in rules.items() if "<" in "".join(templates)}
        while more := {r for r, t in rules.items() if marked & set(re.findall(r"\{(\w+)\}", " ".join(t)))} - marked:
            marked |= more
        for templates in rules.values():
            for template in templates:
                assert re.fullmatch(r"(?:[^<>]|<[PTRA] [^<>]+>)*", template), template
                for inside in re.findall(r"<\w ([^<>]*)>", template):
                    assert not marked & set(re.findall(r"\{(\w+)\}", inside)), template


@pytest.mark.parametrize(
    "options", [{"name": "surgery"}, {"name": "neurology", "language": "fr"}, {"name": "neurology", "documents": 0}]
)
def test_impossible_wishes_are_named(options):
    with pytest.raises(ConfigError, match=r"surgery.*cardiology|fr.*zh|at least one document"):
        department(**options)
