"""SCL on a language made by hand, features of words, the linear CRF on what a map gives, and `inspect pivots`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, sparse

from transfuse import bundle, methods, synthetic
from transfuse.cli import main
from transfuse.labels import LabelMap
from transfuse.maps.adaptation import UNKNOWN, Components
from transfuse.maps.correspondence import Correspondences, choose_pivots, correspond, mutual_information
from transfuse.maps.mapped import MappedTagger
from transfuse.maps.pivots import look
from transfuse.maps.token_features import (
    HandMade,
    count_words,
    draw_sentences,
    find_extractor,
    number_tags,
    pivot_candidates,
    positions,
)
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.linear import LinearCRF, Tokens, features, read_tokens, train_linear
from transfuse.taggers.vectors import Vectors
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document, Entity, Task
from transfuse.train import Training

# Each side calls things in its own words; what stands around them is the same on both.
MEANINGS = {
    "signal": {
        "source": ("investment", "market"),
        "target": ("receptor", "membrane"),
        "around": ("normal", "required"),
        "tag": "B-X",
    },
    "motion": {
        "source": ("buyer", "broker"),
        "target": ("muscle", "tendon"),
        "around": ("strong", "moves"),
        "tag": "B-Y",
    },
}
LABELS = ("X", "Y")


def speak(side: str, count: int, *, tagged: bool, seed: int = 0) -> list[Tokens]:
    """Sentences as ``the normal receptor is required``: the words around tell the meaning on both sides."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        meaning = draw.choice(list(MEANINGS))
        before, behind = MEANINGS[meaning]["around"]
        word = draw.choice(MEANINGS[meaning][side])
        tag = MEANINGS[meaning]["tag"]
        found.append(Tokens(("the", before, word, behind, "it"), ("O", "O", tag, "O", "O") if tagged else None))
    return found


SMALL = Correspondences(pivots=4, frequent=20, dimension=2)


def test_words_that_stand_in_the_same_company_correspond():
    found = look(speak("source", 300, tagged=True), speak("target", 300, tagged=False, seed=1), LABELS, SMALL)
    nearest = {match.word: match for match in found.matches}
    assert set(nearest) == {word for meaning in MEANINGS.values() for word in meaning["source"]}
    assert all(match.inside == 1 for match in found.matches)
    for meaning in MEANINGS.values():
        for word in meaning["source"]:
            close = [name for name, cosine in nearest[word].target if cosine > 0.9]
            assert set(close) == set(meaning["target"]), word
    others = nearest["buyer"].target[-1]
    assert others[0] in {"receptor", "membrane"}
    assert others[1] < 0.5
    pivots = {(pivot.word, pivot.position) for pivot in found.pivots[:4]}
    assert pivots == {("normal", -1), ("required", 1), ("strong", -1), ("moves", 1)}
    first = next(pivot for pivot in found.pivots if pivot.word == "normal" and pivot.position == -1)
    assert first.inside == 1
    assert first.source == sum(item.forms[1] == "normal" for item in speak("source", 300, tagged=True))
    assert first.target == sum(item.forms[1] == "normal" for item in speak("target", 300, tagged=False, seed=1))


def test_a_map_of_the_source_serves_words_that_only_the_target_has():
    # All that a classifier learns of the source's own words holds for the target's through the shared space alone.
    source, target = speak("source", 300, tagged=True), speak("target", 300, tagged=True, seed=1)
    extractor = HandMade.of(item.forms for item in (*source, *target))
    first, second = (extractor.rows([item.forms for item in items]) for items in (source, target))
    tags, gold = number_tags(source, LABELS), number_tags(target, LABELS)
    where = [positions(name) for name in extractor.names]
    own = np.array([p == frozenset({0}) for p in where])
    chosen = choose_pivots(first, second, tags, SMALL, candidates=pivot_candidates(extractor.names))
    both = sparse.vstack([first, second], format="csr")
    theta = correspond(both, chosen.columns, SMALL, positions=where) * own[:, None]

    def guess(train, test):
        design = np.column_stack([train, np.ones(len(train))])
        weights = linalg.lstsq(design, (tags == 1) * 1.0)[0]
        return np.column_stack([test, np.ones(len(test))]) @ weights > 0.5

    right = (guess(first @ theta, second @ theta) == (gold == 1))[gold > 0].mean()
    shared = [i for i, name in enumerate(extractor.names) if own[i] and not np.isin(i, chosen.columns)]
    without = (guess(first[:, shared].toarray(), second[:, shared].toarray()) == (gold == 1))[gold > 0].mean()
    assert right == 1
    assert without < 0.7


def test_ridge_predictors_are_the_least_squares_solution():
    draw = np.random.default_rng(0)
    rows = (draw.random((200, 6)) < 0.4) * 1.0
    rows[:, 5] = rows[:, 0] * (draw.random(200) < 0.9)
    settings = Correspondences(pivots=1, frequent=1, dimension=1, ridge=0.05)
    where = [frozenset({0})] * 5 + [frozenset({1})]
    theta = correspond(sparse.csr_matrix(rows), np.array([5]), settings, positions=where)
    centred = rows[:, :5] - rows[:, :5].mean(0)
    aim = rows[:, 5] - rows[:, 5].mean()
    stacked = np.concatenate([centred / np.sqrt(200), np.sqrt(0.05) * np.eye(5)])
    weights = linalg.lstsq(stacked, np.concatenate([aim / np.sqrt(200), np.zeros(5)]))[0].clip(0)
    np.testing.assert_allclose(theta[:5, 0], weights / np.linalg.norm(weights), atol=1e-9)
    assert theta[5, 0] == 0


def test_a_pivot_is_not_predicted_from_its_own_position():
    draw = np.random.default_rng(1)
    rows = (draw.random((300, 4)) < 0.5) * 1.0
    rows[:, 3] = rows[:, 2]  # gives the pivot away, but looks at the same word
    settings = Correspondences(pivots=1, frequent=1, dimension=1)
    where = [frozenset({0}), frozenset({-1, 0}), frozenset({1}), frozenset({0, 1})]
    theta = correspond(sparse.csr_matrix(rows), np.array([2]), settings, positions=where)
    assert (theta[[2, 3]] == 0).all()
    assert theta[:2].any()


@given(st.integers(0, 10_000))
def test_mutual_information_is_a_sum_over_a_table(seed):
    draw = np.random.default_rng(seed)
    rows, tags = (draw.random((40, 3)) < draw.random(3)) * 1.0, draw.integers(0, 3, 40)
    found = mutual_information(sparse.csr_matrix(rows), tags)
    for column in range(3):
        table = Counter(zip(rows[:, column], tags.tolist(), strict=True))
        total = 0.0
        for (value, tag), count in table.items():
            together, one, two = count / 40, (rows[:, column] == value).mean(), (tags == tag).mean()
            total += together * np.log2(together / (one * two))
        assert found[column] == pytest.approx(total, abs=1e-12)


def test_information_of_a_copy_is_the_entropy_and_of_noise_nothing():
    tags = np.array([0, 1] * 50)
    rows = np.stack([tags, 1 - tags, np.ones(100), np.repeat([0, 1], 50)], 1)
    np.testing.assert_allclose(mutual_information(sparse.csr_matrix(rows), tags), [1, 1, 0, 0], atol=1e-12)


def test_pivots_are_frequent_on_both_sides_and_come_by_information():
    source = np.zeros((100, 4))
    source[:30, 0] = source[:50, 1] = source[:50, 2] = source[::2, 3] = 1
    target = np.zeros((80, 4))
    target[:10, 0] = target[:40, 1] = target[:5, 2] = target[:40, 3] = 1
    tags = np.where(np.arange(100) < 50, 1, 0)
    sides = sparse.csr_matrix(source), sparse.csr_matrix(target)
    settings = Correspondences(pivots=2, frequent=10)
    found = choose_pivots(*sides, tags, settings, candidates=np.arange(4))
    assert found.columns.tolist() == [1, 0]
    assert found.information[0] == pytest.approx(1)
    some = choose_pivots(*sides, tags, settings, candidates=np.array([0, 3]))
    assert some.columns.tolist() == [0, 3]
    half = np.where(np.arange(100) % 2, UNKNOWN, tags)
    assert choose_pivots(*sides, half, settings, candidates=np.arange(4)).information[0] == pytest.approx(1)
    with pytest.raises(DataError, match="no feature stands 60 times in both domains"):
        choose_pivots(*sides, tags, Correspondences(frequent=60), candidates=np.arange(4))


def test_information_about_one_label_alone():
    sentences = [Tokens(("a", "x"), ("O", "B-X")), Tokens(("b", "y"), ("O", "B-Y"))] * 30
    settings = Correspondences(pivots=20, frequent=5, dimension=2)
    found = {
        label: {(p.word, p.position): p for p in look(sentences, sentences, ("X", "Y"), settings, label=label).pivots}
        for label in ("", "X")
    }
    assert found["X"]["y", 0].inside == 0
    assert found[""]["y", 0].inside == 1
    assert found["X"]["x", 0].bits == pytest.approx(0.25 * 2 + 0.75 * np.log2(4 / 3))
    with pytest.raises(ConfigError, match="no label 'Z'; there are X, Y"):
        look(sentences, sentences, ("X", "Y"), settings, label="Z")


@pytest.mark.parametrize("wrong", [{"pivots": 0}, {"dimension": 0}, {"ridge": 0}, {"frequent": 0}, {"inputs": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ConfigError):
        Correspondences(**wrong)


# Features of words.


def test_positions_of_hand_made_features():
    names = {name for row in features(["The", "p53", "-", "mutant", "cells"]) for name in row}
    for name in names:
        template = name.partition("=")[0]
        wanted = {
            "-2": {-2},
            "-1": {-1},
            "1": {1},
            "2": {2},
            "-1|0": {-1, 0},
            "0|1": {0, 1},
        }.get(template.removesuffix("edge").removesuffix("shape").removesuffix("s3").removesuffix("w"), {0})
        assert positions(name) == wanted, name
    assert positions("-2edge") == {-2}


def test_rows_hold_the_features_that_have_a_column():
    sentences = [["Renal", "failure", "."], ["failure"]]
    extractor = HandMade.of(sentences, least=2)
    counts = Counter(name for forms in sentences for row in features(forms) for name in row)
    assert set(extractor.names) == {name for name, count in counts.items() if count > 1}
    rows = extractor.rows(sentences).toarray()
    names = [row for forms in sentences for row in features(forms)]
    assert [{extractor.names[i] for i in np.flatnonzero(row)} for row in rows] == [
        set(row) & set(extractor.names) for row in names
    ]
    unit = HandMade.of(sentences, least=1, unit=True).rows(sentences)
    np.testing.assert_allclose(unit.multiply(unit).sum(1), 1)
    partial = HandMade(extractor.names, unit=True).rows(sentences).toarray()
    np.testing.assert_allclose((partial**2).sum(1), rows.sum(1) / [len(row) for row in names])


def test_sentences_with_unknown_ranges_have_no_tags():
    document = Document("d", "One cold. Two colds.", (Entity(4, 8, "X"),), ((10, 13),))
    found = read_tokens([document])
    assert [item.tags for item in found] == [("O", "B-X", "O"), None]
    assert [item.tags for item in read_tokens([document], tagged=False)] == [None, None]
    assert number_tags(found, ["X"]).tolist() == [0, 1, 0, UNKNOWN, UNKNOWN, UNKNOWN]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(0, 99), st.integers(0, 5))
def test_drawn_sentences_hold_just_enough_words(lengths, tokens, seed):
    items = [Tokens(tuple(f"{i}" for _ in range(length))) for i, length in enumerate(lengths)]
    found = draw_sentences(items, tokens, seed=seed)
    assert found == draw_sentences(items, tokens, seed=seed)
    assert found == [item for item in items if item in found]
    if not tokens or count_words(items) <= tokens:
        assert found == items
    else:
        assert tokens <= count_words(found) < tokens + 9


# The methods.


@pytest.fixture(scope="module")
def task() -> Task:
    source = synthetic.department("neurology", documents=40)
    target = synthetic.department("cardiology", documents=60)
    raw = tuple(Document(d.id, d.text) for d in target.train[5:])
    return Task(target.with_split("train", target.train[:5]), (source,), raw)


QUICK = {"tokens": 2_000, "crf": LinearCRF(iterations=40)}
SUBSPACE = Components(dimension=20, landmarks=200)


def quick(name: str, **settings: object) -> methods.Method:
    own = {"components": SUBSPACE} if name != "scl" else {"correspondences": Correspondences(pivots=50, dimension=20)}
    return methods.get(name)(**QUICK, **own, **settings)


def fit(task: Task, folder: Path, name: str, **settings: object):
    run = Run(folder, seed=1)
    return quick(name, **settings).fit(task, run=run), run


@pytest.mark.parametrize("name", ["tca", "jda", "scl"])
def test_without_a_map_all_three_are_the_same_crf_on_all_that_is_annotated(name, task, tmp_path):
    plain, run = fit(task, tmp_path / "run", name, adapt=False)
    documents = [*task.sources[0].train, *task.target.train]
    wanted = train_linear(documents, task.target.labels, settings=LinearCRF(iterations=40), folder=tmp_path)
    dev = task.target.dev
    assert list(plain.tag(dev)) == list(wanted.tag(dev))
    assert not run.records("map")
    mapped, _ = fit(task, tmp_path / "mapped", name)
    assert list(mapped.tag(dev, confidence=True)) != list(plain.tag(dev))


@pytest.mark.parametrize("name", ["tca", "jda", "scl"])
def test_works_without_a_label_of_the_target(name, task, tmp_path):
    raw = tuple(Document(d.id, d.text) for d in task.target.train) + task.raw
    bare = Task(task.target.with_split("train", ()), task.sources, raw)
    tagger, run = fit(bare, tmp_path, name)
    assert score(task.target.test, tagger.tag(task.target.test), kinds=["strict"]).micro().f1 > 0.1
    (trained,) = run.records("trained")
    assert trained["sentences"]["target"] == 0
    assert trained["sentences"]["raw"] > 100


def test_the_record_says_of_how_many_words_the_map_is_made(task, tmp_path):
    _, run = fit(task, tmp_path, "jda")
    (found,) = run.records("map")
    assert found["landmarks"] == 200
    assert found["dimension"] == 20
    for side in ("source", "target"):
        assert 2_000 <= found["drawn"][side] < 2_100 < found["words"][side]
    assert found["separation"]["after"] < found["separation"]["before"]
    (pseudo,) = run.records("pseudo")
    assert pseudo["words"] == found["drawn"]["target"]


def test_a_crf_may_read_the_map_alone(task, tmp_path):
    alone, _ = fit(task, tmp_path / "alone", "tca", keep=False)
    beside, _ = fit(task, tmp_path / "beside", "tca")
    assert isinstance(alone, MappedTagger)
    names = {name for rows in alone._reader.attributes([["Renal", "pain"]]) for row in rows for name in row}
    assert names == {f"map{i}" for i in range(20)}
    both = next(beside._reader.attributes([["Renal", "pain"]]))[0]
    assert set(features(["Renal", "pain"])[0]) | names == set(both)


def test_a_label_that_the_source_does_not_annotate_is_filled_in(task, tmp_path):
    (source,), target = task.sources, synthetic.department("cardiology", documents=60)
    first, *others = source.labels
    poor = LabelMap({label: label for label in others}, drop=(first,)).apply_corpus(source)
    rich = Task(target, (poor,))
    _, run = fit(rich, tmp_path / "one", "tca", adapt=False)
    (found,) = run.records("completed")
    assert found["labels"] == [first]
    assert found["teachers"] == [target.name]
    gold = sum(e.label == first for d in source.train for e in d.entities)
    assert 0.3 * gold < found["mentions"] < 2 * gold
    second, *rest = others
    poorest = LabelMap({label: label for label in rest}, drop=(first, second)).apply_corpus(source)
    alone = LabelMap({first: first}, drop=tuple(others)).apply_corpus(replace(source, name="alone"))
    hidden = target.with_split("train", ())
    _, run = fit(
        Task(hidden, (poorest, replace(poor, name="more"), alone), task.raw), tmp_path / "each", "tca", adapt=False
    )
    found = {tuple(r["labels"]): r["teachers"] for r in run.records("completed") if r["corpus"] == source.name}
    assert found == {(first,): ["alone"], (second,): ["more"]}
    nobody = Task(hidden, (poor,), task.raw)
    tagger, run = fit(nobody, tmp_path / "two", "tca", adapt=False)
    assert run.records("completed")[0]["teachers"] == []
    assert {e.label for d in tagger.tag(target.dev) for e in d.entities} <= set(others)


def test_a_label_that_the_target_lacks_is_outside(task, tmp_path):
    (source,) = task.sources
    extra = tuple(d.with_entities([*d.entities, *_stranger(d)]) for d in source.train)
    strange = Corpus("strange", {"train": extra}, (*source.labels, "Stranger"))
    one, _ = fit(task, tmp_path / "one", "tca")
    two, _ = fit(Task(task.target, (strange,), task.raw), tmp_path / "two", "tca")
    assert list(one.tag(task.target.dev)) == list(two.tag(task.target.dev))


def _stranger(document: Document) -> list[Entity]:
    end = document.text.find(" ")
    taken = any(entity.start < end for entity in document.entities)
    return [] if end < 1 or taken else [Entity(0, end, "Stranger")]


def test_states_of_a_frozen_encoder_are_features(task, tmp_path):
    small = Architecture(BiLSTMEncoder(hidden=8, word_width=8, char_filters=4))
    teacher = methods.get("target-only")(
        architecture=small, training=Training(epochs=1, steps=5), vectors=Vectors(kind="none")
    )
    encoder = teacher.fit(Task(task.sources[0]), run=Run(tmp_path / "teacher", seed=1))
    bundle.save(encoder, tmp_path / "teacher" / "bundle")
    before = {name: value.clone() for name, value in encoder.encoder.state_dict().items()}
    states = find_extractor(str(tmp_path / "teacher"))
    sentences = [["No", "pain", "."], ["Stroke"]]
    rows = states.rows(sentences)
    assert rows.shape == (4, 16)
    np.testing.assert_allclose(states.rows(sentences[1:]), rows[3:], atol=1e-6)
    tagger, run = fit(task, tmp_path / "run", "tca", encoder=str(tmp_path / "teacher"), keep=False)
    assert run.records("map")[0]["width"] == 16
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    dev = task.target.dev
    assert list(again.tag(dev, confidence=True)) == list(tagger.tag(dev, confidence=True))
    assert all((before[name] == value).all() for name, value in encoder.encoder.state_dict().items())
    bundle.save(fit(task, tmp_path / "other", "scl")[0], tmp_path / "linear")
    with pytest.raises(ConfigError, match="a MappedTagger has no encoder"):
        find_extractor(str(tmp_path / "linear"))


def test_a_bundle_whose_parts_do_not_fit_is_refused(task, tmp_path):
    tagger, _ = fit(task, tmp_path / "run", "tca")
    (tmp_path / "parts").mkdir()
    config = tagger.save(tmp_path / "parts")
    assert list(MappedTagger.load(tmp_path / "parts", config).tag(task.target.dev)) == list(tagger.tag(task.target.dev))
    for wrong in ({"map": {"kernel": "rbf"}}, {"features": {"kind": "none"}}, {"labels": None}):
        with pytest.raises(BundleError):
            MappedTagger.load(tmp_path / "parts", config | wrong)


@pytest.mark.parametrize("name", ["tca", "jda", "scl"])
def test_no_source_is_told(name, task, tmp_path):
    with pytest.raises(ConfigError, match="there is no source"):
        fit(Task(task.target), tmp_path, name)


def test_methods_refuse_settings_out_of_range():
    for name, wrong in (("tca", {"tokens": -1}), ("jda", {"rounds": -1})):
        with pytest.raises(ConfigError):
            methods.get(name)(**wrong)


# The command line.


def call(capfd, *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["inspect", "pivots", *arguments])
    written = capfd.readouterr()
    return int(left.value.code or 0), written.out, written.err


def test_inspect_pivots_shows_what_it_finds_within_100_columns(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    sides = "--source", "demo-neurology", "--target", "demo-cardiology"
    status, out, _ = call(capfd, *sides, "--top", "5", "--words", "3")
    assert status == 0
    assert all(len(line) <= 100 for line in out.splitlines())
    status, printed, _ = call(capfd, *sides, "--json", "--words", "3")
    data = json.loads(printed)
    assert status == 0
    bits = [pivot["bits"] for pivot in data["pivots"]]
    assert bits == sorted(bits, reverse=True)
    assert all(pivot["word"] in out for pivot in data["pivots"][:5])
    assert all(match["word"] in out for match in data["matches"])
    assert all(min(pivot["source"], pivot["target"]) >= 20 for pivot in data["pivots"])
    assert data["words"]["source"] > 5_000


def test_inspect_pivots_tells_a_mistake_in_one_line(capfd):
    sides = "--source", "demo-neurology", "--target", "demo-cardiology"
    for wrong, message in ((("--label", "Nobody"), "no label 'Nobody'"), (("--frequent", "99999"), "lower frequent")):
        status, out, err = call(capfd, *sides, *wrong)
        assert status == 2
        assert message in err.splitlines()[-1]
        assert not out
