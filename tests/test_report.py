"""Reports hold what their runs say and need nothing else."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from transfuse import Document, Entity, formats
from transfuse.data.task import Data, build_task, resolve
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.reporting.examples import examples, two_systems
from transfuse.reporting.figures import slug
from transfuse.reporting.grids import main_grid, measures_grid, runs_grid, sets_grid, tokens_grid, types_grid, verdicts
from transfuse.reporting.report import markdown_grid, report_json, write_report
from transfuse.reporting.results import find_runs, read_run
from transfuse.reporting.summary import entries_of, summarise
from transfuse.run import Run
from transfuse.scoring.analysis import SetAnalysis, set_analysis, token_table
from transfuse.scoring.score import Scores, score
from transfuse.scoring.significance import compare, holm, interval
from transfuse.text import DataError

TARGET = "demo-neurology"
QUICK = {"vectors": {"kind": "none"}, "training": {"epochs": 1, "steps": 40, "average": 0.0}}


def train(folder, method, seed=0, target=TARGET, share=0.1, **settings):
    table = {"data": {"target": target, "share": share}, "method": {"name": method, **settings}, "run": {"seed": seed}}
    run_recipe(make_recipe(table), folder)


def tables(runs, resamples=50):
    return summarise(entries_of(runs), resamples=resamples).tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds each of a network and of CRFsuite, and CRFsuite once with another setting."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        train(folder / f"net-{seed}", "target-only", seed, **QUICK)
        train(folder / f"crf-{seed}", "crfsuite", seed)
    train(folder / "weak", "crfsuite", 1, c2=30.0)
    return folder


@pytest.fixture(scope="module")
def summary(folder):
    return summarise(entries_of(find_runs(folder)), resamples=300)


@pytest.fixture(scope="module")
def table(summary):
    (found,) = summary.tables
    return found


# Run folders


def test_a_run_is_read_as_it_was_written(folder):
    run = read_run(folder / "crf-1")
    assert (run.method, run.seed, run.target, run.sources) == ("crfsuite", 1, TARGET, ())
    assert run.scores == json.loads((folder / "crf-1" / "scores.json").read_text())
    assert run.selection == "last iteration"
    assert run.cpu_seconds > 0
    gold = resolve(TARGET).test
    assert [d.text for d in run.predictions()] == [d.text for d in gold]
    for split in ("dev", "test"):
        documents = resolve(TARGET).splits[split]
        assert score(documents, run.predictions(split)).micro().f1 == run.scores[split]["strict"]["micro"]["f1"]


def test_stages_add_up_and_repeated_records_count_once(folder, tmp_path):
    shutil.copytree(folder / "crf-0", tmp_path / "run")
    records = [
        {"event": "trained", "stage": stage, "cpu_seconds": seconds, "selection": stage}
        for stage, seconds in (("source", 100.0), ("source", 5.0), ("target", 2.0))
    ]
    data = next(line for line in (folder / "crf-0" / "records.jsonl").read_text().splitlines() if '"data"' in line)
    lines = [data, *map(json.dumps, records), '{"event": "trai']
    (tmp_path / "run" / "records.jsonl").write_text("\n".join(lines))
    run = read_run(tmp_path / "run")
    assert run.cpu_seconds == 7.0
    assert run.selection == "target"


@pytest.mark.parametrize("name", ["done", "scores.json", "recipe.toml", "records.jsonl", "predictions"])
def test_what_is_no_finished_run_is_refused(folder, tmp_path, name):
    shutil.copytree(folder / "crf-0", tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError):
        entries_of([read_run(tmp_path / "run")])


def test_no_runs_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finished run"):
        find_runs(tmp_path)


def test_a_target_that_has_changed_is_refused(tmp_path):
    path = tmp_path / "notes.jsonl"
    formats.write(resolve(TARGET).train[:20], path, "jsonl")
    train(tmp_path / "run", "crfsuite", target=str(path), share=1.0)
    assert entries_of([read_run(tmp_path / "run")])
    formats.write(resolve(TARGET).train[1:21], path, "jsonl")
    with pytest.raises(DataError, match="has changed"):
        entries_of([read_run(tmp_path / "run")])


def test_folders_of_one_name_are_told_apart(tmp_path):
    documents = resolve(TARGET).train
    for number, place in enumerate(("a", "b", "c")):
        (tmp_path / place).mkdir()
        formats.write(documents[20 * number : 20 * number + 20], tmp_path / place / "notes.jsonl", "jsonl")
    specs = [str(tmp_path / place / "notes.jsonl") for place in ("a", "b", "c")]
    for number, spec in enumerate(specs):
        train(tmp_path / f"run-{number}", "crfsuite", target=spec, share=1.0)
    assert {entry.task for entry in entries_of(find_runs(tmp_path))} == set(specs)
    task, facts = build_task(Data(specs[0], tuple(specs[1:])), seed=0)
    assert [corpus.name for corpus in (task.target, *task.sources)] == ["notes", "notes (2)", "notes (3)"]
    assert [source["name"] for source in facts["sources"]] == ["notes (2)", "notes (3)"]


def test_a_line_that_was_cut_short_takes_no_other_with_it(tmp_path):
    run = Run(tmp_path)
    run.record("first", text="a\u2028b\x85c")
    run.record("second")
    place = tmp_path / "records.jsonl"
    place.write_bytes(place.read_bytes()[:-5])
    run.record("third")
    run.record("fourth")
    assert [record["event"] for record in run.records()] == ["first", "third", "fourth"]
    (tmp_path / "done").touch()
    for name in ("recipe.toml", "environment.json", "scores.json"):
        (tmp_path / name).write_text("{}" if name.endswith("json") else "[data]\n[method]\n")
    with pytest.raises(DataError, match="does not say what was learned from"):
        read_run(tmp_path)
    run.record("data")
    assert [record["event"] for record in read_run(tmp_path).records] == ["first", "third", "fourth", "data"]


# Tables of run folders


def test_rows_are_means_over_seeds_with_the_baseline_first(folder, table):
    gold = resolve(TARGET).test

    def scores(*names):
        return [score(gold, read_run(folder / name).predictions()) for name in names]

    assert [row.name for row in table.rows] == ["target-only", "crfsuite (1)", "crfsuite (2)"]
    assert [row.seeds for row in table.rows] == [[0, 1], [0, 1], [1]]
    base, crf, weak = table.rows
    f1 = [s.micro().f1 for s in scores("crf-0", "crf-1")]
    assert crf.f1() == f1
    assert crf.mean() == pytest.approx(statistics.fmean(f1))
    assert crf.deviation == pytest.approx(statistics.stdev(f1))
    assert weak.deviation is None
    assert crf.mean(kind="relaxed") == pytest.approx(
        statistics.fmean(s.micro("relaxed").f1 for s in scores("crf-0", "crf-1"))
    )
    assert crf.interval == interval(scores("crf-0", "crf-1"), resamples=300)
    assert base.test is None
    assert crf.test == compare(scores("crf-0", "crf-1"), scores("net-0", "net-1"), resamples=300)
    # The baseline's run with the same seed, not its mean.
    assert weak.test == compare(scores("weak"), scores("net-1"), resamples=300)
    assert [crf.p, weak.p] == holm([crf.test.p_randomisation, weak.test.p_randomisation])
    assert [row.verdict.word for row in table.rows] == ["baseline", "helps", "undecided"]
    assert weak.verdict.reason == "one seed"


def test_runs_on_other_data_are_another_table(folder, tmp_path):
    train(tmp_path / "more", "crfsuite", share=0.2)
    found = tables([*find_runs(folder), read_run(tmp_path / "more")])
    assert [len(t.rows) for t in found] == [3, 1]
    assert found[1].rows[0].test is None
    assert found[1].rows[0].verdict.reason == "no run of the baseline to compare with"


def test_rows_of_one_method_are_told_apart_by_sources(folder, tmp_path):
    table = {"data": {"target": TARGET, "share": 0.1, "sources": ["demo-cardiology"]}, "method": {"name": "crfsuite"}}
    run_recipe(make_recipe(table), tmp_path / "run")
    (found,) = tables([read_run(folder / "crf-0"), read_run(tmp_path / "run")])
    assert [row.name for row in found.rows] == ["crfsuite", "crfsuite from demo-cardiology"]


def test_where_there_is_nothing_to_compare_with_that_is_said(folder, tmp_path):
    retrain = {"source_training": QUICK["training"], **QUICK}
    table = {"data": {"target": TARGET, "share": 0.1, "sources": ["demo-cardiology"]}}
    run_recipe(make_recipe(table | {"method": {"name": "retrain", **retrain}}), tmp_path / "run")
    summary = summarise(entries_of([read_run(folder / "crf-0"), read_run(tmp_path / "run")]), missing=2)
    assert verdicts(summary) == [
        "2 of the planned runs are not finished: this is what there is.",
        f"Whether demo-cardiology helps {TARGET} at 10 % is undecided (no run of the baseline to compare with).",
    ]
    assert report_json(summary)["missing"] == 2


def test_figures_have_names_of_their_own_that_every_file_system_takes():
    assert slug("bionlp13pc from bionlp13cg", "3") == "bionlp13pc-from-bionlp13cg-3"
    alike = {slug(name, "100") for name in ("notes-2020", "notes/2020", "Notes 2020", "notes_2020", "(notes) 2020")}
    assert len(alike) == 5
    long = [slug(f"{'ward-' * 60}{end}", "100") for end in "ab"]
    assert long[0] != long[1] and max(map(len, long)) < 110
    assert len(slug("科" * 200, "1").encode()) < 110


# Examples


def test_examples_show_every_side_as_it_is(table):
    evidence = two_systems(table)
    assert evidence
    found = examples(evidence)
    assert found
    gold = {document.id: document for document in evidence.gold}
    first = table.rows[0].name
    for example in found:
        assert [name for name, _ in example.lines] == ["gold", *(row.name for row in table.rows)]
        texts = {"".join(piece.text for piece in pieces) for _, pieces in example.lines}
        assert len(texts) == 1, "every line is the whole sentence"
        (text,) = texts
        document = gold[example.document]
        assert text in document.text
        off = {name: any(p.state in {"wrong", "missed"} for p in pieces) for name, pieces in example.lines}
        assert off["gold"] is False
        assert off[first] is not example.kind.startswith(f"{first} right")
        truth = {(p.text, p.label) for p in example.lines[0][1] if p.label}
        assert truth
        for _, pieces in example.lines[1:]:
            for piece in pieces:
                assert bool(piece.state) is bool(piece.label)
                if piece.state in {"right", "missed"}:
                    assert (piece.text, piece.label) in truth
    assert len({(e.document, e.lines) for e in found}) == len(found)


# The page


class Balance(HTMLParser):
    """Checks that tags close in order and that nothing points outside, and collects text."""

    EMPTY = frozenset({"meta", "br", "line", "circle", "rect", "path", "use"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        assert not names.keys() & {"src", "href", "onclick", "onload"}
        assert names.get("xlink:href", "#").startswith("#")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        assert dict(attributes).get("xlink:href", "#").startswith("#")

    def handle_data(self, data):
        self.text += data


def outside(html: str) -> list[str]:
    return [
        found for found in re.findall(r"https?://|url\([^)]*\)|@import|<script|<link", html) if "url(#" not in found
    ]


def test_the_report_holds_the_tables_and_needs_nothing_else(summary, table, tmp_path):
    place = tmp_path / "new" / "report"
    summary = replace(summary, missing=3)
    write_report(place, summary, title="A & B")
    html, markdown = ((place / f"report.{kind}").read_text("utf-8") for kind in ("html", "md"))
    page = Balance(html)
    assert not outside(html)
    assert page.text.count("A & B") == 2
    for heads, rows in (main_grid(table), measures_grid(table), sets_grid(table), runs_grid(summary)):
        for cells in [heads, *rows]:
            assert all(cell in page.text and cell in markdown for cell in cells)
            assert f"| {' | '.join(cells)} |" in markdown
    for said in (table.facts["target"]["sha256"], "highest strict micro F1 on dev", "c2 = 30.0", *verdicts(summary)):
        assert said in page.text
    assert "3 of the planned runs are not finished" in page.text
    assert json.loads((place / "report.json").read_text("utf-8")) == json.loads(json.dumps(report_json(summary)))
    pictures = {path.name for path in (place / "figures").iterdir()}
    assert pictures == {
        f"{TARGET}-10-{name}.{kind}"
        for name in ("intervals", "types", "profiles", "measures", "mentions", "errors", "sets", "overlap")
        for kind in ("svg", "png")
    }
    assert {name for name in pictures if name.endswith("svg")} == set(re.findall(r"\(figures/(.*?)\)", markdown))


def test_precision_and_recall_are_means_of_the_runs_by_type_and_of_all(folder, table):
    heads, rows = measures_grid(table)
    gold = resolve(TARGET).test
    kinds = ("strict", "relaxed")
    for row, names in ((table.rows[0], ("net-0", "net-1")), (table.rows[2], ("weak",))):
        scores = [score(gold, read_run(folder / name).predictions(), kinds=kinds) for name in names]
        for label in (*row.types(), "macro", "all"):
            average = {"macro": Scores.macro, "all": Scores.micro}.get(label)
            found = [average(s, kind) if average else s.types(kind)[label] for kind in kinds for s in scores]
            each = [[c.precision, c.recall, c.f1] for c in found]
            half = len(names)
            means = [
                statistics.fmean(column) for part in (each[:half], each[half:]) for column in zip(*part, strict=True)
            ]
            (cells,) = (cells for cells in rows if cells[:2] == [label, row.name])
            assert cells[2:] == [f"{100 * mean:.2f}" for mean in means]
    assert heads[2:] == ["strict P", "strict R", "strict F1", "relaxed P", "relaxed R", "relaxed F1"]
    assert len(rows) == len(table.rows) * (2 + len(table.rows[0].types()))
    by_type = types_grid(table)[1]
    assert [cells[0] for cells in by_type] == [*table.rows[0].types(), "macro"]
    assert by_type[-1][2:] == [cells[4] for cells in rows if cells[0] == "macro"]


def test_sets_are_those_of_the_predictions_and_their_means(folder, table):
    row = next(row for row in table.rows if row.name == "target-only")
    each = []
    for seed in row.seeds:
        corpus = resolve(TARGET).sample(0.1, seed=seed)
        found = set_analysis(corpus.train, corpus.test, read_run(folder / f"net-{seed}").predictions())
        each.append(found.quotients)
        (record,) = (record for record in row.records if record.seed == seed)
        assert SetAnalysis(record.sets) == found
    assert row.sets() == pytest.approx({name: statistics.fmean(one[name] for one in each) for name in each[0]})
    assert row.sets()["coverage"] < 0.9


def test_words_by_class_are_those_of_the_predictions_added_over_runs(table):
    row = table.rows[0]
    target = resolve(TARGET)
    parts = [token_table(target.test, read_run(entry.folder).predictions()) for entry in row.entries]
    assert row.tokens() == sum(parts[1:], parts[0])
    heads, cells = tokens_grid(table)
    mine = [line for line in cells if line[0] == row.name]
    assert [line[1] for line in mine] == ["B", "I", "O", "macro", "weighted"]
    matrix = [[int(cell.replace(",", "")) for cell in line[-3:]] for line in mine[:3]]
    assert sum(map(sum, matrix)) == row.tokens().pairs.total()
    assert heads[-3:] == ["found as B", "found as I", "found as O"]
    old = replace(row, entries=tuple(replace(e, record=replace(e.record, tokens={})) for e in row.entries))
    assert old.tokens() is None
    assert row.name not in [line[0] for line in tokens_grid(replace(table, rows=(old, *table.rows[1:])))[1]]


def test_runs_that_counted_no_sets_are_left_out_of_their_table_and_chart(summary, table, tmp_path):
    first, *rest = table.rows
    old = [replace(entry, record=replace(entry.record, sets={})) for entry in first.entries]
    mixed = replace(table, rows=(replace(first, entries=tuple(old)), *rest))
    assert [cells[0] for cells in sets_grid(mixed)[1]] == [row.name for row in rest]
    none = [
        replace(row, entries=tuple(replace(e, record=replace(e.record, sets={})) for e in row.entries))
        for row in table.rows
    ]
    write_report(tmp_path, replace(summary, tables=(replace(table, rows=tuple(none)),)))
    assert not list((tmp_path / "figures").glob("*-sets.*"))
    assert "Distinct mentions as sets, %" not in (tmp_path / "report.html").read_text("utf-8")


def test_the_json_is_in_per_cent_and_says_what_the_tables_say(summary, table):
    found = report_json(summary)
    assert [(cell["method"], cell["share"], cell["seed"]) for cell in found["cells"]] == [
        (row.name, 0.1, seed) for row in table.rows for seed in row.seeds
    ]
    for cell, record in zip(found["cells"], (record for row in table.rows for record in row.records), strict=True):
        micro = cell["scores"]["test"]["strict"]["micro"]
        assert micro["f1"] == pytest.approx(100 * record.micro().f1)
        assert micro["tp"] == record.micro().tp
        assert cell["scores"]["dev"]["strict"]["types"].keys() == set(resolve(TARGET).labels)
        assert (cell["sha256"], cell["documents"]) == (resolve(TARGET).sha256, len(resolve(TARGET).test))
        assert sum(part["tp"] for part in cell["mentions"].values()) == micro["tp"]
    assert [(corpus["role"], corpus["corpus"]) for corpus in found["data"]] == [("target", TARGET)]
    assert found["data"][0]["SHA-256"] == resolve(TARGET).sha256 and not found["missing"]
    for entry, row in zip(found["summary"], table.rows, strict=True):
        assert (entry["method"], entry["share"], entry["verdict"]) == (row.name, 0.1, row.verdict.word)
        assert entry["low"] <= entry["mean"] <= entry["high"]
        assert entry["mean"] == pytest.approx(100 * row.mean())
        assert entry["p"] == row.p
        assert entry["gain"] == (None if row.test is None else pytest.approx(100 * row.test.difference))


def test_text_of_a_corpus_cannot_break_the_page(tmp_path):
    entities = (Entity(3, 9, "Drug"), Entity(0, 3, "病 <b>$x^2$ & |"))
    documents = [Document(f"<i>{i}", f"<b>aspir{i}</b> & <script>alert({i})</script>", entities) for i in range(12)]
    formats.write(documents, tmp_path / "<u>.jsonl", "jsonl")
    for method, more in (("crfsuite", {"iterations": 1}), ("target-only", QUICK)):
        train(tmp_path / method, method, target=str(tmp_path / "<u>.jsonl"), share=0.2, **more)
    write_report(tmp_path, summarise(entries_of(find_runs(tmp_path)), resamples=50), title="<script>")
    html = (tmp_path / "report.html").read_text("utf-8")
    page = Balance(html)
    assert "<script" not in html
    assert "&lt;script&gt;alert(" in html
    assert "病 <b>$x^2$ & |" in page.text
    assert "病 <b>$x^2$ & &#124;" in (tmp_path / "report.md").read_text("utf-8")


def test_a_grid_is_a_markdown_table():
    assert markdown_grid((["a", "b"], [["1", "x|y"]])) == "| a | b |\n| --- | --- |\n| 1 | x&#124;y |"
