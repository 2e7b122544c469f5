"""Areas under ROC curves: by definition, by scikit-learn, and by what taggers say when they are asked otherwise."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from transfuse.data.task import resolve
from transfuse.ensembles.opinions import voice
from transfuse.ensembles.votes import VoteTagger
from transfuse.experiments.ranking import CLASSES, class_auc, roc_auc, tag_and_rank
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.gazetteer import Gazetteer, training_terms
from transfuse.reporting.grids import tokens_grid
from transfuse.reporting.records import make_record, read_records, write_record
from transfuse.reporting.report import report_json
from transfuse.reporting.results import find_runs, read_run
from transfuse.reporting.summary import entries_of, summarise
from transfuse.scoring.analysis import TokenTable, token_table
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.linear import LinearCRF, LinearTagger, train_linear
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Reader
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.tags import encode
from transfuse.text import Document, Entity, Tagger
from transfuse.words import align, flatten, words

NOTES = department("neurology")
SOME = NOTES.test[:6]
LABELS = NOTES.labels
cases = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), max_size=12)


@given(cases)
def test_the_area_is_the_chance_that_a_positive_case_ranks_above_a_negative_one(some: list[tuple[bool, float]]) -> None:
    above, below = ([chance for positive, chance in some if positive is side] for side in (True, False))
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(above, below)]
    found = roc_auc(np.array([p for p, _ in some], dtype=bool), np.array([c for _, c in some], dtype=float))
    assert found == (pytest.approx(sum(wins) / len(wins), abs=1e-6) if wins else None)


@given(st.lists(st.tuples(st.sampled_from([*range(3)]), *[st.integers(1, 5)] * 3), min_size=3, max_size=20))
def test_means_over_classes_are_those_of_scikit_learn(rows: list[tuple[int, int, int, int]]) -> None:
    truth = np.array([0, 1, 2, *(row[0] for row in rows)])
    chances = np.array([(1.0, 1, 1), (1, 1, 1), (1, 1, 1), *(row[1:] for row in rows)])
    chances /= chances.sum(1, keepdims=True)
    areas = {name: roc_auc(truth == i, chances[:, i]) for i, name in enumerate(CLASSES)}
    guess = chances.argmax(1)
    table = TokenTable.of({})
    for a, b in zip(truth, guess, strict=True):
        table += TokenTable.of({CLASSES[a]: {CLASSES[b]: 1}})
    found = table.with_means(areas)
    for mean in ("macro", "weighted"):
        wanted = roc_auc_score(truth, chances, multi_class="ovr", average=mean)
        assert found[mean] == pytest.approx(wanted, abs=1e-5)


def test_means_pass_over_classes_that_have_none() -> None:
    table = TokenTable.of({"B": {"B": 2, "O": 1}, "O": {"O": 9}})
    found = table.with_means({"B": 0.8, "I": None, "O": 0.6})
    assert found == {"B": 0.8, "I": None, "O": 0.6, "macro": pytest.approx(0.7), "weighted": pytest.approx(0.65)}
    assert TokenTable.of({}).with_means({"B": None}) == {"B": None, "macro": None, "weighted": None}


# Taggers


def network(seed: int, scheme: str = "BIOES", outputs: Sequence[str] | None = None) -> NeuralTagger:
    """An untrained network that finds a lot."""
    torch.manual_seed(seed)
    settings = BiLSTMEncoder(hidden=4, word_width=4, char_filters=2)
    architecture = Architecture(settings, scheme=scheme)
    forms = [document.text[a:b] for document in SOME for a, b in words(document.text)]
    vocabulary = Vocabulary.of((), forms, buckets=0)
    encoder = settings.build(vocabulary, torch.zeros(1, 0))
    tagset = TagSet(LABELS, scheme)
    head: Any = architecture.build_head(encoder.width, tagset, "crf")
    torch.nn.init.normal_(head.projection.weight, std=5)
    return NeuralTagger(encoder, head, vocabulary, tagset, architecture=architecture, outputs=outputs)


def vote(rule: Any, *members: NeuralTagger) -> VoteTagger:
    readers = [Reader(m.encoder, [m.head], m.vocabulary, m.tagset, m.architecture) for m in members]
    return VoteTagger(readers, LABELS, kinds=[["crf"]] * len(readers), rule=rule)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> LinearTagger:
    folder = tmp_path_factory.mktemp("linear")
    return train_linear(NOTES.train[:4], LABELS, settings=LinearCRF(iterations=15), folder=folder)


def told(tagger: Tagger, documents: Sequence[Document]) -> Iterator[tuple[str, dict[str, float], tuple[int, int]]]:
    """Of each word its class in gold, what its tags' probabilities add up to by sign, and its place."""
    asked = voice(tagger)
    for document, opinion in zip(documents, asked.opinions(documents), strict=True):
        offsets = words(document.text)
        gold = encode(flatten(align(offsets, document.entities)), len(offsets), "BIO")
        rows = [row for sentence in opinion.sentences or () for row in sentence.chances.tolist()]
        for tag, place, row in zip(gold, offsets, rows, strict=True):
            sums: dict[str, float] = {}
            for name, value in zip(asked.tags, row, strict=True):
                if name == "O" or name.partition("-")[2] in tagger.labels:
                    sums[name[0]] = sums.get(name[0], 0.0) + value
            yield tag[0], sums, place


def expected(rows: Sequence[tuple[str, dict[str, float], Any]]) -> dict[str, float]:
    begins = [sums.get("B", 0) + sums.get("S", 0) for _, sums, _ in rows]
    goes_on = [sums.get("I", 0) + sums.get("E", 0) + sums.get("M", 0) for _, sums, _ in rows]
    out = [1 - a - b for a, b in zip(begins, goes_on, strict=True)]
    truth = [tag for tag, _, _ in rows]
    return {
        name: roc_auc_score([t == name for t in truth], values)
        for name, values in zip(CLASSES, (begins, goes_on, out), strict=True)
    }


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BMES"])
@pytest.mark.parametrize("fewer", [False, True])
def test_areas_of_a_network_are_those_of_what_it_says(scheme: str, fewer: bool) -> None:
    tagger = network(1, scheme, LABELS[:1] if fewer else None)
    found = class_auc(tagger, SOME)
    assert list(found) == list(CLASSES)
    assert found == pytest.approx(expected(list(told(tagger, SOME))), abs=1e-5)
    assert len({*found.values(), 0.5, 1.0}) > 3


def test_areas_of_a_linear_crf_are_those_of_what_it_says(linear: LinearTagger) -> None:
    found = class_auc(linear, SOME)
    assert found == pytest.approx(expected(list(told(linear, SOME))), abs=1e-5)
    assert all(value and value > 0.8 for value in found.values())


def test_areas_of_a_vote_are_those_of_the_mean() -> None:
    members = network(1), network(2)
    rows = []
    for (truth, one, place), (_, two, _) in zip(*(told(m, SOME) for m in members), strict=True):
        rows.append((truth, {sign: (one[sign] + two[sign]) / 2 for sign in one}, place))
    for rule in ("mean", "majority"):
        assert class_auc(vote(rule, *members), SOME) == pytest.approx(expected(rows), abs=1e-5)
    assert class_auc(vote("mean", members[0]), SOME) == pytest.approx(class_auc(members[0], SOME))


def test_taggers_that_give_tags_no_probability_have_none() -> None:
    gazetteer = Gazetteer(training_terms(NOTES))
    for tagger in (gazetteer, vote("credit", network(1)), network(1, "IO"), network(1, "IOB1")):
        assert class_auc(tagger, SOME) == {}


def test_a_class_that_gold_lacks_has_none(linear: LinearTagger) -> None:
    single = Document("a", "one two three", (Entity(4, 7, LABELS[0]),))
    found = class_auc(linear, [single])
    assert found["I"] is None and None not in (found["B"], found["O"])
    everything: dict[str, None] = dict.fromkeys(CLASSES)
    for none in ([], [Document("a", "")], [Document("a", "one two")], [Document("a", "one", unknown=((0, 3),))]):
        assert class_auc(linear, none) == class_auc(network(1), none) == everything


def test_unknown_words_are_left_out(linear: LinearTagger) -> None:
    hidden = [replace(d, unknown=((0, len(d.text) // 2),)) for d in SOME]
    places = [row for d in SOME for row in told(linear, [d]) if row[2][0] >= len(d.text) // 2]
    assert class_auc(linear, hidden) == pytest.approx(expected(places), abs=1e-5)
    assert token_table(hidden, hidden).pairs.total() == len(places)


def test_areas_do_not_depend_on_how_documents_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = network(3)
    whole = class_auc(tagger, SOME)
    monkeypatch.setattr("transfuse.experiments.ranking._CHUNK", 1)
    assert class_auc(tagger, SOME) == pytest.approx(whole, abs=1e-5)


def test_what_is_found_and_the_areas_take_one_reading(linear: LinearTagger) -> None:
    single, both = network(3), vote("mean", network(1), network(2))
    for tagger in (single, network(1, outputs=LABELS[:1]), network(1, "IOB1"), both, linear):
        found, areas = tag_and_rank(tagger, SOME)
        assert found == tuple(tagger.tag(SOME)) and areas == class_auc(tagger, SOME)
    read: list[Any] = []
    single.read = lambda *_, **__: iter(read)  # type: ignore[method-assign]
    assert tag_and_rank(single, SOME) == ((), dict.fromkeys(CLASSES))


# Runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        data = {"target": "demo-neurology", "share": 0.05}
        recipe = {"data": data, "method": {"name": "crfsuite", "iterations": 10}, "run": {"seed": seed}}
        run_recipe(make_recipe(recipe), folder / str(seed))
    return folder


def test_records_keep_them_and_older_ones_have_none(runs: Path, tmp_path: Path) -> None:
    from transfuse import bundle

    record = make_record(read_run(runs / "0"))
    test = resolve("demo-neurology").test
    assert record.auc == class_auc(bundle.load(runs / "0" / "bundle"), test)
    assert list(record.auc) == list(CLASSES)
    write_record(record, tmp_path, "a")
    assert read_records(tmp_path)["a"] == record
    table = json.loads((tmp_path / "a.json").read_text())
    del table["auc"]
    (tmp_path / "a.json").write_text(json.dumps(table))
    assert read_records(tmp_path)["a"].auc == {}


def test_tables_show_them_where_they_are(runs: Path) -> None:
    summary = summarise(entries_of(find_runs(runs)), resamples=20)
    (table,) = summary.tables
    (row,) = table.rows
    heads, cells = tokens_grid(table)
    column = heads.index("AUC-ROC")
    means = row.auc()
    assert [line[column] for line in cells] == [f"{100 * (means[line[1]] or 0):.2f}" for line in cells]
    areas = [record.auc for record in row.records]
    assert means["I"] == pytest.approx(sum(a["I"] or 0 for a in areas) / 2)
    assert report_json(summary)["cells"][0]["auc"]["B"] == pytest.approx(100 * (areas[0]["B"] or 0))
    gone = replace(row.entries[1], record=replace(row.records[1], auc=areas[1] | {"I": None}))
    some = replace(table, rows=(replace(row, entries=(row.entries[0], gone)),))
    assert [line[column] for line in tokens_grid(some)[1]][1] == "-"
    old = replace(row, entries=(row.entries[0], replace(gone, record=replace(gone.record, auc={}))))
    assert old.auc() == {}
    assert "AUC-ROC" not in tokens_grid(replace(table, rows=(old,)))[0]
    mixed = tokens_grid(replace(table, rows=(row, replace(old, name="old"))))[1]
    assert {line[column] for line in mixed if line[0] == "old"} == {"-"}
