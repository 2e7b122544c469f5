"""The contract that every method meets, over discovery."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from transfuse import bundle, methods, synthetic
from transfuse.ensembles.votes import VoteTagger
from transfuse.labels import LabelMap
from transfuse.maps.adaptation import Components
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised
from transfuse.taggers.linear import LinearCRF
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Reader
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, Corpus, Document, Entity, Task
from transfuse.train import Training
from transfuse.transfer.together import FromSources, Paired

FLOOR = 0.45
"""Strict micro F1 on the target's test split that every method reaches on the small built-in task."""

SMALL: dict[str, Any] = {
    "architecture": Architecture(BiLSTMEncoder(hidden=24, word_width=24, char_filters=8, dropout=0.2)),
    "vectors": Vectors(kind="none"),
    "training": Training(epochs=4, steps=40, rate=8e-3),
    "source_training": Training(epochs=3, steps=40, rate=8e-3),
    "shared_training": Training(epochs=3, steps=40, rate=8e-3, select="last"),
    "round_training": Training(epochs=1, steps=20, rate=4e-3),
    "rounds": 1,
    "target_passes": 1,
    "source_epochs": 2.0,
    "raw_epochs": 1.0,
    "tokens": 2_000,
    "components": Components(dimension=20, landmarks=200),
    "crf": LinearCRF(iterations=30),
}
SMALL["members"] = (
    {"name": "target-only", **{key: asdict(SMALL[key]) for key in ("architecture", "training", "vectors")}},
    {"name": "crfsuite", "iterations": 30},
)


def used(kind: type[Any], setting: str) -> bool:
    """Whether it does something in the method as it is by default: what is paired starts afresh."""
    return setting != "source_training" or not issubclass(kind, Paired)


def small(name: str) -> methods.Method:
    kind = methods.get(name)
    known = {field.name for field in fields(kind) if used(kind, field.name)}  # type: ignore[arg-type]
    settings = {key: value for key, value in SMALL.items() if key in known}
    if name == "muct":
        settings |= {key: replace(settings[key], select="last") for key in ("training", "round_training")}
    return kind(**settings)


def brief(name: str) -> methods.Method:
    """An epoch of it."""
    method: Any = small(name)
    short = {
        field.name: replace(value, epochs=1, steps=10)
        for field in fields(method)
        if isinstance(value := getattr(method, field.name), Training) and used(type(method), field.name)
    }
    if isinstance(method, FromSources):
        short["source_epochs"] = min(method.source_epochs, 0.5)
    return replace(method, **short)  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def at_hand(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tagger that `fine-tune` trains further."""
    place, other = tmp_path_factory.mktemp("at-hand"), synthetic.department("neurology", documents=20)
    bundle.save(brief("target-only").fit(Task(other), run=Run(place / "run")), place / "bundle")
    SMALL["bundle"] = str(place / "bundle")


@pytest.fixture(scope="module")
def task() -> Task:
    target = synthetic.department("cardiology", documents=60)
    source = synthetic.department("neurology", documents=60)
    other = LabelMap({label: label for label in source.labels if label != source.labels[0]}, drop=(source.labels[0],))
    extra = tuple(d.with_entities([*d.entities, *_stranger(d)]) for d in other.apply_corpus(source).train)
    labels = (*other.apply_corpus(source).labels, "Stranger")
    raw = tuple(Document(d.id, d.text) for d in synthetic.department("cardiology", documents=90).train[-20:])
    return Task(target, (Corpus("source", {"train": extra, "dev": ()}, labels),), raw)


def _stranger(document: Document) -> list[Entity]:
    """A label that the target does not have, on the first word that nobody annotated."""
    end = document.text.find(" ")
    taken = any(entity.start < end for entity in document.entities)
    return [] if end < 1 or taken else [Entity(0, end, "Stranger")]


class Trained(dict[str, Any]):
    """Each method, trained when a test first asks for it."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder

    def __missing__(self, name: str) -> Any:
        self[name] = small(name).fit(self.task, run=Run(self.folder / name, seed=3))
        return self[name]


@pytest.fixture(scope="module")
def trained(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(task, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize("name", methods.names())
def test_a_change_of_one_value_leaves_the_rest_of_its_table(name: str) -> None:
    kind: Any = methods.get(name)
    plain = kind()
    for each in fields(kind):
        value = getattr(plain, each.name)
        if isinstance(value, Training):
            warm = {} if used(kind, each.name) else {"init": "source"}
            _, changed = methods.make({"name": name, each.name: {"clip": 3.5}, **warm})
            assert changed == replace(plain, **{each.name: replace(value, clip=3.5), **warm})


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("cd-learning", {"degree": 3}, "degree"),
        ("la-dtl", {"kernel": {"features": 256}}, "features"),
        ("crf-l2", {"kernel": {"cap": 8}}, "kernel"),
        ("joint", {"source_training": {"epochs": 2}}, "source_training"),
        ("retrain", {"source_batch": 8}, "source_batch"),
        ("retrain", {"source_weight": 0.3}, "source_weight"),
        ("mmd-crf-l2", {"kernel": {"outside": False}}, "kernel.outside"),
        ("muct", {"kernel": {"outside": False}}, "kernel.outside"),
        ("multitask-variational", {"architecture": {"encoder": {"recurrent_dropout": 0.1}}}, "recurrent_dropout"),
        ("tca", {"components": {"kernel": "linear", "bandwidth": 2.0}}, "bandwidth"),
    ],
)
def test_what_would_do_nothing_is_refused(name: str, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"{named}\b.* would do nothing"):
        methods.make({"name": name, **settings})


@pytest.mark.parametrize("name", sorted(set(methods.names()) - set(methods.SOURCELESS)))
def test_what_needs_a_source_says_so(name: str, task: Task, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no source to transfer to"):
        brief(name).fit(replace(task, sources=()), run=Run(tmp_path, seed=3))


@pytest.mark.parametrize("name", methods.SOURCELESS)
def test_what_needs_no_source_learns_without(name: str, task: Task, tmp_path: Path) -> None:
    assert brief(name).fit(replace(task, sources=()), run=Run(tmp_path, seed=3))


@pytest.mark.parametrize("name", methods.names())
def test_learns_the_target_and_says_only_its_labels(name: str, task: Task, trained: Trained) -> None:
    predicted = list(trained[name].tag(task.target.test))
    assert score(task.target.test, predicted, kinds=["strict"]).micro().f1 > FLOOR
    assert {entity.label for document in predicted for entity in document.entities} <= set(task.target.labels)


@pytest.mark.parametrize("name", methods.names())
def test_same_seed_same_predictions_and_corpora_are_left_alone(name: str, task: Task, tmp_path: Path) -> None:
    quick, before = brief(name), copy.deepcopy(task)
    runs = [quick.fit(task, run=Run(tmp_path / str(i), seed=seed)) for i, seed in enumerate((3, 3, 4))]
    assert task == before, "corpora are left as they are"
    first, second, other = (list(tagger.tag(task.target.dev)) for tagger in runs)
    assert first == second
    if isinstance(runs[0], NeuralTagger | VoteTagger):
        assert first != other


@pytest.mark.parametrize("name", methods.names())
def test_a_saved_bundle_tags_identically(name: str, task: Task, trained: Trained, tmp_path: Path) -> None:
    bundle.save(trained[name], tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    own = list(trained[name].tag(task.target.test, confidence=True))
    theirs = list(again.tag(task.target.test, confidence=True))  # type: ignore[call-arg]
    assert theirs == own
    assert [e.score for d in theirs for e in d.entities] == [e.score for d in own for e in d.entities]
    assert all(0 <= (e.score or 0) <= 1 and e.score is not None for d in own for e in d.entities)


@pytest.mark.parametrize("name", [n for n in methods.names() if issubclass(methods.get(n), Supervised)])
def test_training_moves_every_parameter(name: str, task: Task, trained: Trained, tmp_path: Path) -> None:
    tagger = trained[name]
    voters = tagger.readers if isinstance(tagger, VoteTagger) else [tagger]
    for voter in voters:
        torch.manual_seed(3)
        fresh = voter.architecture.encoder.build(voter.vocabulary, voter.encoder.forms.vectors)
        for (label, after), before in zip(voter.encoder.named_parameters(), fresh.parameters(), strict=True):
            assert not torch.equal(after, before), label
        first = voter.heads[0] if isinstance(voter, Reader) else voter.head
        crf = dict(first.named_parameters())
        assert all(float(crf[f"crf.{part}"].detach().abs().max()) > 0 for part in ("start", "end", "transition"))


def test_every_method_has_a_description_and_refuses_a_name_nobody_has() -> None:
    assert all(len(methods.describe(name)) > 20 for name in methods.names())
    with pytest.raises(Exception, match=r"unknown method 'retrian'; did you mean retrain\?"):
        methods.get("retrian")
