"""Word vectors: every file form, training that repeats itself, and the cache."""

from __future__ import annotations

import gzip
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from transfuse import corpora
from transfuse.data.overlap import overlap
from transfuse.data.task import resolve_target
from transfuse.experiments.recipe import SHIPPED
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers import vectors as module
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.vectors import Vectors, WordVectors, folds_widths, read_vectors, train_vectors
from transfuse.taggers.vocabulary import normalise
from transfuse.text import ConfigError, Corpus, DataError, Document, Task

GLOVE = "Fever 1 2 3\nfever 9 9 9\np53 4 5 6\n"


@pytest.fixture
def vectors() -> WordVectors:
    values = np.arange(6, dtype=np.float16).reshape(2, 3)
    return WordVectors(("fever", "p00"), values, {"from": "here"})


@pytest.mark.parametrize("name", ["v.safetensors", "v.bin", "v.txt"])
def test_written_and_read(vectors: WordVectors, tmp_path: Path, name: str) -> None:
    vectors.save(tmp_path / name)
    again = read_vectors(tmp_path / name)
    assert again.words == vectors.words
    np.testing.assert_array_equal(again.values, vectors.values)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # gensim forgets to close the file
def test_glove_has_no_header_and_the_first_of_like_words_wins(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(GLOVE)
    with gzip.open(tmp_path / "glove.txt.gz", "wt") as file:
        file.write("3 3\n" + GLOVE)
    for name in ("glove.txt", "glove.txt.gz"):
        read = read_vectors(tmp_path / name)
        assert read.words == ("fever", "p00")
        assert read.values.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "no such file"),
        ("v.txt", b"two words\nfever 1 x 3\n", "not word vectors"),
        ("v.bin", b"10 200\nabc", "not word vectors"),
        ("v.safetensors", b"\x80\x04pickle", "not a file of word vectors"),
        ("empty.txt", b"", "not word vectors|no word vectors"),
        ("empty.bin", b"", "not word vectors|no word vectors"),
        ("header.txt", b"0 3\n", "not word vectors|no word vectors"),
        ("few.txt", b"1 3\nfever 1 2 3\nof 1 2 3\n", "promises 1 vectors, and 2 follow"),
        ("many.txt", b"1000000000000 3\nfever 1 2 3\n", "promises 1,000,000,000,000 vectors, and 1 follow"),
        ("damaged.txt.gz", gzip.compress(b"fever 1 2 3\n" * 99, mtime=0)[:20] + b"\xff" * 20, "not word vectors"),
        ("nan.txt", b"fever 1 nan 3\nof 1 2 3\n", "1 vectors are not finite in 16 bits; the first is of 'fever'"),
        ("large.txt", b"of 1 2 3\nfever 1 1e9 3\n", "1 vectors are not finite in 16 bits; the first is of 'fever'"),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # gensim leaves it open
def test_broken_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vectors(tmp_path / name)


def test_training_repeats_itself_and_is_kept(tmp_path: Path) -> None:
    documents = department("cardiology", documents=60).train
    settings = Vectors(width=8, count=2, epochs=2)
    first = train_vectors(documents, settings, cache=tmp_path / "a")
    second = train_vectors(documents, settings, cache=tmp_path / "b")
    assert first.words == second.words
    np.testing.assert_array_equal(first.values, second.values)
    kept = list((tmp_path / "a").iterdir())
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    train_vectors(documents, settings, cache=tmp_path / "a")
    assert kept[0].stat().st_mtime_ns == before
    train_vectors(documents, Vectors(width=8, count=2, epochs=2, seed=2), cache=tmp_path / "a")
    train_vectors(documents[1:], settings, cache=tmp_path / "a")
    assert len(list((tmp_path / "a").iterdir())) == 3
    assert all(word == normalise(word) for word in first.words)


def test_too_little_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no word occurs 4 times"):
        train_vectors([Document("1", "fever")], Vectors(), cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_unseen_words_keep_their_given_vectors(tmp_path: Path, vectors: WordVectors) -> None:
    vectors.save(tmp_path / "v.safetensors")
    corpus = Corpus("c", {"train": (Document("1", "pain P53 pain"),)}, ("Disease",))
    settings = Supervised(vectors=Vectors(kind="file", path=str(tmp_path / "v.safetensors")))
    encoding = new_encoding([corpus], settings, task=Task(corpus), run=Run(tmp_path / "run"))
    encoding.table.numbers(["Fever", "pain"])
    forms = encoding.table.forms()
    assert forms.words.tolist() == [1, 0]
    assert forms.trained.tolist() == [0, 1]
    table = encoding.encoder.forms.vectors
    assert torch.equal(table[0], torch.zeros_like(table[0]))
    assert float(table[1:].float().std()) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("settings", [{"kind": "file"}, {"kind": "train"}, {"kind": "task", "path": "x"}])
def test_settings_that_contradict_themselves(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Vectors(**settings)  # type: ignore[arg-type]


def test_widths_are_folded_unless_all_text_is_english() -> None:
    assert not folds_widths(["en-text"], ["ncbi-disease"])
    assert folds_widths(["en-text"], ["cehrner"])
    assert folds_widths(["zh-medical-text"], [])
    assert folds_widths([], ["notes.txt"])


@pytest.mark.parametrize(("name", "apart"), [("wikigold, fold 1 of 4", 2), ("wikigold", 2), ("ncbi-disease", 0)])
def test_vectors_do_not_read_what_a_target_without_a_test_split_is_tested_on(
    name: str, apart: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = tuple(Document(str(i), f"word{i}") for i in range(6))
    task = Task(Corpus(name, {"train": documents[2:], "test": documents[:2]}, ()))
    settings = Vectors(kind="train", corpora=("wikigold", "ncbi-disease"))
    monkeypatch.setattr("transfuse.corpora.load", lambda found: Corpus(found, {"train": documents}, ()))
    assert len(list(module._texts(settings, task))) == 12 - apart
    plain = module._content(settings, Task(Corpus("mine", {}, ())), False)
    assert (module._content(settings, task, False) == plain) == (not apart)


def test_vectors_do_not_read_test_documents_that_another_corpus_trains_on(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"The patient number {i} had a fever and a rash.\n" for i in range(4)]
    trained = {
        "bc5cdr": Corpus("bc5cdr", {"train": tuple(Document(f"s/{i}", text) for i, text in enumerate(texts))}, ()),
        "craft": Corpus("craft", {"train": (Document("1", texts[1]),)}, ()),
    }
    monkeypatch.setattr("transfuse.corpora.load", trained.__getitem__)
    target = Corpus("biored", {"test": (Document("1", texts[1] + texts[2]),), "dev": (Document("2", texts[3]),)}, ())
    settings = Vectors(kind="train", corpora=("bc5cdr", "craft"))
    assert [document.id for document in module._texts(settings, Task(target))] == ["s/0", "s/3", "1"]
    assert len(list(module._texts(settings, Task(replace(target, name="bc5cdr-disease"))))) == 5


@pytest.mark.mirror
def test_recipes_train_vectors_on_no_test_documents_but_those_that_are_known_of(read_once: None) -> None:
    def bare(documents: Iterable[Document]) -> tuple[Document, ...]:
        return tuple(Document(each.id, each.text) for each in documents)

    targets: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in SHIPPED.glob("*/*.toml"):
        table = tomllib.loads(path.read_text("utf-8"))
        for method in (table.get("method", {}), *table.get("methods", {}).values()):
            if read := method.get("vectors", {}).get("corpora"):
                tasks = table["compare"]["tasks"] if "compare" in table else [table["data"]]
                targets[tuple(read)] |= {task["target"] for task in tasks}
    assert len(targets) > 2
    for read, names in targets.items():
        tested = Corpus("tested", {name: bare(resolve_target(name).test) for name in names}, ())
        trained = Corpus("trained", {name: bare(corpora.load(name).train) for name in read}, ())
        for found in overlap(tested, trained):
            target, name = found.split.partition("/")[2], found.other.partition("/")[2]
            if corpora.info(target).archive != corpora.info(name).archive:
                assert (found.share >= 0.009) == (name in corpora.info(target).tested_on), found
