"""Rounds of pseudo-labelling: what is told of them is what runs recorded, and reports show it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from transfuse.data.task import Data
from transfuse.experiments.recipe import Recipe
from transfuse.experiments.running import run_recipe
from transfuse.methods.muct import Muct
from transfuse.reporting.drawing import COLOURS
from transfuse.reporting.records import make_record, read_records, write_record
from transfuse.reporting.report import report_json, write_report
from transfuse.reporting.results import read_run
from transfuse.reporting.rounds import Round, mean_rounds, read_rounds, rounds_grid
from transfuse.reporting.summary import entries_of, summarise
from transfuse.taggers.vectors import Vectors
from transfuse.train import Training

BRIEF = Training(epochs=1, steps=30, batch=8, rate=0.02, select="last")


def pseudo(corpus: str, number: int, accepted: int, right: int | None, judged: int | None) -> dict[str, object]:
    return {
        "event": "pseudo",
        "stage": f"{corpus}-{number}",
        "corpus": corpus,
        "round": number,
        "sentences": 10,
        "accepted": accepted,
        "mentions": 2 * accepted,
        "right": right,
        "judged": judged,
    }


def vote(number: int, agreement: float, margin: float | None = None) -> dict[str, object]:
    return {"event": "round", "round": number, "agreement": agreement, "margin": margin}


def test_a_round_is_the_sum_of_its_views_and_the_last_word_counts() -> None:
    records = [
        vote(0, 0.5),
        pseudo("a", 1, 9, 0, 18),  # told again after a kill
        pseudo("a", 1, 3, 4, 6),
        pseudo("b", 1, 1, 1, 2),
        {"event": "pseudo", "stage": "c", "changed": [3]},  # of a method without rounds
        vote(1, 0.6, 0.2),
    ]
    first, second = read_rounds(records)
    assert first == Round(0, agreement=0.5)
    assert first.taken is first.precision is None
    assert second == Round(1, 20, 4, 8, 5, 8, 0.6, 0.2)
    assert (second.taken, second.precision) == (0.2, 5 / 8)
    unjudged = read_rounds([pseudo("a", 1, 3, None, None), vote(1, 0.6)])
    assert unjudged[0].precision is None and unjudged[0].accepted == 3
    assert read_rounds([{"event": "trained"}]) == ()


def test_means_weigh_every_label_alike_and_end_where_one_run_ends() -> None:
    one = (Round(0), Round(1, 10, 2, 2, 1, 2, 0.5, 0.1), Round(2, 10, 4, 4, 4, 4, 0.7, 0.2))
    other = (Round(0), Round(1, 10, 6, 6, 6, 6, 0.7, None))
    means = mean_rounds([one, other])
    assert [each.number for each in means] == [0, 1]
    assert (means[1].accepted, means[1].precision, means[1].agreement, means[1].margin) == (4, 7 / 8, 0.6, None)
    assert mean_rounds([]) == mean_rounds([one, ()]) == ()
    heads, cells = rounds_grid({"m": means, "none": ()})
    assert dict(zip(heads, cells[1], strict=True)) == {
        "method": "m",
        "round": "1",
        "accepted": "4",
        "of raw, %": "40.0",
        "mentions": "4",
        "precision": "87.50",
        "agreement": "60.00",
        "margin": "-",
    }
    assert cells[0][2:] == ["-"] * 6 and len(cells) == 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    method = Muct(vectors=Vectors(kind="none"), training=BRIEF, round_training=BRIEF, rounds=2, select="last")
    data = Data("demo-cardiology", ("demo-neurology",), share=0.0, limit=60)
    folder = tmp_path_factory.mktemp("rounds") / "run"
    run_recipe(Recipe(data, "muct", method, 0), folder)
    return folder


def test_a_record_keeps_them_and_older_records_have_none(run: Path, tmp_path: Path) -> None:
    record = make_record(read_run(run))
    assert [each.number for each in record.rounds] == [0, 1, 2]
    assert all(each.judged == each.mentions for each in record.rounds[1:])
    write_record(record, tmp_path, "abc")
    assert read_records(tmp_path)["abc"] == record
    table = json.loads((tmp_path / "abc.json").read_text())
    del table["rounds"]
    (tmp_path / "abc.json").write_text(json.dumps(table))
    assert read_records(tmp_path)["abc"] == replace(record, rounds=())


def test_a_report_shows_them_in_a_table_and_a_figure(run: Path, tmp_path: Path) -> None:
    summary = summarise(entries_of([read_run(run)]), resamples=20)
    write_report(tmp_path, summary)
    ((row,),) = (table.rows for table in summary.tables)
    heads, cells = rounds_grid({row.name: row.rounds()})
    markdown, html = ((tmp_path / f"report.{kind}").read_text("utf-8") for kind in ("md", "html"))
    for line in (heads, *cells):
        assert f"| {' | '.join(line)} |" in markdown
        assert all(f">{cell}<" in html for cell in line)
    (name,) = (path.name for path in (tmp_path / "figures").glob("*-rounds.svg"))
    assert f"figures/{name}" in markdown
    drawn = (tmp_path / "figures" / name).read_text("utf-8")
    assert "precision of pseudo-labels, %" in drawn and COLOURS["c0"] in drawn
    (cell,) = report_json(summary)["cells"]
    assert [each["number"] for each in cell["rounds"]] == [0, 1, 2]
