"""Tables of finished runs say what their runs say, and the report holds them and needs nothing else."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from transfuse import Document, Entity, formats, plots
from transfuse.data import resolve
from transfuse.recipe import make_recipe, run_recipe
from transfuse.report import HEADS, examples, table_rows, write_report
from transfuse.results import compare_runs, find_runs, read_run
from transfuse.score import score
from transfuse.significance import compare, holm, interval
from transfuse.text import DataError

TARGET = "demo-neurology"
QUICK = {"vectors": {"kind": "none"}, "training": {"epochs": 1, "steps": 40, "average": 0.0}}


def train(
    folder: Path, method: str, seed: int = 0, target: str = TARGET, share: float = 0.1, **settings: object
) -> None:
    table = {"data": {"target": target, "share": share}, "method": {"name": method, **settings}, "run": {"seed": seed}}
    run_recipe(make_recipe(table), folder)


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
def table(folder):
    (found,) = compare_runs(find_runs(folder), resamples=300)
    return found


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


def test_rows_are_means_over_seeds_with_the_baseline_first(folder, table):
    gold = resolve(TARGET).test

    def scores(*names):
        return [score(gold, read_run(folder / name).predictions()) for name in names]

    assert [row.name for row in table.rows] == ["target-only", "crfsuite (1)", "crfsuite (2)"]
    assert [[run.seed for run in row.runs] for row in table.rows] == [[0, 1], [0, 1], [1]]
    base, crf, weak = table.rows
    f1 = [s.micro().f1 for s in scores("crf-0", "crf-1")]
    assert crf.f1() == f1
    assert crf.mean() == pytest.approx(statistics.fmean(f1))
    assert crf.deviation() == pytest.approx(statistics.stdev(f1))
    assert weak.deviation() is None
    assert crf.interval == interval(scores("crf-0", "crf-1"), resamples=300)
    assert base.comparison is None
    assert crf.comparison == compare(scores("crf-0", "crf-1"), scores("net-0", "net-1"), resamples=300)
    # The baseline's run with the same seed, not its mean.
    assert weak.comparison == compare(scores("weak"), scores("net-1"), resamples=300)
    assert [crf.p, weak.p] == holm([crf.comparison.p_randomisation, weak.comparison.p_randomisation])


def test_runs_on_other_data_are_another_table(folder, tmp_path):
    train(tmp_path / "more", "crfsuite", share=0.2)
    tables = compare_runs([*find_runs(folder), read_run(tmp_path / "more")], resamples=50)
    assert [len(t.rows) for t in tables] == [3, 1]
    assert tables[1].rows[0].comparison is None


def test_rows_of_one_method_are_told_apart_by_sources(folder, tmp_path):
    table = {"data": {"target": TARGET, "share": 0.1, "sources": ["demo-cardiology"]}, "method": {"name": "crfsuite"}}
    run_recipe(make_recipe(table), tmp_path / "run")
    (found,) = compare_runs([read_run(folder / "crf-0"), read_run(tmp_path / "run")], resamples=50)
    assert [row.name for row in found.rows] == ["crfsuite", "crfsuite from demo-cardiology"]


def test_a_target_that_has_changed_is_refused(tmp_path):
    path = tmp_path / "notes.jsonl"
    formats.write(resolve(TARGET).train[:20], path, "jsonl")
    train(tmp_path / "run", "crfsuite", target=str(path), share=1.0)
    assert compare_runs([read_run(tmp_path / "run")], resamples=50)
    formats.write(resolve(TARGET).train[1:21], path, "jsonl")
    with pytest.raises(DataError, match="has changed"):
        compare_runs([read_run(tmp_path / "run")], resamples=50)


@pytest.mark.parametrize("name", ["done", "scores.json", "recipe.toml", "records.jsonl", "predictions"])
def test_what_is_no_finished_run_is_refused(folder, tmp_path, name):
    shutil.copytree(folder / "crf-0", tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError):
        compare_runs([read_run(tmp_path / "run")], resamples=50)


def test_no_runs_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finished run"):
        find_runs(tmp_path)


def test_examples_show_every_side_as_it_is(table):
    found = examples(table)
    assert found
    gold = {document.id: document for document in table.corpus.test}
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


class Balance(HTMLParser):
    """Checks that tags close in order, and collects text."""

    EMPTY = frozenset({"meta", "br", "line", "circle", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert not {name for name, _ in attributes} & {"src", "href", "onclick", "onload"}
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        assert tag in self.EMPTY

    def handle_data(self, data):
        self.text += data


def test_the_report_holds_the_table_and_needs_nothing_else(folder, table, tmp_path):
    tables = write_report(tmp_path / "new" / "report", find_runs(folder), title="A & B", resamples=300)
    assert [t.to_dict() for t in tables] == [table.to_dict()]
    html = (tmp_path / "new" / "report" / "report.html").read_text("utf-8")
    markdown = (tmp_path / "new" / "report" / "report.md").read_text("utf-8")
    page = Balance(html)
    assert not re.search(r"https?://|url\(|@import|<script|<link", html)
    assert page.text.count("A & B") == 2
    for cells in [HEADS, *table_rows(table)]:
        assert all(cell in page.text and cell in markdown for cell in cells)
        assert f"| {' | '.join(cells)} |" in markdown
    facts = table.rows[0].runs[0].data["target"]["sha256"]
    for said in (facts, "highest strict micro F1 on dev", "last iteration", "c2 = 30.0", "boundary+type"):
        assert said in page.text
    assert {path.name for path in (tmp_path / "new" / "report").iterdir()} == {"report.html", "report.md"}


def test_text_of_a_corpus_cannot_break_the_page(tmp_path):
    entities = (Entity(3, 9, "Drug"),)
    documents = [Document(f"<i>{i}", f"<b>aspir{i}</b> & <script>alert({i})</script>", entities) for i in range(12)]
    formats.write(documents, tmp_path / "<u>.jsonl", "jsonl")
    train(tmp_path / "run", "crfsuite", target=str(tmp_path / "<u>.jsonl"), share=0.2, iterations=1)
    write_report(tmp_path, [read_run(tmp_path / "run")], title="<script>", resamples=50)
    html = (tmp_path / "report.html").read_text("utf-8")
    Balance(html)
    assert "<script" not in html
    assert "&lt;script&gt;alert(" in html


def test_a_dot_lies_in_its_interval_and_higher_is_further_right():
    rows = [("a", 0.61, 0.55, 0.64), ("b<", 0.8, 0.79, 0.88), ("c", 0.7, 0.7, 0.7)]
    figure = ElementTree.fromstring(plots.intervals(rows, title="T"))
    groups = figure.findall("g")
    assert [group.findtext("text") for group in groups] == ["a", "b<", "c"]
    places = []
    for group in groups:
        line, dot = group.find("line").attrib, group.find("circle").attrib
        assert float(line["x1"]) <= float(dot["cx"]) <= float(line["x2"])
        assert float(line["x1"]) > 0
        assert float(line["x2"]) <= plots.WIDTH
        places.append(float(dot["cx"]))
    assert places[0] < places[2] < places[1]
    ticks = {int(t.text): float(t.attrib["x"]) for t in figure.findall("text")}
    assert places[1] == pytest.approx(ticks[80])
    assert ticks[50] == plots.LEFT
    assert ticks[90] == plots.WIDTH - plots.RIGHT


def test_bars_are_as_long_as_their_numbers():
    figure = ElementTree.fromstring(
        plots.bars([("a", {"x": 30, "y": 0, "z": 10}), ("b", {"x": 0, "y": 20, "z": 0})], title="T")
    )
    parts = [(r.attrib["class"], float(r.attrib["width"])) for r in figure.iter("rect")]
    assert [name for name, _ in parts] == ["c0", "c2", "c1"]
    assert [width / parts[1][1] for _, width in parts] == pytest.approx([3, 1, 2], abs=0.01)
    assert ElementTree.fromstring(plots.bars([("a", {"x": 0})], title="none")) is not None
