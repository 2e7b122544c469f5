"""From what a user names to a task: splits, shares, label names, leakage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transfuse.data import Data, build_task, resolve
from transfuse.text import ConfigError, DataError, LabelError


def write(path: Path, texts: list[str], label: str = "Disease") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": f"{path.stem}-{i}", "text": text, "entities": [{"start": 0, "end": text.index(" "), "label": label}]}
        for i, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def sentences(word: str, count: int) -> list[str]:
    return [f"{word}{i} was found in patient number {i} of the {word} ward ." for i in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, count in (("train", 40), ("devel", 10), ("test", 10)):
        write(tmp_path / "target" / f"{split}.jsonl", sentences(f"asthma{split}", count))
    return tmp_path / "target"


def test_a_folder_with_splits(folder: Path) -> None:
    corpus = resolve(str(folder))
    assert {name: len(documents) for name, documents in corpus.splits.items()} == {"train": 40, "dev": 10, "test": 10}
    assert (corpus.name, corpus.labels, corpus.language) == ("target", ("Disease",), "en")


def test_one_file_is_divided_by_document_and_always_alike(tmp_path: Path) -> None:
    write(tmp_path / "notes.jsonl", sentences("asthma", 50))
    corpus = resolve(f"jsonl:{tmp_path / 'notes.jsonl'}")
    assert {name: len(documents) for name, documents in corpus.splits.items()} == {"train": 30, "dev": 5, "test": 15}
    ids = [document.id for documents in corpus.splits.values() for document in documents]
    assert len(set(ids)) == 50
    assert corpus == resolve(str(tmp_path / "notes.jsonl"))


def test_labels_get_their_common_names_and_a_map_comes_before(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", sentences("asthma", 10), label="DISO")
    write(tmp_path / "b.jsonl", sentences("asthma", 10), label="my own label")
    assert resolve(str(tmp_path / "a.jsonl")).labels == ("Disease",)
    assert resolve(str(tmp_path / "b.jsonl")).labels == ("my own label",)
    (tmp_path / "map.toml").write_text('[rename]\n"my own label" = "Finding"\n')
    assert resolve(str(tmp_path / "b.jsonl"), labels=str(tmp_path / "map.toml")).labels == ("Finding",)
    with pytest.raises(LabelError, match="says nothing about DISO"):
        resolve(str(tmp_path / "a.jsonl"), labels=str(tmp_path / "map.toml"))


def test_what_the_target_is_scored_on_leaves_the_source(folder: Path, tmp_path: Path) -> None:
    leaked = [*sentences("asthmatest", 3), *sentences("asthmadevel", 2), *sentences("asthmatrain", 4)]
    write(tmp_path / "source" / "train.jsonl", [*sentences("cough", 20), *(text.upper() for text in leaked)])
    write(tmp_path / "source" / "dev.jsonl", sentences("fever", 4))
    task, facts = build_task(Data(str(folder), (str(tmp_path / "source"),)), seed=0)
    assert facts["sources"][0]["removed"] == {"by_id": 0, "by_text": 5}
    assert len(task.sources[0].train) == 24  # what the target's train split holds may stay


def test_a_share_keeps_labels_and_the_rest_is_raw_text(folder: Path) -> None:
    task, facts = build_task(Data(str(folder), share=0.25), seed=3)
    assert (len(task.target.train), len(task.raw), facts["labelled"], facts["raw"]) == (10, 30, 10, 30)
    assert not any(document.entities for document in task.raw)
    larger, _ = build_task(Data(str(folder), share=0.5), seed=3)
    other, _ = build_task(Data(str(folder), share=0.25), seed=4)
    assert set(task.target.train) < set(larger.target.train)
    assert task.target.train != other.target.train
    assert (task.target.dev, task.target.test) == (other.target.dev, other.target.test)


def test_a_source_is_limited_by_the_seed(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "source" / "train.jsonl", sentences("cough", 40))
    write(tmp_path / "source" / "dev.jsonl", sentences("fever", 4))
    data = Data(str(folder), (str(tmp_path / "source"),), limit=15)
    first, again, other = (build_task(data, seed=seed)[0].sources[0].train for seed in (0, 0, 1))
    assert len(first) == 15
    assert first == again != other


def test_no_label_in_common_is_an_error_not_a_zero(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "source.jsonl", sentences("aspirin", 20), label="Chemical")
    with pytest.raises(LabelError, match=r"source \(Chemical\) and target \(Disease\) have no label in common"):
        build_task(Data(str(folder), (str(tmp_path / "source.jsonl"),)), seed=0)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            "ncbi-diseas",
            ConfigError,
            "no registered corpus and no path is called 'ncbi-diseas'; did you mean ncbi-disease",
        ),
        ("demo-surgery", ConfigError, "no built-in corpus 'demo-surgery'; there are demo-cardiology"),
        ("jsonl:nowhere.jsonl", DataError, r"nowhere\.jsonl: no such file or folder"),
    ],
)
def test_names_that_lead_nowhere(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve(spec)


def test_too_few_documents(tmp_path: Path) -> None:
    write(tmp_path / "few.jsonl", sentences("asthma", 3))
    with pytest.raises(DataError, match="3 documents are too few"):
        resolve(str(tmp_path / "few.jsonl"))


def test_the_hash_sees_text_spans_and_splits(folder: Path) -> None:
    corpus = resolve(str(folder))
    assert corpus.sha256 == resolve(str(folder)).sha256
    moved = corpus.with_split("dev", corpus.test)
    bare = corpus.with_split("dev", (d.with_entities([]) for d in corpus.dev))
    assert len({c.sha256 for c in (corpus, moved, bare)}) == 3
