"""Shipped comparisons, their records, and ours beside published numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from transfuse.cli import main
from transfuse.data.task import find_labels
from transfuse.experiments import reproduce
from transfuse.experiments.again import Repeat
from transfuse.experiments.comparison import load_comparison
from transfuse.experiments.printed import means_grid, means_title, tasks_grid
from transfuse.experiments.recipe import SHIPPED, find_recipe, load_recipe, make_recipe, shipped_recipes
from transfuse.experiments.reproduce import choose_cells, find_reproductions, read_reproduction
from transfuse.labels import LabelMap
from transfuse.methods import make
from transfuse.run import environment
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError

NAMES = find_reproductions()

TINY = """
[compare]
shares = [0.1]
seeds = [0, 1]
methods = ["retrain"]

[[compare.tasks]]
target = "demo-neurology"
sources = ["demo-cardiology"]

[[compare.tasks]]
target = "demo-cardiology"
sources = ["demo-neurology"]

[data]
limit = 40

[method]
iterations = 5
training = { epochs = 1, steps = 1, average = 0.0 }
source_training = { epochs = 1, steps = 1, select = "last" }
vectors = { kind = "none" }

[method.architecture.encoder]
hidden = 4
characters = "none"
word_width = 4

[published]
place = "Nobody 2018, table 1"
note = "Invented."
f1 = { target-only = 40.0, retrain = 50.0 }
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped comparison of eight small runs, in a folder of its own."""
    shipped = tmp_path / "shipped"
    (shipped / "nobody").mkdir(parents=True)
    (shipped / "nobody" / "tiny.toml").write_text(TINY)
    monkeypatch.setattr(reproduce, "SHIPPED", shipped)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(*arguments: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as left:
        main(["reproduce", *arguments])
    captured = capsys.readouterr()
    assert left.value.code == status, captured.err
    return captured.out, captured.err


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_comparison_makes_valid_recipes(name: str) -> None:
    comparison = load_comparison(SHIPPED / f"{name}.toml")
    cells = list(comparison.cells())
    assert cells
    for cell in cells[: len(comparison.variants)]:
        assert make_recipe(cell.recipe.to_dict()).hash == cell.recipe.hash
    hashes = {cell.recipe.hash for cell in cells}
    rows = {(cell.task.name, cell.variant.name, cell.share, cell.seed) for cell in cells}
    assert len(rows) == len(cells)
    shared = {cell.task.target for cell in cells}
    # Only variants that look at no source are the same run in tasks with the same target.
    alone = sum(variant.alone for variant in comparison.variants)
    doubled = alone * (len(comparison.tasks) - len(shared)) * len(comparison.shares) * len(comparison.seeds)
    assert len(hashes) == len(cells) - doubled
    if comparison.data.labels:
        assert LabelMap.from_toml(find_labels(comparison.data.labels)).rename


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers_have_a_place_and_are_percentages(name: str) -> None:
    comparison = load_comparison(SHIPPED / f"{name}.toml")
    printed = [number for task in comparison.tasks for number in task.published.values()]
    printed += comparison.published.f1.values() if comparison.published else []
    assert all(20 < number < 100 for number in printed)
    if comparison.published:
        assert printed
        assert " 20" in comparison.published.place
        assert len(comparison.published.note) > 20


@pytest.mark.parametrize("name", NAMES)
def test_every_method_of_a_row_sees_the_source_as_often(name: str) -> None:
    comparison = load_comparison(SHIPPED / f"{name}.toml")
    passes = {}
    for variant in comparison.variants:
        settings: Any = variant.settings
        if variant.method == "muct":
            # a view may learn some of the others' sentences, too; that need not come out even
            each = settings.round_training.epochs * (1 + settings.others * (len(comparison.tasks[0].sources) - 1))
            passes[variant.name] = round(settings.training.epochs + settings.rounds * each)
        if not hasattr(settings, "source_epochs"):
            continue
        before = settings.source_training
        beforehand = variant.method in ("retrain", "self-training") or settings.init == "source"
        if beforehand:
            assert before.steps == 0, "steps would go over a small source again"
            assert before.select == "last", "the source's best epoch would be another number of passes"
        passes[variant.name] = settings.source_epochs + (before.epochs if beforehand else 0)
    if not passes:
        return
    assert len(set(passes.values())) == 1, passes
    for pooled in (variant.settings for variant in comparison.variants if variant.method == "pooled"):
        training: Any = pooled.training  # type: ignore[attr-defined]
        assert (training.epochs, training.steps) == (next(iter(passes.values())), 0)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("la-dtl/", "giorgi-bader/"))])
def test_rows_share_the_vectors_of_the_ground(name: str) -> None:
    vectors = networks_of("", load_recipe(find_recipe("ground/ncbi-disease-5")).method)[0].vectors
    if name.startswith("giorgi-bader"):
        # Of these splits no document stands in the open text; with official training splits, each would need its own.
        vectors = replace(vectors, text=("en-text-open",), corpora=())
    networks = [
        method
        for variant in load_comparison(SHIPPED / f"{name}.toml").variants
        for method in networks_of(variant.method, variant.settings)
    ]
    assert networks
    over_pieces = [each for each in networks if isinstance(each.architecture.encoder, TransformerEncoder)]
    assert all(method.vectors == Vectors("none") for method in over_pieces)
    own = [method.vectors for method in networks if method not in over_pieces]
    if name.partition("/")[2] in OTHER_LANGUAGES:
        assert all(each == own[0] != vectors for each in own)
    else:
        assert all(each == vectors for each in own)


OTHER_LANGUAGES = ("cehrner", "twitter", "weibo-cluener", "weibo-msra")


def networks_of(method: str, settings: Any) -> list[Any]:
    """Settings of all networks that a method trains: its own, or those of a fusion's members."""
    if method == "fusion":
        return [each for member in settings.members for each in networks_of(member["name"], make(member, "member")[1])]
    return [] if method == "crfsuite" else [settings]


def test_the_grid_is_four_by_three() -> None:
    tasks = load_comparison(SHIPPED / "la-dtl" / "grid.toml").tasks
    pairs = {(task.target, task.sources) for task in tasks}
    targets = {target for target, _ in pairs}
    assert len(tasks) == len(pairs) == 12
    assert pairs == {(a, (b,)) for a in targets for b in targets if a != b}


@pytest.mark.mirror
def test_the_grids_corpora_share_labels_and_no_document(read_once: None) -> None:
    from transfuse.data.task import build_task

    for cell in load_comparison(SHIPPED / "la-dtl" / "grid.toml").cells():
        if cell.variant.name == "joint" and cell.seed == 0:
            task, facts = build_task(cell.recipe.data, seed=0)
            assert set(task.target.labels) == set(task.sources[0].labels) == {"Chemical", "Gene"}
            assert sum(facts["sources"][0]["removed"].values()) <= 1
            assert min(len(task.target.dev), len(task.target.test)) >= 50


def test_comparisons_and_label_maps_are_no_recipes_of_runs() -> None:
    assert not set(NAMES) & set(shipped_recipes())
    assert not [name for name in (*NAMES, *shipped_recipes()) if name.startswith("labels/")]
    assert set(find_reproductions("la-dtl")) < set(NAMES)
    assert find_reproductions("la-dtl/grid") == ("la-dtl/grid",)
    with pytest.raises(ConfigError, match=r"'la-dtl/gird'; did you mean la-dtl/grid\?"):
        find_reproductions("la-dtl/gird")


def test_a_choice_of_runs_needs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = run("la-dtl/cehrner", "--jobs", "0", "--only", "seed=0", capsys=capsys, status=2)
    assert "--only chooses what is run, and --jobs 0 runs nothing" in " ".join(err.split())


def test_cells_are_chosen_by_filters() -> None:
    comparison = load_comparison(SHIPPED / "la-dtl" / "grid.toml")

    def chosen(*only: str) -> int:
        return len(choose_cells(comparison, only))

    variants = len(comparison.variants)
    assert chosen() == 12 * variants * 3
    assert chosen("task=craft", "seed=0") == 3 * variants
    assert chosen("task=craft from biored,biored from craft", "method=retrain,joint", "seed=0,2") == 8
    assert chosen("share=0.03") == chosen()
    for only, message in (
        ("seeds=0", "write it as KEY=A,B with a key of task, method, share, seed"),
        ("seed", "write it as KEY=A,B"),
        ("seed=9", "no seed is called 9; there are 0, 1, 2"),
        ("method=retrian", "no method is called retrian"),
    ):
        with pytest.raises(ConfigError, match=message):
            chosen(only)


def test_a_row_runs_resumes_and_prints(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys=capsys)
    assert out.split("\n")[4].split()[:3] == ["nobody/tiny", "0", "12"]
    records = tiny / "runs" / "reproduce" / "results" / "nobody" / "tiny"

    run("nobody/tiny", "--only", "seed=0", "--only", "task=demo-neurology", capsys=capsys)
    first = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert len(first) == 3

    out, _ = run("nobody", "--only", "seed=0", "--json", capsys=capsys)
    assert {path: path.stat().st_mtime_ns for path in first} == first, "a finished cell ran again"
    (figures,) = json.loads(out)
    assert (figures["done"], figures["total"]) == (6, 12)
    assert not list((tiny / "runs" / "reproduce" / "nobody" / "tiny" / "cells").iterdir())

    means = {mean["method"]: mean for mean in figures["means"]}
    rows = {(table["task"], row["method"]): row for table in figures["tables"] for row in table["rows"]}
    tasks = ("demo-neurology from demo-cardiology", "demo-cardiology from demo-neurology")
    for method, published in (("target-only", 40.0), ("retrain", 50.0)):
        mean = sum(rows[task, method]["f1"] for task in tasks) / 2
        assert means[method]["f1"] == pytest.approx(mean, abs=0.01)
        assert means[method]["published"] == published
        assert means[method]["difference"] == pytest.approx(mean - published, abs=0.011)
        assert means[method]["tasks"] == 2
    assert means["crfsuite"]["published"] is None
    assert rows[tasks[0], "retrain"]["source_epochs"] == pytest.approx(1.0)
    assert rows[tasks[0], "target-only"]["source_epochs"] is None

    heads, wide = tasks_grid(figures["tables"])
    assert heads == ["target", "target-only", "crfsuite", "retrain"]
    assert [row[0] for row in wide] == ["demo-neurology", "demo-cardiology"]
    assert wide[1][3] == f"{rows[tasks[1], 'retrain']['f1']:.2f}" and "(" not in wide[0][1]
    one = {"method": "crfsuite", "f1": 1.0, "published": 2.5}
    assert tasks_grid([{"task": "a from b", "share": 0.1, "rows": [one]}]) == (
        ["target", "crfsuite"],
        [["a", "1.00 (2.50)"]],
    )

    kept = json.loads(records.with_suffix(".json").read_text("utf-8"))
    assert kept == figures
    heads, types = figures["tables"][0]["types"]
    assert heads[-1] == "relaxed F1" and types[-1][:2] == ["all", "retrain"]
    assert not any(table["rounds"] for table in figures["tables"])
    out, err = run("nobody/tiny", "--jobs", "0", "--report", "told", capsys=capsys)
    page = (tiny / "told" / "nobody" / "tiny" / "report.html").read_text("utf-8")
    assert "6 of the planned runs are not finished" in page and "told/nobody/tiny/report.html" in err
    text = " ".join(out.split())
    for shown in ("6 of 12 runs done", "Nobody 2018, table 1", "Invented.", "highest strict micro F1 on dev", "50.00"):
        assert shown in text


def test_what_is_done_is_trained_again_and_held_against_its_record(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ("--only", "method=target-only,crfsuite", "--only", "seed=0", "--only", "task=demo-neurology")
    run("nobody/tiny", *only, capsys=capsys)
    records = tiny / "runs" / "reproduce" / "results" / "nobody" / "tiny"
    (crfsuite,) = (path for path in records.glob("*.json") if "iterations" in path.read_text())
    table = json.loads(crfsuite.read_text())
    table["counts"]["test"]["strict"] = {label: [0, 0, 9] for label in table["counts"]["test"]["strict"]}
    table |= {"wrong": {"3,0": [1]}, "tokens": {}, "environment": {}}
    crfsuite.write_text(json.dumps(table))
    before = {path: path.read_bytes() for path in records.glob("*.json")}

    out, _ = run("nobody/tiny", "--again", "--json", capsys=capsys, status=1)
    told = {each["method"]: each for each in json.loads(out)}
    assert set(told) == {"target-only", "crfsuite"}, "what is not done is not trained again"
    assert told["target-only"]["differing"] == [] and told["target-only"]["documents"] == 0
    assert told["target-only"]["f1"] == told["target-only"]["f1_again"]
    assert told["crfsuite"]["differing"] == ["counts", "wrong"] and told["crfsuite"]["f1"] == 0
    kept, now = told["crfsuite"]["machines"]
    assert kept == "a processor its record does not name" and now == told["target-only"]["machines"][0] != kept
    assert {path: path.read_bytes() for path in before} == before
    assert not (tiny / "runs" / "reproduce" / "nobody" / "tiny" / "again").exists()

    out, _ = run("nobody/tiny", "--again", "--only", "method=target-only", capsys=capsys)
    assert "1 of 1 run gave every count of the record again" in " ".join(out.split())


@pytest.mark.parametrize(
    ("areas", "differing"),
    [({}, ()), ({"O": 2e-6}, ()), ({"B": -2e-5}, ("auc",)), ({"I": None}, ("auc",))],
)
def test_areas_differ_from_the_fifth_digit_on(
    areas: dict[str, float | None], differing: tuple[str, ...], tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("nobody/tiny", "--only", "method=target-only", "--only", "seed=0", capsys=capsys)
    row = read_reproduction("nobody/tiny", tiny / "runs" / "reproduce" / "results")
    cell = row.finished(row.comparison.cells())[0]
    kept = replace(row.records[cell.recipe.hash], auc={"B": 0.9, "I": 0.8, "O": 0.7})
    moved = {name: None if by is None else kept.auc[name] + by for name, by in areas.items()}
    assert Repeat(cell, kept, replace(kept, auc={**kept.auc, **moved})).differing == differing
    assert Repeat(cell, replace(kept, auc={}), kept).differing == (), "an older record has none"


def test_tables_and_reports_tell_the_kinds_of_processor(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = ("--records", str(tiny / "kept"))
    printed = ("nobody/tiny", "--jobs", "0", "--report", "told", *results)
    out, _ = run("nobody/tiny", "--only", "method=crfsuite", *results, capsys=capsys)
    here = environment("cpu")["processor"]
    assert f"ran on: {here}\n" in out
    run(*printed, capsys=capsys)
    page = tiny / "told" / "nobody" / "tiny" / "report.md"
    assert here in page.read_text("utf-8") and "kind of processor" not in page.read_text("utf-8")

    first, second, *_ = (tiny / "kept" / "nobody" / "tiny").glob("*.json")
    for path, change in (first, {"processor": "Other", "device": "cuda"}), (second, {}):
        table = json.loads(path.read_text())
        del table["environment"]["processor"]
        path.write_text(json.dumps({**table, "environment": table["environment"] | change}))
    out, _ = run(*printed, capsys=capsys)
    assert (
        f"ran on: {here} (2); " in out
        and "cuda, Other (1)" in out
        and "a processor its record does not name (1)" in out
    )
    told = page.read_text("utf-8")
    assert f"Not all runs name one kind of processor ({here} (2); " in told and "two kinds drift apart" in told


def test_records_of_other_recipes_are_stale_and_left_out(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ("--only", "method=crfsuite", "--only", "seed=0")
    results = ("--records", str(tiny / "kept"))
    run("nobody/tiny", *only, *results, capsys=capsys)
    assert len(read_reproduction("nobody/tiny", tiny / "kept").records) == 2
    (tiny / "shipped" / "nobody" / "tiny.toml").write_text(TINY.replace("iterations = 5", "iterations = 6"))
    changed = read_reproduction("nobody/tiny", tiny / "kept")
    assert (len(changed.records), len(changed.stale)) == (0, 2)
    assert set(changed.stale) == {path.stem for path in (tiny / "kept" / "nobody" / "tiny").glob("*.json")}
    out, err = run("nobody/tiny", "--jobs", "0", "--json", *results, capsys=capsys)
    assert "2 stale records" in err
    assert json.loads(out)[0]["tables"] == []
    out, _ = run(*results, capsys=capsys)
    assert "2 stale records" in out


def test_figures_that_are_kept_are_taken_only_for_the_same_records(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "results").mkdir()
    run("nobody/tiny", "--only", "method=crfsuite", "--keep", capsys=capsys)
    assert (tiny / "results" / "nobody" / "tiny.json").exists(), "./results is where records go if it is there"
    assert len(list((tiny / "runs/reproduce/nobody/tiny/cells").iterdir())) == 4
    row = read_reproduction("nobody/tiny", tiny / "results")
    path = row.figures_path
    path.write_text(path.read_text().replace("Invented.", "Kept."))
    assert row.figures()["note"] == "Kept."
    name, record = next(iter(row.records.items()))
    again = replace(row, records={**row.records, name: replace(record, cpu_seconds=record.cpu_seconds + 1)})
    assert again.figures()["note"] == "Invented.", "a run was done again"
    next(row.folder.glob("*.json")).unlink()
    fewer = read_reproduction("nobody/tiny", tiny / "results")
    assert (len(fewer.records), fewer.figures()["note"], fewer.figures()["done"]) == (3, "Invented.", 3)


def test_a_cell_that_fails_leaves_the_others_alone(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = TINY.replace('sources = ["demo-neurology"]', 'sources = ["silver/broken"]')
    (tiny / "shipped" / "nobody" / "tiny.toml").write_text(broken)
    (tiny / "silver" / "broken").mkdir(parents=True)
    (tiny / "silver" / "broken" / "train.jsonl").write_text("{\n")
    chosen = ("--only", "seed=0", "--only", "task=demo-cardiology", "--only", "method=crfsuite,retrain")
    out, err = run("nobody/tiny", *chosen, "--json", capsys=capsys, status=1)
    assert json.loads(out)[0]["done"] == 1
    where = "silver/broken/train.jsonl:1: "
    assert f"failed: retrain on demo-cardiology from silver/broken, 10 %, seed 0: {where}" in err


def test_a_corpus_that_is_to_be_made_first_is_asked_for_before_anything_runs(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny / "shipped" / "nobody" / "tiny.toml"
    recipe.write_text(TINY.replace('sources = ["demo-neurology"]', 'sources = ["jsonl:silver/missing"]'))
    _, err = run("nobody/tiny", capsys=capsys, status=2)
    assert err == f"error: not here: jsonl:silver/missing; how to make them stands at the head of {recipe}\n"
    assert not list(tiny.glob("runs/**/*.json"))
    run("nobody/tiny", "--only", "method=crfsuite", "--only", "seed=0", capsys=capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody/tiny", "--only", "seed=7"), "no seed is called 7"),
        (("nobody/tyni",), "did you mean nobody/tiny?"),
        (("nobody/tiny", "--jobs", "-1"), "--jobs"),
        (("--again",), "name what to train once more"),
        (("nobody/tiny", "--again", "--keep"), "leave out --keep"),
        (("nobody/tiny", "--again"), "none of these runs is done"),
    ],
)
def test_mistakes_are_one_line(
    tiny: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(*arguments, capsys=capsys, status=2)
    assert not out
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_broken_record_is_named(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny / "results" / "nobody" / "tiny"
    folder.mkdir(parents=True)
    (folder / "0123456789ab.json").write_text("{")
    _, err = run("nobody/tiny", "--jobs", "0", capsys=capsys, status=2)
    assert "0123456789ab.json: not a sound record" in err


def test_the_protocol_of_giorgi_and_bader_is_the_preset() -> None:
    comparison = load_comparison(SHIPPED / "giorgi-bader" / "protocol.toml")
    found: Any = {variant.name: variant.settings for variant in comparison.variants}
    _, preset = make({"name": "retrain", "preset": "giorgi-bader"})
    vectors = found["retrain"].vectors
    assert found["retrain"] == replace(preset, vectors=vectors)  # type: ignore[type-var]
    alone = found["target-only"]
    assert (alone.architecture, alone.training) == (preset.architecture, preset.training)  # type: ignore[attr-defined]


def test_means_tell_of_how_many_seeds_they_are_and_what_is_not_known() -> None:
    mean = {"method": "m", "f1": 50.0, "gain": 1.0, "error_reduction": 2.0, "published": None, "difference": None}
    mean |= {"helps": 1, "hurts": 0, "undecided": 2, "cpu_seconds": 3.0, "own_seconds": None}
    means = [mean | {"share": 0.1, "tasks": 3, "seeds": [5, 5]}, mean | {"share": 1.0, "tasks": 3, "seeds": [1, 3]}]
    means[1] |= {"helps": None, "hurts": None, "undecided": None}
    heads, rows = means_grid(means)
    told = [dict(zip(heads, row, strict=True)) for row in rows]
    assert [(row["share"], row["seeds"]) for row in told] == [("10 %", "5"), ("100 %", "1 to 3")]
    assert [(row["helps"], row["undecided"]) for row in told] == [("1", "2"), ("", "")]
    assert means_title(means) == "Means over tasks"
    assert means_title(means[:1]) == "Means over 3 tasks and 5 seeds that all methods have done"
    assert means_title(means[1:]) == "Means over 3 tasks and 1 to 3 seeds that all methods have done"
