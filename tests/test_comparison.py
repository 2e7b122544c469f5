"""Comparisons: what is refused, which cells there are, what a record keeps, and what tables say of records."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import signal
import statistics
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse import methods
from transfuse.cli import main
from transfuse.experiments import cells as running
from transfuse.experiments.cells import run_cells
from transfuse.experiments.choices import with_choices
from transfuse.experiments.comparison import load_comparison, make_comparison
from transfuse.experiments.kept import cell_entries, find_records, pending_cells
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.variants import BASELINES
from transfuse.methods.joint import Joint
from transfuse.reporting.figures import across_shares, across_tasks, of_sweeps
from transfuse.reporting.grids import main_grid, verdicts
from transfuse.reporting.records import Exposure, Forgetting, Record, make_record, read_records, write_record
from transfuse.reporting.report import report_json
from transfuse.reporting.results import Finished, read_run
from transfuse.reporting.summary import summarise
from transfuse.reporting.tables import Entry
from transfuse.scoring.counts import Counts
from transfuse.scoring.score import score
from transfuse.scoring.significance import holm
from transfuse.text import ConfigError, DataError

TARGET, SOURCE = "demo-neurology", "demo-cardiology"
TASK = {"target": TARGET, "sources": [SOURCE]}


def plan(**more):
    return {"compare": {"tasks": [TASK], **more}}


# What is compared


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"data": {"target": TARGET}}, r"no \[compare\] in it: .*transfuse run"),
        ({**plan(), "sweeps": {}}, r"unknown key sweeps; did you mean sweep\?"),
        (plan(share=[1]), r"unknown key compare\.share; did you mean compare\.shares\?"),
        (plan(seeds=["0"]), r"compare\.seeds\.0: .*integer.*not '0'"),
        (plan(seeds=[0, 0]), "compare.seeds names 0 twice"),
        (plan(seeds=[-1]), r"compare\.seeds lies in .0, 4294967295., not -1"),
        (plan(shares=[]), "compare.shares is empty"),
        (plan(shares=[-0.1]), r"compare\.shares lies in \[0, 1\]"),
        (plan(shares=[1.5]), r"compare\.shares lies in \[0, 1\]"),
        (plan(tasks=[{**TASK, "ceiling": 0}]), r"compare\.tasks.*ceiling lies in \(0, 1\]"),
        (plan(baseline="pool"), r"compare\.baseline: pool is not compared; there are: target-only, crfsuite"),
        ({**plan(), "methods": {"retrain": {"sources": [2]}}}, r"methods\.retrain\.sources are numbers .* has 1"),
        ({**plan(), "methods": {"retrain": {"share": 2.0}}}, r"share lies in \[0, 1\]"),
        ({**plan(), "methods": {"target-only": {"share": 1.0}}}, "this name belongs to the method target-only"),
        (plan(methods=["retrian"]), r"unknown method 'retrian'; did you mean retrain\?"),
        ({"compare": {}}, "compare.tasks is empty"),
        ({"compare": {"tasks": "x"}}, "compare.tasks is a list of tables"),
        ({"compare": {"tasks": [{"target": TARGET, "source": "x"}]}}, r"unknown key compare\.tasks\[0\]\.source; did"),
        ({"compare": {"tasks": [TASK, TASK]}}, "compare.tasks names .* twice"),
        ({**plan(), "data": {"share": 0.1}}, r"data\.share: a comparison names it in compare\.shares"),
        ({**plan(), "data": {"limits": 1}}, r"unknown key data\.limits; did you mean data\.limit\?"),
        ({**plan(), "data": {"limit": -1}}, r"data\.limit is"),
        ({**plan(), "method": {"label_mmd": 1.0}}, "unknown key method.label_mmd: no method of the comparison has it"),
        ({**plan(), "method": {"name": "retrain"}}, "method.name: a comparison names its methods"),
        (
            {**plan(), "method": {"training": {"epoch": 1}}},
            r"methods\.target-only: unknown key method\.training\.epoch",
        ),
        ({**plan(), "methods": {"retrain": {"training": {"epochs": 0}}}}, r"methods\.retrain: .*at least 1"),
        ({**plan(), "methods": {"crfsuite": {"method": "retrain"}}}, "this name belongs to the method crfsuite"),
        ({**plan(), "methods": {"a.b": {"method": "retrain"}}}, "a name has no dot in it"),
        ({**plan(), "methods": {"a": {"method": 1}}}, r"methods\.a\.method: .*string"),
        ({**plan(), "methods": {"a": 1}}, r"methods\.a is a table"),
        ({**plan(), "sweep": {"retrain": [1]}}, r'sweep\."retrain": write it as'),
        ({**plan(), "sweep": {"retrain.frozen": []}}, "write it as"),
        ({**plan(), "sweep": {"retrain.frosen": [[]]}}, r"unknown key method\.frosen"),
        ({**plan(), "published": {"place": "x", "f1": {"joint": 1.0}}}, "published: joint is not compared"),
        ({**plan(shares=[0.1, 1]), "published": {"place": "x"}}, "published.share names the share"),
        ({**plan(), "published": {"f1": {}}}, r"published\.place: Field required"),
        ({"compare": {"tasks": [{**TASK, "published": {"crfsuite": 1.0}}]}}, r"published\.place is missing"),
        (
            {**plan(), "methods": {"both": {"method": "fusion", "unites": ["crfsuit"]}}},
            "crfsuit is not compared before",
        ),
        ({**plan(), "methods": {"both": {"method": "retrain", "unites": ["crfsuite"]}}}, "unknown key method.members"),
        (
            {
                **plan(),
                "methods": {"few": {"method": "joint", "share": 0.1}, "fusion": {"unites": ["few", "crfsuite"]}},
            },
            r"methods\.fusion\.unites: few has sources, a share or altered copies of its own",
        ),
        (
            {**plan(), "methods": {"fusion": {"unites": ["crfsuite", "target-only"], "members": []}}},
            r"methods\.fusion: name its members in unites or in members, not in both",
        ),
        ({**plan(), "methods": {"a": {"method": "target-only", "sources": [1]}}}, "target-only looks at no source"),
        (plan(tasks=[{"target": TARGET}], methods=["la-dtl"]), "la-dtl: .* has no source to transfer from"),
        (
            {**plan(tasks=[{"target": TARGET}]), "methods": {"fusion": {"members": [{"name": "joint"}, {}]}}},
            "fusion: .* has no source to transfer from",
        ),
        ({**plan(), "data": 3}, "data is a table, not 3"),
        ({**plan(), "method": 3}, "method is a table, not 3"),
        (plan(choices={"best": ["crfsuit", "retrain"]}), r"choices\.best: crfsuit is not compared; did you mean crfs"),
        (plan(choices={"best": ["crfsuite"]}), r"choices\.best: name at least two variants"),
        (plan(choices={"crfsuite": ["crfsuite", "target-only"]}), r"choices\.crfsuite: a variant has this name"),
        (plan(choices={"best": "crfsuite"}), r"compare\.choices\.best: .*"),
        (
            plan(each_source=True),
            r"compare\.each_source: give every task two sources or more, and all equally many",
        ),
        (
            plan(tasks=[{"target": TARGET, "sources": [SOURCE, SOURCE]}], each_source=True),
            r"compare\.each_source: no method of the comparison learns from all sources",
        ),
    ],
)
def test_refused_with_its_path(table, message):
    with pytest.raises(ConfigError, match=message):
        make_comparison(table)


def settings(comparison, name):
    (variant,) = (variant for variant in comparison.variants if variant.name == name)
    return variant.settings


def test_common_settings_go_to_whom_they_fit_and_own_ones_before_them():
    table = plan(methods=["retrain", "cold"]) | {
        "method": {"training": {"epochs": 3, "batch": 4}, "source_dropout": 0.7},
        "methods": {
            "retrain": {"training": {"epochs": 5}},
            "cold": {"method": "retrain", "preset": "giorgi-bader", "transfer": ["crf"]},
            "crfsuite": {"c2": 0.5},
        },
    }
    found = make_comparison(table)
    assert [variant.name for variant in found.variants] == ["target-only", "crfsuite", "retrain", "cold"]
    assert (settings(found, "target-only").training.epochs, settings(found, "target-only").training.batch) == (3, 4)
    assert (settings(found, "retrain").training.epochs, settings(found, "retrain").training.batch) == (5, 4)
    assert settings(found, "crfsuite").c2 == 0.5
    cold = settings(found, "cold")
    assert (cold.transfer, cold.training.epochs, cold.training.optimizer) == (("crf",), 3, "sgd")
    assert not hasattr(settings(found, "target-only"), "source_dropout")


@pytest.mark.parametrize("ceiling", [1.0, 0.25])
def test_without_labels_the_baselines_are_ceilings_and_a_variant_may_have_some_of_the_sources(ceiling):
    sources = [SOURCE, "demo-oncology"]
    table = {
        "compare": {
            "tasks": [{"target": TARGET, "sources": sources, "labels": "own", "ceiling": ceiling}],
            "shares": [0.0, 0.5],
            "baseline": "pooled",
        },
        "methods": {
            "pooled": {},
            "second": {"method": "pooled", "sources": [2]},
            "few": {"method": "joint", "share": 0.1},
        },
    }
    comparison = make_comparison(table)
    found = {(cell.variant.name, cell.share): cell.recipe.data for cell in comparison.cells()}
    assert {name: found[name, 0.0].share for name in BASELINES} == dict.fromkeys(BASELINES, ceiling)
    assert {name: found[name, 0.5].share for name in BASELINES} == dict.fromkeys(BASELINES, 0.5)
    assert found["pooled", 0.0].share == 0 and found["pooled", 0.0].sources == tuple(sources)
    assert found["second", 0.0].share == 0 and found["second", 0.0].sources == (sources[1],)
    assert found["few", 0.0].share == found["few", 0.5].share == 0.1
    assert comparison.baseline == "pooled" and {data.labels for data in found.values()} == {"own"}


def test_each_source_alone_stands_behind_all_of_them():
    tasks = [{"target": TARGET, "sources": [SOURCE, "demo-oncology"]}, {"target": SOURCE, "sources": [TARGET] * 2}]
    methods = {"second": {"method": "joint", "sources": [2]}, "both": {"unites": ["retrain", "crfsuite"]}}
    methods["both"]["method"] = "fusion"
    table = {**plan(tasks=tasks[:1], methods=["retrain"], each_source=True), "methods": methods}
    found = make_comparison(table)
    names = [
        f"{name}{source}" for name in ("retrain", "both") for source in ("", f" from {SOURCE}", " from demo-oncology")
    ]
    assert [v.name for v in found.variants] == ["target-only", "crfsuite", *names[:3], "second", *names[3:]]
    given = {cell.variant.name: cell.recipe.data.sources for cell in found.cells()}
    assert [given[name] for name in names[:3]] == [(SOURCE, "demo-oncology"), (SOURCE,), ("demo-oncology",)]
    assert given["both from demo-oncology"] == given["second"] == ("demo-oncology",)
    (alone,) = {c.recipe.members[0].hash for c in found.cells() if c.variant.name == f"both from {SOURCE}"}
    assert alone in {c.recipe.hash for c in found.cells() if c.variant.name == f"retrain from {SOURCE}"}
    found = make_comparison(plan(tasks=tasks, methods=["retrain"], each_source=True))
    assert [v.name for v in found.variants][3:] == ["retrain from source 1", "retrain from source 2"]


def test_a_row_says_which_sources_and_labels_it_had_where_they_are_not_the_others():
    documents = [(1, 0, 0)] * 20
    runs = {
        "pooled": record(documents, share=0.0, sources=("s", "u")),
        "single": record(documents, share=0.0, sources=("u",)),
        "target-only": record(documents, share=1.0),
    }
    table = summarise([Entry("t", name, 0.0, run) for name, run in runs.items()], baseline="pooled").tables[0]
    heads, rows = main_grid(table, ("method", "sources", "labels", "verdict"))
    assert heads == ["method", "sources", "labels", "verdict"]
    assert rows[0] == ["pooled", "-", "-", "baseline"]
    assert [row[:3] for row in rows[1:]] == [["single", "u", "-"], ["target-only", "-", "100 %"]]


def test_a_sweep_is_a_variant_for_each_value():
    found = make_comparison(plan() | {"sweep": {"retrain.training.epochs": [1, 2], "crfsuite.c2": [0.3]}})
    assert [(v.name, v.swept) for v in found.variants][2:] == [
        ("retrain training.epochs=1", ("retrain.training.epochs", 1)),
        ("retrain training.epochs=2", ("retrain.training.epochs", 2)),
        ("crfsuite c2=0.3", ("crfsuite.c2", 0.3)),
    ]
    assert [settings(found, f"retrain training.epochs={n}").training.epochs for n in (1, 2)] == [1, 2]


def test_what_is_set_for_all_is_passed_over_where_it_would_do_nothing():
    table = {"kernel": {"bandwidths": "median", "outside": False}}
    names = ["la-dtl", "mmd-crf-l2", "crf-l2", "joint"]
    found = make_comparison({**plan(methods=names), "method": table})
    kernels = {name: settings(found, name).kernel for name in names[:3]}
    assert [(k.bandwidths, k.outside) for k in kernels.values()] == [
        ("median", False),
        ("median", True),
        ("released", True),
    ]
    own = {"methods": {"la-dtl": table}, "sweep": {"la-dtl.label_mmd": [0.0, 0.5]}}
    found = make_comparison({**plan(), **own})
    assert [settings(found, f"la-dtl label_mmd={x}").kernel.bandwidths for x in (0.0, 0.5)] == ["released", "median"]
    for mistake in ({"methods": {"crf-l2": table}}, {"sweep": {"crf-l2.kernel.cap": [8]}}):
        with pytest.raises(ConfigError, match="kernel would do nothing"):
            make_comparison({**plan(), **mistake})
    found = make_comparison({**plan(methods=["joint"]), "method": {"source_training": {"epochs": 2}}})
    assert settings(found, "joint").source_training == Joint().source_training


def test_a_fusion_unites_variants_with_all_their_settings():
    table = {"retrain": {"training": {"epochs": 5}}, "both": {"method": "fusion", "unites": ["crfsuite", "retrain"]}}
    found = make_comparison({**plan(methods=["retrain"]), "methods": table, "method": {"c2": 0.5, "rule": "spans"}})
    both = settings(found, "both")
    assert [methods.make(member)[1] for member in both.members] == [settings(found, n) for n in ("crfsuite", "retrain")]
    assert (both.members[0]["c2"], both.members[1]["training"]["epochs"], both.rule) == (0.5, 5, "spans")
    swept = make_comparison({**plan(methods=["retrain"]), "methods": table, "sweep": {"both.rule": ["vote", "stack"]}})
    for rule in ("vote", "stack"):
        found = settings(swept, f"both rule={rule}")
        assert (found.rule, [member["name"] for member in found.members]) == (rule, ["crfsuite", "retrain"])


def test_a_choice_is_the_best_on_dev_of_each_seed_at_the_price_of_all():
    documents = [(1, 0, 0)] * 20
    runs = {
        ("a", 0): replace(record(documents, dev=0.6), shared_seconds=1.0),
        ("b", 0): replace(record(documents, dev=0.7), shared_seconds=1.0),
        ("a", 1): record(documents, dev=0.6, seed=1),
        ("b", 1): record(documents, dev=0.6, seed=1),
        ("a", 2): record(documents, dev=0.6, seed=2),
    }
    entries = [Entry("t", name, 0.1, run) for (name, _), run in runs.items()]
    assert with_choices(entries, {}) == entries
    found = with_choices(entries, {"best": ["a", "b"]})
    assert found[: len(entries)] == entries
    first, second = found[len(entries) :]  # the third seed waits for b
    assert (first.variant, first.record.seed, second.record.seed) == ("best", 0, 1)
    assert first.record.micro("dev") == runs["b", 0].micro("dev")
    assert (first.record.cpu_seconds, first.record.own_seconds) == (1.0 + 2 * 0.5, 1.0)
    assert (second.record.cpu_seconds, second.record.own_seconds) == (3.0, None)
    assert first.record.selection == "the best of 2 by strict micro F1 on dev: b; by hand"
    assert second.record.selection.endswith("dev: a; by hand")


def test_cells_are_recipes_and_those_without_source_are_shared():
    other = {"target": TARGET, "sources": ["demo-respiratory"]}
    table = {"compare": {"tasks": [TASK, other], "shares": [1.0, 0.1], "seeds": [3, 0], "methods": ["retrain"]}}
    comparison = make_comparison({**table, "data": {"limit": 20}})
    cells = list(comparison.cells())
    assert len(cells) == 2 * 2 * 2 * 3
    assert [cell.seed for cell in cells] == [3] * 12 + [0] * 12
    assert [cell.share for cell in cells[:6]] == [0.1] * 3 + [1.0] * 3
    for cell in cells:
        alone = cell.variant.method in BASELINES
        assert cell.recipe.data.sources == (() if alone else cell.task.sources)
        assert cell.recipe.data.limit == (0 if alone else 20)
        assert make_recipe(cell.recipe.to_dict()).hash == cell.recipe.hash
    assert len({cell.recipe.hash for cell in cells}) == 2 * 2 * (2 + 2)
    assert len(pending_cells(cells, [])) == 16
    assert len(pending_cells(cells, [cells[0].recipe.hash])) == 15


def test_a_fusion_of_methods_without_source_is_shared_as_they_are():
    methods = {"both": {"method": "fusion", "unites": ["target-only", "crfsuite"]}}
    other = {"target": TARGET, "sources": ["demo-respiratory"]}
    table = {"compare": {"tasks": [TASK, other], "seeds": [0], "methods": ["retrain"]}, "methods": methods}
    cells = [cell for cell in make_comparison(table).cells() if cell.variant.name == "both"]
    assert len(cells) == 2 and cells[0].recipe == cells[1].recipe
    assert not cells[0].recipe.data.sources
    methods["both"]["unites"][1] = "retrain"
    cells = [cell for cell in make_comparison(table).cells() if cell.variant.name == "both"]
    assert [cell.recipe.data.sources for cell in cells] == [cell.task.sources for cell in cells]


def test_published_numbers_are_of_a_task_or_of_the_mean():
    other = {"target": TARGET, "sources": ["demo-respiratory"], "published": {"crfsuite": 44.0}}
    table = {"compare": {"tasks": [TASK, other], "shares": [0.1, 1.0]}}
    comparison = make_comparison({**table, "published": {"place": "x", "share": 0.1, "f1": {"crfsuite": 50.0}}})
    names = [task.name for task in comparison.tasks]
    found = [comparison.published_f1(task, "crfsuite", 0.1) for task in (None, *names)]
    assert found == [0.5, None, 0.44]
    assert comparison.published_f1(None, "crfsuite", 1.0) is None
    alone = make_comparison({**plan(), "published": {"place": "x", "f1": {"crfsuite": 50.0}}})
    assert alone.published_f1(alone.tasks[0].name, "crfsuite", 1.0) == 0.5


# Records

counts = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def record(documents, *, seed=0, share=0.1, method="m", sources=(), dev=0.5, target="t") -> Record:
    """A record of documents' (gold, false positives, false negatives), the last at most as many as gold."""
    rows = [(gold, fp, min(gold, fn)) for gold, fp, fn in documents]
    micro = tuple(sum(row[i] for row in ((g - fn, fp, fn) for g, fp, fn in rows)) for i in range(3))
    tp = round(100 * dev)
    kinds = {"strict": {"A": micro}, "relaxed": {"A": micro}}
    facts = {"documents": {"train": 5}, "sha256": "0" * 64, "labels": ["A"]}
    return Record(
        {
            "method": {"name": method},
            "data": {"share": share, "target": target, "labels": "", "sources": list(sources)},
            "run": {"seed": seed},
        },
        {
            "target": {"name": target, **facts},
            "sources": [{"name": name, "removed": {}, **facts} for name in sources],
            "labelled": 5,
            "annotations": 50,
        },
        {"dev": {kind: {"A": (tp, 100 - tp, 100 - tp)} for kind in kinds}, "test": kinds},
        tuple(gold for gold, _, _ in rows),
        {i: (fp, fn) for i, (_, fp, fn) in enumerate(rows) if fp or fn},
        {"missed": 1},
        {"seen": (1, 0, 0), "unseen": (0, 0, 1)},
        1.5,
        {name: Exposure(30, 10, 3.0) for name in sources},
        {name: Forgetting("dev", 0.8, 0.6) for name in sources},
        "by hand",
        {"transfuse": "0", "python": "3", "torch": "2", "device": "cpu", "threads": 1},
    )


@given(counts)
def test_a_record_is_read_as_it_was_written(tmp_path_factory, documents):
    folder = tmp_path_factory.mktemp("records")
    made = record(documents, sources=("s",))
    write_record(made, folder, "abc")
    (found,) = read_records(folder).values()
    assert found == made
    assert found.scores.micro() == Counts(*made.counts["test"]["strict"]["A"])
    assert found.scores.array()[:, 0].tolist() == [
        [gold - min(gold, fn), fp, min(gold, fn), 0] for gold, fp, fn in documents
    ]


def test_a_record_holds_what_its_run_says_and_is_small(tmp_path):
    (folder,) = [run_one(tmp_path, plan(shares=[0.1]), "crfsuite")]
    run = read_run(folder)
    made = make_record(run)
    write_record(made, tmp_path / "records", "abc")
    assert (tmp_path / "records" / "abc.json").stat().st_size < 4000
    found = read_records(tmp_path / "records")["abc"]
    gold = make_gold()
    strict = score(gold, run.predictions(), kinds=("strict", "relaxed"))
    assert found.scores.micro() == strict.micro()
    assert (found.scores.array().sum(axis=1) == strict.array().sum(axis=1)).all()
    for split in ("dev", "test"):
        for kind in ("strict", "relaxed"):
            assert found.micro(split, kind).to_dict() == run.scores[split][kind]["micro"]
    assert sum(found.errors.values()) > 0
    assert sum((Counts(*row) for row in found.mentions.values()), Counts()) == strict.micro()
    assert found.data["annotations"] == sum(len(d.entities) for d in train_part(run.seed))
    assert found.cpu_seconds == pytest.approx(run.cpu_seconds, abs=0.01)
    assert "argv" not in found.environment


def run_one(folder: Path, table, name) -> Path:
    comparison = make_comparison(table)
    (cell,) = (cell for cell in comparison.cells() if cell.variant.name == name)
    from transfuse.experiments.running import run_recipe

    run_recipe(cell.recipe, folder / "run")
    return folder / "run"


def make_gold():
    from transfuse.data.task import resolve

    return resolve(TARGET).test


def train_part(seed):
    from transfuse.data.task import resolve

    return resolve(TARGET).sample(0.1, seed=seed).train


def test_exposure_adds_over_stages_and_the_last_word_counts(tmp_path):
    events = [
        {"event": "exposure", "stage": "source", "corpus": "s", "sentences": 99, "size": 10, "passes": 9.9},
        {"event": "exposure", "stage": "source", "corpus": "s", "sentences": 20, "size": 10, "passes": 2.0},
        {"event": "exposure", "stage": "target", "corpus": "s", "sentences": 5, "size": 10, "passes": 0.5},
        {"event": "exposure", "stage": "target", "corpus": "u", "sentences": 30, "size": 30, "passes": 1.0},
        {"event": "source-score", "stage": "target", "corpus": "s", "split": "dev", "before": 0.8, "after": None},
        {"event": "source-score", "stage": "target", "corpus": "s", "split": "dev", "before": None, "after": 0.5},
    ]
    folder = run_one(tmp_path, plan(shares=[0.1]), "crfsuite")
    run = read_run(folder)
    made = make_record(Finished(folder, run.recipe, run.environment, (*run.records, *events), run.scores))
    assert made.exposure == {"s": Exposure(25, 10, 2.5), "u": Exposure(30, 30, 1.0)}
    assert made.source_epochs == pytest.approx(55 / 40)
    assert made.forgetting == {"s": Forgetting("dev", 0.8, 0.5)}


@pytest.mark.parametrize("harm", ["text", "format", "gold", "field"])
def test_what_is_no_record_is_refused(tmp_path, harm):
    write_record(record([(3, 1, 1)]), tmp_path, "abc")
    path = tmp_path / "abc.json"
    table = json.loads(path.read_text())
    if harm == "gold":
        next((tmp_path / "gold").iterdir()).unlink()
    elif harm == "text":
        path.write_text("{")
    else:
        path.write_text(json.dumps({**table, "format": 0} if harm == "format" else {**table, "more": 1}))
    with pytest.raises(DataError, match=r"abc\.json"):
        read_records(tmp_path)


def test_a_record_from_before_sets_were_counted_has_none(tmp_path):
    made = replace(record([(3, 1, 1)]), sets={"T": 4, "TLP": 2})
    write_record(made, tmp_path, "abc")
    assert read_records(tmp_path)["abc"].sets == made.sets
    table = json.loads((tmp_path / "abc.json").read_text())
    del table["sets"]
    (tmp_path / "abc.json").write_text(json.dumps(table))
    assert read_records(tmp_path)["abc"] == replace(made, sets={})


def test_a_record_from_before_a_setting_existed_is_of_its_default(tmp_path):
    comparison = make_comparison(plan())
    cell = next(cell for cell in comparison.cells() if cell.variant.name == "crfsuite")
    recipe = cell.recipe.to_dict()
    del recipe["method"]["iterations"]
    write_record(replace(record([(1, 0, 0)]), recipe=recipe), tmp_path, "old")
    stranger = replace(record([(1, 0, 0)]), recipe={**recipe, "method": {"name": "crfsuite", "c3": 1}})
    write_record(stranger, tmp_path, "stranger")
    assert find_records(comparison.cells(), tmp_path).keys() == {cell.recipe.hash}


def test_a_record_from_before_a_setting_without_effect_was_refused_is_of_the_same_without_it(tmp_path):
    comparison = make_comparison(plan(methods=["joint", "la-dtl"]))
    cell = next(cell for cell in comparison.cells() if cell.variant.name == "joint")
    recipe = cell.recipe.to_dict()
    recipe["method"]["source_training"]["epochs"] = 3
    with pytest.raises(ConfigError, match='source_training would do nothing: init is "fresh"'):
        make_recipe(recipe)
    write_record(replace(record([(1, 0, 0)]), recipe=recipe), tmp_path, "old")
    united = {"name": "fusion", "members": [recipe["method"], {"name": "crfsuite"}]}
    write_record(replace(record([(1, 0, 0)]), recipe={**recipe, "method": united}), tmp_path, "united")
    assert find_records(comparison.cells(), tmp_path).keys() == {cell.recipe.hash}


# Tables


def entries(name, documents, *, seeds=3, task="t from s", **more):
    runs = [record(documents, seed=seed, method=name, **more) for seed in range(seeds)]
    return [Entry(task, name, run.share, run) for run in runs]


def drawn(share, *, documents=60, seed=0):
    """Documents of two gold entities of which a share is not found."""
    rng = random.Random(seed)
    return [(2, 0, sum(rng.random() < share for _ in range(2))) for _ in range(documents)]


BASE = drawn(0.5)


@pytest.mark.parametrize(
    ("documents", "base", "seeds", "word", "reason"),
    [
        (drawn(0.2), BASE, 3, "helps", ""),
        (drawn(0.8), BASE, 3, "hurts", ""),
        (drawn(0.5, seed=1), BASE, 3, "undecided", "a difference as large may be chance"),
        (BASE, BASE, 3, "undecided", "a difference as large may be chance"),
        (drawn(0.0), BASE, 1, "undecided", "one seed"),
        (drawn(0.0)[:15], BASE[:15], 3, "undecided", "15 test documents"),
    ],
)
def test_verdicts(documents, base, seeds, word, reason):
    rows = [*entries("target-only", base, seeds=seeds), *entries("m", documents, seeds=seeds, sources=("s",))]
    (table,) = summarise(rows).tables
    found = table.row("m")
    assert (found.verdict.word, found.verdict.reason) == (word, reason)
    assert found.gain == pytest.approx(found.mean() - table.row("target-only").mean())
    (sentence,) = verdicts(summarise(rows))
    start = {"undecided": f"Whether s helps t at 10 % is undecided ({reason}): "}.get(word, f"s {word} t at 10 %: ")
    assert sentence.startswith(start)


def test_the_other_methods_are_counted_in_words():
    rows = entries("target-only", BASE)
    for name, share in (("a", 0.1), ("b", 0.5), ("c", 0.8), ("d", 0.9)):
        rows += entries(name, drawn(share, seed=1), sources=("s",), dev=share)
    (sentence,) = verdicts(summarise(rows))
    assert sentence.endswith("the best on dev; of 4 methods that transfer 1 helps, 2 hurt, 1 is undecided.")


def test_sources_that_were_learned_from_one_by_one_have_a_sentence():
    rows = entries("target-only", BASE)
    rows += entries("all", drawn(0.1, seed=1), sources=("s", "u", "v"), dev=0.9)
    for name, share, source, dev in (
        ("a from s", 0.2, "s", 0.2),
        ("b", 0.1, "s", 0.1),
        ("c", 0.8, "u", 0.9),
        ("d", 0.5, "v", 0.3),
    ):
        rows += entries(name, drawn(share, seed=1), sources=(source,), dev=dev)
    (sentence,) = verdicts(summarise(rows))
    (table,) = summarise(rows).tables
    gains = {name[0]: f"{100 * table.row(name).gain:+.1f} with {name[0]}" for name in ("a from s", "c", "d")}
    told = f"s helps ({gains['a']}), v is undecided ({gains['d']}), u hurts ({gains['c']})"
    assert sentence.endswith(f" Alone, {told}.")
    (sentence,) = verdicts(summarise([row for row in rows if row.variant in {"target-only", "all", "a from s", "b"}]))
    assert "Alone" not in sentence


def test_chance_is_corrected_over_all_tables_and_shared_runs_count_once():
    base, rows = entries("target-only", BASE), []
    for number in range(12):
        task = f"t from s{number}"
        rows += [replace(entry, task=task) for entry in base]
        rows += entries("m", drawn(0.42, seed=number), task=task, sources=(f"s{number}",))
    shared = entries("crfsuite", drawn(0.4, seed=99))
    rows += [replace(entry, task=f"t from s{number}") for number in range(12) for entry in shared]
    summary = summarise(rows, resamples=400)
    assert summary.tests == 13
    found = {row.name + table.task: row for table in summary.tables for row in table.rows if row.test}
    unique = [row for key, row in found.items() if not key.startswith("crfsuite") or key.endswith(" s0")]
    assert len(unique) == 13
    expected = holm([row.test.p_randomisation for row in unique])
    assert [row.p for row in unique] == pytest.approx(expected)
    assert {row.verdict.word for row in found.values()} > {"undecided"}


def test_many_tests_get_enough_resamples():
    rows = entries("target-only", BASE) + [e for i in range(100) for e in entries(f"m{i}", drawn(0.1, seed=i))]
    summary = summarise(rows)
    assert {row.verdict.word for row in summary.tables[0].rows} == {"baseline", "helps"}


def test_test_never_chooses_and_dev_does():
    rows = [
        *entries("target-only", BASE),
        *entries("good on test", drawn(0.0), sources=("s",), dev=0.1),
        *entries("good on dev", drawn(0.9), sources=("s",), dev=0.9),
    ]
    (table,) = summarise(rows).tables
    assert table.best.name == "good on dev"


def test_averages_are_over_tasks():
    rows, means = [], []
    for number, share in enumerate((0.1, 0.3, 0.6)):
        task = f"t{number}"
        rows += entries("target-only", BASE, task=task)
        rows += entries("m", drawn(share), task=task, sources=("s",))
        means.append(summarise(rows[-6:]).tables[0].row("m"))
    summary = summarise(rows)
    (average,) = (average for average in summary.averages if average.name == "m")
    assert average.mean == pytest.approx(statistics.fmean(row.mean() for row in means))
    assert average.deviation == pytest.approx(statistics.stdev(row.mean() for row in means))
    assert average.gain == pytest.approx(statistics.fmean(row.gain for row in means))
    assert sum(average.count(word) for word in ("helps", "hurts", "undecided")) == 3


def test_averages_are_over_the_seeds_that_all_variants_have():
    rows = []
    for number, seeds in enumerate((3, 1)):
        rows += entries("target-only", BASE, task=f"t{number}")
        rows += entries("m", drawn(0.2), task=f"t{number}", seeds=seeds, sources=("s",))
    summary = summarise(rows)
    base, ours = (next(a for a in summary.averages if a.name == name) for name in ("target-only", "m"))
    assert ours.seeds == base.seeds == ((0, 1, 2), (0,))
    first = [summary.tables[1].row(name).f1()[0] for name in ("target-only", "m")]
    whole = [summary.tables[0].row(name).mean() for name in ("target-only", "m")]
    assert base.mean == pytest.approx((whole[0] + first[0]) / 2)
    assert ours.gain == pytest.approx(ours.mean - base.mean) and base.gain is None
    assert ours.count("helps") == 1 and base.count("baseline") is None, "target-only has more seeds than are averaged"


def test_averages_wait_for_a_task_until_all_variants_have_it():
    rows = []
    for number, share in enumerate((0.1, 0.3, 0.6)):
        rows += entries("target-only", BASE, task=f"t{number}")
        rows += entries("m", drawn(share), task=f"t{number}", sources=("s",)) if number else []
    assert {len(average.rows) for average in summarise(rows).averages} == {2}
    assert not summarise([entry for entry in rows if entry.task != "t2"]).averages


def test_a_mean_is_not_of_fewer_runs_than_the_one_beside_it():
    told = entries("m", drawn(0.1), sources=("s",))
    told = [replace(e, record=replace(e.record, shared_seconds=0.5)) for e in told]
    (table,) = summarise([*entries("target-only", BASE), *told]).tables
    assert table.row("m").own_seconds == 1.0
    older = replace(told[0].record, shared_seconds=0.0, forgetting={})
    (table,) = summarise([*entries("target-only", BASE), replace(told[0], record=older), *told[1:]]).tables
    row = table.row("m")
    assert (row.own_seconds, row.source_before, row.source_after, row.source_epochs) == (None, None, None, 3.0)


def test_the_grid_shows_sources_before_and_after_and_leaves_empty_columns_out():
    (table,) = summarise([*entries("target-only", BASE), *entries("m", drawn(0.1), sources=("s",))]).tables
    heads, cells = main_grid(table)
    row = dict(zip(heads, cells[1], strict=True))
    assert (row["source epochs"], row["source F1 before"], row["source F1 after"]) == ("3.0", "80.00", "60.00")
    assert row["CPU s"] == "1.5"
    assert "published" not in heads


def test_learning_curves_and_gains_are_drawn_of_each_task_with_several_shares():
    rows = []
    for task, shares in (("t from s", (0.05, 0.1)), ("u from s", (0.1,))):
        for share in shares:
            rows += entries("target-only", BASE, task=task, share=share)
            rows += entries("m", drawn(0.1), task=task, share=share, sources=("s",))
    ((task, (curves, gains)),) = across_shares(summarise(rows, resamples=50))
    assert (task, curves.name[:8], gains.name[:8]) == ("t from s", "t-from-s", "t-from-s")
    for figure, axis in ((curves, "labelled share"), (gains, "labelled mentions")):
        assert axis in figure.drawing.svg and ">m<" in figure.drawing.svg


def test_gains_of_all_tasks_are_set_beside_their_annotations():
    rows = []
    for number, share in enumerate((0.2, 0.5)):
        base = entries("target-only", BASE, task=f"t{number}")
        ours = [
            e
            for rank in range(6)
            for e in entries(f"m{rank}", drawn(share, seed=1), task=f"t{number}", sources=("s",), dev=0.5 + rank / 100)
        ]
        rows += [replace(e, record=replace(e.record, data={**e.record.data, "annotations": 30})) for e in base + ours]
    (figure,) = across_tasks(summarise(rows))
    svg = figure.drawing.svg
    assert [rank for rank in range(6) if f">m{rank}<" in svg] == [2, 3, 4, 5], "dev chooses, not test"
    assert "4 methods that gain most on dev" in figure.caption
    fills = re.findall(r'style="fill: (none|#[0-9a-f]{6}); stroke: #[0-9a-f]{6}; stroke-width: 1.2', svg)
    assert [fill == "none" for fill in fills] == [False, True] * 4, "the second task is undecided"
    assert not across_tasks(summarise([row for row in rows if row.task == "t0"], resamples=50))


def test_a_sweep_over_lists_is_drawn_as_one_over_numbers():
    for values in ([0.25, 1.0], [[0.25], [0.25, 1.0]]):
        swept = [replace(e, swept=("m.x", v)) for v in values for e in entries(f"m x={v}", BASE, seeds=1)]
        (figure,) = of_sweeps(summarise([*entries("target-only", BASE, seeds=1), *swept], resamples=20))
        assert all(f">{value}<" in figure.drawing.svg for value in values)


def test_the_row_that_a_sweep_varies_has_its_place_in_it():
    plain = entries("m", BASE, seeds=1)
    recipe = plain[0].record.recipe
    recipe = {**recipe, "method": {**recipe["method"], "training": {"rate": 0.5}}}
    plain = [replace(e, record=replace(e.record, recipe=recipe)) for e in plain]
    swept = [replace(e, swept=("m.training.rate", v)) for v in (0.25, 1.0) for e in entries(f"m x={v}", BASE, seeds=1)]
    (figure,) = of_sweeps(summarise([*entries("target-only", BASE, seeds=1), *plain, *swept], resamples=20))
    places = [figure.drawing.svg.index(f">{value}<") for value in (0.25, 0.5, 1.0)]
    assert places == sorted(places)
    assert figure.drawing.svg.count("<circle") >= 3 or figure.drawing.svg.count("<use") >= 3


def test_two_runs_of_one_seed_are_refused():
    with pytest.raises(DataError, match="the same seed"):
        summarise([*entries("m", BASE, seeds=1), *entries("m", BASE, seeds=1)])


def test_runs_on_a_target_that_changed_are_refused():
    first, second = entries("m", BASE, seeds=2)
    facts = {**second.record.data, "target": {**second.record.data["target"], "sha256": "1" * 64}}
    with pytest.raises(DataError, match="changed"):
        summarise([first, replace(second, record=replace(second.record, data=facts))])


# Running

RUNNABLE = plan(shares=[0.1], seeds=[0, 1]) | {
    "method": {
        "vectors": {"kind": "none"},
        # what has learned nothing thinks every span possible, and a fusion looks at all of them
        "training": {"epochs": 1, "steps": 2, "rate": 0.01},
        "architecture": {"encoder": {"hidden": 16, "dropout": 0.1}},
    },
    "methods": {"broken": {"method": "target-only", "vectors": {"kind": "file", "path": "none.txt"}}},
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison through the command line, in which one method always fails."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "c.toml").write_text(json_to_toml(RUNNABLE))
    with pytest.raises(SystemExit) as left:
        main(["compare", str(folder / "c.toml"), "--out", str(folder / "out"), "--jobs", "2", "--no-bundles"])
    return folder, left.value.code


def json_to_toml(table):
    import tomli_w

    return tomli_w.dumps(table)


def test_a_cell_that_fails_leaves_the_others_alone(compared):
    folder, status = compared
    assert status == 1
    comparison = load_comparison(folder / "c.toml")
    records = find_records(comparison.cells(), folder / "out" / "records")
    done = {cell.variant.name for cell in comparison.cells() if cell.recipe.hash in records}
    assert done == {"target-only", "crfsuite"}
    assert len(records) == 4
    report = json.loads((folder / "out" / "report.json").read_text())
    assert len(report["cells"]) == 4
    assert "2 of the planned runs are not finished" in (folder / "out" / "report.md").read_text()
    assert not list((folder / "out" / "cells").glob("*/bundle"))
    assert tomllib.loads((folder / "out" / "comparison.toml").read_text()) == RUNNABLE


def test_finished_cells_are_not_run_again_and_tables_need_records_only(compared, tmp_path, monkeypatch):
    folder, _ = compared
    comparison = load_comparison(folder / "c.toml")
    (tmp_path / "out").mkdir()
    (folder / "out" / "records").rename(tmp_path / "out" / "records")
    try:
        monkeypatch.setattr(running, "run_recipe", None)
        with pytest.raises(SystemExit) as left:
            main(["compare", str(folder / "c.toml"), "--out", str(tmp_path / "out"), "--jobs", "0", "--json"])
        assert not left.value.code
        ours, theirs = (json.loads((place / "out" / "report.json").read_text()) for place in (tmp_path, folder))
        assert ours == theirs
        records = find_records(comparison.cells(), tmp_path / "out" / "records")
        summary = summarise(cell_entries(comparison.cells(), records))
        assert report_json(summary)["summary"] == ours["summary"]
    finally:
        (tmp_path / "out" / "records").rename(folder / "out" / "records")


def test_what_runs_is_told_and_a_reason_is_one_line(tmp_path):
    comparison = make_comparison(RUNNABLE)
    wanted = [cell for cell in comparison.cells() if cell.variant.name in {"broken", "crfsuite"}][:2]
    events = []
    failures = run_cells(wanted, tmp_path, records=tmp_path / "records", watch=events.append)
    assert [failure.cell.variant.name for failure in failures] == ["broken"]
    assert "\n" not in failures[0].reason
    ends = [(event.kind, event.cell.variant.name) for event in events if event.kind != "goes on"]
    assert ends == [("starts", "crfsuite"), ("done", "crfsuite"), ("starts", "broken"), ("failed", "broken")]
    assert not list(tmp_path.glob("cells/*/cells"))


def test_a_fusion_takes_its_members_from_their_cells_and_their_taggers_are_kept_no_longer(tmp_path):
    methods = {
        "slow": {"method": "target-only"},
        "fused": {"method": "fusion", "rule": "vote", "unites": ["slow", "crfsuite"]},
    }
    comparison = make_comparison({**RUNNABLE, **plan(shares=[1.0]), "methods": methods})
    wanted = [cell for cell in comparison.cells() if cell.variant.name in {"crfsuite", "slow", "fused"}]
    cells, records = {cell.variant.name: tmp_path / "cells" / cell.recipe.hash for cell in wanted}, tmp_path / "records"
    there = []

    def watch(event):
        if event.kind == "starts" and event.cell.variant.name == "fused":
            there.extend(name for name, place in cells.items() if (place / "bundle").exists())

    assert not run_cells(wanted, tmp_path, records=records, keep=False, watch=watch)
    assert set(there) == {"crfsuite", "slow"}
    assert not list(tmp_path.glob("cells/*/bundle")) and not list(tmp_path.glob("cells/*/members"))
    found = find_records(wanted, records)
    alone = wanted[-1].recipe
    assert not run_cells(wanted[-1:], tmp_path / "alone", records=tmp_path / "alone" / "records", keep=False)
    (trained,) = find_records([wanted[-1]], tmp_path / "alone" / "records").values()
    assert list((tmp_path / "alone").glob("cells/*/members"))
    assert (found[alone.hash].counts, found[alone.hash].wrong) == (trained.counts, trained.wrong)
    members = [found[member.hash] for member in alone.members]
    assert found[alone.hash].cpu_seconds == pytest.approx(sum(member.cpu_seconds for member in members), abs=0.02)


def test_a_member_that_looks_at_no_source_is_taken_from_its_cell_by_a_fusion_that_has_one(tmp_path):
    methods = {
        "retrain": {"source_training": {"epochs": 1, "steps": 2}},
        "fused": {"method": "fusion", "rule": "vote", "unites": ["target-only", "crfsuite", "retrain"]},
    }
    comparison = make_comparison({**RUNNABLE, **plan(shares=[1.0], methods=["retrain"]), "methods": methods})
    wanted = {cell.variant.name: cell for cell in comparison.cells()}
    fused = wanted["fused"].recipe
    assert [member.hash for member in fused.members] == [
        wanted[name].recipe.hash for name in ("target-only", "crfsuite", "retrain")
    ]
    for folder, names in (("both", ["target-only", "crfsuite", "fused"]), ("alone", ["fused"])):
        cells, place = [wanted[name] for name in names], tmp_path / folder
        assert not run_cells(cells, place, records=place / "records")
        trained = [path.name for path in (place / "cells" / fused.hash / "members").iterdir()]
        assert sorted(trained) == (["3-retrain"] if folder == "both" else ["1-target-only", "2-crfsuite", "3-retrain"])
    one, other = (find_records([wanted["fused"]], tmp_path / folder / "records") for folder in ("both", "alone"))
    assert one[fused.hash].wrong == other[fused.hash].wrong


def test_a_member_on_data_that_have_changed_is_not_taken(tmp_path):
    methods = {"fused": {"method": "fusion", "unites": ["target-only", "crfsuite"]}}
    comparison = make_comparison({**RUNNABLE, **plan(shares=[1.0]), "methods": methods})
    wanted = [cell for cell in comparison.cells() if cell.variant.name in {"crfsuite", "fused"}]
    assert not run_cells(wanted[:1], tmp_path, records=tmp_path / "records")
    place = tmp_path / "cells" / wanted[0].recipe.hash / "records.jsonl"
    (known,) = find_records(wanted[:1], tmp_path / "records").values()
    place.write_text(place.read_text().replace(known.data["target"]["sha256"], "0" * 64))
    (failure,) = run_cells(wanted[1:], tmp_path, records=tmp_path / "records")
    assert "has changed since" in failure.reason


def test_a_process_that_dies_fails_its_cell_and_an_interruption_leaves_none_behind(tmp_path):
    comparison = make_comparison(RUNNABLE)
    wanted = [cell for cell in comparison.cells() if cell.variant.name == "crfsuite"]
    events = []

    def watch(event):
        events.append(event)
        started = [event.kind for event in events].count("starts")
        if event.kind == "starts" and started == 1:
            for process in multiprocessing.active_children():
                process.kill()
        if event.kind == "starts" and started == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(wanted, tmp_path, records=tmp_path / "records", watch=watch)
    assert [event.kind for event in events] == ["starts", "failed", "starts"]
    assert "died with exit code -9" in events[1].text
    assert not multiprocessing.active_children()


ABANDONING = """
import os, signal, time
from transfuse.experiments.cells import _Worker

class Silent:
    def do(self, recipe, tell):
        time.sleep(600)

if __name__ == "__main__":
    _Worker(Silent()).connection.send("a recipe")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_goes_with_the_one_that_started_it_however_that_ends(tmp_path):
    (tmp_path / "abandoning.py").write_text(ABANDONING)
    # its children hold the pipe as well, so this waits for all of them
    command = [sys.executable, tmp_path / "abandoning.py"]
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def test_cells_that_need_the_same_source_do_not_start_together():
    tasks = [{"target": TARGET, "sources": [source]} for source in (SOURCE, "demo-respiratory")]
    comparison = make_comparison({"compare": {"tasks": tasks, "methods": ["retrain", "joint"]}})
    cells = [cell for cell in comparison.cells() if cell.task.sources and cell.variant.method not in BASELINES]
    order = running._Order(cells)
    first, second = order.next(), order.next()
    assert [cell.task.sources for cell in (first, second)] == [(SOURCE,), ("demo-respiratory",)]
    order.ended(first)
    assert order.next().recipe.data.sources == (SOURCE,)
    assert order.next() is not None, "rather wait for the same source than do nothing"
    assert order.next() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--out", "x"], "nothing to compare"),
        (["compare", "--out", "x", "--target", TARGET, "--shares", "a"], "--shares: a is no number"),
        (["compare", "none.toml", "--out", "x"], "none.toml: no such recipe"),
        (["compare", "none.toml", "--out", "x", "--seeds", "2"], "--seeds: the recipe says it"),
        (["compare", "ground/ncbi-disease", "--out", "x"], "no [compare] in it"),
        (["compare", "--out", "x", "--target", TARGET, "--jobs", "0"], "nothing to report"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_folds_are_tasks_and_altered_copies_belong_to_variants():
    tasks = [{"target": TARGET, "sources": [SOURCE], "fold": {"number": number, "of": 2}} for number in (1, 2)]
    own = {"copies": {"method": "crfsuite", "augment": {"mentions": 0.5}}, "retrain": {"augment": {"shuffle": 0.1}}}
    comparison = make_comparison({"compare": {"tasks": tasks}, "methods": own})
    assert [task.name for task in comparison.tasks] == [f"{TARGET}, fold {n} of 2 from {SOURCE}" for n in (1, 2)]
    found = {(cell.variant.name, cell.task.fold.number): cell.recipe.data for cell in comparison.cells()}
    assert {(data.fold.number, name) for (name, _), data in found.items()} == {(n, name) for name, n in found}
    assert found["copies", 1].augment.mentions == 0.5 and found["retrain", 2].augment.shuffle == 0.1
    assert found["target-only", 1].augment is None and found["copies", 1].sources == ()
    for cell in comparison.cells():
        assert make_recipe(cell.recipe.to_dict()).hash == cell.recipe.hash
    everywhere = make_comparison({"compare": {"tasks": tasks}, "data": {"augment": {"tokens": 0.2}}, "methods": own})
    found = {cell.variant.name: cell.recipe.data.augment for cell in everywhere.cells()}
    assert found["target-only"].tokens == 0.2 and found["copies"].tokens == 0


def test_a_recipe_without_folds_and_copies_keeps_its_hash():
    table = make_recipe({"data": {"target": TARGET}}).to_dict()
    assert table["data"].keys() == {"target", "sources", "share", "labels", "raw", "limit", "disjoint"}
