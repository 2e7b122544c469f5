"""A tagger at hand, trained further: on other labels, other words, another corpus, by whichever encoder it has."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from test_corpus_width import TASK, corpus
from transfuse import bundle, corpora, formats, methods
from transfuse.ensembles.parts import read_part
from transfuse.experiments.cells import run_cells
from transfuse.experiments.comparison import make_comparison
from transfuse.experiments.doubts import doubts_of
from transfuse.experiments.kept import cell_entries, find_records
from transfuse.experiments.lineage import lineage_of
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.labels import LabelMap
from transfuse.methods.fine_tune import FineTune
from transfuse.methods.pooled import Pooled
from transfuse.methods.target_only import TargetOnly
from transfuse.reporting.grids import verdicts
from transfuse.reporting.results import read_run
from transfuse.reporting.summary import summarise
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.layers import layer_of
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, Corpus, Task
from transfuse.train import Training

LOOP = Training(epochs=3, steps=40, rate=8e-3)
STILL = Training(epochs=1, steps=1, rate=1e-12, average=0.0, select="last")
SOURCE, TARGET = department("neurology", documents=60), department("cardiology", documents=60)
BILSTM = BiLSTMEncoder(hidden=24, word_width=24, char_filters=8, dropout=0.2)
KINDS = ("bilstm", "transformer", "both")
"""The second is a random one of two layers over letters, which finds nothing."""


def renamed(corpus: Corpus) -> Corpus:
    return LabelMap({label: f"New {label}" for label in corpus.labels}).apply_corpus(corpus)


def save(tagger: NeuralTagger, place: Path, **facts: Any) -> str:
    bundle.save(tagger, place, facts=facts)
    return str(place)


def f1(tagger: Any, of: Corpus) -> float:
    return score(of.test, tagger.tag(of.test), kinds=["strict"]).micro().f1


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, made: dict[str, str]) -> dict[str, str]:
    """A tagger of the source by each kind of encoder."""
    pieces = TransformerEncoder(name=made["bert"], rate=1.0)
    found = {}
    for kind, encoder in zip(KINDS, (BILSTM, pieces, replace(BILSTM, transformer=pieces)), strict=True):
        place = tmp_path_factory.mktemp(kind)
        before = TargetOnly(Architecture(encoder), LOOP, Vectors(kind="none"))
        found[kind] = save(before.fit(Task(SOURCE), run=Run(place / "run", seed=3)), place / "bundle")  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_before_anything_is_learned_it_tags_as_it_did(kind: str, bundles: dict[str, str], tmp_path: Path) -> None:
    before = bundle.load(Path(bundles[kind]))
    run = Run(tmp_path, seed=5)
    after = FineTune(bundles[kind], STILL).fit(Task(SOURCE), run=run)
    assert list(after.tag(SOURCE.test)) == list(before.tag(SOURCE.test))
    assert kind == "transformer" or any(document.entities for document in before.tag(SOURCE.test))
    (moved,) = run.records("transferred")
    assert set(moved["tags"]) == {"O", *(f"{p}-{label}" for p in "BIES" for label in SOURCE.labels)}
    assert moved["fresh"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_it_does_not_know_are_learned(kind: str, bundles: dict[str, str], tmp_path: Path) -> None:
    target, run = renamed(TARGET), Run(tmp_path, seed=3)
    after = FineTune(bundles[kind], replace(LOOP, epochs=6)).fit(Task(target), run=run)
    assert kind == "transformer" or f1(after, target) > 0.45
    assert after.labels == target.labels
    (moved,) = run.records("transferred")
    assert moved["tags"] == ["O"]
    bundle.save(after, tmp_path / "bundle")
    assert list(bundle.load(tmp_path / "bundle").tag(target.test)) == list(after.tag(target.test))


def test_what_the_tagger_knows_helps(bundles: dict[str, str], tmp_path: Path) -> None:
    few = SOURCE.sample(0.05, seed=1)
    alone = TargetOnly(Architecture(BILSTM), LOOP, Vectors(kind="none")).fit(Task(few), run=Run(tmp_path / "a", seed=3))
    after = FineTune(bundles["bilstm"], LOOP).fit(Task(few), run=Run(tmp_path / "b", seed=3))
    assert f1(after, few) > f1(alone, few) + 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_its_seed_decides_and_nothing_before_it(kind: str, bundles: dict[str, str], tmp_path: Path) -> None:
    sums = []
    for i, seed in enumerate((5, 5, 6)):
        torch.manual_seed(i)
        after = FineTune(bundles[kind], STILL).fit(Task(renamed(TARGET)), run=Run(tmp_path / str(i), seed=seed))
        assert isinstance(after, NeuralTagger)
        sums.append(float(after.head.projection.weight.detach().abs().sum()))
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_layers_stay_and_the_others_move(kind: str, bundles: dict[str, str], tmp_path: Path) -> None:
    frozen = ("embedding", "layer.1") if kind != "bilstm" else ("words", "characters")
    before, task = bundle.load(Path(bundles[kind])), Task(TARGET)
    after = FineTune(bundles[kind], replace(LOOP, epochs=1), frozen=frozen).fit(task, run=Run(tmp_path, seed=3))
    assert isinstance(before, NeuralTagger)
    assert isinstance(after, NeuralTagger)
    for (name, old), new in zip(before.encoder.named_parameters(), after.encoder.parameters(), strict=True):
        kept = torch.equal(new[: len(old)], old)  # the rows of further words stand behind
        assert kept == (layer_of(f"encoder.{name}") in frozen), name


def test_weights_are_held_near_the_bundle(bundles: dict[str, str], tmp_path: Path) -> None:
    before = bundle.load(Path(bundles["bilstm"]))
    assert isinstance(before, NeuralTagger)
    gaps = []
    for weight in (0.0, 10.0):
        how = FineTune(bundles["bilstm"], replace(LOOP, epochs=1), source_l2=weight)
        after = how.fit(Task(TARGET), run=Run(tmp_path / str(weight), seed=3))
        assert isinstance(after, NeuralTagger)
        pairs = zip(before.encoder.lstm.parameters(), after.encoder.lstm.parameters(), strict=True)
        gaps.append(sum(float((a - b).detach().square().sum()) for a, b in pairs))
    assert gaps[1] < gaps[0] / 10


def test_a_corpus_takes_the_place_of_the_one_whose_text_was_read(tmp_path: Path) -> None:
    encoder = BiLSTMEncoder(hidden=8, word_width=8, characters="none", corpus_width=4)
    loop = Training(epochs=2, steps=40, rate=0.02)
    both = Pooled(Architecture(encoder), loop, Vectors(kind="none")).fit(TASK, run=Run(tmp_path / "both", seed=1))
    place = save(both, tmp_path / "bundle")  # type: ignore[arg-type]
    shed = replace(corpus("shed", ("otter", "heron")), name="shed")
    for target, home in ((shed, 0), (replace(TASK.sources[0]), 1)):
        after = FineTune(place, loop).fit(Task(target), run=Run(tmp_path / target.name, seed=1))
        assert isinstance(after, NeuralTagger)
        told = after.vocabulary.context  # type: ignore[union-attr]
        assert (told.corpora[told.home], told.home) == (target.name, home)
        assert f1(after, target) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there is no tagger to train further"),
        ({"bundle": "nowhere"}, "nowhere: no such run or bundle"),
        ({"frozen": ("layers",)}, "no such layer group: layers"),
        ({"frozen": ("words", "characters", "features", "lstm", "projection", "crf")}, "nothing left to train"),
        (
            {"frozen": ("characters", "features", "lstm", "projection", "crf"), "source_l2": 0.1},
            "source_l2: no layer that is carried over is trained",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    settings: dict[str, Any], message: str, bundles: dict[str, str], tmp_path: Path
) -> None:
    settings = {"bundle": bundles["bilstm"], **settings} if "frozen" in settings else settings
    with pytest.raises(Exception, match=message):
        FineTune(training=STILL, **settings).fit(Task(TARGET), run=Run(tmp_path / "run", seed=1))


def test_one_that_is_no_network_is_refused(tmp_path: Path) -> None:
    how: Any = methods.make({"name": "crfsuite", "iterations": 5})[1]
    bundle.save(how.fit(Task(SOURCE), run=Run(tmp_path / "run")), tmp_path / "bundle")
    with pytest.raises(ConfigError, match="a tagger of the kind crfsuite"):
        FineTune(str(tmp_path / "bundle"), STILL).fit(Task(TARGET), run=Run(tmp_path / "other"))


def learned(name: str, sha256: str = "other", role: str = "target") -> dict[str, Any]:
    part = {"name": name, "sha256": sha256}
    return {"target": part, "sources": []} if role == "target" else {"target": None, "sources": [part]}


@pytest.mark.parametrize(
    ("facts", "share", "said"),
    [
        ({}, 1.0, "learned from is not known: it may hold"),
        (learned("cardiology", "same"), 0.1, "learned from cardiology before: labels that a share"),
        (learned("cardiology", "same"), 1.0, ""),
        (
            learned("cardiology"),
            1.0,
            "from cardiology before, divided otherwise or another corpus of that name: it may",
        ),
        (learned("notes"), 1.0, "learned from notes before: it may hold"),
        (learned("notes", role="source"), 1.0, "learned from notes before: it may hold"),
        (
            {**learned("cardiology", "same"), "before": [{"role": "source", "name": "notes", "sha256": "x"}]},
            1.0,
            "notes",
        ),
    ],
)
def test_says_what_is_not_known_of_leaks(facts: dict[str, Any], share: float, said: str, tmp_path: Path) -> None:
    place = save(bundle.load(at_hand(tmp_path)), tmp_path / "bundle", **facts)  # type: ignore[arg-type]
    target = replace(TARGET, name="cardiology")
    found = lineage_of({"bundle": place}, {"target": {"sha256": "same"}, "share": share}, target)
    assert len(found["doubts"]) == bool(said)
    assert all(said in doubt for doubt in found["doubts"])
    assert lineage_of({"bundle": "", "members": [{"bundle": ""}]}, {}, target) == {}
    assert lineage_of({"members": [{"bundle": place}]}, {"target": {"sha256": "same"}, "share": share}, target) == found


def at_hand(folder: Path) -> Path:
    """A bundle that is quickly made."""
    how: Any = methods.make({"name": "crfsuite", "iterations": 1})[1]
    bundle.save(how.fit(Task(SOURCE), run=Run(folder / "run")), folder / "quick")
    return folder / "quick"


@pytest.mark.mirror
def test_counts_what_a_published_corpus_shares_with_the_target(tmp_path: Path) -> None:
    place = save(bundle.load(at_hand(tmp_path)), tmp_path / "bundle", **learned("ncbi-disease"))  # type: ignore[arg-type]
    seen = corpora.load("ncbi-disease").train[:7]
    for count in (7, 0):
        documents = tuple(document.with_entities(()) for document in seen[:count])
        target = TARGET.with_split("test", (*TARGET.test, *documents))
        told = lineage_of({"bundle": place}, {"target": {"sha256": "own"}, "share": 1.0}, target)["doubts"]
        line = "the tagger learned from ncbi-disease, of which 7 documents stand in the target's dev or test"
        assert told == ([line] if count else [])


def test_what_it_had_learned_is_known_two_trainings_later_and_in_reports(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    formats.write([*SOURCE.train, *SOURCE.dev, *SOURCE.test], tmp_path / "v2" / "notes.jsonl", "jsonl")
    notes, still = str(tmp_path / "v2" / "notes.jsonl"), {"training": asdict(STILL)}
    small = {"architecture": asdict(Architecture(BILSTM)), "vectors": {"kind": "none"}}
    first = {"name": "retrain", "source_epochs": 0.0, "source_training": asdict(STILL), **still, **small}
    plans = {"s1": ("demo-cardiology", [notes], first)}
    plans["s2"] = ("demo-cardiology", [], {"name": "fine-tune", "bundle": str(tmp_path / "s1"), **still})
    plans["s3"] = (notes, [], {"name": "fine-tune", "bundle": str(tmp_path / "s2"), **still})
    for name, (target, sources, method) in plans.items():
        data = {"target": target, "sources": sources}
        run_recipe(make_recipe({"data": data, "method": method}), tmp_path / name)
    run = read_run(tmp_path / "s3")
    assert [(each["role"], each["name"]) for each in run.data["before"]] == [
        ("target", "demo-cardiology"),
        ("source", "notes"),
    ]
    line = "the tagger learned from notes before, divided otherwise or another corpus of that name: it may hold"
    assert any(doubt.startswith(line) for doubt in doubts_of(run))
    assert f"Note: {line}" in (tmp_path / "s3" / "bundle" / "README.md").read_text()
    further = {"fine-tune": {"bundle": str(tmp_path / "s2"), **still}}
    table = make_comparison({"compare": {"tasks": [{"target": notes}]}, "methods": further})
    cells = [cell for cell in table.cells() if cell.variant.name != "target-only"]
    assert not run_cells(cells, tmp_path / "c", records=tmp_path / "c" / "records")
    found = summarise(cell_entries(cells, find_records(cells, tmp_path / "c" / "records")))
    assert any(said.startswith(f"fine-tune on notes at 100 %: {line}") for said in verdicts(found))
    members = list(read_part(tmp_path / "s3").targets)
    assert {sha for sha, _ in members} == {run.data["target"]["sha256"], run.data["before"][0]["sha256"]}


def test_a_run_names_its_bundle_and_is_not_taken_for_one_of_another(
    bundles: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(bundle.load(Path(bundles["bilstm"])), Path("own"))  # type: ignore[arg-type]
    table = {"data": {"target": "demo-cardiology"}, "run": {"seed": 2}}
    recipe = make_recipe({**table, "method": {"name": "fine-tune", "bundle": "own", "training": asdict(STILL)}})
    run_recipe(recipe, Path("run"))
    assert "a tagger that had learned from nobody knows what." in Path("run/bundle/README.md").read_text()
    Path("own/notes.txt").write_text("beside it")
    run_recipe(recipe, Path("run"))
    save(bundle.load(Path(bundles["transformer"])), Path("own"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="own has changed since"):
        run_recipe(recipe, Path("run"))
