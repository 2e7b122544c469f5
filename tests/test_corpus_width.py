"""A vector for the corpus that a sentence is of: corpora that contradict each other can be learned together."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from transfuse import bundle, methods
from transfuse.context import Context
from transfuse.experiments.recipe import make_recipe
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import BundleError, ConfigError, Corpus, Document, Entity, Task
from transfuse.train import Training
from transfuse.transfer.together import Start, begin_afresh
from transfuse.words import words

ANIMALS, PLANTS = ("otter", "heron", "stoat", "adder"), ("sorrel", "yarrow", "bracken", "clover")
PLAIN = ("the", "old", "near", "under", "saw", "we", "a", "often")


def texts(count: int, seed: int, wanted: tuple[str, ...]) -> tuple[Document, ...]:
    """The same nonsense whatever is wanted: only what counts as a mention differs."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        names = [draw.choice(draw.choice((ANIMALS, PLANTS, PLAIN))) for _ in range(7)]
        text, entities, at = " ".join(names), [], 0
        for name in names:
            entities += [Entity(at, at + len(name), "Thing")] if name in wanted else []
            at += len(name) + 1
        found.append(Document(f"{seed}-{number}", text, tuple(entities)))
    return tuple(found)


def corpus(name: str, wanted: tuple[str, ...]) -> Corpus:
    splits = {"train": texts(40, 1, wanted), "dev": texts(8, 2, wanted), "test": texts(25, 3, wanted)}
    return Corpus(name, splits, ("Thing",))


TASK = Task(corpus("zoo", ANIMALS), (corpus("garden", PLANTS),))
LOOP = Training(epochs=4, steps=40, batch=8, rate=0.02)
BRIEF = Training(epochs=1, steps=4, rate=0.02)


def settings(width: int | None, **how: Any) -> Architecture:
    return Architecture(BiLSTMEncoder(hidden=8, word_width=8, characters="none", corpus_width=width, **how))


def method(name: str, width: int | None, training: Training, **how: Any) -> Any:
    """A method with tiny settings; the same loop on sources as on the target."""
    kind = methods.get(name)
    loops = {"source_training": training, "shared_training": training, "source_epochs": 1.0, "rates": (1.0,)}
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    loops = {key: value for key, value in loops.items() if key in known}
    if "init" in known:  # by default it trains on no source alone
        del loops["source_training"]
    return kind(architecture=settings(width), training=training, vectors=Vectors(kind="none"), **loops | how)  # type: ignore[call-arg]


def told(tagger: Any, documents: Iterable[Document]) -> list[Document]:
    return list(tagger.tag(documents, confidence=True))


def f1(tagger: Any, of: Corpus) -> float:
    return score(of.test, tagger.tag(of.test), of.labels, kinds=("strict",)).micro().f1


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))


def begin(folder: Path, width: int | None = 3, **how: Any) -> Start:
    chosen = Supervised(settings(width, **how), BRIEF, Vectors(kind="none"))
    return begin_afresh(TASK, chosen, run=Run(folder))


@pytest.mark.parametrize("name", ["pooled", "mtl-xc"])
def test_opposite_labels_are_learned_with_it_and_not_without(name: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "with")
    tagger = method(name, 4, LOOP).fit(TASK, run=run)
    assert f1(tagger, TASK.target) > 0.95
    assert f1(method(name, None, LOOP).fit(TASK, run=Run(tmp_path / "without")), TASK.target) < 0.8
    (fact,) = run.records("context")
    assert fact["corpora"] == ["zoo", "garden"]
    other = replace_home(tagger, "garden")
    assert f1(other, TASK.sources[0]) > 0.95
    assert f1(other, TASK.target) < 0.1
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    test = [*TASK.target.test, Document("new", "an otter by the clover")]
    assert told(again, test) == told(tagger, test)


def replace_home(tagger: Any, name: str) -> NeuralTagger:
    assert isinstance(tagger, NeuralTagger)
    known = tagger.vocabulary.at(name)  # type: ignore[union-attr]
    return NeuralTagger(tagger.encoder, tagger.head, known, tagger.tagset, architecture=tagger.architecture)


def test_the_gradient_reaches_the_corpora_of_a_batch_alone(tmp_path: Path) -> None:
    begun = begin(tmp_path)
    encoder: Any = begun.encoding.encoder
    (table,) = encoder.forms.context
    assert table.weight.shape == (2, 3)
    for number, domain in enumerate((begun.target, *begun.sources)):
        encoder.zero_grad()
        batch = begun.encoding.batch(sorted(domain.items[:4], key=lambda s: -len(s.forms)), domain.tagset)
        encoder(batch).square().sum().backward()
        reached = table.weight.grad.abs().sum(1) > 0
        assert reached.tolist() == [row == number for row in range(2)]
    mixed = [begun.target.items[0], begun.sources[0].items[0]]
    encoder.zero_grad()
    encoder(begun.encoding.batch(mixed, begun.target.tagset)).square().sum().backward()
    assert (table.weight.grad.abs().sum(1) > 0).all()


def test_each_corpus_is_scored_as_itself_and_new_text_as_the_target(tmp_path: Path) -> None:
    begun = begin(tmp_path)
    own, theirs = (domain.tagger(begun.encoding).vocabulary for domain in (begun.target, *begun.sources))
    assert own is begun.encoding.table.vocabulary
    assert (own.context.home, theirs.context.home) == (0, 1)  # type: ignore[union-attr]
    plain = begun.encoding.tagger(begun.target.head, begun.target.tagset)  # type: ignore[arg-type]
    assert plain.vocabulary is own


def test_beside_a_pretrained_model_it_is_told_too(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")
    from tiny import make

    begun = begin(tmp_path / "run", transformer=TransformerEncoder(name=make(tmp_path / "bert", "bert")))
    table = begun.encoding.table
    for domain, row in ((begun.target, 0), (begun.sources[0], 1)):
        numbers = torch.tensor(domain.items[0].forms)
        assert table.forms().select(numbers).forms.context[:, -1].tolist() == [row] * len(numbers)  # type: ignore[union-attr]
        vocabulary = domain.tagger(begun.encoding).vocabulary
        assert vocabulary.words.context.home == row  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["joint", "multitask", "mtl-ls", "la-dtl"])
def test_methods_that_learn_corpora_together_take_it(name: str, tmp_path: Path) -> None:
    fresh = {"init": "fresh"} if name == "la-dtl" else {}
    tagger = method(name, 3, BRIEF, **fresh).fit(TASK, run=Run(tmp_path / "run"))
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(TASK.target.test)) == list(tagger.tag(TASK.target.test))
    assert tagger.vocabulary.context.corpora == ("zoo", "garden")


def test_where_it_would_do_nothing_it_is_refused(tmp_path: Path) -> None:
    alone = r"encoder.corpus_width: the target is not learned together with sources here"
    for name, how in (("target-only", {}), ("retrain", {}), ("joint", {"init": "source"})):
        with pytest.raises(ConfigError, match=alone):
            method(name, 3, BRIEF, **how).fit(TASK, run=Run(tmp_path / name))
    unlabelled = replace(TASK, target=TASK.target.with_split("train", ()))
    with pytest.raises(ConfigError, match=r"corpus_width: zoo has no labelled document"):
        method("pooled", 3, BRIEF).fit(unlabelled, run=Run(tmp_path / "none"))


def test_recipes_without_it_do_not_name_it() -> None:
    def encoder(**how: int) -> dict[str, Any]:
        table = {"name": "pooled", "architecture": {"encoder": how}}
        data = {"target": "demo-cardiology", "sources": ["demo-neurology"]}
        found: dict[str, Any] = make_recipe({"data": data, "method": table}).to_dict()["method"]["architecture"]
        return dict(found["encoder"])

    assert "corpus_width" not in encoder()
    assert encoder(corpus_width=8) == encoder() | {"corpus_width": 8}


def test_words_are_told_their_corpus_behind_all_else() -> None:
    context = Context(pos=True, corpora=("zoo", "garden"))
    text = "an otter"
    assert bool(Context(corpora=("zoo", "garden")))
    for corpus_, row in (("", 0), ("zoo", 0), ("garden", 1)):
        assert [rows[1] for rows in context.read(text, words(text), corpus_)] == [row, row]
    assert [rows[1] for rows in context.at("garden").read(text, words(text))] == [1, 1]
    assert context.sizes[1:] == (2,)
    assert Context(pos=True).at("anything") == Context(pos=True)
    again = Context.from_dict(json.loads(json.dumps(context.at("garden").to_dict())))
    assert again == context.at("garden")
    for known in (Context(pos=True).to_dict(), Context(pos=True).facts()):
        assert set(known) == {"gazetteers", "pos"}  # as files of before have it


def test_a_bundle_with_a_corpus_that_is_not_there_is_refused(tmp_path: Path) -> None:
    begun = begin(tmp_path / "run")
    tagger = begun.target.tagger(begun.encoding)
    broken = replace(tagger.vocabulary, context=Context(corpora=("zoo", "garden"), home=2))  # type: ignore[type-var]
    net = NeuralTagger(tagger.encoder, tagger.head, broken, tagger.tagset, architecture=tagger.architecture)
    bundle.save(net, tmp_path / "bundle")
    with pytest.raises(BundleError, match="no corpus 2 among 2"):
        bundle.load(tmp_path / "bundle")
