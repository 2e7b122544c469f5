"""From what a user names to a task: splits, shares, label names, leakage."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from transfuse.data.splits import find_splits, own_splits
from transfuse.data.task import Data, build_task, find_labels, resolve, resolve_target
from transfuse.labels import LabelMap
from transfuse.losses import Losses
from transfuse.text import ConfigError, Corpus, DataError, LabelError


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


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_label_is_there_to_be_learned(seed: int, tmp_path: Path) -> None:
    write(tmp_path / "notes.jsonl", [*sentences("asthma", 18), *sentences("gout", 2)])
    rows = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    for row in rows[-2:]:
        row["entities"][0]["label"] = "Rare"
    random.Random(seed).shuffle(rows)
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = resolve(str(tmp_path / "notes.jsonl"))
    assert {split: len(documents) for split, documents in corpus.splits.items()} == {"train": 12, "dev": 2, "test": 6}
    assert "Rare" in {entity.label for document in corpus.train for entity in document.entities}


def test_no_test_split_is_drawn_of_a_source_that_is_one_file(tmp_path: Path) -> None:
    for name, word in (("notes", "asthma"), ("other", "fever")):
        write(tmp_path / f"{name}.jsonl", sentences(word, 50))
    task, facts = build_task(Data(str(tmp_path / "notes.jsonl"), (str(tmp_path / "other.jsonl"),)), seed=0)
    assert facts["sources"][0]["documents"] == {"train": 45, "dev": 5}
    assert len(task.target.test) == 15


def test_an_empty_split_is_no_split_to_draw(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    write(tmp_path / "notes" / "train.jsonl", sentences("asthma", 20))
    (tmp_path / "notes" / "test.jsonl").write_text("")
    with pytest.raises(DataError, match=r"notes/test\.jsonl: no document in it: .* test is drawn"):
        resolve(str(tmp_path / "notes"))


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


def test_what_the_target_is_scored_on_is_no_raw_text_either(folder: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "notes.jsonl", [*sentences("asthmatest", 10), *sentences("asthmatrain", 5), *sentences("cough", 7)]
    )
    task, facts = build_task(Data(str(folder), raw=(str(tmp_path / "notes.jsonl"),)), seed=0)
    assert (facts["raw"], facts["raw_removed"]) == (12, {"by_id": 0, "by_text": 10})
    assert not {document.text for document in task.raw} & {document.text for document in task.target.test}


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


def test_a_training_split_without_an_entity_is_an_error_unless_its_labels_are_hidden(folder: Path) -> None:
    (folder / "train.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "text": f"text {i} .", "ents": [[0, 4]]}) + "\n" for i in range(9))
    )
    asked = r'no document to learn from has an entity: was it read in the right format\? \(skipped: member "ents" is'
    with pytest.raises(DataError, match=asked):
        build_task(Data(str(folder)), seed=0)
    task, _ = build_task(Data(str(folder), share=0.0), seed=0)
    assert not task.target.train


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
    with pytest.raises(DataError, match=r"few\.jsonl: too few different documents \(3\)"):
        resolve(str(tmp_path / "few.jsonl"))


def test_splits_are_made_only_where_they_are_wanted(tmp_path: Path) -> None:
    write(tmp_path / "one" / "few.jsonl", sentences("asthma", 3))
    write(tmp_path / "two" / "train.jsonl", sentences("asthma", 30))
    write(tmp_path / "three" / "test.jsonl", sentences("asthma", 2))
    for name, sizes in {"one": {"train": 3}, "two": {"train": 30}, "three": {"test": 2}}.items():
        corpus = resolve(str(tmp_path / name), divide="none")
        assert {split: len(documents) for split, documents in corpus.splits.items()} == sizes


def test_the_hash_sees_text_spans_and_splits(folder: Path) -> None:
    corpus = resolve(str(folder))
    assert corpus.sha256 == resolve(str(folder)).sha256
    moved = corpus.with_split("dev", corpus.test)
    bare = corpus.with_split("dev", (d.with_entities([]) for d in corpus.dev))
    assert len({c.sha256 for c in (corpus, moved, bare)}) == 3


def test_a_limit_counts_sentences_and_keeps_whole_documents(folder: Path, tmp_path: Path) -> None:
    text = "Asthma was found in many patients . It came back in winter . Nobody knew why it did so in {} ."
    write(tmp_path / "source" / "train.jsonl", [text.format(year) for year in range(40)])

    def kept(limit: int) -> list[str]:
        task, _ = build_task(Data(str(folder), (str(tmp_path / "source"),), limit=limit), seed=3)
        return [document.id for document in task.sources[0].train]

    assert [len(kept(limit)) for limit in (1, 3, 4, 30)] == [1, 1, 2, 10]
    assert set(kept(4)) < set(kept(30)) < set(kept(0))
    assert len(kept(0)) == len(kept(10_000))


def test_a_development_split_can_be_short_whatever_the_seed_and_hides_no_leak(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "source" / "train.jsonl", [*sentences("cough", 20), *sentences("asthmadevel", 10)])
    data = Data(str(folder), (str(tmp_path / "source"),), dev_limit=3)
    (task, facts), (other, _) = (build_task(data, seed=seed) for seed in (0, 1))
    assert len(task.target.dev) == facts["dev"] == 3 and task.target.dev == other.target.dev
    assert set(task.target.dev) < set(build_task(replace(data, dev_limit=5), seed=0)[0].target.dev)
    assert facts["sources"][0]["removed"] == {"by_id": 0, "by_text": 10}
    whole, before = build_task(replace(data, dev_limit=None), seed=0)
    assert len(whole.target.dev) == 10 and "dev" not in before
    assert (task.target.train, task.target.test) == (whole.target.train, whole.target.test)
    with pytest.raises(ConfigError, match="dev_limit is at least 1, not 0"):
        replace(data, dev_limit=0)


def test_a_shipped_label_map_goes_by_its_name_and_a_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_labels("weibo").read_text().startswith("#")
    with pytest.raises(DataError, match="no-such-map: cannot read the label map"):
        resolve("demo-cardiology", labels="no-such-map")
    Path("weibo").write_text("")
    assert find_labels("weibo") == Path("weibo")


def test_every_shipped_label_map_is_sound() -> None:
    shipped = sorted(find_labels("weibo").parent.glob("*.toml"))
    assert len(shipped) >= 4
    for path in shipped:
        assert LabelMap.from_toml(path).rename, path.name


def test_a_target_without_test_or_dev_is_divided_and_a_source_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = resolve("demo-cardiology").train[:50]
    for splits, sizes in (
        ({"train": documents}, {"train": 30, "dev": 5, "test": 15}),
        ({"train": documents[:40], "dev": documents[40:]}, {"train": 36, "dev": 4, "test": 10}),
        ({"train": documents[:40], "test": documents[40:]}, {"train": 36, "dev": 4, "test": 10}),
    ):
        given = Corpus("given", splits, resolve("demo-cardiology").labels)
        monkeypatch.setattr("transfuse.data.task.resolve", lambda *_, given=given, **__: given)
        found = resolve_target("given")
        assert {name: len(part) for name, part in found.splits.items()} == sizes
        assert sorted(d.id for part in found.splits.values() for d in part) == sorted(d.id for d in documents)
        task, _ = build_task(Data("given", ("given",)), seed=0)
        assert task.target == found
        assert "test" in splits or len(task.sources[0].train) < len(splits["train"])


def test_sources_without_a_common_label_have_to_be_asked_for(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "source" / "train.jsonl", sentences("gene", 40), label="Gene")
    with pytest.raises(LabelError, match=r"no label in common: rename in a label map, or set data\.disjoint"):
        build_task(Data(str(folder), (str(tmp_path / "source"),)), seed=0)
    task, _ = build_task(Data(str(folder), (str(tmp_path / "source"),), disjoint=True), seed=0)
    assert (task.target.labels, task.sources[0].labels) == (("Disease",), ("Gene",))


@pytest.mark.parametrize(
    "names",
    [
        ("notes_train.jsonl", "notes_dev.jsonl", "notes_test.jsonl"),
        ("eng.train", "eng.testa", "eng.testb"),
        ("CDR_TrainingSet.v1.jsonl", "CDR_DevelopmentSet.v1.jsonl", "CDR_TestSet.v1.jsonl"),
        ("training.jsonl", "validation.jsonl", "test.jsonl"),
    ],
)
def test_splits_whose_names_are_alike(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, count in zip(names, (30, 10, 5), strict=True):
        write(tmp_path / "one.jsonl", sentences(name.partition(".")[0], count))
        (tmp_path / "one.jsonl").rename(folder / name)
    corpus = resolve(f"jsonl:{folder}")
    assert {name: len(documents) for name, documents in corpus.splits.items()} == {"train": 30, "dev": 10, "test": 5}
    assert own_splits(f"jsonl:{folder}") == {"train", "dev", "test"}
    write(folder / "more.jsonl", sentences("more", 3))
    write(folder / "ward" / "notes.jsonl", sentences("ward", 3))
    (folder / ".hidden").mkdir()
    losses = Losses()
    assert resolve(f"jsonl:{folder}", losses=losses).splits.keys() == corpus.splits.keys()
    assert losses.counts == {"skipped: file beside the splits": 1, "skipped: folder beside the splits": 1}


def test_notes_that_only_speak_of_a_test_are_no_splits(tmp_path: Path) -> None:
    for name in ("blood_test", "stress_test", "first_train", "plain"):
        write(tmp_path / f"{name}.jsonl", sentences(name, 10))
    assert find_splits(tmp_path) == {}
    for name in ("a_train", "a_test", "b_train", "b_dev"):
        write(tmp_path / f"{name}.jsonl", sentences(name, 10))
    with pytest.raises(DataError, match=r"holds a_train\.jsonl and b_train\.jsonl, both for train: give each"):
        find_splits(tmp_path)


def test_a_folder_has_one_file_a_split_and_says_what_lies_beside(folder: Path) -> None:
    for name in ("more.jsonl", "train.tsv"):
        (folder / name).write_text("")
    losses = Losses()
    resolve(str(folder), losses=losses)
    assert losses.counts == {"skipped: file beside the splits": 2}
    (folder / "train.part2.jsonl").write_text("")
    with pytest.raises(DataError, match=r"holds train\.jsonl and train\.part2\.jsonl, both for train"):
        resolve(str(folder))


def test_documents_of_one_text_are_not_divided(tmp_path: Path) -> None:
    write(tmp_path / "one.jsonl", sentences("asthma", 10) * 6)
    corpus = resolve(str(tmp_path / "one.jsonl"))
    texts = [{document.text for document in split} for split in corpus.splits.values()]
    assert sum(map(len, texts)) == 10 and sum(map(len, corpus.splits.values())) == 60
    assert {name: len(split) for name, split in corpus.splits.items()} == {"train": 36, "dev": 6, "test": 18}


def test_passages_of_one_document_are_not_divided(tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl", sentences("asthma", 60))
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]

    def split(articles: int) -> dict[str, set[str]]:
        path = tmp_path / f"{articles}.jsonl"
        path.write_text("".join(json.dumps({**row, "id": f"a{i % articles}"}) + "\n" for i, row in enumerate(rows)))
        corpus = resolve(str(path))
        assert sum(map(len, corpus.splits.values())) == 60
        return {name: {document.id.partition("#")[0] for document in part} for name, part in corpus.splits.items()}

    found = split(20)
    assert {name: len(ids) for name, ids in found.items()} == {"train": 12, "dev": 2, "test": 6}
    assert len(set.union(*found.values())) == 20
    with pytest.warns(UserWarning, match="ids tell only 4 documents apart"):
        few = split(4)
    assert few["train"] & few["test"], "four are too few to be kept whole"


def test_documents_of_one_text_are_held_out_together(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    write(tmp_path / "notes" / "train.jsonl", sentences("asthma", 10) * 6)
    write(tmp_path / "notes" / "test.jsonl", sentences("gout", 10))
    corpus = resolve(str(tmp_path / "notes"))
    assert (len(corpus.train), len(corpus.dev)) == (54, 6)
    assert not {document.text for document in corpus.train} & {document.text for document in corpus.dev}
    write(tmp_path / "notes" / "train.jsonl", sentences("asthma", 1) * 6)
    with pytest.raises(ConfigError, match="1 different training documents: too few to hold out any"):
        resolve(str(tmp_path / "notes"))


def test_a_file_called_like_a_built_in_corpus_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "demo-notes.jsonl", sentences("asthma", 20))
    assert len(resolve("demo-notes.jsonl").train) == 12
    assert Data("demo-notes.jsonl").paths == ("demo-notes.jsonl",)


def test_what_is_not_labelled_is_raw_text_whatever_it_is_called(tmp_path: Path) -> None:
    for split, count in (("train", 30), ("test", 5)):
        rows = [json.loads(line) for line in _lines(tmp_path, split, count)]
        rows = [{**row, "id": str(i % 10)} for i, row in enumerate(rows)]
        (tmp_path / "target").mkdir(exist_ok=True)
        (tmp_path / "target" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task, facts = build_task(Data(str(tmp_path / "target"), share=0.2), seed=0)
    assert (len(task.target.train), len(task.raw)) == (facts["labelled"], facts["raw"])
    assert facts["labelled"] + facts["raw"] == 27  # a tenth is held out for development


def _lines(folder: Path, split: str, count: int) -> list[str]:
    write(folder / f"{split}.jsonl", sentences(f"asthma{split}", count))
    return (folder / f"{split}.jsonl").read_text().splitlines()
