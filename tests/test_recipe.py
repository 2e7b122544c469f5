"""Recipes: what is refused, with its path, and what is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from transfuse import methods
from transfuse.experiments.recipe import find_recipe, load_recipe, make_recipe, override, run_recipe, shipped_recipes
from transfuse.text import ConfigError, DataError

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
        ({"data": DATA, "run": {"seed": -1}}, r"run\.seed is a whole number from 0"),
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
