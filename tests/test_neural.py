"""The neural tagger: batches, windows, offsets on any Unicode text, streaming, masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from by_heart import by_heart
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.neural import NeuralTagger, Sentence, batches, collate, read_sentences
from transfuse.taggers.reading import _groups
from transfuse.taggers.vectors import Vectors
from transfuse.taggers.vocabulary import FormTable, Vocabulary
from transfuse.text import Corpus, Document, Entity, Task
from transfuse.transfer.supervised import Domain, copy_head
from transfuse.words import words

LABELS = ("Chemical", "Disease")


def make(seed: int = 0, scheme: str = "BIOES", head: str = "crf") -> NeuralTagger:
    """An untrained tagger that finds a lot."""
    torch.manual_seed(seed)
    architecture = Architecture(BiLSTMEncoder(hidden=6, word_width=5, char_filters=3), head, scheme)  # type: ignore[arg-type]
    vocabulary = Vocabulary.of((), ["fever", "fever", "after", "aspirin", "-", "12"] * 3, buckets=0)
    encoder = architecture.encoder.build(vocabulary, torch.zeros(1, 0))
    tagset = TagSet(LABELS, scheme)
    layer = architecture.build_head(encoder.width, tagset)
    torch.nn.init.normal_(layer.projection.weight, std=3)
    return NeuralTagger(encoder, layer, vocabulary, tagset, architecture=architecture)


TAGGER = make()


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_offsets_hold_on_any_text(text: str) -> None:
    (tagged,) = TAGGER.tag([Document("x", text, (), ())])
    assert tagged.text == text
    inside = words(text)
    for entity in tagged.entities:
        assert entity.label in LABELS
        assert any(start == entity.start for start, _ in inside)
        assert any(end == entity.end for _, end in inside)


@pytest.mark.parametrize(
    "text",
    [
        "cafe\u0301 fever",
        "\U0001d49c aspirin",
        "a\u200bb fever",
        "fever\r\naspirin",
        "\ufefffever",
        "\u00a0 fever\u3000",
    ],
)
def test_offsets_hold_on_odd_text(text: str) -> None:
    (tagged,) = TAGGER.tag([Document("x", text)])
    assert all(tagged.mention(e) == text[e.start : e.end] and tagged.mention(e).strip() for e in tagged.entities)


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_neighbours_and_chunks_change_nothing(head: str) -> None:
    corpus = department("cardiology", documents=20)
    tagger = make(head=head)
    together = list(tagger.tag(corpus.train))
    alone = [next(tagger.tag([document])) for document in corpus.train]
    tagger.chunk, tagger.keep = 50, 20
    assert together == alone == list(tagger.tag(iter(corpus.train)))
    assert any(document.entities for document in together)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), max_size=12), st.integers(1, 60))
def test_what_is_read_at_once_costs_no_more_than_it_may(sentences: list[tuple[int, int]], most: int) -> None:
    costs = {(number, 0, words): words + more for number, (words, more) in enumerate(sentences)}
    windows = sorted(costs, key=costs.__getitem__, reverse=True)
    groups = list(_groups(windows, costs, most))
    assert sorted(window for group in groups for window in group) == sorted(windows)
    for group in groups:
        assert len(group) == 1 or len(group) * max(costs[window] for window in group) <= most
        assert [words for _, _, words in group] == sorted((words for _, _, words in group), reverse=True)


def test_it_streams() -> None:
    taken = 0

    def source() -> Iterator[Document]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Document(str(number), "fever after aspirin " * 20)

    tagger = make()
    tagger.chunk = 500
    next(tagger.tag(source()))
    assert taken < 20


def test_long_sentences_are_windowed_and_nothing_is_cut() -> None:
    text = " ".join(["fever", "after", "aspirin"] * 700)
    (tagged,) = TAGGER.tag([Document("long", text)])
    (short,) = TAGGER.tag([Document("short", text[: text.index(" ", 1200)])])
    assert tagged.entities[-1].end > len(text) - 100
    early = [e for e in tagged.entities if e.end < 800]
    assert early == [e for e in short.entities if e.end < 800]


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_confidence_is_a_probability(head: str) -> None:
    texts = [*department("cardiology", documents=10).train, Document("long", "fever after aspirin " * 400)]
    documents = list(make(head=head, scheme="BIO").tag(texts, confidence=True))
    assert documents == list(make(head=head, scheme="BIO").tag(texts))
    scores = [entity.score for document in documents for entity in document.entities]
    assert scores
    assert all(score is not None and 0 < score <= 1 for score in scores)


def sentences(count: int) -> list[Sentence]:
    return [Sentence(tuple(range(1 + i * 7 % 23)), (0,) * (1 + i * 7 % 23)) for i in range(count)]


def test_batches_hold_everything_once_within_bounds() -> None:
    items = sentences(200)
    found = batches(items, size=16, words_at_most=120, seed="a")
    assert sorted(map(id, (item for batch in found for item in batch))) == sorted(map(id, items))
    for batch in found:
        lengths = [len(item.forms) for item in batch]
        assert lengths == sorted(lengths, reverse=True)
        assert len(batch) <= 16
        assert lengths[0] * len(batch) <= 120 or len(batch) == 1
    assert found == batches(items, size=16, words_at_most=120, seed="a")
    assert found != batches(items, size=16, words_at_most=120, seed="b")


def test_what_is_not_annotated_is_not_trained_as_outside(tmp_path: Path) -> None:
    text = "aspirin fever after x"
    document = Document("1", text, (Entity(0, 7, "Chemical"),), unknown=((20, 21),))
    table = FormTable(TAGGER.vocabulary)
    tagset = TagSet(LABELS, "BIO")
    (sentence,) = read_sentences([document], table, tagset, annotated=["Chemical"])
    batch = collate([sentence], table, tagset)
    assert batch.allowed is not None
    names = tagset.names
    known = [{name for name, ok in zip(names, row, strict=True) if ok} for row in batch.allowed[0].tolist()]
    assert known[0] == {"B-Chemical"}
    assert known[1] == known[2] == {"O", "B-Disease", "I-Disease"}
    assert known[3] == set(names)


def test_unknown_words_and_characters_always_get_the_same_rows() -> None:
    table = FormTable(TAGGER.vocabulary)
    table.numbers(["zebra", "fever", "ÿÿ", "zebra", "ÿþ"])
    forms = table.forms()
    assert forms.trained.tolist()[0] == 0 < forms.trained.tolist()[1]
    assert forms.chars[2].tolist()[1:3] == forms.chars[3].tolist()[1:3] == [3, 3]
    again = FormTable(TAGGER.vocabulary)
    again.numbers(["ÿÿ"])
    assert again.forms().chars[0].tolist() == forms.chars[2].tolist()[:4]


@pytest.mark.parametrize("amount", [0.5, 1.0])
def test_words_are_dropped_anew_in_each_epoch_as_often_as_they_are_rare(amount: float) -> None:
    """A draw must leave no trace: what is unknown in one epoch is known in another (Lample et al. 2016)."""
    vocabulary = Vocabulary.of([], ["once", "often", "often", "often"], buckets=0)
    table, tagset = FormTable(vocabulary), TagSet(LABELS, "BIO")
    (sentence,) = read_sentences([Document("1", "once often new", ())], table, tagset, annotated=LABELS)
    kept = [part.clone() for part in astuple(table.forms())]
    torch.manual_seed(0)
    epochs = [collate([sentence], table, tagset, word_dropout=amount).unknown for _ in range(2000)]
    rates = torch.stack([unknown for unknown in epochs if unknown is not None]).float().mean(0).tolist()
    assert rates == pytest.approx([amount / (amount + 1), amount / (amount + 3), 1.0], abs=0.04)
    assert all(torch.equal(before, after) for before, after in zip(kept, astuple(table.forms()), strict=True))
    assert collate([sentence], table, tagset).unknown is None


def test_copying_a_head_moves_shared_tags_only() -> None:
    architecture = TAGGER.architecture
    ours, theirs = TagSet(("Disease", "Gene")), TagSet(("Chemical", "Disease"))
    source, target = architecture.build_head(4, theirs), architecture.build_head(4, ours)
    before = target.projection.weight.detach().clone()
    corpora = [Corpus("c", {}, tagset.labels) for tagset in (theirs, ours)]
    one, two = Domain(corpora[0], source, theirs, ()), Domain(corpora[1], target, ours, ())
    moved = copy_head(one, two, ("projection", "crf"))
    assert moved == ["O", "B-Disease", "I-Disease", "E-Disease", "S-Disease"]
    for name in ours.names:
        row = target.projection.weight[ours.names.index(name)]
        expected = (
            source.projection.weight[theirs.names.index(name)] if name in moved else before[ours.names.index(name)]
        )
        assert torch.equal(row, expected)


@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_a_form_is_encoded_alike_in_any_company(kind: str) -> None:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of((), ["fever", "aspirin"] * 3, buckets=64)
    encoder = BiLSTMEncoder(characters=kind, buckets=64).build(vocabulary, torch.zeros(1, 0))  # type: ignore[arg-type]
    torch.nn.init.normal_(encoder.forms.chars.embedding.weight)  # type: ignore[union-attr]
    torch.nn.init.zeros_(encoder.forms.chars.embedding.weight[0].data)  # type: ignore[union-attr]
    table = FormTable(vocabulary)
    table.numbers(["a", "fever", "pneumonoultramicroscopicsilicovolcanoconiosis", "x1"])
    together = encoder.forms(table.forms())
    for number in range(4):
        alone = encoder.forms(table.forms().select(torch.tensor([number])))
        torch.testing.assert_close(alone[0], together[number])


def test_vocabulary_is_of_training_data_only(tmp_path: Path) -> None:
    splits = {name: (Document(name, f"{name}word fever"),) for name in ("train", "dev", "test")}
    corpus = Corpus("c", splits, ("Disease",))
    settings = Supervised(vectors=Vectors(kind="none"))
    encoding = new_encoding([corpus], settings, task=Task(corpus), run=Run(tmp_path))
    assert {word for word, _ in encoding.table.vocabulary.trained} == {"trainword", "fever"}


def test_loss_falls_on_what_it_is_shown(tmp_path: Path) -> None:
    corpus = department("cardiology", documents=10)
    settings = Supervised(Architecture(BiLSTMEncoder(hidden=8, dropout=0.0)), vectors=Vectors(kind="none"))
    encoding = new_encoding([corpus], settings, task=Task(corpus), run=Run(tmp_path))
    tagset = encoding.tagset(corpus.labels)
    head = encoding.head(tagset)
    items = read_sentences(corpus.train, encoding.table, tagset, annotated=corpus.labels)
    losses = by_heart(encoding, head, tagset, items, size=16, steps=30, rate=0.02)
    assert losses[-1] < 0.4 * losses[0]
