"""What words are told beside their form: names of lists, parts of speech, and states of a pre-trained model."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfuse import bundle, methods
from transfuse.context import PARTS_OF_SPEECH, Context, Form, find_gazetteer
from transfuse.gazetteer import Gazetteer, Matching
from transfuse.methods.target_only import TargetOnly
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.layers import layer_of
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.taggers.vocabulary import FormTable, Vocabulary
from transfuse.text import BundleError, ConfigError, Corpus, Document, Entity, Task
from transfuse.train import Training
from transfuse.words import words

NAMES = Gazetteer([("heart failure", "Disease"), ("failure", "Disease"), ("aspirin", "Chemical")])
ROWS = {name: row for row, name in enumerate(("O", *(f"{p}-{t}" for t in ("Chemical", "Disease") for p in "BIES")))}


def told(text: str, context: Context) -> list[tuple[int, ...]]:
    return context.read(text, words(text))


def test_a_word_is_told_its_place_in_the_longest_name() -> None:
    rows = [row for (row,) in told("Aspirin in heart failure, and failure.", Context((NAMES,)))]
    names = {row: name for name, row in ROWS.items()}
    assert Context((NAMES,)).sizes == (len(ROWS),)
    assert [names[row] for row in rows] == ["S-Chemical", "O", "B-Disease", "E-Disease", "O", "O", "S-Disease", "O"]


def test_a_sentence_within_a_document_is_read_as_if_it_stood_alone() -> None:
    text = "heart failure of the heart: failure of aspirin."
    offsets = [place for place in words(text) if place[0] >= 6]
    alone = text[6:]
    context = Context((NAMES, Gazetteer([("the heart", "Organ")])), pos=True)
    assert context.read(text, offsets) == context.read(alone, words(alone))
    assert {len(row) for row in context.read(text, offsets)} == {3}


def test_a_name_with_two_labels_tells_one_and_always_the_same() -> None:
    both = Gazetteer([("cold", "Disease"), ("cold", "Finding")])
    assert told("a cold", Context((both,))) == told("a cold", Context((both,))) != [(0,), (0,)]


def test_parts_of_speech_are_those_of_the_library() -> None:
    rows = [row for (row,) in told("The patient was treated quickly", Context(pos=True))]
    assert [PARTS_OF_SPEECH[row - 1] for row in rows] == ["DT", "NN", "VBD", "VBN", "RB"]
    assert Context(pos=True).sizes == (len(PARTS_OF_SPEECH) + 1,)


@given(st.text(max_size=60))
def test_any_text_has_a_row_for_each_word(text: str) -> None:
    context = Context((NAMES,), pos=True)
    offsets = words(text)
    if offsets:
        rows = context.read(text, offsets)
        assert len(rows) == len(offsets)
        assert all(0 <= row < size for some in rows for row, size in zip(some, context.sizes, strict=True))


def test_it_survives_json() -> None:
    context = Context(
        (Gazetteer([("Asp", "Drug"), ("fever", "Sign")], Matching(case="exact", plural=False)),), pos=True
    )
    again = Context.from_dict(context.to_dict())
    assert again.to_dict() == context.to_dict()
    assert again.facts() == context.facts()
    assert told("asp Asp fever fevers", again) == told("asp Asp fever fevers", context)


def test_lists_of_names_are_found_by_name_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("heart failure\tDisease\n", encoding="utf-8")
    bundle.save(NAMES, tmp_path / "gazetteer")
    assert find_gazetteer(f"terms:{tmp_path / 'names.txt'}").terms == (("heart failure", "Disease"),)
    assert find_gazetteer(str(tmp_path / "gazetteer")).sha256 == NAMES.sha256
    with pytest.raises(ConfigError, match=r"no folder of a gazetteer, no terms:FILE, and no lexicon \(.*mesh"):
        find_gazetteer("nowhere")
    (tmp_path / "gazetteer" / "terms.tsv").write_text("other\tDisease\n", encoding="utf-8")
    with pytest.raises(BundleError, match="altered"):
        find_gazetteer(str(tmp_path / "gazetteer"))


def test_another_place_is_another_form() -> None:
    vocabulary = Vocabulary.of([], ["failure", "heart"], buckets=0, context=Context((NAMES,)))
    table = FormTable(vocabulary)
    text = "failure heart failure"
    numbers = table.numbers(table.spell(text, words(text)))
    assert len(set(numbers)) == 3
    assert table.names == ["failure", "heart", "failure"]
    assert table.forms().context.T.tolist() == [[ROWS["S-Disease"], ROWS["B-Disease"], ROWS["E-Disease"]]]
    plain = FormTable(replace(vocabulary, context=Context()))
    assert plain.numbers(plain.spell(text, words(text))) == [0, 1, 0]
    assert plain.forms().context.shape == (2, 0)


def test_a_form_is_its_word() -> None:
    form = Form("x", "-", (3,))
    assert (form, form.before, form.context) == ("x", "-", (3,))


# Training


def riddle(count: int, seed: int, known: list[str]) -> list[Document]:
    """Nonsense in which a word is a mention if and only if a list holds it; no other trace of that is in the text."""
    draw = random.Random(seed)
    documents = []
    for number in range(count):
        found, parts, at = [], [], 0
        for _ in range(8):
            listed = draw.random() < 0.3
            word = draw.choice(known) if listed else "".join(draw.choice("abcdefgh") for _ in range(6))
            if listed:
                found.append(Entity(at, at + 6, "Thing"))
            parts.append(word)
            at += 7
        documents.append(Document(f"{seed}-{number}", " ".join(parts), tuple(found)))
    return documents


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, str]:
    draw = random.Random(7)
    listed = ["".join(draw.choice("abcdefgh") for _ in range(6)) for _ in range(120)]
    file = tmp_path_factory.mktemp("names") / "names.txt"
    file.write_text("".join(f"{name}\tThing\n" for name in listed), encoding="utf-8")
    splits = {"train": tuple(riddle(60, 1, listed[:60])), "test": tuple(riddle(30, 2, listed[60:]))}
    return Corpus("riddle", splits, ("Thing",)), f"terms:{file}"


def small(**how: Any) -> TargetOnly:
    encoder = BiLSTMEncoder(hidden=16, word_width=12, char_width=6, char_filters=4, **how)
    training = Training(epochs=2, steps=40, batch=8, rate=0.02)
    return TargetOnly(Architecture(encoder), training, Vectors(kind="none"))


def strict(tagger: Any, corpus: Corpus) -> float:
    return score(corpus.test, tagger.tag(corpus.test), corpus.labels, kinds=("strict",)).micro().f1


def test_names_that_training_lacks_are_found_by_the_list_alone(secret: tuple[Corpus, str], tmp_path: Path) -> None:
    corpus, names = secret
    run = Run(tmp_path / "with")
    tagger = small(gazetteers=(names,)).fit(Task(corpus), run=run)
    assert strict(tagger, corpus) > 0.95
    assert strict(small().fit(Task(corpus), run=Run(tmp_path / "no")), corpus) < 0.5
    (fact,) = run.records("context")
    assert fact["gazetteers"][0]["names"] == 120
    bundle.save(tagger, tmp_path / "bundle")
    Path(names.removeprefix("terms:")).rename(tmp_path / "moved")  # a bundle needs no file but its own
    try:
        again = bundle.load(tmp_path / "bundle")
        assert list(again.tag(corpus.test)) == list(tagger.tag(corpus.test))
    finally:
        (tmp_path / "moved").rename(names.removeprefix("terms:"))


def network(method: TargetOnly, task: Task, folder: Path) -> dict[str, torch.Tensor]:
    tagger = method.fit(task, run=Run(folder))
    assert isinstance(tagger, NeuralTagger)
    return tagger.encoder.state_dict()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")
    from tiny import make

    return make(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def notes() -> Task:
    few = lambda name: replace(department(name, documents=18), name=name)  # noqa: E731
    target, source = few("cardiology"), few("neurology")
    short = {split: documents[:6] for split, documents in target.splits.items()}
    raw = tuple(Document(d.id, d.text) for d in target.train[-2:])
    return Task(replace(target, splits=short), (replace(source, splits={"train": source.train[:6]}),), raw)


def brief(**how: Any) -> TargetOnly:
    return replace(small(**how), training=Training(epochs=1, steps=4, rate=0.02))


def test_every_part_is_a_switch(secret: tuple[Corpus, str], tiny: str, notes: Task, tmp_path: Path) -> None:
    parts: dict[str, dict[str, Any]] = {
        "all": {},
        "words": {"words": False},
        "characters": {"characters": "none"},
        "pos": {"pos": False},
        "gazetteers": {"gazetteers": ()},
        "transformer": {"transformer": None},
    }
    full = {"pos": True, "gazetteers": (secret[1],), "transformer": TransformerEncoder(name=tiny)}
    found = {
        name: network(brief(**full | without), Task(notes.target), tmp_path / name) for name, without in parts.items()
    }
    widths = {name: state["lstm.weight_input"].shape[1] for name, state in found.items()}
    lost = {name: widths["all"] - width for name, width in widths.items()}
    assert lost == {"all": 0, "words": 12, "characters": 16, "pos": 25, "gazetteers": 25, "transformer": 16}
    with pytest.raises(ConfigError, match="nothing to read"):
        BiLSTMEncoder(words=False, characters="none")


def test_a_pretrained_model_beside_words_learns_is_saved_and_tags_identically(
    tiny: str, notes: Task, tmp_path: Path
) -> None:
    method = brief(transformer=TransformerEncoder(name=tiny, rate=0.5, dropout=0.0), pos=True)
    tagger = method.fit(Task(notes.target), run=Run(tmp_path / "run"))
    assert isinstance(tagger, NeuralTagger)
    start, _, _ = TransformerEncoder(name=tiny).load()
    moved = {
        layer_of(f"encoder.transformer.{name}")
        for (name, old), new in zip(start.named_parameters(), tagger.encoder.transformer.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert {"embedding", "layer.1", "layer.2"} <= moved
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    documents = [*notes.target.test, Document("odd", "发热 3\u0301天 cafe\u0301 \ufefffever")]
    assert list(again.tag(documents, confidence=True)) == list(tagger.tag(documents, confidence=True))
    held = brief(transformer=TransformerEncoder(name=tiny, rate=0.0))
    frozen = held.fit(Task(notes.target), run=Run(tmp_path / "frozen"))
    assert isinstance(frozen, NeuralTagger)
    same = zip(start.parameters(), frozen.encoder.transformer.parameters(), strict=True)
    assert all(torch.equal(old, new) for old, new in same)


def test_states_beside_words_are_the_models_own(tiny: str, notes: Task, tmp_path: Path) -> None:
    """Words, characters and the LSTM apart, what goes into the LSTM is what the model alone gives."""
    settings = BiLSTMEncoder(hidden=8, transformer=TransformerEncoder(name=tiny, dropout=0.0), dropout=0.0)
    mixed = new_encoding([notes.target], Supervised(Architecture(settings)), task=notes, run=Run(tmp_path / "a"))
    alone = new_encoding(
        [notes.target],
        Supervised(Architecture(TransformerEncoder(name=tiny, dropout=0.0))),
        task=notes,
        run=Run(tmp_path / "b"),
    )
    text = notes.target.test[0].text[:80]
    seen: list[torch.Tensor] = []
    mixed.encoder.lstm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    own = []
    for encoding in (mixed, alone):
        numbers = encoding.table.numbers(encoding.table.spell(text, words(text)))
        forms = encoding.table.forms().select(torch.tensor(numbers))
        encoding.encoder.eval()
        with torch.no_grad():
            places = torch.arange(len(numbers))[None]
            own.append(encoding.encoder.read(forms, places, torch.tensor([len(numbers)])))  # type: ignore[arg-type]
    assert torch.allclose(seen[0][..., -16:], own[1], atol=1e-6)


@pytest.mark.parametrize("name", ["retrain", "la-dtl", "self-training", "muct"])
def test_methods_take_all_parts(
    name: str, secret: tuple[Corpus, str], tiny: str, notes: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    plain = brief(gazetteers=(secret[1],), pos=True, transformer=TransformerEncoder(name=tiny))
    training = replace(plain.training, select="last")
    method = methods.get(name)(architecture=plain.architecture, training=training, vectors=plain.vectors)
    short = {
        "source_training": training,
        "init": "source",
        "round_training": training,
        "source_epochs": 1.0,
        "raw_epochs": 1.0,
    }
    method = replace(method, **{key: value for key, value in short.items() if hasattr(method, key)})
    tagger = method.fit(notes, run=Run(tmp_path / "run"))
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(notes.target.test)) == list(tagger.tag(notes.target.test))


def test_word_vectors_cannot_be_set_where_none_are_read(notes: Task, tmp_path: Path) -> None:
    method = replace(brief(words=False), vectors=Vectors(kind="file", path="v.txt"))
    with pytest.raises(ConfigError, match=r"encoder.words is off"):
        method.fit(notes, run=Run(tmp_path / "run"))


def test_where_nothing_is_read_of_forms_they_have_no_columns() -> None:
    vocabulary = Vocabulary.of([], ["a", "b", "a"], buckets=0)
    encoder = BiLSTMEncoder(characters="lstm").build(vocabulary, torch.zeros(1, 0))
    encoder.forms.correction = encoder.forms.chars = None
    table = FormTable(vocabulary)
    table.numbers(["a", "b"])
    assert encoder.forms(table.forms()).shape == (2, 0)
