"""Recipes: what is refused, with its path, and what is kept."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest
import tomli_w

from transfuse import formats, methods
from transfuse.cli import main
from transfuse.data.task import resolve
from transfuse.experiments.recipe import find_recipe, load_recipe, make_recipe, override, shipped_recipes
from transfuse.experiments.running import run_recipe
from transfuse.text import ConfigError, DataError, TransfuseError

DATA = {"target": "demo-cardiology"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"data": {**DATA, "shares": 1}}, r"unknown key data\.shares; did you mean data\.share\?"),
        ({"data": DATA, "method": {"name": "nothing"}}, "unknown method 'nothing'"),
        ({"data": DATA, "method": {"training": {"epoch": 3}}}, r"unknown key method\.training\.epoch; did you mean"),
        ({"data": DATA, "method": {"training": {"epochs": "3"}}}, r"method\.training\.epochs: .*integer.*not '3'"),
        ({"data": DATA, "method": {"training": {"epochs": 0}}}, r"training\.epochs is at least 1, not 0"),
        ({"data": DATA, "method": {"architecture": {"head": "cfr"}}}, r"method\.architecture\.head: .*'crf', 's"),
        ({"data": DATA, "method": {"architecture": {"encoder": {"dropout": 1.5}}}}, r"encoder\.dropout lies in"),
        (
            {"data": DATA, "method": {"name": "retrain", "preset": "x"}},
            "no preset 'x'; there are: gan-wang, giorgi-bader",
        ),
        ({"data": DATA, "method": {"name": "retrain", "frozen": ["lstms"]}}, "no such layer group: lstms"),
        ({"data": DATA, "method": {"name": "crfsuite", "c1": -0.1}}, "c1 is at least 0, not -0.1"),
        ({"data": DATA, "method": {"name": "crfsuite", "iterations": 0}}, "iterations is at least 1, not 0"),
        ({"data": DATA, "method": "retrain"}, "method is a table, not 'retrain'"),
        ({"data": DATA, "method": {"name": 3}}, "unknown method 3"),
        ({"data": DATA, "method": {"preset": [1]}}, r"target-only has no preset \[1\]"),
        ({"data": DATA, "method": {"training": {"patience": 1, "select": "last"}}}, 'patience .* select = "best"'),
        ({"data": DATA, "method": {"name": "retrain", "transfer": ["words"], "source_l2": 1.0}}, "source_l2: no layer"),
        ({"data": DATA, "run": 3}, "run is a table, not 3"),
        ({"data": {**DATA, "share": datetime.date(2020, 1, 1)}}, "data: a date or a time is no setting"),
        (
            {"data": DATA, "method": {"architecture": {"encoder": "transformer"}}},
            r"method\.architecture\.encoder.*transf",
        ),
        ({"data": DATA, "method": {"name": "la-dtl", "source_epochs": 0.0}}, "source_epochs is above 0, not 0"),
        ({"data": DATA, "method": {"name": "crf-l2", "architecture": {"head": "softmax"}}}, "between two CRFs"),
        (
            {"data": DATA, "method": {"name": "muct", "training": {"select": "best"}}},
            'training.select = "best": a view ends with',
        ),
        ({"data": DATA, "run": {"seed": 0.5}}, r"run\.seed is a whole number"),
        ({"data": DATA, "run": {"seed": -1}}, r"run\.seed lies in \[0, 4294967295\], not -1"),
        ({"data": DATA, "run": {"seeds": 1}}, r"unknown key run\.seeds"),
        ({"date": DATA}, r"data\.target: Field required$|unknown key date"),
        ({"data": DATA, "method": {"vectors": {"kind": "file"}}}, "needs a path"),
    ],
)
def test_refused_with_its_path(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_recipe(table)


def test_a_preset_is_a_start_that_settings_change() -> None:
    method = {"name": "retrain", "preset": "giorgi-bader", "training": {"epochs": 2}}
    recipe = make_recipe({"data": DATA, "method": method})
    table = recipe.to_dict()["method"]
    assert table["training"] == {**table["training"], "epochs": 2, "batch": 1, "optimizer": "sgd", "rate": 0.005}
    assert table["source_dropout"] == 0.8


def test_override_reads_toml_and_falls_back_to_text() -> None:
    table = override({}, ["a.b=1", "a.c=[1, 2]", "d=en-text", 'e="x"', "f=true"])
    assert table == {"a": {"b": 1, "c": [1, 2]}, "d": "en-text", "e": "x", "f": True}
    assert override({}, ['a=[{"b": 1, "c": {}}]', "d={e = 2}"]) == {"a": [{"b": 1, "c": {}}], "d": {"e": 2}}
    with pytest.raises(ConfigError, match=r"write it as a\.b=c"):
        override({}, ["a.b"])
    with pytest.raises(ConfigError, match="a is a value, not a table"):
        override({"a": 1}, ["a.b=2"])


def test_the_resolved_recipe_resolves_to_itself(tmp_path: Path) -> None:
    for name in methods.names():
        recipe = make_recipe({"data": DATA, "method": {"name": name}, "run": {"seed": 4}})
        path = tmp_path / f"{name}.toml"
        path.write_text(tomli_w.dumps(recipe.to_dict()))
        again = load_recipe(path)
        assert again.to_dict() == recipe.to_dict()
        assert again.hash == recipe.hash
        assert make_recipe({"data": DATA, "method": {"name": name}, "run": {"seed": 5}}).hash != recipe.hash


def test_every_shipped_recipe_resolves() -> None:
    assert shipped_recipes()
    for name in shipped_recipes():
        load_recipe(find_recipe(name))


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such recipe; did you mean ground/ncbi-disease"):
        find_recipe("ground/ncbi-diseas")
    with pytest.raises(ConfigError, match="this is a comparison"):
        load_recipe(find_recipe("la-dtl/grid"))
    with pytest.raises(DataError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[data\n")
    with pytest.raises(DataError, match=r"bad\.toml: not TOML: .*line 1"):
        load_recipe(tmp_path / "bad.toml")


def test_a_finished_run_is_not_run_again_and_a_folder_holds_one(tmp_path: Path) -> None:
    table = {"data": {**DATA, "share": 0.2}, "method": {"name": "crfsuite", "iterations": 10}}
    scores = run_recipe(make_recipe(table), tmp_path / "run")
    records = (tmp_path / "run" / "records.jsonl").read_bytes()
    assert run_recipe(make_recipe(table), tmp_path / "run") == scores
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == records
    assert tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["data"]["share"] == 0.2
    assert set(scores) == {"dev", "test"}
    assert 0 <= scores["test"]["strict"]["micro"]["f1"] <= 1
    assert not (tmp_path / "run" / "checkpoint").exists()
    with pytest.raises(ConfigError, match="holds the run of another recipe"):
        run_recipe(make_recipe({**table, "run": {"seed": 1}}), tmp_path / "run")


def test_a_run_is_not_poured_over_other_files(tmp_path: Path) -> None:
    recipe = make_recipe({"data": {**DATA, "share": 0.2}, "method": {"name": "crfsuite", "iterations": 10}})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "train.jsonl").write_text("")
    with pytest.raises(ConfigError, match="holds files and no run"):
        run_recipe(recipe, tmp_path / "notes")
    with pytest.raises(DataError, match=r"train\.jsonl: cannot be a run folder"):
        run_recipe(recipe, tmp_path / "notes" / "train.jsonl")
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "train.jsonl"]
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".recipe.toml.7.part").write_text("[da")
    assert set(run_recipe(recipe, tmp_path / "killed")) == {"dev", "test"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A corpus of a user's own."""
    (tmp_path / "own").mkdir()
    for split, documents in resolve("demo-neurology").splits.items():
        formats.write(documents[:20], tmp_path / "own" / f"{split}.jsonl", "jsonl")
    return tmp_path / "own"


def test_a_run_is_not_taken_for_one_on_other_data(own: Path, tmp_path: Path) -> None:
    recipe = make_recipe({"data": {"target": str(own)}, "method": {"name": "crfsuite", "iterations": 5}})
    scores = run_recipe(recipe, tmp_path / "run")
    assert run_recipe(recipe, tmp_path / "run") == scores
    formats.write(resolve("demo-neurology").train[:30], own / "train.jsonl", "jsonl")
    with pytest.raises(ConfigError, match="run: own has changed since: choose another --out"):
        run_recipe(recipe, tmp_path / "run")
    (tmp_path / "run" / "done").unlink()
    with pytest.raises(ConfigError, match="own has changed since"):
        run_recipe(recipe, tmp_path / "run")


def test_a_comparison_is_not_taken_for_one_on_other_data(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"compare": {"tasks": [{"target": str(own)}], "seeds": [0]}}
    brief = {"training": {"epochs": 1, "steps": 2}, "architecture": {"encoder": {"hidden": 4}}}
    table |= {"methods": {"target-only": {"vectors": {"kind": "none"}, **brief}, "crfsuite": {"iterations": 5}}}
    (tmp_path / "c.toml").write_text(tomli_w.dumps(table))
    command = ["compare", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out")]
    for change, status in ((False, 0), (True, 2)):
        if change:
            formats.write(resolve("demo-neurology").train[:30], own / "train.jsonl", "jsonl")
        with pytest.raises(SystemExit) as left:
            main(command)
        assert (left.value.code or 0) == status
    assert "own has changed since" in capsys.readouterr().err


def test_a_comparison_is_not_taken_for_one_with_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors, names = tmp_path / "v.txt", tmp_path / "names.txt"
    vectors.write_text("fever 0.5 0.25\n")
    names.write_text("fever\tFinding\n")
    settings = {
        "training": {"epochs": 1, "steps": 2},
        "vectors": {"kind": "file", "path": str(vectors), "width": 2},
        "architecture": {"encoder": {"hidden": 4, "gazetteers": [f"terms:{names}"]}},
    }
    table = {"compare": {"tasks": [{"target": "demo-neurology"}], "seeds": [0]}}
    table["methods"] = {"target-only": settings, "crfsuite": {"iterations": 5}}
    (tmp_path / "c.toml").write_text(tomli_w.dumps(table))
    command = ["compare", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out")]

    def again(status: int) -> str:
        with pytest.raises(SystemExit) as left:
            main(command)
        assert (left.value.code or 0) == status
        return capsys.readouterr().err

    again(0)
    again(0)
    for path in (vectors, names):
        before = path.read_text()
        path.write_text(before.replace("fever", "headache"))
        assert f"{path} has changed since: choose another --out" in " ".join(again(2).split())
        path.write_text(before)
    (run,) = (
        folder
        for folder in (tmp_path / "out" / "cells").iterdir()
        if "target-only" in (folder / "recipe.toml").read_text()
    )
    recipe = load_recipe(run / "recipe.toml")
    names.unlink()
    assert run_recipe(recipe, run)  # nothing to hold it against
    vectors.write_text("headache 0.5 0.25\n")
    with pytest.raises(ConfigError, match="has changed since"):
        run_recipe(recipe, run)


def test_a_rate_that_is_too_high_is_told_in_a_line(tmp_path: Path) -> None:
    table = {"training": {"rate": 100.0, "epochs": 1, "steps": 30}, "vectors": {"kind": "none"}}
    with pytest.raises(TransfuseError, match=r"target, epoch 1: .*lower training\.rate"):
        run_recipe(make_recipe({"data": {**DATA, "share": 0.2}, "method": table}), tmp_path / "run")
