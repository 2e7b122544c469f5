"""Cross-validation: which runs there are, what they say together, and that nothing is run twice."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from transfuse.cli import main
from transfuse.data.task import build_task
from transfuse.experiments import cells as running
from transfuse.experiments.kept import find_records
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.validation import cross_validation, fold_cells
from transfuse.reporting.records import make_record
from transfuse.reporting.results import find_runs
from transfuse.reporting.summary import entries_of, summarise
from transfuse.scoring.score import score
from transfuse.text import ConfigError, Corpus, Document, Entity

DISEASES = ("fever", "gout", "asthma", "rash")


def notes(number: int) -> Corpus:
    found = []
    for i in range(number):
        first, second = DISEASES[i % 4], DISEASES[(i // 4) % 4]
        text = f"Patient {i} has {first} and took aspirin for {second} today."
        at, after = text.index(first), text.rindex(second)
        entities = {Entity(at, at + len(first), "Disease"), Entity(after, after + len(second), "Disease")}
        found.append(Document(f"n{i}", text, (*entities, Entity(*_place(text, "aspirin"), "Chemical"))))
    return Corpus("notes", {"train": tuple(found)}, ("Disease", "Chemical"))


def _place(text: str, word: str) -> tuple[int, int]:
    return text.index(word), text.index(word) + len(word)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transfuse import formats

    formats.write(notes(30).train, tmp_path / "notes.jsonl", "jsonl")
    return tmp_path


def recipe(folder: Path, **more):
    return make_recipe({"data": {"target": str(folder / "notes.jsonl")}, "method": {"name": "crfsuite"}, **more})


def verb(folder: Path, *more: str) -> int:
    common = ["--target", str(folder / "notes.jsonl"), "--method", "crfsuite", "--set", "method.iterations=20"]
    with pytest.raises(SystemExit) as left:
        main(["cross-validate", *common, "--folds", "3", "--out", str(folder / "out"), *more])
    return int(left.value.code or 0)


def test_a_run_for_each_fold_and_each_its_own_documents(folder):
    cells = fold_cells(recipe(folder), 3, seed=1)
    assert len({cell.recipe.hash for cell in cells}) == 3
    tasks = [build_task(cell.recipe.data, seed=0)[0] for cell in cells]
    held = [document.id for task in tasks for document in task.target.test]
    assert sorted(held) == sorted(document.id for document in notes(30).train)
    assert [task.target.name for task in tasks] == [f"notes, fold {number} of 3" for number in (1, 2, 3)]
    other = [build_task(cell.recipe.data, seed=0)[0] for cell in fold_cells(recipe(folder), 3, seed=2)]
    assert tasks[0].target.test != other[0].target.test


def test_folds_that_make_no_sense(folder):
    with pytest.raises(ConfigError, match="of is at least 2"):
        fold_cells(recipe(folder), 1)
    held = make_recipe({"data": {"target": "x", "fold": {"number": 1, "of": 2}}})
    with pytest.raises(ConfigError, match=r"data\.fold: cross-validation goes through all of them"):
        fold_cells(held, 2)


def test_the_verb_runs_each_fold_once_and_says_what_scores_say(folder, capsys, monkeypatch):
    assert verb(folder, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["fold"] for each in said["folds"]] == [1, 2, 3]
    runs = find_runs(folder / "out" / "cells")
    assert len(runs) == 3
    tested = {run.target: run.predictions() for run in runs}
    by_hand, pooled_gold, pooled_found = [], [], []
    for cell in fold_cells(recipe(folder), 3):
        target = build_task(cell.recipe.data, seed=0)[0].target
        by_hand.append(score(target.test, tested[target.name]).micro())
        pooled_gold += target.test
        pooled_found += tested[target.name]
    assert [each["strict"]["f1"] for each in said["folds"]] == [counts.f1 for counts in by_hand]
    assert said["mean"]["strict"]["f1"] == statistics.fmean(counts.f1 for counts in by_hand)
    assert said["mean"]["strict"]["sd"] == pytest.approx(statistics.stdev(counts.f1 for counts in by_hand))
    assert said["pooled"] == score(pooled_gold, pooled_found).micro().to_dict()
    assert said["types"].keys() == {"Chemical", "Disease"}
    assert "fold 2 of 3" in (folder / "out" / "report.md").read_text("utf-8")

    monkeypatch.setattr(running, "run_cells", lambda *_, **__: pytest.fail("ran again"))
    assert verb(folder, "--json") == 0
    assert json.loads(capsys.readouterr().out) == said
    assert verb(folder) == 0
    out = capsys.readouterr().out
    assert f"Strict F1: {100 * said['mean']['strict']['f1']:.2f} ± " in out

    summary = summarise(entries_of(runs))  # as `transfuse report` takes them: folds are not seeds
    assert {table.task for table in summary.tables} == tested.keys()
    assert make_record(runs[0]).target == runs[0].target


def test_what_is_not_finished_is_said(folder, capsys):
    assert verb(folder, "--jobs", "0") == 2
    assert "no fold is finished" in capsys.readouterr().err
    assert verb(folder) == 0
    records = sorted((folder / "out" / "records").glob("*.json"))
    records[0].unlink()
    capsys.readouterr()
    assert verb(folder, "--jobs", "0") == 0
    assert "2 of 3 folds are finished" in capsys.readouterr().out
    cells = fold_cells(make_recipe({"data": {"target": "x"}}), 4)
    none = cross_validation(cells, find_records(cells, folder / "nowhere"))
    assert (none.records, none.folds) == ({}, 4)


def test_runs_do_not_go_into_a_folder_that_is_read_whole(folder, capsys):
    (folder / "all").mkdir()
    (folder / "notes.jsonl").rename(folder / "all" / "notes.jsonl")
    for verb_ in ("cross-validate", "train", "compare"):
        for place in (folder / "all", folder / "all" / "runs"):
            with pytest.raises(SystemExit) as left:
                main([verb_, "--target", str(folder / "all"), "--out", str(place)])
            assert left.value.code == 2
            assert "choose another --out" in capsys.readouterr().err
    assert [path.name for path in (folder / "all").iterdir()] == ["notes.jsonl"]


def test_folds_of_a_file_that_has_changed_are_refused(folder, capsys):
    from transfuse import formats

    assert verb(folder) == 0
    next((folder / "out" / "records").glob("*.json")).unlink()
    formats.write(notes(20).train, folder / "notes.jsonl", "jsonl")
    capsys.readouterr()
    assert verb(folder) == 2
    assert "has changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [(["some.toml"], "--target: the recipe says it"), (["--set", "data.fold.number=1"], "Field required")],
)
def test_mistakes_are_one_line(folder, capsys, more, message):
    assert verb(folder, *more) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()
